"""Folding: a call's events, in one fixed order, become its facts."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from platforms.adapter import Event, Phase
from platforms.errors import Unreadable
from rules.facts import Facts, Value
from store.inbox import InboxEvent
from worker import imported, snapshot
from worker.settings import Account
from worker.snapshot import Place, Told, newest_tags

NONE: Mapping[int, Event] = MappingProxyType({})
CLOCKS = 2.0
"""Seconds by which the platform's clock, which tells whole ones, may be behind ours."""


@dataclass(frozen=True, slots=True)
class TagLists:
    """The newest complete lists of a call's tags that events told: all of one time, so any may be the last.

    `version` is that of the facts which the last of them made, and `received_at` its receipt.
    """

    lists: tuple[tuple[str, ...], ...]
    version: int
    received_at: float
    latest: float = 0.0
    """The latest time at which the call can have borne them."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What all events of a call say together."""

    facts: Facts
    told: TagLists | None
    end: Event | None
    """The event that tells of the end, where a webhook did: numbers, duration and the platform's time."""
    recorded: bool
    """The platform's own record of the call is among the events."""
    received_at: float
    """Receipt of the newest event."""
    untold: bool = False
    """An event told that there is a transcript, and none of them carries it."""


def read(account: Account, row: InboxEvent) -> Event:
    """What a row of the inbox says; raises `Unreadable`."""
    if row.source == imported.SOURCE:
        return imported.read(row.body)
    reader = account.platform.read_event if row.source == "webhook" else account.platform.read_record
    return reader(account.settings, row.body)


def fold(account: Account, rows: Iterable[InboxEvent], known: Mapping[int, Event] = NONE) -> Folded:
    """The facts of a call; the same whatever the order in which its events came. `known` are rows that were
    read already, by their ids.

    Order: the platform's record and what a file told first, then the webhooks by phase, the platform's time
    (an event without one takes its signed timestamp), and the hash of the body. Later ones replace facts, so
    that a record, whenever it was fetched, only adds; defaults count only where nothing gives the fact.
    """
    rows = list(rows)
    folded = fold_told(account, (one for row in rows for one in tell(account, row, known)))
    return replace(folded, received_at=max((row.received_at for row in rows), default=0.0))


def fold_told(account: Account, events: Iterable[Told]) -> Folded:
    """The same for events that are read already."""
    told = sorted(events, key=lambda one: one.place)
    facts: dict[str, Value] = {"platform": account.platform.name, "account": account.name}
    defaults: dict[str, Value] = {}
    for one in told:
        facts |= one.event.facts
        defaults |= one.event.defaults
    facts = {**defaults, **facts, **_speech([one.event for one in told], facts | defaults)}
    ends = [one.event for one in told if one.event.phase is Phase.END and not one.recorded]
    received = max((one.received_at for one in told), default=0.0)
    recorded = any(one.recorded for one in told)
    untold = any(one.event.untold for one in told) and account.platform.fetched.isdisjoint(facts)
    return Folded(facts, _tag_lists(told), ends[-1] if ends else None, recorded, received, untold)


def _tag_lists(told: Iterable[Told]) -> TagLists | None:
    newest = newest_tags(told)
    if not newest:
        return None
    return TagLists(
        tuple(dict.fromkeys(one.event.tags or () for one in newest)),
        max(one.version for one in newest),
        max(one.received_at for one in newest),
        newest[0].time + max(0.0 if one.recorded else CLOCKS for one in newest),
    )


def tell(account: Account, row: InboxEvent, known: Mapping[int, Event] = NONE) -> list[Told]:
    """What a row of the inbox says, with its place in the order: one event, or the parts of a snapshot.

    Nothing where a setting changed since it was linked and it cannot be read: the others still count.
    """
    if row.source == snapshot.SOURCE:
        return snapshot.read(row.body, row.version or 0)
    try:
        event = known.get(row.id) or read(account, row)
    except Unreadable:
        return []
    return [told_at(row, event)]


def told_at(row: InboxEvent, event: Event) -> Told:
    """What the row says, at its place."""
    return Told(_place(row, event), event, row.version or 0, row.received_at)


def _place(row: InboxEvent, event: Event) -> Place:
    at = event.time.timestamp() if isinstance(event.time, datetime) else row.signed_at
    return row.source == "webhook", event.phase, at, hashlib.sha256(row.body).digest()


def _speech(events: list[Event], facts: Facts) -> dict[str, Value]:
    """Our side of the transcript is the receiver's of an incoming call, the caller's of an outgoing one."""
    sides = {
        "inbound": ("transcript_caller", "transcript_agent"),
        "outbound": ("transcript_agent", "transcript_caller"),
    }
    names = sides.get(str(facts.get("direction")))
    if names is None:
        return {}
    speech: dict[str, Value] = {}
    for event in events:
        for name, text in zip(names, (event.caller_speech, event.receiver_speech), strict=True):
            if text is not None:
                speech[name] = text
    return speech
