"""Which rows may tell of one call, by what they tell alike; and calls that such a find concerns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, true, update

from store.database import storable
from store.schema import call_refs, calls


@dataclass(frozen=True, slots=True)
class SimilarCall:
    """A call that may be the same as another one."""

    id: int
    facts: dict[str, Any]
    first_at: float


def similar(
    connection: Connection,
    account: str,
    numbers: Iterable[tuple[str, str]],
    id_kind: str,
    since: float | None = None,
    until: float | None = None,
) -> list[SimilarCall]:
    """Ended calls between these (caller, receiver) that the platform's own id does not name yet.

    `since` and `until` leave out those of which the first event came before or after.
    """
    named = exists().where(call_refs.c.call_id == calls.c.id, call_refs.c.kind == id_kind)
    late_enough = true() if since is None else calls.c.first_at >= since
    early_enough = true() if until is None else calls.c.first_at <= until
    return _between(connection, account, numbers, and_(~named, late_enough, early_enough))


def only_by_id(
    connection: Connection, account: str, numbers: Iterable[tuple[str, str]], id_kind: str, since: float
) -> list[SimilarCall]:
    """Ended calls between these (caller, receiver) that nothing but the platform's own id names.

    Not those first heard of before `since`, nor those of the past that no rule has looked at.
    """
    named = exists().where(call_refs.c.call_id == calls.c.id, call_refs.c.kind != id_kind)
    late_enough = calls.c.first_at + 0.0 >= since  # no index on it: a day has more calls than a number
    live = and_(calls.c.state != "dead", ~UNTOUCHED, late_enough)
    return _between(connection, account, numbers, and_(~named, live))


UNTOUCHED = and_(calls.c.state == "done", calls.c.ended, calls.c.decided_version.is_(None))
"""Holds for calls of the past that were only kept: no rule ever looked at them."""


def untouched(connection: Connection, ids: Iterable[int]) -> list[int]:
    """Those of the calls that were only kept, as calls of the past are."""
    rows = select(calls.c.id).where(calls.c.id.in_(list(ids)), UNTOUCHED, calls.c.forgotten_at.is_(None))
    return list(connection.execute(rows).scalars())


def with_numbers(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those of the calls of which it is noted who called."""
    noted = and_(calls.c.id.in_(ids), calls.c.caller.is_not(None))
    return set(connection.execute(select(calls.c.id).where(noted)).scalars())


def unread(connection: Connection, account: str, id_kind: str) -> bool:
    """Whether an ended call that is named otherwise than by the platform's id was never evaluated."""
    named = exists().where(call_refs.c.call_id == calls.c.id, call_refs.c.kind != id_kind)
    new = and_(calls.c.account == account, calls.c.state == "due", calls.c.ended, calls.c.caller.is_(None))
    return connection.execute(select(calls.c.id).where(new, named).limit(1)).first() is not None


def _between(
    connection: Connection, account: str, numbers: Iterable[tuple[str, str]], condition: ColumnElement[bool]
) -> list[SimilarCall]:
    pairs = {(storable(caller), storable(receiver)) for caller, receiver in numbers}
    if not pairs:
        return []
    rows = connection.execute(
        select(calls.c.id, calls.c.facts, calls.c.first_at, calls.c.caller, calls.c.receiver).where(
            calls.c.account == account,
            calls.c.caller.in_({caller for caller, _ in pairs}),  # half the cost of the pairs themselves
            calls.c.receiver.in_({receiver for _, receiver in pairs}),
            calls.c.ended,
            condition,
        )
    )
    return [
        SimilarCall(row.id, row.facts, row.first_at) for row in rows if (row.caller, row.receiver) in pairs
    ]


def taken(connection: Connection, account: str, id_kind: str, ids: Iterable[str]) -> set[str]:
    """Those of the platform's ids that already belong to a call with a reference of another kind."""
    other = call_refs.alias("other")
    owned = exists().where(other.c.call_id == call_refs.c.call_id, other.c.kind != id_kind)
    rows = select(call_refs.c.reference).where(
        call_refs.c.account == account,
        call_refs.c.kind == id_kind,
        call_refs.c.reference.in_(list(ids)),
        owned,
    )
    return set(connection.execute(rows).scalars())


def wake(connection: Connection, ids: Sequence[int], now: float, soon: float = 0.0) -> list[int]:
    """Makes calls due that were done, or wait for so many seconds at most; gives them.

    One that a worker has is due again when that ends.
    """
    if not ids:
        return []
    at_work = and_(calls.c.id.in_(ids), calls.c.lease_until > now)
    connection.execute(update(calls).where(at_work).values(version=calls.c.version + 1))
    waits = and_(calls.c.state == "due", calls.c.next_at > now, calls.c.next_at <= now + soon)
    settled = calls.c.state.in_(("done", "decided"))
    woken = update(calls).where(calls.c.id.in_(ids), or_(settled, waits))
    return list(connection.execute(woken.values(state="due", next_at=now).returning(calls.c.id)).scalars())
