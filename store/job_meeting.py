"""What a job meets as it walks its range: a row for each call, which is planned and then to be changed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, select, update

from store.database import insert
from store.jobs import CallState, Count, added, change, count, held
from store.schema import job_calls

SAMPLE = 3
"""Calls that a plan names of those that gain or lose a tag."""


@dataclass(frozen=True, slots=True)
class Met:
    """A call that a page showed: what is to be changed, and what it adds to the counts if it is met first."""

    reference: str
    call: int | None = None
    before: tuple[str, ...] = ()
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    skipped: str | None = None
    """Why nothing can be said of it."""
    counts: Mapping[Count, int] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        return bool(self.add or self.remove)


def note_planned(connection: Connection, job: int, met: Sequence[Met]) -> int:
    """Notes what a page shows, each call once, and counts it; gives how many are new."""
    once = list({one.reference: one for one in met}.values())
    fresh = _insert(connection, job, once, CallState.PLANNED, running=False)
    new = [one for one in once if one.reference in fresh]
    plan = held(connection, job).plan
    change(connection, job, plan=_sampled(added(plan, _sum(new)), new))
    return len(new)


def _sampled(plan: dict[str, Any], met: Sequence[Met]) -> dict[str, Any]:
    """The plan with the first few calls that gain or lose each tag."""
    samples = plan["samples"] = {tag: dict(calls) for tag, calls in plan.get("samples", {}).items()}
    for one in met:
        for way, tags in (("gain", one.add), ("lose", one.remove)):
            for tag in tags:
                calls = samples.setdefault(tag, {}).setdefault(way, [])
                if len(calls) < SAMPLE:
                    samples[tag][way] = [*calls, one.reference]
    return plan


def noted(connection: Connection, job: int, references: Sequence[str]) -> set[str]:
    """Those of the calls that have a row in the job."""
    j = job_calls.c
    rows = select(j.reference).where(j.job == job, j.reference.in_(references))
    return set(connection.execute(rows).scalars())


def note_met(connection: Connection, job: int, met: Sequence[Met]) -> int:
    """Notes what the run meets, each call once: what is to be changed becomes something to do, and what
    strays from the plan is counted. Gives how many it had not met before."""
    j = job_calls.c
    by_ref = {one.reference: one for one in met}
    these = and_(j.job == job, j.reference.in_(list(by_ref)))
    rows = {
        row.reference: row
        for row in connection.execute(select(j.reference, j.state, j.running, j.add, j.remove).where(these))
    }
    counts: Counter[Count] = Counter()
    new = [one for one in by_ref.values() if one.reference not in rows]
    fresh = _insert(connection, job, new, CallState.TODO, running=True)
    counts += _sum(one for one in new if one.reference in fresh)
    counts["strays",] += sum(one.changes for one in new if one.reference in fresh)
    same: list[str] = []
    for reference, row in rows.items():
        one = by_ref[reference]
        if row.running:
            continue
        counts += one.counts
        counts["strays",] += _strays(one, row)
        if row.state == CallState.SAME and not one.changes and not one.skipped:
            same.append(reference)
        else:
            _meet(connection, job, one)
    if same:
        connection.execute(update(job_calls).where(j.job == job, j.reference.in_(same)).values(running=True))
    count(connection, job, "run", counts)
    return len(fresh) + sum(not row.running for row in rows.values())


def _strays(one: Met, row: Any) -> bool:
    """Whether another change is to be made than was planned; that one is made already is as planned."""
    planned = (set(row.add or ()), set(row.remove or ()))
    now = (set(one.add), set(one.remove))
    return bool(now[0] - planned[0] or now[1] - planned[1]) or (
        not one.changes and not one.skipped and not planned[0] <= set(one.before)
    )


def _meet(connection: Connection, job: int, one: Met) -> None:
    state = CallState.SKIPPED if one.skipped else CallState.TODO if one.changes else CallState.SAME
    values = {**_values(one), "state": state, "running": True}
    this = and_(job_calls.c.job == job, job_calls.c.reference == one.reference)
    connection.execute(update(job_calls).where(this).values(values))


def _values(one: Met) -> dict[str, Any]:
    return {"call_id": one.call, "before": list(one.before), "add": list(one.add), "remove": list(one.remove),
            "reason": one.skipped}  # fmt: skip


def _insert(
    connection: Connection, job: int, met: Sequence[Met], changing: CallState, running: bool
) -> set[str]:
    """Makes the rows that are not there; gives their references."""
    fresh: set[str] = set()
    plain = [one for one in met if not one.changes and not one.skipped]
    telling = [one for one in met if one.changes or one.skipped]
    for group, state in ((plain, CallState.SAME), (telling, changing)):
        rows = [
            {"job": job, "reference": one.reference, "running": running,
             "state": CallState.SKIPPED if one.skipped else state,
             **(_values(one) if group is telling else {"call_id": one.call})}
            for one in group
        ]  # fmt: skip
        if rows:
            statement = insert(connection, job_calls).on_conflict_do_nothing()
            fresh.update(connection.execute(statement.returning(job_calls.c.reference), rows).scalars())
    return fresh


def _sum(met: Iterable[Met]) -> Counter[Count]:
    counts: Counter[Count] = Counter()
    for one in met:
        counts.update(one.counts)
    return counts
