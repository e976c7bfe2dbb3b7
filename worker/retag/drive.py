"""Driving: one worker does one piece of a job after another, and hands it on."""

import time

import structlog
from sqlalchemy import Connection

from store import fleet, job_changes, job_windows, jobs
from store.database import Unavailable
from store.jobs import Job, JobState, Place
from worker.context import Worker
from worker.retag.carry import GROUP, carry_out
from worker.retag.spec import JobRules, Spec
from worker.retag.walk import end_badly, walk

TURN = 5.0
"""Seconds after which a worker hands the job on: others have their turn, and its end can be asked for."""
SLOT = 15.0
"""Seconds for which a worker has one of a job's places each time, should it not live to give it back."""
BACKLOG = 4 * GROUP
"""Calls that may wait to be changed: what was listed is soon old."""
UNMET = 200
"""Rows settled in one transaction."""
UNCONFIGURED_WAIT = 60.0

log = structlog.get_logger()


def drive(worker: Worker, place: Place) -> None:
    """Does what there is to do of a job for a while, if the place is still given. Raises `Unavailable`."""
    ends = time.monotonic() + TURN
    more = True
    while more and time.monotonic() < ends:
        with worker.database.write() as connection:
            job = jobs.get(connection, place.job)
            if not _holds(connection, place, SLOT):
                return  # it was given to another one meanwhile
        more = job is not None and job.works and _piece(worker, job, place)
    with worker.database.write() as connection:
        mine = _holds(connection, place, jobs.QUEUED if more else jobs.TELL_EVERY)
    if more and mine and not worker.messages.drive(place):
        with worker.database.write() as connection:
            _holds(connection, place, jobs.TELL_EVERY)  # nobody waits for a message that was not sent


def _holds(connection: Connection, place: Place, seconds: float) -> bool:
    return fleet.hold(connection, place.name, place.token, time.time(), seconds)


def _piece(worker: Worker, job: Job, place: Place) -> bool:
    """Does one piece; False where there is nothing to do now, or nothing more. A fault of ours ends the job,
    with its reason, rather than to come again and again."""
    try:
        return _done(worker, job, place)
    except Unavailable:
        raise
    except Exception as fault:  # whatever it is, who asked for the job must see it
        log.exception("a job cannot go on", job=job.id, fault=type(fault).__name__)
        with worker.database.write() as connection:
            end_badly(
                connection, job, f"a fault in calltag: {type(fault).__name__}; the worker's log tells more"
            )
        return False


def _done(worker: Worker, job: Job, place: Place) -> bool:
    account = worker.settings.accounts.get(job.account)
    if account is None:
        reason = f"it waits: the account '{job.account}' is not configured"
        with worker.database.write() as connection:
            jobs.change(connection, job.id, queued_until=time.time() + UNCONFIGURED_WAIT, reason=reason)
        return False
    rules = JobRules(worker.rules.by_hash(job.ruleset), Spec.from_json(job.spec))
    steps = {"walk": walk, "carry": carry_out}
    return any(steps[step](worker, account, job, rules) for step in _steps(worker, job)) or _finish(
        worker, job, place
    )


def _steps(worker: Worker, job: Job) -> list[str]:
    """What to try, in order. Calls are listed as long as few wait to be changed; where another worker lists,
    this one changes."""
    now = time.time()
    with worker.database.read() as connection:
        waiting = job_changes.backlog(connection, job.id, BACKLOG)
        walked = job_windows.is_walked_by_another(connection, job.id, worker.name, now)
    if waiting >= BACKLOG:
        return ["carry"]
    return ["carry", "walk"] if waiting and walked else ["walk", "carry"]


def _finish(worker: Worker, seen: Job, place: Place) -> bool:
    """Ends the plan or the run where all is done; True where there is more to do at once. The job rests until
    something can be done, unless another worker is at it, who may find something sooner."""
    now = time.time()
    with worker.database.write() as connection:
        job = jobs.held(connection, seen.id)
        if not job.works:
            return False
        next_at = job_changes.first_todo(connection, job.id)
        if next_at is not None:
            others = (other for other in jobs.places(job.id) if other != place.name)
            if not any(fleet.held(connection, other, now) for other in others):
                rests_until = min(max(next_at, now + 1.0), now + jobs.LONGEST_REST)
                jobs.change(connection, job.id, queued_until=rests_until)
            return next_at <= now
        if not job.is_run:
            over = {} if job.plan.get("change") else {"ended_at": now}  # there is nothing to run
            jobs.change(connection, job.id, state=JobState.PLANNED, reason=None, planned_at=now, **over)
        elif job_changes.skip_unmet(
            connection, job.id, "it is no longer among the calls that are listed", UNMET
        ):
            return True
        else:
            jobs.change(connection, job.id, state=JobState.DONE, reason=None, ended_at=now)
    log.info("a job is planned" if not job.is_run else "a job is done", job=job.id)
    return False
