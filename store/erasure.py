"""Erasing a person's data: what remains of a call is a row that says that it was forgotten, and when.

Its references stay, so that a late event finds the row and is dropped with its body; so do the events' dedup
keys, so that a repeated event is still known. Nothing evaluates a forgotten call again: its tags on the
platform stay as they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, delete, null, or_, select, update

from store.calls import free
from store.inbox import SAYS, set_aside
from store.schema import applied_tags, calls, decisions, events

FORGOTTEN = "forgotten"
EMPTY_CALL: dict[str, object] = {
    "state": "done",
    "reason": FORGOTTEN,
    "parked_for": None,
    "facts": {},
    "others": null(),
    "caller": None,
    "receiver": None,
    "lease_owner": None,
    "lease_until": None,
    "alone": False,
    "attempts": 0,
    "waits": 0,
}
EMPTY_DECISION: dict[str, object] = {"outcomes": {}, "tags": [], "added": [], "removed": []}


@dataclass
class Erased:
    """What was erased: the ids of calls, and a number of events."""

    calls: list[int] = field(default_factory=list)
    events: int = 0


@dataclass(frozen=True, slots=True)
class Unread:
    """An event whose numbers are in no column: of no call, or of one that was never evaluated."""

    id: int
    account: str
    call: int | None
    body: bytes


def wipe_deleted(connection: Connection) -> None:
    """Has SQLite overwrite what this transaction deletes, instead of leaving it in the file's free pages."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def forget(connection: Connection, ids: Sequence[int], now: float) -> Erased:
    """Erases those of the calls that no worker has."""
    wipe_deleted(connection)
    able = select(calls.c.id).where(calls.c.id.in_(ids), free(now)).order_by(calls.c.id)
    taken = list(connection.execute(able.with_for_update()).scalars())
    return Erased(taken, erase(connection, taken, now))


def erase(connection: Connection, ids: Sequence[int], now: float) -> int:
    """Erases the calls, whoever has them: a worker's result is then not recorded. Gives how many events."""
    connection.execute(update(calls).where(calls.c.id.in_(ids)).values({**EMPTY_CALL, "forgotten_at": now}))
    connection.execute(update(decisions).where(decisions.c.call_id.in_(ids)).values(EMPTY_DECISION))
    connection.execute(delete(applied_tags).where(applied_tags.c.call_id.in_(ids)))
    theirs = events.c.call_id.in_(ids)
    snapshots = connection.execute(delete(events).where(theirs, events.c.source == "snapshot")).rowcount
    emptied = update(events).where(theirs, SAYS).values(body=b"", emptied_at=now)
    return snapshots + connection.execute(emptied).rowcount


def drop_event(connection: Connection, event: int, name: str, call: int, now: float) -> None:
    """An event of a forgotten call: it was received, and nothing of it is kept."""
    wipe_deleted(connection)
    set_aside(connection, event, "ignored", name, "its call was forgotten")
    emptied = {"body": b"", "emptied_at": now, "call_id": call}
    connection.execute(update(events).where(events.c.id == event).values(emptied))


def forget_events(connection: Connection, ids: Sequence[int], now: float) -> int:
    """Empties events that belong to no call; gives how many still did."""
    wipe_deleted(connection)
    unlinked = (events.c.id.in_(ids), events.c.call_id.is_(None), events.c.emptied_at.is_(None))
    emptied = {"body": b"", "emptied_at": now, "state": "ignored", "reason": FORGOTTEN}
    return connection.execute(update(events).where(*unlinked).values(emptied)).rowcount


def unread(connection: Connection, account: str | None, after: int, most: int) -> list[Unread]:
    """Events that only their body tells the numbers of, by id, beginning after one."""
    never_evaluated = select(calls.c.id).where(
        calls.c.caller.is_(None), calls.c.receiver.is_(None), calls.c.forgotten_at.is_(None)
    )
    silent = or_(events.c.call_id.is_(None), events.c.call_id.in_(never_evaluated))
    conditions = [events.c.emptied_at.is_(None), events.c.id > after, silent]
    if account is not None:
        conditions.append(events.c.account == account)
    columns = (events.c.id, events.c.account, events.c.call_id, events.c.body)
    rows = connection.execute(select(*columns).where(*conditions).order_by(events.c.id).limit(most))
    return [Unread(row.id, row.account, row.call_id, bytes(row.body)) for row in rows]


def number_of_events(connection: Connection, ids: Iterable[int]) -> int:
    """How many events of these calls still have their body, or stand for those that have none."""
    theirs = select(events.c.id).where(and_(events.c.call_id.in_(list(ids)), SAYS))
    return len(connection.execute(theirs).all())


def platform_ids(connection: Connection, ids: Iterable[int]) -> list[tuple[int, str, str]]:
    """Call, account and the platform's id of the calls that have one."""
    columns = (calls.c.id, calls.c.account, calls.c.platform_id)
    rows = select(*columns).where(calls.c.id.in_(list(ids)), calls.c.platform_id.is_not(None))
    return [(row.id, row.account, row.platform_id) for row in connection.execute(rows)]
