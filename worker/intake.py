"""Intake: new rows of the inbox are read, and each becomes part of the call it tells of."""

from collections.abc import Mapping
from dataclasses import dataclass, field

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
QUEUED = 30.0
"""Seconds that the sweeper leaves a call alone after it was sent to the workers."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Intake:
    """The calls that became due, whether more events are waiting, and the events as they were read, by id."""

    due: list[int]
    more: bool
    read: Mapping[int, Event] = field(default_factory=dict)


def take_in(database: Database, accounts: Mapping[str, Account], now: float) -> Intake:
    """Links the oldest new events of these accounts to their calls, in one transaction.

    What cannot be read is set aside; events of an account that is not configured wait until it is again.
    """
    with database.read() as connection:  # many are told of few events: who comes late takes nobody's lock
        if not inbox.unread(connection, accounts, 1):
            return Intake([], False)
    with database.write(repeatable=True) as connection:
        linking.serialise(connection)
        rows = inbox.unread(connection, accounts, BATCH)
        events = {row.id: event for row in rows if (event := _read(connection, accounts, row)) is not None}
        links = [_link(connection, row, events[row.id]) for row in rows if row.id in events]
        due = linking.link(connection, links, now, now + QUEUED)
    return Intake(due, len(rows) == BATCH, events)


def _read(connection: Connection, accounts: Mapping[str, Account], row: InboxEvent) -> Event | None:
    """What the event says; None where it is set aside."""
    try:
        event = read(accounts[row.account], row)
    except Unreadable as fault:
        inbox.set_aside(connection, row.id, "dead", "unreadable", str(fault))
        return None
    except Exception as fault:  # noqa: BLE001 a fault of ours in one event must not hold up the others
        reason = f"a fault in calltag: {type(fault).__name__}"
        log.error("an event could not be read", event_id=row.id, fault=type(fault).__name__)
        inbox.set_aside(connection, row.id, "dead", "unreadable", reason)
        return None
    if event.ignored is not None or not event.references:
        inbox.set_aside(connection, row.id, "ignored", event.name, event.ignored or "it names no call")
        return None
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
