"""The calls that a job changes: which are next, what became of each, and what is told of them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, update

from store.jobs import CallState, Count, Job, change, count
from store.schema import NOT_SAME, applied_tags, decisions, job_calls, job_windows, jobs, rulesets

REASONS = 50
"""Reasons that are told; each names a fault of the platform, or one of a few of ours."""


@dataclass(frozen=True, slots=True)
class Change:
    """A call that a job is about to change, or has."""

    reference: str
    call: int | None
    state: CallState
    before: tuple[str, ...]
    add: tuple[str, ...]
    remove: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    reason: str | None
    tries: int


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one call; `uncounted` where the attempt is not held against it."""

    reference: str
    state: CallState
    reason: str | None = None
    next_at: float = 0.0
    uncounted: bool = False


def backlog(connection: Connection, job: int, most: int) -> int:
    """How many calls the run has met and not changed yet; `most` at most."""
    j = job_calls.c
    rows = select(j.reference).where(j.job == job, j.state == CallState.TODO, NOT_SAME).limit(most).subquery()
    return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())


def next_todo(connection: Connection, job: int, now: float, most: int, until: float) -> list[Change]:
    """Calls to be changed now. They are put off until `until`, should nobody live to tell what came of it."""
    j = job_calls.c
    wanted = (j.job == job, j.state == CallState.TODO, NOT_SAME, j.next_at <= now)
    rows = connection.execute(
        select(job_calls).where(*wanted).order_by(j.next_at).limit(most).with_for_update(skip_locked=True)
    ).all()
    if rows:
        these = and_(j.job == job, j.reference.in_([row.reference for row in rows]))
        connection.execute(update(job_calls).where(these).values(next_at=until, tries=j.tries + 1))
    return [_change(row) for row in rows]


def first_todo(connection: Connection, job: int) -> float | None:
    """When the next call is to be changed, or the next window walked, if there is one."""
    j, w = job_calls.c, job_windows.c
    calls = select(func.min(j.next_at)).where(j.job == job, j.state == CallState.TODO, NOT_SAME)
    free_at = func.coalesce(w.lease_until, w.next_at)
    windows = select(func.min(free_at)).where(w.job == job, ~w.walked)
    found = [connection.execute(each).scalar() for each in (calls, windows)]
    return min((at for at in found if at is not None), default=None)


def settle(connection: Connection, job: int, results: Iterable[Result]) -> None:
    """Notes what became of calls that were to be changed, with the tags that were put on and taken off."""
    j = job_calls.c
    counts: Counter[Count] = Counter()
    for result in results:
        this = and_(j.job == job, j.reference == result.reference, j.state == CallState.TODO)
        columns = (j.call_id, j.before, j.added, j.removed)
        row = connection.execute(select(*columns).where(this).with_for_update()).first()
        if row is None:
            continue
        values: dict[str, Any] = {"state": result.state, "reason": result.reason, "next_at": result.next_at}
        if result.uncounted:
            values["tries"] = j.tries - 1
        if result.state is not CallState.TODO:
            values |= (tags := _written(connection, job, row.call_id, row.before or ()))
            counts[result.state.value,] += 1
            counts["added",] += len(tags["added"]) - len(row.added or ())
            counts["removed",] += len(tags["removed"]) - len(row.removed or ())
        connection.execute(update(job_calls).where(this).values(values))
    count(connection, job, "run", counts)


def _written(
    connection: Connection, job: int, call: int | None, before: Collection[str]
) -> dict[str, list[str]]:
    """The tags that the call has gained and lost by this job, by what is known of its writes."""
    t = applied_tags.c
    rows = connection.execute(
        select(t.tag, t.state).where(t.call_id == call, t.job == job).order_by(t.tag)
    ).all()
    return {
        "added": [row.tag for row in rows if row.state == "ours" and row.tag not in before],
        "removed": [row.tag for row in rows if row.state == "off" and row.tag in before],
    }


def retry_failed(connection: Connection, job: int, most: int) -> int:
    """Calls that failed are to be changed again; gives how many, `most` at most."""
    j = job_calls.c
    failed = (j.job == job, j.state == CallState.FAILED, NOT_SAME, j.call_id.is_not(None))
    some = list(connection.execute(select(j.reference).where(*failed).limit(most)).scalars())
    these = and_(j.job == job, j.reference.in_(some))
    again = update(job_calls).where(these).values(state=CallState.TODO, tries=0, next_at=0.0, reason=None)
    number = connection.execute(again).rowcount if some else 0
    count(connection, job, "run", {("failed",): -number})
    return int(number)


def has_written(connection: Connection, job: int) -> bool:
    """Whether a write of the job is known, also one of which it is not known whether it was done."""
    j, t = job_calls.c, applied_tags.c
    written = select(t.tag).join(job_calls, and_(j.call_id == t.call_id, j.job == t.job))
    return (
        connection.execute(written.where(j.job == job, j.state != CallState.SAME).limit(1)).first()
        is not None
    )


def skip_unmet(connection: Connection, job: int, reason: str, most: int) -> int:
    """Planned calls that the run did not meet are skipped; gives how many, `most` at most."""
    j = job_calls.c
    unmet = select(j.reference).where(j.job == job, j.state == CallState.PLANNED, NOT_SAME).limit(most)
    references = list(connection.execute(unmet).scalars())
    if references:
        these = and_(j.job == job, j.reference.in_(references))
        connection.execute(update(job_calls).where(these).values(state=CallState.SKIPPED, reason=reason))
        count(connection, job, "run", {("skipped",): len(references)})
    return len(references)


def superseded(connection: Connection, job: Job, ids: Iterable[int]) -> set[int]:
    """Those of the calls that were decided by a rule set which came into force after the job was made."""
    d = decisions.c
    newer = select(rulesets.c.hash).where(
        rulesets.c.activated_at > job.created_at, rulesets.c.hash != job.ruleset
    )
    rows = select(d.call_id).where(d.call_id.in_(list(ids)), d.at > job.created_at, d.ruleset.in_(newer))
    return set(connection.execute(rows).scalars())


def is_untidy(connection: Connection, before: float) -> bool:
    """Whether `tidy` has something to do."""
    return connection.execute(_untidy(before)).first() is not None


def _untidy(before: float) -> Any:
    old = and_(jobs.c.ended_at < before, exists().where(job_calls.c.job == jobs.c.id))
    wanted = and_(jobs.c.ended_at.is_not(None), or_(jobs.c.tidied.is_not(None), old))
    return select(jobs.c.id, jobs.c.tidied, jobs.c.ended_at).where(wanted).limit(1)


def tidy(connection: Connection, before: float, most: int) -> int:
    """Deletes rows that nobody asks for any more: in jobs that ended those of calls which were as they should
    be, in jobs that ended before that time all. Looks at so many rows at most; gives at how many."""
    j = job_calls.c
    job = connection.execute(_untidy(before)).first()
    if job is None:
        return 0
    all_of_it = job.ended_at < before
    after = "" if all_of_it else job.tidied
    page = select(j.reference, j.state).where(j.job == job.id, j.reference > after).order_by(j.reference)
    rows = connection.execute(page.limit(most)).all()
    unwanted = [row.reference for row in rows if all_of_it or row.state == CallState.SAME]
    connection.execute(delete(job_calls).where(j.job == job.id, j.reference.in_(unwanted)))
    change(connection, job.id, tidied=rows[-1].reference if len(rows) == most else None)
    return len(rows)


def changes(
    connection: Connection,
    job: int,
    after: str = "",
    most: int = 1000,
    tag: str | None = None,
    states: Sequence[CallState] = (),
) -> list[Change]:
    """The calls of a job that it changes or would have, in the order of their references, after that one."""
    j = job_calls.c
    wanted: list[ColumnElement[bool]] = [j.job == job, j.reference > after, NOT_SAME]  # type: ignore[list-item]
    if states:
        wanted.append(j.state.in_(states))
    rows = connection.execute(select(job_calls).where(*wanted).order_by(j.reference).limit(most))
    found = [_change(row) for row in rows]
    return found if tag is None else [one for one in found if tag in (*one.add, *one.remove)]


def reasons(connection: Connection, job: int) -> list[tuple[str, str | None, int]]:
    """State, reason and number of the calls that failed or were skipped, the most frequent first."""
    j = job_calls.c
    wanted = (j.job == job, j.state.in_((CallState.FAILED, CallState.SKIPPED)), NOT_SAME)
    number = func.count()
    rows = (
        select(j.state, j.reason, number).where(*wanted).group_by(j.state, j.reason).order_by(number.desc())
    )
    return [tuple(row) for row in connection.execute(rows.limit(REASONS))]


def _change(row: Any) -> Change:
    lists = ("before", "add", "remove", "added", "removed")
    return Change(
        reference=row.reference,
        call=row.call_id,
        state=CallState(row.state),
        reason=row.reason,
        tries=row.tries,
        **{name: tuple(getattr(row, name) or ()) for name in lists},
    )
