"""The inbox: every event that was answered with 2xx is a row here, whatever becomes of it."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from itertools import accumulate
from math import inf
from typing import Any

from sqlalchemy import Connection, exists, func, or_, select, update

from store.counters import count
from store.database import insert
from store.schema import events


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event as it came: the raw body, and when the platform signed it and we got it (Unix seconds).

    `identity` is what is the same whenever it comes, all of the body where that is not said.
    """

    account: str
    body: bytes
    signed_at: float
    received_at: float
    source: str = "webhook"
    identity: InitVar[bytes | None] = None
    dedup_key: bytes = field(init=False)

    def __post_init__(self, identity: bytes | None) -> None:
        same = self.body if identity is None else identity
        object.__setattr__(self, "dedup_key", hashlib.sha256(same).digest())


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """A row of the inbox that is worked on."""

    id: int
    account: str
    source: str
    body: bytes
    signed_at: float
    received_at: float
    version: int | None = None
    """The version of the call's facts that it made."""


COLUMNS = (
    events.c.id,
    events.c.account,
    events.c.source,
    events.c.body,
    events.c.signed_at,
    events.c.received_at,
    events.c.version,
)


SAYS = or_(events.c.emptied_at.is_(None), events.c.source == "snapshot")
"""Holds for what still has something to say: an event with its body, or what stands for those without."""


def accept(connection: Connection, arrivals: Sequence[Arrival]) -> list[bool]:
    """Keeps each event once; for each arrival, in order, True when it is new and False for a duplicate.

    The rows go in sorted: two processes with the same events in different orders would lock each other out.
    """
    keys = [(arrival.account, arrival.dedup_key) for arrival in arrivals]
    rows = dict(zip(reversed(keys), reversed(arrivals), strict=True))
    given = [
        (account, key, arrival.source, arrival.body, arrival.signed_at, arrival.received_at, "new")
        for (account, key), arrival in sorted(rows.items(), key=lambda row: row[0])
    ]
    fresh = (
        _insert_here(connection, given) if connection.dialect.name == "sqlite" else _insert(connection, given)
    )
    answers = []
    for key in keys:
        answers.append(key in fresh)
        fresh.discard(key)
    came = [new for new, arrival in zip(answers, arrivals, strict=True) if arrival.source == "webhook"]
    count(connection, Counter("events.accepted" if new else "events.duplicate" for new in came))
    return answers


GIVEN = ("account", "dedup_key", "source", "body", "signed_at", "received_at", "state")
Key = tuple[str, bytes]


def _insert(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> set[Key]:
    """The keys of those of the rows that were not there."""
    statement = (
        insert(connection, events)
        .on_conflict_do_nothing(index_elements=["account", "dedup_key"])
        .returning(events.c.account, events.c.dedup_key)
    )
    given = [dict(zip(GIVEN, row, strict=True)) for row in rows]
    return {(account, bytes(key)) for account, key in connection.execute(statement, given)}


def _insert_here(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> set[Key]:
    """The same on SQLite, in one step: a statement that returns rows lets other threads go first at each of
    them. Nobody else writes meanwhile, so the newest rows are those that it made."""
    row = f"({', '.join('?' * len(GIVEN))})"
    statement = f"INSERT INTO events ({', '.join(GIVEN)}) VALUES {', '.join([row] * len(rows))}"  # noqa: S608
    values = tuple(value for row in rows for value in row)
    made = connection.exec_driver_sql(
        f"{statement} ON CONFLICT (account, dedup_key) DO NOTHING", values
    ).rowcount
    if made == len(rows):
        return {(row[0], row[1]) for row in rows}
    newest = select(events.c.account, events.c.dedup_key).order_by(events.c.id.desc()).limit(made)
    return {(account, bytes(key)) for account, key in connection.execute(newest)}


def unread(connection: Connection, accounts: Iterable[str], most: int, size: float = inf) -> list[InboxEvent]:
    """The oldest events of these accounts that belong to no call yet; no more once their bodies have so many
    bytes."""
    e = events.c
    new = (e.state == "new", e.account.in_(list(accounts)))
    lengths = select(e.id, func.length(e.body)).where(*new).order_by(e.id).limit(most)
    oldest = [(id_, length) for id_, length in connection.execute(lengths)]
    before = accumulate((length for _, length in oldest), initial=0)
    ids = [id_ for (id_, _), read in zip(oldest, before, strict=False) if read < size]
    rows = select(*COLUMNS).where(e.id.in_(ids)).order_by(e.id)
    return [InboxEvent(*row) for row in connection.execute(rows)] if ids else []


def still_new(connection: Connection, ids: Iterable[int]) -> set[int]:
    """Those of the events that belong to no call yet."""
    rows = select(events.c.id).where(events.c.id.in_(list(ids)), events.c.state == "new")
    return set(connection.execute(rows).scalars())


def of_calls(connection: Connection, calls: Iterable[int]) -> dict[int, list[InboxEvent]]:
    """The events of each of the calls, with the call's id as key."""
    found: dict[int, list[InboxEvent]] = {}
    rows = connection.execute(
        select(events.c.call_id, *COLUMNS).where(
            events.c.call_id.in_(list(calls)), events.c.state == "linked", SAYS
        )
    )
    for call, *columns in rows:
        found.setdefault(call, []).append(InboxEvent(*columns))
    return found


def up_to_version(connection: Connection, call: int, version: int) -> list[InboxEvent]:
    """The events that the facts of that version were made of; see `lost`."""
    of_then = (events.c.call_id == call, events.c.version <= version, SAYS)
    return [InboxEvent(*row) for row in connection.execute(select(*COLUMNS).where(*of_then))]


def lost(connection: Connection, call: int, version: int) -> bool:
    """Whether events of that version have no body any more, and no snapshot of then stands for them."""
    snapshot = events.alias("snapshot")
    stands_for = exists().where(
        snapshot.c.call_id == call,
        snapshot.c.source == "snapshot",
        snapshot.c.version.between(events.c.version, version),
    )
    gone = select(events.c.id).where(
        events.c.call_id == call, events.c.version <= version, ~SAYS, ~stands_for
    )
    return connection.execute(gone.limit(1)).first() is not None


def set_aside(connection: Connection, event: int, state: str, name: str, reason: str) -> None:
    """Keeps an event that is not worked on, as `ignored` or `dead`, with the reason in words."""
    connection.execute(
        update(events).where(events.c.id == event).values(state=state, name=name, reason=reason)
    )
    count(connection, {f"events.{state}": 1, f"kinds.{name}.{state}": 1})


def waiting(connection: Connection, before: float) -> bool:
    """Whether an event received before that time still belongs to no call."""
    rows = select(events.c.id).where(events.c.state == "new", events.c.received_at <= before).limit(1)
    return connection.execute(rows).first() is not None


def number(connection: Connection, state: str) -> int:
    """How many events are in that state."""
    return connection.execute(select(func.count()).where(events.c.state == state)).scalar_one()


LATELY = 5000
"""Events among which an account's newest webhook is looked for."""


def newest_webhooks(connection: Connection) -> dict[str, float]:
    """By account the receipt of its newest webhook, where there is one among the last events of all."""
    e = events.c
    last = select(e.account, e.received_at, e.source).order_by(e.id.desc()).limit(LATELY).subquery().c
    rows = select(last.account, func.max(last.received_at)).where(last.source == "webhook")
    return dict(list(connection.execute(rows.group_by(last.account))))


def find(connection: Connection, arrival: Arrival) -> tuple[int, float] | None:
    """Id and receipt of the event that is the same, however often it came."""
    e = events.c
    same = (e.account == arrival.account, e.dedup_key == arrival.dedup_key)
    row = connection.execute(select(e.id, e.received_at).where(*same)).first()
    return (row.id, row.received_at) if row else None
