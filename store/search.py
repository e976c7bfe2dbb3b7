"""Searching calls: newest first, page by page, in about the same time whatever is asked for.

Where something that is asked for has few calls, as an index tells at once, those are looked at. Otherwise
calls are looked at from the newest on, for a bounded time; what was not looked at is left to the next page.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, and_, exists, or_, select

from store.database import storable
from store.listing import CallRow, Filter, as_lines, call_columns, of_calls
from store.schema import applied_tags, call_refs, calls

FEW = 1000
"""Calls that are looked at one by one."""
STEPS = (200, 600, 2000, 5000)
"""Calls that are looked at first, and then; the last of them again and again."""
PATIENCE = 0.1
"""Seconds after which a page ends where it is."""


class Place(NamedTuple):
    """Where a page ended: the call's time, and its id."""

    first_at: float
    id: int


@dataclass(frozen=True, slots=True)
class Page:
    """Calls that fit, newest first; `next`: older ones may fit, to be looked for from there on."""

    rows: list[CallRow]
    next: Place | None
    looked_until: float | None
    """The time down to which calls were looked at, where the page ended before it was full."""


def search(
    connection: Connection, wanted: Filter, now: float, most: int, before: Place | None = None
) -> Page:
    """The newest calls that fit and stand behind that place."""
    if any("\0" in text for text in (wanted.reference, wanted.tag, wanted.rule) if text):
        return Page([], None, None)  # no database keeps it, and PostgreSQL refuses to look for it
    conditions = _conditions(wanted, now)
    few = _few(connection, wanted)
    if few is not None:
        rows = _fitting(connection, few, conditions, now, most + 1, before)
        return Page(as_lines(connection, rows[:most]), _place(rows, most), None)
    return _walk(connection, wanted, conditions, now, most, before)


def _walk(
    connection: Connection,
    wanted: Filter,
    conditions: Sequence[ColumnElement[bool]],
    now: float,
    most: int,
    before: Place | None,
) -> Page:
    """From the newest call on, step by step, until the page is full or it took long enough."""
    ends = time.monotonic() + PATIENCE
    found: list[Any] = []
    last = before
    for step in _sizes():
        ids = connection.execute(_next(wanted, step, last)).all()
        found += _fitting(connection, [row.id for row in ids], conditions, now, most + 1 - len(found), None)
        last = Place(ids[-1].first_at, ids[-1].id) if ids else last
        full, through = len(found) > most, len(ids) < step
        if full or through or time.monotonic() > ends:
            break
    if full or through or last is None:
        return Page(as_lines(connection, found[:most]), _place(found, most), None)
    return Page(as_lines(connection, found), last, last.first_at)


def _sizes() -> Iterator[int]:
    yield from STEPS
    while True:
        yield STEPS[-1]


def _next(wanted: Filter, step: int, last: Place | None) -> Select[Any]:
    """The next calls by time, which the index alone tells."""
    c = calls.c
    every: Select[Any] = select(c.id, c.first_at)
    rows = _between(every, wanted).order_by(c.first_at.desc(), c.id.desc()).limit(step)
    return rows if last is None else rows.where(c.first_at <= last.first_at, _behind(last))


def _between(rows: Select[Any], wanted: Filter) -> Select[Any]:
    """Those of the wanted time."""
    if wanted.since is not None:
        rows = rows.where(calls.c.first_at >= wanted.since)
    return rows if wanted.until is None else rows.where(calls.c.first_at < wanted.until)


def _behind(place: Place) -> ColumnElement[bool]:
    c = calls.c
    return or_(c.first_at < place.first_at, and_(c.first_at == place.first_at, c.id < place.id))


def _place(rows: Sequence[Any], most: int) -> Place | None:
    """Where the page ends, if there is more."""
    return Place(rows[most - 1].first_at, rows[most - 1].id) if len(rows) > most else None


def _fitting(
    connection: Connection,
    ids: Sequence[int],
    conditions: Sequence[ColumnElement[bool]],
    now: float,
    most: int,
    before: Place | None,
) -> list[Any]:
    """Those of the calls that fit, newest first."""
    if not ids or most < 1:
        return []
    rows = select(*call_columns(now)).where(calls.c.id.in_(ids), *conditions)
    if before is not None:
        rows = rows.where(_behind(before))
    order = (calls.c.first_at.desc(), calls.c.id.desc())
    return list(connection.execute(rows.order_by(*order).limit(most)))


def _conditions(wanted: Filter, now: float) -> list[ColumnElement[bool]]:
    """As `of_calls`; but numbers, tags and references are asked of each call, not listed beforehand."""
    found = of_calls(replace(wanted, numbers=None, tag=None, rule=None, reference=None), now)
    t, r = applied_tags.c, call_refs.c
    if wanted.numbers is not None:
        numbers = [storable(number) for number in wanted.numbers]
        ends = (calls.c.caller.concat(""), calls.c.receiver.concat(""))  # no index is used for these
        found.append(or_(*(end.in_(numbers) for end in ends)))
    tagged = [column == value for column, value in ((t.tag, wanted.tag), (t.rule, wanted.rule)) if value]
    if tagged:
        found.append(exists().where(t.call_id == calls.c.id, t.state != "off", *tagged))
    if wanted.reference is not None:
        found.append(exists().where(r.call_id == calls.c.id, r.reference == wanted.reference))
    return found


def _few(connection: Connection, wanted: Filter) -> list[int] | None:
    """The fewest calls among which all that fit are; None where nothing that is asked for has few."""
    found: list[int] | None = None
    for rows in _sources(wanted):
        ids = list(connection.execute(rows.limit(FEW + 1)).scalars())
        if len(ids) <= FEW and (found is None or len(ids) < len(found)):
            found = ids
    return found


def _sources(wanted: Filter) -> Iterator[Select[Any] | CompoundSelect[Any]]:
    """For each thing that is asked for the calls that an index finds for it."""
    c, t = calls.c, applied_tags.c
    if wanted.reference is not None:
        yield select(call_refs.c.call_id).where(call_refs.c.reference == wanted.reference)
    if wanted.numbers is not None:
        numbers = [storable(number) for number in wanted.numbers]
        from_them = select(c.id).where(c.caller.in_(numbers))
        yield from_them.union_all(select(c.id).where(c.receiver.in_(numbers)))  # each by its index alone
    if wanted.tag is not None:
        yield select(t.call_id).where(t.tag == wanted.tag)
    if wanted.rule is not None:
        yield select(t.call_id).where(t.rule == wanted.rule)
    if wanted.state is not None:
        states = ("due", "parked") if wanted.state == "running" else (wanted.state,)
        yield select(c.id).where(c.state.in_(states))
    if wanted.since is not None or wanted.until is not None:
        yield _between(select(c.id), wanted)
