"""Intake: new rows of the inbox are read, and each becomes part of the call it tells of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
from sqlalchemy import Connection

from platforms.adapter import Event
from platforms.errors import Unreadable
from store import inbox, linking
from store.calls import others_of, tags_of
from store.database import Database
from store.inbox import InboxEvent
from worker.fold import read
from worker.knowledge import ECHO_TIME, Known, between_our_writes, expected
from worker.settings import Account

BATCH = 128
"""Events linked in one transaction: on SQLite it must not hold the write lock over 50 ms."""
SIZE = 8 * 1024 * 1024
"""Bytes of bodies, of which one may have some millions, after which no more are read at once."""
QUEUED = 30.0
"""Seconds that the sweeper leaves a call alone after it was sent to the workers."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """The calls that became due, whether more events are waiting, and the events as they were read, by id."""

    due: list[int]
    more: bool
    read: Mapping[int, Event] = field(default_factory=dict)


class Aside(NamedTuple):
    """Why an event is not worked on, as `inbox.set_aside` keeps it."""

    state: str
    name: str
    reason: str


def take_in(database: Database, accounts: Mapping[str, Account], now: float) -> Intake:
    """Links the oldest new events of these accounts to their calls, in one transaction.

    What cannot be read is set aside; events of an account that is not configured wait until it is again.
    """
    with database.read() as connection:  # many are told of few events: who comes late takes nobody's lock
        rows = inbox.unread(connection, accounts, BATCH, SIZE)
    if not rows:
        return Intake([], False)
    said = {row.id: _read(accounts[row.account], row) for row in rows}  # long bodies hold up no transaction
    with database.write(repeatable=True) as connection:
        linking.serialise(connection)
        new = inbox.still_new(connection, said)  # another worker may have been quicker
        for id_, one in said.items():
            if id_ in new and isinstance(one, Aside):
                inbox.set_aside(connection, id_, *one)
        events = {id_: one for id_, one in said.items() if id_ in new and isinstance(one, Event)}
        links = [_link(connection, row, events[row.id]) for row in rows if row.id in events]
        due = linking.link(connection, links, now, now + QUEUED)
    more = len(rows) == BATCH or sum(len(row.body) for row in rows) >= SIZE
    return Intake(due, more, events)


def _read(account: Account, row: InboxEvent) -> Event | Aside:
    """What the event says, or why it says nothing."""
    try:
        event = read(account, row)
    except Unreadable as fault:
        return Aside("dead", "unreadable", str(fault))
    except Exception as fault:  # noqa: BLE001 a fault of ours in one event must not hold up the others
        log.error("an event could not be read", event_id=row.id, fault=type(fault).__name__)
        return Aside("dead", "unreadable", f"a fault in calltag: {type(fault).__name__}")
    if event.ignored is not None or not event.references:
        return Aside("ignored", event.name, event.ignored or "it names no call")
    return event


def _link(connection: Connection, row: InboxEvent, event: Event) -> linking.Link:
    refs = [(row.account, kind, value) for kind, value in event.references]
    wakes_in = _wakes_in(connection, refs, event) if row.source == "webhook" else 0.0
    return linking.Link(row.id, event.name, refs, row.received_at, event.ends, wakes_in)


def _wakes_in(connection: Connection, refs: list[linking.Ref], event: Event) -> float | None:
    """When the call is to be worked on again. A list of tags that shows what we know tells nothing; one that
    may be a state between our own writes is looked at once the last of them has been told."""
    if event.tags is None or event.ends:
        return 0.0
    for call in linking.find(connection, refs).values():
        known = known_of(connection, call)
        if expected(known, event.tags):
            return None
        if known.ours and between_our_writes(known, event.tags):
            return ECHO_TIME
    return 0.0


def known_of(connection: Connection, call: int) -> Known:
    """What the store knows of the tags on a call."""
    others = others_of(connection, [call]).get(call)
    ours = tags_of(connection, [call]).get(call, [])
    return Known(None if others is None else tuple(others), tuple(ours))
