"""One call as people see it: what is known, what was decided, whose tags it bears."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from rules.evaluation import Removal
from store.schema import applied_tags, call_refs, calls, decisions


@dataclass(frozen=True, slots=True)
class Call:
    """A call's row, as shown; `state` is one of `store.calls.STATES`."""

    id: int
    account: str
    state: str
    reason: str | None
    version: int
    facts: dict[str, Any]
    others: list[str] | None
    references: dict[str, str]
    first_at: float
    next_at: float
    """When it is worked on, where it waits."""
    forgotten_at: float | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What one evaluation of a call gave."""

    id: int
    at: float
    version: int
    ruleset: str
    outcomes: dict[str, str]
    tags: list[str]
    added: list[str]
    removed: list[Removal]
    job: int | None
    """The re-tagging job that had it made."""


def call_by_reference(connection: Connection, account: str, reference: str, now: float) -> Call | None:
    """The call that any of its references names, or None; the older one, where two kinds name two calls."""
    if "\0" in account + reference:  # PostgreSQL refuses to look for it
        return None
    names = select(call_refs.c.call_id).where(
        call_refs.c.account == account, call_refs.c.reference == reference
    )
    rows = select(calls).where(calls.c.id.in_(names)).order_by(calls.c.id).limit(1)
    row = connection.execute(rows).first()
    if row is None:
        return None
    refs = connection.execute(
        select(call_refs.c.kind, call_refs.c.reference).where(call_refs.c.call_id == row.id)
    )
    running = row.lease_until is not None and row.lease_until > now
    state = "running" if running else row.state
    known = (row.id, account, state, row.reason, row.version, row.facts, row.others, dict(refs.all()))
    return Call(*known, row.first_at, row.next_at, row.forgotten_at)


def decisions_of(connection: Connection, call: int) -> list[Decision]:
    """The call's decisions, newest first."""
    d = decisions.c
    columns = (d.id, d.at, d.version, d.ruleset, d.outcomes, d.tags, d.added, d.removed, d.job)
    rows = connection.execute(select(*columns).where(d.call_id == call).order_by(d.id.desc()))
    return [Decision(**{**row._mapping, "removed": removals(row.removed)}) for row in rows]


def removals(stored: Iterable[Mapping[str, str]]) -> list[Removal]:
    """What a decision took off, by its column `removed`."""
    return [Removal(**one) for one in stored]


def our_tags(connection: Connection, call: int) -> list[dict[str, Any]]:
    """Name, state, rule, time and re-tagging job (or None) of every tag of ours on the call."""
    t = applied_tags.c
    columns = (t.tag.label("name"), t.state, t.rule, t.at, t.job)
    rows = connection.execute(
        select(*columns).where(t.call_id == call, t.state != "off").order_by(t.at, t.tag)
    )
    return [dict(row._mapping) for row in rows]


def latencies(connection: Connection) -> Sequence[float]:
    """Seconds from the newest event's receipt to the recorded result, of every decision that put a tag."""
    rows = connection.execute(select(decisions.c.at, decisions.c.received_at, decisions.c.added))
    return [at - received for at, received, added in rows if added]
