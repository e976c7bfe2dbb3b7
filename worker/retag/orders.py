"""What people ask of jobs: plan, run, pause, go on, cancel, try again, undo."""

import time
from datetime import UTC, datetime

from sqlalchemy import Connection

from rules.ruleset import RuleSet
from store import fleet, job_changes, jobs, rulesets
from store.database import Database
from store.jobs import ENDED, Job, JobState
from worker.retag import names
from worker.retag.asked import Asked, account_of, spec_of
from worker.retag.spec import BadSpec, Spec, check, windows
from worker.settings import Account
from worker.why import State

NO_RULES = "no rule set is in force yet"
DAY = 86_400.0
STEP = 500
"""Calls changed in one transaction."""
LARGEST = 2**63 - 1
"""No database counts further."""


class Refused(Exception):
    """It cannot be done now; the text says why, and what can be."""


class NoSuchJob(Refused):
    """There is no such job in this data folder."""


def find(connection: Connection, number: int) -> Job:
    """The job; raises `NoSuchJob`."""
    job = jobs.get(connection, number) if 0 < number <= LARGEST else None
    if job is None:
        raise _no_such(number)
    return job


def plan_as_asked(state: State, asked: Asked, attended: bool = False) -> int:
    """Makes a job by the rule set in force, for the workers to plan; gives its number. Raises `BadSpec`.

    `attended`: somebody waits for the plan, so it is refused where nobody would make it.
    """
    account, spec = account_of(state.settings.accounts, asked.account), spec_of(asked)
    ruleset = state.rules.now()
    if ruleset is None:
        raise Refused(NO_RULES)
    check(spec, ruleset)
    with state.database.read() as connection:
        names.check(connection, account.name, spec, ruleset)
    _check_age(spec, state.settings.keep_calls)
    if attended:
        check_workers(state)
    return plan(state.database, account, spec, ruleset)


def _check_age(spec: Spec, days: int) -> None:
    """A job keeps the calls that it changes, and could not take back what is dropped at once."""
    oldest = time.time() - days * DAY
    if days and spec.source == "platform" and spec.since < oldest:
        day = datetime.fromtimestamp(oldest + DAY, UTC).date().isoformat()
        raise BadSpec(f"calls are kept for {days} days (CALLTAG_KEEP_CALLS): --since must be {day} or later")


def check_workers(state: State) -> None:
    """Raises `Refused` where no job would come on."""
    with state.database.read() as connection:
        missing = nobody_works(connection)
    if missing:
        raise Refused(f"{missing}: start `calltag up`; nothing was done")


def nobody_works(connection: Connection) -> str | None:
    """Why no job comes on, where a process that jobs need shows no sign of life."""
    now = time.time()
    if not fleet.held(connection, "sweeper", now):
        return "no sweeper runs"
    if not fleet.living(connection, "batch", now):
        return "no worker of the queue batch runs"
    return None


def plan(database: Database, account: Account, spec: Spec, ruleset: RuleSet) -> int:
    """Makes a job by the rule set in force, for the workers to plan; gives its number. Raises `BadSpec`."""
    check(spec, ruleset)
    longest = account.platform.longest_range
    parts = windows(spec, longest.total_seconds() if longest and spec.source == "platform" else None)
    with database.write() as connection:
        return jobs.create(
            connection, account.name, "retag", spec.to_json(), ruleset.hash, parts, time.time()
        )


def undo(database: Database, number: int) -> int:
    """Makes a job that takes back what that one did, for the workers to plan; gives its number."""
    with database.write() as connection:
        job = _held(connection, number)
        if job.state not in (JobState.DONE, JobState.STOPPED, JobState.CANCELLED):
            raise Refused(_how_it_is(job, "only what a job that ended has done can be taken back"))
        if not (
            job.run.get("added") or job.run.get("removed") or job_changes.has_written(connection, number)
        ):
            raise Refused(f"job {number} has changed nothing that could be taken back")
        spec = Spec.from_json(job.spec).to_json() | {"where": None, "having": None, "fetch": False}
        whole = [(0.0, time.time())]
        return jobs.create(
            connection, job.account, "undo", spec, job.ruleset, whole, time.time(), undoes=number
        )


def run(database: Database, number: int) -> None:
    """Starts the run of a planned job; refuses where other rules are in force than those of the plan."""
    with database.write() as connection:
        check_run(connection, _held(connection, number))
        jobs.start_run(connection, number, time.time())


def check_run(connection: Connection, job: Job) -> None:
    """Raises `Refused` for a job that cannot be run."""
    if job.state is not JobState.PLANNED:
        raise Refused(_how_it_is(job, "only a planned job can be run"))
    if job.kind == "retag" and rulesets.active(connection) != job.ruleset:
        raise Refused(f"the rules have changed since job {job.id} was planned: plan anew")
    if not job.plan.get("change"):
        raise Refused(f"job {job.id} has nothing to change")


def pause(database: Database, number: int) -> None:
    """The job stays where it is, once what is under way is written."""
    with database.write() as connection:
        job = _held(connection, number)
        if not job.works:
            raise Refused(_how_it_is(job, "only a job at work can be paused"))
        jobs.change(connection, number, paused=True)


def resume(database: Database, number: int) -> None:
    """A paused or stopped job goes on; strays that were told are accepted."""
    with database.write() as connection:
        job = _held(connection, number)
        if job.state is JobState.STOPPED:
            accepted = {**job.run, "accepted": 2 * job.run.get("strays", 0)}
            jobs.change(connection, number, state=JobState.RUNNING, run=accepted)
            jobs.hurry(connection, number)
        elif not job.paused or job.state in ENDED:
            raise Refused(_how_it_is(job, "only a paused or stopped job can go on"))
        jobs.change(connection, number, paused=False, reason=None, queued_until=0.0)


def cancel(database: Database, number: int) -> None:
    """The job ends; what it has changed stays until it is undone."""
    with database.write() as connection:
        job = _held(connection, number)
        if job.state in ENDED:
            raise Refused(_how_it_is(job, "it has ended already"))
        jobs.change(connection, number, state=JobState.CANCELLED, reason=None, ended_at=time.time())


def retry_failed(database: Database, number: int) -> int:
    """The calls that failed are tried again; gives how many."""
    with database.write() as connection:
        job = _held(connection, number)
        if job.state not in (JobState.DONE, JobState.RUNNING):
            raise Refused(_how_it_is(job, "only a job that ran can try again"))
        number_of_calls = job_changes.retry_failed(connection, number, STEP)
        if not number_of_calls:
            raise Refused(f"no call of job {number} has failed")
        jobs.change(connection, number, state=JobState.RUNNING, ended_at=None, queued_until=0.0)
    more = number_of_calls
    while more == STEP:
        with database.write() as connection:
            more = job_changes.retry_failed(connection, number, STEP)
        number_of_calls += more
    return number_of_calls


def _held(connection: Connection, number: int) -> Job:
    find(connection, number)
    return jobs.held(connection, number)


def _no_such(number: int) -> NoSuchJob:
    return NoSuchJob(f"there is no job {number} in this data folder; `calltag retag list` lists them")


def _how_it_is(job: Job, wanted: str) -> str:
    paused = ", paused" if job.paused and job.state not in ENDED else ""
    return f"job {job.id} is {job.state.value}{paused}: {wanted}"
