"""Forgetting: finding what the store has of a person, and erasing it between the leases of the workers."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from store import erasure, linking, listing
from store.calls import LEASE
from store.database import Database
from store.erasure import Erased
from store.listing import Filter
from worker.numbers import mentions, regions, spellings
from worker.settings import Settings

STEP = 16
"""Calls erased in one transaction."""
READ = 200
"""Events read at once in the search for a number."""
PATIENCE = LEASE + 10.0
"""Seconds to wait for workers that have a call."""
LOOK_AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Person:
    """What the store has of a person: calls, and events that belong to no call."""

    calls: list[int]
    events: list[int]


def find(database: Database, settings: Settings, account: str | None, number: str) -> Person:
    """The calls from and to a number, and what mentions it while its numbers are in no column yet.

    Raises ValueError when it is no number.
    """
    numbers = spellings(settings, number)
    calls = set(_with_number(database, Filter(account=account, numbers=numbers)))
    events = []
    countries = regions(settings)
    for event in _silent(database, account):
        if mentions(event.body, numbers, countries):
            if event.call is None:
                events.append(event.id)
            else:
                calls.add(event.call)
    return Person(sorted(calls), events)


def _with_number(database: Database, wanted: Filter) -> Iterator[int]:
    last = 0
    while True:
        with database.read() as connection:
            page = listing.call_ids(connection, wanted, time.time(), last, READ)
        yield from page
        if len(page) < READ:
            return
        last = page[-1]


def _silent(database: Database, account: str | None) -> Iterator[erasure.Unread]:
    """The events whose numbers are in no column."""
    last = 0
    while True:
        with database.read() as connection:
            page = erasure.unread(connection, account, last, READ)
        yield from page
        if len(page) < READ:
            return
        last = page[-1].id


def number_of_events(database: Database, person: Person) -> int:
    """How many events would be emptied."""
    with database.read() as connection:
        return len(person.events) + sum(
            erasure.number_of_events(connection, person.calls[start : start + READ])
            for start in range(0, len(person.calls), READ)
        )


def forget(database: Database, settings: Settings, person: Person, patience: float = PATIENCE) -> Erased:
    """Erases the calls, each as soon as no worker has it, and the events.

    What a worker still has when the patience (seconds) ends is not among those that are given. Raises
    `Unavailable`; what was erased until then stays so.
    """
    erased = Erased()
    with database.write() as connection:
        erased.events += erasure.forget_events(connection, person.events, time.time())
    waiting = person.calls
    deadline = time.monotonic() + patience
    while waiting:
        for start in range(0, len(waiting), STEP):
            step = _forget_some(database, settings, waiting[start : start + STEP])
            erased.calls += step.calls
            erased.events += step.events
        waiting = sorted(set(waiting) - set(erased.calls))
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_AGAIN if waiting else 0.0)
    return erased


def _forget_some(database: Database, settings: Settings, calls: Sequence[int]) -> Erased:
    """Also names a call by the platform's id, where it is not yet, so that what its list tells finds it."""
    with database.write() as connection:
        linking.serialise(connection)
        refs = linking.refs_of(connection, calls)
        for call, account, platform_id in erasure.platform_ids(connection, calls):
            configured = settings.accounts.get(account)
            kind = configured.platform.id_kind if configured else None
            if kind and all(kind != known for _account, known, _reference in refs.get(call, ())):
                linking.add_ref(connection, (account, kind, platform_id), call)
        return erasure.forget(connection, calls, time.time())
