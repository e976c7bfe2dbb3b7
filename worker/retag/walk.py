"""Walking: one page of a job's range is listed and judged, and what it shows is noted."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import Connection

from platforms.adapter import Client
from platforms.errors import NotFound, OutOfTime, PageExpired, PlatformError
from store import job_meeting, job_windows, jobs
from store.breaker import Gate
from store.job_meeting import Met
from store.job_windows import Window
from store.jobs import Job, JobState
from worker import outcomes
from worker.attempt import Attempt, note_answers, passed
from worker.context import Worker
from worker.history import PART, Matched, keep
from worker.retag.judge import Judge, Judged
from worker.retag.sources import Candidate, Listed, Sources
from worker.retag.spec import JobRules, asking
from worker.retag.undo import Undoing
from worker.settings import Account
from worker.tagids import TagIds

RESTARTS = 5
"""How often a window is listed from its beginning because a page's token was no longer taken."""
STRAYS = 0.02
"""The share of a plan's changes by which the run may stray from it."""
FEW = 10
"""Strays that no job is stopped for: a small plan strays by a few live calls."""
NOTED = 250
"""Calls noted in one transaction where none of them is kept: fewer commits, no longer ones."""
NOT_KEPT = "which of our calls it is cannot be told, or it was forgotten"


class Lost(Exception):
    """Another worker has the window now, or the job is not at work any more."""


class Walked(NamedTuple):
    """The token of the page after one, and how many calls that one showed for the first time."""

    next: str | None
    news: int


@dataclass(frozen=True)
class Walk:
    """One worker's way through one page of a job."""

    worker: Worker
    account: Account
    job: Job
    rules: JobRules
    window: Window
    client: Client

    def page(self) -> Walked:
        """Notes what the page shows.

        Raises `Lost`, `PlatformError` and `Unavailable`; what was noted until then stays noted.
        """
        listed = Sources(self.worker, self.account, self.job, self.rules.spec).page(self.window, self.client)
        fetching = self.rules.spec.fetch and not self.job.is_run
        candidates = self._not_noted(listed) if fetching else listed.candidates
        judge = self._judge()
        together = PART if fetching or self.job.is_run else NOTED
        news = 0
        for part in _parts(candidates, together):
            judged = judge.judge(part, listed.requested_at)
            late: Collection[str] = ()
            if fetching:
                judged, late = self._with_transcripts(judge, judged, listed)
            news += self._note([one for one in judged if one.met.reference not in late], listed)
            if late:
                raise OutOfTime("there is no time for more transcripts now")
        return Walked(listed.next, news)

    def _judge(self) -> Judge:
        by_name = self.account.platform.tags_by_name
        tag_ids = TagIds(
            self.worker.database, self.account.name, self.rules.ruleset.tags, self.client, by_name
        )
        undoing = Undoing(self.job.undoes, self.job.id) if self.job.undoes is not None else None
        fetched = self.account.platform.fetched
        speech_rules = {rule for rule, asked in asking(self.rules.ruleset).items() if fetched & asked}
        return Judge(self.worker, self.account, self.rules, tag_ids, frozenset(speech_rules), undoing)

    def _not_noted(self, listed: Listed) -> list[Candidate]:
        """The calls to which an earlier attempt at this page did not come: a transcript costs a request."""
        with self.worker.database.read() as connection:
            noted = job_meeting.noted(connection, self.job.id, [one.reference for one in listed.candidates])
        return [one for one in listed.candidates if one.reference not in noted]

    def _with_transcripts(
        self, judge: Judge, judged: list[Judged], listed: Listed
    ) -> tuple[list[Judged], Collection[str]]:
        """Judges again the calls that lack a transcript with what the platform has, which is kept; and the
        calls that could not be asked for in time."""
        lacking = [one.candidate.matched for one in judged if one.lacks_transcript and one.candidate.matched]
        answers = dict(
            zip(
                [one.record.id for one in lacking],
                self.worker.pool.map(self._transcribed, lacking),
                strict=True,
            )
        )
        late = {call for call, answer in answers.items() if isinstance(answer, OutOfTime)}
        told = {call: answer for call, answer in answers.items() if isinstance(answer, Matched)}
        if not told:
            return judged, late
        with self.worker.database.write() as connection:
            self._check(connection)
            rows = keep(connection, self.account, list(told.values()), listed.requested_at, self.window.until)
        again = [
            replace(
                one.candidate, call=rows.get(one.candidate.reference), matched=told[one.candidate.reference]
            )
            for one in judged
            if one.candidate.reference in told
        ]
        anew = {one.candidate.reference: one for one in judge.judge(again, listed.requested_at)}
        return [anew.get(one.candidate.reference, one) for one in judged], late

    def _transcribed(self, matched: Matched) -> Matched | OutOfTime | None:
        try:
            record = self.client.transcribed(matched.record)
        except NotFound:
            return None
        except OutOfTime as fault:
            return fault
        return None if record is matched.record else replace(matched, record=record)

    def _note(self, judged: Sequence[Judged], listed: Listed) -> int:
        """One transaction: a part of the page. In a run, the calls to be changed get rows of their own. Gives
        how many were not noted before."""
        with self.worker.database.write() as connection:
            self._check(connection)
            if not self.job.is_run:
                return job_meeting.note_planned(connection, self.job.id, [one.met for one in judged])
            changing = [one.candidate.matched for one in judged if one.met.changes and one.candidate.matched]
            rows = keep(connection, self.account, changing, listed.requested_at, self.window.until)
            news = job_meeting.note_met(connection, self.job.id, [_placed(one, rows) for one in judged])
            _stop_if_astray(connection, jobs.held(connection, self.job.id))
        return news

    def _check(self, connection: Connection) -> None:
        """Raises `Lost` where this worker's page must not count any more."""
        now = jobs.held(connection, self.job.id)
        if not now.works or now.is_run != self.job.is_run:
            raise Lost
        if not job_windows.has_window(connection, self.job.id, self.window, self.worker.name, time.time()):
            raise Lost


def walk(worker: Worker, account: Account, job: Job, rules: JobRules) -> bool:
    """Goes one page on in one of the job's windows; False where there is none to walk now.

    Raises `Unavailable`.
    """
    with worker.database.write() as connection:
        leased_at = time.monotonic()
        window = job_windows.lease_window(connection, job.id, worker.name, time.time())
    if window is None:
        return False
    gate, until = passed(worker, account)
    if gate is Gate.OPEN:  # it holds a process that another account's job could have
        _leave(worker, job, window, window.page, until)
        return True
    made = Attempt(probe=gate is Gate.PROBE)
    client = worker.client(account, leased_at, made.tally, behind_live=True)
    _walk_on(Walk(worker, account, job, rules, window, client))
    note_answers(worker, account, made)
    return True


def _walk_on(walk: Walk) -> None:
    worker, job, window = walk.worker, walk.job, walk.window
    try:
        walked = walk.page()
    except Lost:
        _leave(worker, job, window, window.page)
    except PageExpired:
        _begin_again(worker, job, window)
    except PlatformError as fault:
        _put_off(worker, job, window, fault)
    else:
        with worker.database.write() as connection:
            tries = 0 if walked.news else window.tries
            if job_windows.leave_window(
                connection, job.id, window, worker.name, walked.next, walked=walked.next is None, tries=tries
            ):
                job_windows.note_page(connection, job, time.time())


def _leave(worker: Worker, job: Job, window: Window, page: str | None, next_at: float = 0.0) -> None:
    with worker.database.write() as connection:
        job_windows.leave_window(
            connection, job.id, window, worker.name, page, next_at=next_at, tries=window.tries
        )


def _begin_again(worker: Worker, job: Job, window: Window) -> None:
    """The token of a page is no longer taken: its window is listed from the beginning, and no other one."""
    with worker.database.write() as connection:
        if window.tries >= RESTARTS:
            reason = "the platform's page tokens expire before the next page can be asked for"
            end_badly(connection, job, reason)
        job_windows.leave_window(connection, job.id, window, worker.name, None, tries=window.tries + 1)


def _put_off(worker: Worker, job: Job, window: Window, fault: PlatformError) -> None:
    """A fault that may pass is waited for; any other one ends the plan, or stops the run."""
    if isinstance(fault, OutOfTime):
        _leave(worker, job, window, window.page, time.time() + (fault.retry_after or 0.0))
        return
    with worker.database.write() as connection:
        if fault.permanent:
            end_badly(connection, job, str(fault))
        elif jobs.held(connection, job.id).works:
            jobs.change(connection, job.id, reason=f"it waits and goes on by itself: {fault}")
    _leave(worker, job, window, window.page, time.time() + max(fault.retry_after or 0.0, outcomes.backoff(3)))


def end_badly(connection: Connection, job: Job, reason: str) -> None:
    now = jobs.held(connection, job.id)
    if now.works:
        ended: dict[str, Any] = {"state": JobState.FAILED, "ended_at": time.time()}
        values = {"state": JobState.STOPPED} if now.is_run else ended
        jobs.change(connection, job.id, reason=reason, **values)


def _stop_if_astray(connection: Connection, job: Job) -> None:
    strays, planned = job.run.get("strays", 0), job.plan.get("change", 0)
    if strays <= max(FEW, STRAYS * planned, job.run.get("accepted", 0)):
        return
    reason = (
        f"{strays} calls need another change than planned ({planned} were planned to change): "
        "plan anew, or resume to go on all the same"
    )
    jobs.change(connection, job.id, state=JobState.STOPPED, reason=reason)


def _placed(one: Judged, rows: dict[str, int]) -> Met:
    """With its row, which a listed call that is to be changed has by now."""
    record = one.candidate.record
    if record is None or not one.met.changes:
        return one.met
    if (row := rows.get(record.id)) is not None:
        return replace(one.met, call=row)
    return replace(one.met, skipped=NOT_KEPT, counts={("listed",): 1, ("skipped",): 1})


def _parts(candidates: Sequence[Candidate], together: int) -> Iterator[Sequence[Candidate]]:
    for start in range(0, len(candidates), together):
        yield candidates[start : start + together]
