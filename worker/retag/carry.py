"""Carrying out: a job's calls are leased as any others, planned by the newest facts, and changed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from rules.evaluate import Evaluation
from store import calls as store_calls
from store import days, job_changes, jobs
from store.calls import LEASE, LeasedCall, Outcome
from store.counters import count
from store.database import Unavailable
from store.job_changes import Change, Result
from store.jobs import CallState, Job
from worker import outcomes
from worker.attempt import Attempt, attempt, note_answers
from worker.context import Worker, calls_in_lease
from worker.knowledge import Known
from worker.plan import Choose
from worker.retag.spec import JobRules
from worker.retag.undo import Undoing
from worker.settings import Account

GROUP = 64
"""Calls taken together at the most."""
RECORDED = 16
"""Calls recorded in one transaction: on SQLite it must hold the write lock well under 50 ms."""
TRIES = 8
"""How often a call is tried before it has failed; waiting for the platform is not counted."""
BUSY_WAIT = 2.0
"""Seconds until a call that another worker has is tried again."""
SUPERSEDED = "rules that came into force after the job was made have decided it"
NOT_KEPT = "nothing of the call is kept any more"
DIED = f"given up after {TRIES} attempts: its worker did not live to tell"

log = structlog.get_logger()


def carry_out(worker: Worker, account: Account, job: Job, rules: JobRules) -> bool:
    """Changes the next calls of the job; False where there are none to change now. Raises `Unavailable`."""
    now = time.time()
    with worker.database.write() as connection:
        if not jobs.held(connection, job.id).works:
            return False
        leased_at = time.monotonic()
        todo = job_changes.next_todo(
            connection, job.id, now, calls_in_lease(account.settings.rate, GROUP), now + LEASE
        )
        wanted = _sorted_out(connection, job, todo)
        leased, lonely = store_calls.lease(connection, list(wanted), worker.name, now, for_job=True)
        taken = {call.id for call in leased}
        waiting = [
            Result(change.reference, CallState.TODO, change.reason, now + BUSY_WAIT, uncounted=True)
            for call, change in wanted.items()
            if call not in taken and call not in lonely
        ]
        job_changes.settle(connection, job.id, waiting)
    carried = Carried(worker, account, job, rules, wanted)
    if leased:
        carried.change(leased, leased_at)
    for call in lonely:
        with worker.database.write() as connection:
            leased_at = time.monotonic()
            alone, _ = store_calls.lease(connection, [call], worker.name, time.time(), for_job=True)
        if alone:
            carried.change(alone, leased_at)
    return bool(todo)


def _sorted_out(connection: Connection, job: Job, todo: Sequence[Change]) -> dict[int, Change]:
    """Those that are to be changed, by row; what became of the others is noted."""
    rows = [one.call for one in todo if one.call is not None]
    kept = {call.id for call in store_calls.known(connection, rows)}
    later = job_changes.superseded(connection, job, rows) if job.undoes is None else ()
    wanted: dict[int, Change] = {}
    results = []
    for one in todo:
        if one.call is None or one.call not in kept:  # dropped, or forgotten
            results.append(Result(one.reference, CallState.SKIPPED, NOT_KEPT))
        elif one.call in later:
            results.append(Result(one.reference, CallState.SKIPPED, SUPERSEDED))
        elif one.tries >= TRIES:
            results.append(Result(one.reference, CallState.FAILED, one.reason or DIED))
        else:
            wanted[one.call] = one
    job_changes.settle(connection, job.id, results)
    return wanted


@dataclass(frozen=True)
class Carried:
    """Calls of a job that are being changed, with what was found to be done, by row."""

    worker: Worker
    account: Account
    job: Job
    rules: JobRules
    changes: Mapping[int, Change]

    def change(self, leased: Sequence[LeasedCall], leased_at: float) -> None:
        """Brings leased calls to what the job wants by their newest facts, and notes what came of it."""
        try:
            made = attempt(
                self.worker, self.account, leased, self.rules.ruleset, leased_at, self._choose(), self.job.id
            )
        except Unavailable:
            raise  # the leases run out, and the calls are taken again
        except Exception as fault:  # noqa: BLE001 a fault of ours in one call must not hold up the others
            self._give_back(leased, fault)
            return
        self._record(made)

    def _choose(self) -> Choose:
        if self.job.undoes is None:
            return self.rules.choose
        undoing = Undoing(self.job.undoes, self.job.id)

        def takes_back(call: int, evaluation: Evaluation, known: Known) -> Evaluation:
            change = self.changes[call]
            wanted = dict.fromkeys(change.add, True) | dict.fromkeys(change.remove, False)
            return undoing.takes_back(evaluation, wanted.get, known)

        return takes_back

    def _record(self, made: Attempt) -> None:
        moved: list[int] = []
        for start in range(0, len(made.outcomes), RECORDED):
            moved += self._record_some(made.outcomes[start : start + RECORDED])
        note_answers(self.worker, self.account, made)
        for outcome in made.outcomes:
            outcomes.log_decision(outcome)
        if due := list(dict.fromkeys([*made.due, *moved])):
            self.worker.messages.send(due)

    def _record_some(self, some: Sequence[Outcome]) -> list[int]:
        with self.worker.database.write() as connection:
            jobs.held(connection, self.job.id)  # before the calls, as who walks takes them
            mine = store_calls.held(connection, self.worker.name, [one.call.id for one in some])
            now = time.time()
            recorded = store_calls.record(connection, self.worker.name, some, now, self.job.id)
            job_changes.settle(
                connection, self.job.id, [self._result(one, lost=one.call.id not in mine) for one in some]
            )
            days.count(connection, recorded.decided, now)
            count(connection, self.worker.counted())
        return recorded.due

    def _result(self, outcome: Outcome, lost: bool) -> Result:
        reference = self.changes[outcome.call.id].reference
        if lost:  # another worker has the call now, and reads what is on it
            return Result(reference, CallState.TODO, outcome.reason, time.time() + BUSY_WAIT, uncounted=True)
        if outcome.state == "done":
            return Result(reference, CallState.DONE)
        if outcome.state == "decided":
            return Result(reference, CallState.SKIPPED, outcome.reason)
        if outcome.state == "dead":
            return Result(reference, CallState.FAILED, outcome.reason)
        free = outcome.state == "due" or outcome.in_vain
        return Result(reference, CallState.TODO, outcome.reason, outcome.next_at, uncounted=free)

    def _give_back(self, leased: Sequence[LeasedCall], fault: Exception) -> None:
        log.error("calls of a job could not be worked on", job=self.job.id, fault=type(fault).__name__,
                  exc_info=self.worker.settings.log_level == "debug")  # fmt: skip
        next_at = time.time() + outcomes.backoff(1)
        reason = f"a fault in calltag: {type(fault).__name__}"
        with self.worker.database.write() as connection:
            store_calls.release(connection, self.worker.name, [call.id for call in leased])
            again = [
                Result(self.changes[call.id].reference, CallState.TODO, reason, next_at) for call in leased
            ]
            job_changes.settle(connection, self.job.id, again)
