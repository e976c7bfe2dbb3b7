"""What happened lately, and what waits: small answers that many look at, in bounded time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, cast, func, select

from rules.evaluation import Removal
from store.history import removals
from store.listing import names
from store.schema import applied_tags, calls, decisions

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Recent:
    """A decision as a line of a list; `rules` gives the rule of each added tag, where it is known.

    `took` is how many seconds after its newest event it was recorded; `reference` is the one by which lists
    name the call.
    """

    id: int
    at: float
    took: float
    account: str
    reference: str
    tags: Sequence[str]
    added: Sequence[str]
    removed: Sequence[Removal]
    rules: Mapping[str, str]
    job: int | None


def latest_decisions(connection: Connection, most: int) -> list[Recent]:
    """The newest decisions, newest first."""
    d = decisions.c
    newest = (
        select(d.id, d.call_id, d.at, d.received_at, d.tags, d.added, d.removed, d.job, calls.c.account)
        .join(calls, calls.c.id == d.call_id)
        .order_by(d.id.desc())
        .limit(most)
    )
    rows = connection.execute(newest).all()
    ids = [row.call_id for row in rows]
    rules, references = _rules(connection, ids), names(connection, ids)
    return [
        Recent(
            id=row.id,
            at=row.at,
            took=max(0.0, row.at - row.received_at),
            account=row.account,
            reference=references.get(row.call_id, [""])[0],
            tags=row.tags,
            added=row.added,
            removed=removals(row.removed),
            rules={tag: rules[row.call_id, tag] for tag in row.added if (row.call_id, tag) in rules},
            job=row.job,
        )
        for row in rows
    ]


def _rules(connection: Connection, ids: Sequence[int]) -> dict[tuple[int, str], str]:
    t = applied_tags.c
    rows = connection.execute(select(t.call_id, t.tag, t.rule).where(t.call_id.in_(ids)))
    return {(call, tag): rule for call, tag, rule in rows}


def calls_a_minute(connection: Connection, since: float) -> dict[int, int]:
    """How many calls began to be known, by minute (its beginning in Unix seconds); none of those without."""
    minutes = calls.c.first_at / MINUTE
    whole = minutes if connection.dialect.name == "sqlite" else func.floor(minutes)  # a cast rounds there
    minute = cast(whole, Integer) * MINUTE
    rows = select(minute.label("minute"), func.count()).where(calls.c.first_at >= since).group_by("minute")
    return dict(list(connection.execute(rows)))


def waiting(connection: Connection) -> dict[str, int]:
    """How many calls are due, parked and dead; due ones may be under way."""
    states = ("due", "parked", "dead")
    rows = select(calls.c.state, func.count()).where(calls.c.state.in_(states)).group_by(calls.c.state)
    found: dict[str, int] = dict(list(connection.execute(rows)))
    return {state: found.get(state, 0) for state in states}
