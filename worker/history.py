"""The platform's past in the store: which call of ours a listed one is, and keeping what is listed."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from platforms.adapter import Record
from rules.facts import Facts, facts_to_json
from store import fleet, inbox, keeping, linking, similar_calls
from store.calls import others_of, tags_of
from store.database import Database, checkpoint
from store.inbox import Arrival
from store.keeping import Past
from store.linking import Ref
from store.similar_calls import SimilarCall
from worker.fold import fold
from worker.knowledge import Known, believe
from worker.lookup import fits
from worker.settings import Account

DAY = 86_400.0
"""Seconds around a listed range in which a call of ours may have been heard of first."""
PART = 100
"""Records kept in one transaction: on SQLite it must hold the write lock well under 50 ms."""


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Matched:
    """A listed call and the row that it is, where the store has it.

    `alike` are the rows that its references do not lead to and that it may be all the same.
    """

    record: Record
    call: int | None
    alike: frozenset[int] = frozenset()

    @property
    def ambiguous(self) -> bool:
        """Several calls fit; which one it is cannot be told."""
        return self.call is None and bool(self.alike)


def ended(records: Iterable[Record], until: float, now: float) -> list[Record]:
    """The calls that have ended: the platform says so, or they began too long ago to go on.

    All of them began before `until` (Unix seconds), the end of the range that was listed: a missed call may
    have neither duration nor status in the list.
    """
    over = until < now - DAY
    return [
        record if record.event.ends else replace(record, event=replace(record.event, ends=True))
        for record in records
        if record.event.ends or over
    ]


def match(
    connection: Connection,
    account: Account,
    records: Sequence[Record],
    since: float,
    until: float,
    around: float = DAY,
) -> list[Matched]:
    """Finds the row of each listed call; `since` and `until` are the range that was listed (Unix seconds).

    The references lead to it. Where they do not, an ended call may be one that webhooks named otherwise: the
    row between the same numbers that fits, is not named by the platform's id yet and was first heard of in
    the range or not further than `around` from it. One such row and one such record are the same call.
    """
    named = linking.find(connection, (ref for record in records for ref in refs_of(account, record)))
    called = [_led(account, record, named) for record in records]
    strange = {
        record.id: record
        for record, call in zip(records, called, strict=True)
        if call is None and record.event.ends
    }
    alike = _alike(connection, account, strange.values(), since - around, until + around, set(named.values()))
    wanted = Counter(row for rows in alike.values() for row in rows)
    matched = []
    for record, call in zip(records, called, strict=True):
        rows = alike.get(record.id, frozenset())
        sure = len(rows) == 1 and all(wanted[row] == 1 for row in rows)
        matched.append(Matched(record, min(rows) if sure else call, rows))
    return matched


def keep(
    connection: Connection, account: Account, matched: Sequence[Matched], requested_at: float, until: float
) -> dict[str, int]:
    """Keeps the listed calls that have ended, without waking anybody; gives the row of each by its id.

    At most `PART` of them. `requested_at` is when their page was asked for, `until` the end of the range that
    was listed: the time of a new call that tells none of its own. Those that are ambiguous, and those that
    were forgotten, are left out.
    """
    certain = [one for one in matched if one.record.event.ends and not one.ambiguous]
    past = [
        Past(
            refs_of(account, one.record),
            Arrival(account.name, one.record.body, requested_at, requested_at, "record"),
            one.record.event.name,
            min(own_time(one.record.event.facts) or until, requested_at),
            one.call,
        )
        for one in certain
    ]
    kept = keep_past(connection, account, past)
    return {one.record.id: row for one, row in zip(certain, kept.calls, strict=True) if row is not None}


def keep_past(connection: Connection, account: Account, past: Sequence[Past]) -> keeping.Kept:
    """Keeps what is told of calls of the past, and notes the facts and tags that follow."""
    kept = keeping.keep(connection, past)
    rows = inbox.of_calls(connection, kept.fresh)
    folded = {call: fold(account, rows[call]) for call in kept.fresh}
    keeping.note(connection, {call: facts_to_json(one.facts) for call, one in folded.items()})
    others, ours = others_of(connection, folded), tags_of(connection, folded)
    accounted = keeping.tags_versions(connection, folded)
    seen = {}
    for call, one in folded.items():
        before = others.get(call)
        known = Known(None if before is None else tuple(before), tuple(ours.get(call, ())))
        after = believe(known, one.told, accounted[call]).others
        if after is not None and after != known.others:
            seen[call] = after
    keeping.note_others(connection, seen)
    return kept


def parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """What is kept in one transaction each."""
    return (items[first : first + PART] for first in range(0, len(items), PART))


def tidy(database: Database) -> None:
    """Moves what was kept out of SQLite's write-ahead log, where no sweeper runs that does; call it at times.

    Raises `Unavailable`.
    """
    with database.read() as connection:
        swept = fleet.held(connection, "sweeper", time.time())
    if not swept:
        checkpoint(database)


def own_time(facts: Facts) -> float | None:
    """When the call ended, else when it began (Unix seconds), where that is known."""
    moment = facts.get("ended_at", facts.get("started_at"))
    return moment.timestamp() if isinstance(moment, datetime) else None


def refs_of(account: Account, record: Record) -> list[Ref]:
    """The references of a listed call, the platform's own id first."""
    refs = dict.fromkeys([(account.platform.id_kind, record.id), *record.event.references])
    return [(account.name, kind, value) for kind, value in refs]


def _led(account: Account, record: Record, named: dict[Ref, int]) -> int | None:
    return next((named[ref] for ref in refs_of(account, record) if ref in named), None)


def _alike(
    connection: Connection,
    account: Account,
    records: Iterable[Record],
    since: float,
    until: float,
    named: set[int],
) -> dict[str, frozenset[int]]:
    """By id of the record, the rows that it may be, other than those `named`; only records that have some."""
    kind = account.platform.id_kind
    telling = [record for record in records if {"caller", "receiver"} <= record.event.facts.keys()]
    pairs = {_pair(record.event.facts) for record in telling}
    rows: defaultdict[tuple[str, str], list[SimilarCall]] = defaultdict(list)
    for row in similar_calls.similar(connection, account.name, pairs, kind, since, until):
        if row.id not in named:
            rows[_pair(row.facts)].append(row)
    refs = (
        linking.refs_of(connection, [row.id for between in rows.values() for row in between]) if rows else {}
    )
    kinds = {row: {kind for _account, kind, _reference in theirs} for row, theirs in refs.items()}
    alike: dict[str, frozenset[int]] = {}
    for record in telling:
        own = {one for one, _value in record.event.references} - {
            kind
        }  # another value of a kind: another call
        found = [
            row.id
            for row in rows.get(_pair(record.event.facts), ())
            if fits(record.event.facts, row.facts) and own.isdisjoint(kinds.get(row.id, ()))
        ]
        if found:
            alike[record.id] = frozenset(found)
    return alike


def _pair(facts: Facts) -> tuple[str, str]:
    return str(facts["caller"]), str(facts["receiver"])
