"""What was given up, calls and events, and driving it again: what the command and the page share."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from store import driving, listing
from store.database import Database
from store.listing import Count, Filter

STEP = 200
"""Rows changed in one transaction."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Dead letters by their ids."""

    calls: Sequence[int] = field(default_factory=list)
    events: Sequence[int] = field(default_factory=list)


def by_reason(connection: Connection, wanted: Filter, now: float) -> list[tuple[str, Count]]:
    """How many there are of each reason, most first; of `calls`, then of `events`. Of state `dead`."""
    found = [("calls", one) for one in listing.count_calls(connection, wanted, now)]
    return found + [("events", one) for one in listing.count_events(connection, wanted)]


def fitting(database: Database, wanted: Filter) -> Dead:
    """Those that fit and can be driven again. Of state `dead`."""
    now = time.time()
    return Dead(
        _all(database, lambda connection, last: listing.call_ids(connection, wanted, now, last, STEP)),
        _all(database, lambda connection, last: listing.event_ids(connection, wanted, last, STEP)),
    )


def again(database: Database, dead: Dead) -> Dead:
    """Makes the calls due and the events unread; gives those of which that is so now."""
    return Dead(
        _in_steps(database, dead.calls, lambda c, ids: driving.retry(c, ids, time.time())),
        _in_steps(database, dead.events, lambda c, ids: driving.replay(c, ids, time.time()).events),
    )


def _all(database: Database, page: Callable[[Connection, int], list[int]]) -> list[int]:
    """Every id, page by page."""
    found: list[int] = []
    while True:
        with database.read() as connection:
            more = page(connection, found[-1] if found else 0)
        if not more:
            return found
        found += more


def _in_steps(
    database: Database, ids: Sequence[int], change: Callable[[Connection, list[int]], list[int]]
) -> list[int]:
    """What the change gave for all of the ids, in transactions that hold up nobody."""
    done: list[int] = []
    for start in range(0, len(ids), STEP):
        with database.write() as connection:
            done += change(connection, list(ids[start : start + STEP]))
    return done
