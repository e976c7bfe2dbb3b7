"""From events to calls: which row an event's references lead to, and making two rows one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    Update,
    and_,
    bindparam,
    delete,
    select,
    tuple_,
    update,
)
from sqlalchemy import insert as sql_insert

from store import erasure
from store.counters import count
from store.database import INTAKE, insert, lock
from store.schema import applied_tags, call_refs, calls, decisions, events, job_calls

Ref = tuple[str, str, str]
"""Account, kind and reference: what leads to one call."""
NOT_ENDED = "the call has not ended yet"


# made once, as they are run for every group of events
NEW_CALLS = sql_insert(calls).returning(calls.c.id, sort_by_parameter_order=True)
COLUMNS = (
    calls.c.id,
    calls.c.version,
    calls.c.ended,
    calls.c.state,
    calls.c.next_at,
    calls.c.forgotten_at,
)
THIS_CALL = update(calls).where(calls.c.id == bindparam("of_call"))
RAISED = THIS_CALL.values(version=bindparam("version"), ended=bindparam("ended"))
WOKEN = THIS_CALL.values(
    version=bindparam("version"),
    ended=bindparam("ended"),
    state="due",
    reason=None,
    next_at=bindparam("next_at"),
    queued_until=bindparam("queued_until"),
)
ATTACHED = (
    update(events)
    .where(events.c.id == bindparam("of_event"))
    .values(
        state="linked", name=bindparam("name"), call_id=bindparam("call_id"), version=bindparam("version")
    )
)


@dataclass(frozen=True, slots=True)
class Link:
    """An event that belongs to a call: by which references, and what it means for the call's work."""

    event: int
    name: str
    refs: Sequence[Ref]
    received_at: float
    ends: bool
    """The call has ended."""
    wakes_in: float | None = 0.0
    """The call, once it has ended, is to be worked on again after so many seconds; None: the event tells
    nothing new."""


def serialise(connection: Connection) -> None:
    """One process at a time changes which reference leads to which call; held until the transaction ends.

    Call it before looking references up in order to act on it.
    """
    lock(connection, INTAKE)


def find(connection: Connection, refs: Iterable[Ref]) -> dict[Ref, int]:
    """The calls that the references lead to, where they lead to one."""
    wanted = list(set(refs))
    if not wanted:
        return {}
    key = tuple_(call_refs.c.account, call_refs.c.kind, call_refs.c.reference)
    rows = connection.execute(
        select(call_refs.c.account, call_refs.c.kind, call_refs.c.reference, call_refs.c.call_id).where(
            key.in_(wanted)
        )
    )
    return {(account, kind, reference): call for account, kind, reference, call in rows}


def refs_of(connection: Connection, ids: Iterable[int]) -> dict[int, list[Ref]]:
    """The references of each of the calls."""
    found: dict[int, list[Ref]] = {}
    columns = (call_refs.c.call_id, call_refs.c.account, call_refs.c.kind, call_refs.c.reference)
    for call, *ref in connection.execute(select(*columns).where(call_refs.c.call_id.in_(list(ids)))):
        found.setdefault(call, []).append((ref[0], ref[1], ref[2]))
    return found


def link(connection: Connection, links: Sequence[Link], now: float, queued_until: float) -> list[int]:
    """Attaches events to their calls, making the calls that are new; gives the calls that became due.

    An event whose references lead to two calls makes them one, if no worker has either of them now;
    otherwise it stays as it is, for the next time. Call `serialise` first.
    """
    led = find(connection, (ref for one in links for ref in one.refs))
    rows = _rows(connection, led.values()) | _made(connection, links, led, now)
    group = Group(connection, now, queued_until, led, rows)
    due = [call for one in links if (call := group.take(one)) is not None]
    group.write()
    count(connection, group.kinds)
    return list(dict.fromkeys(due))


@dataclass(slots=True)
class Row:
    """A call while events are linked to it."""

    id: int
    version: int
    ended: bool
    state: str
    next_at: float
    forgotten_at: float | None
    queued_until: float | None = None
    """Set where it is due by them."""


def _rows(connection: Connection, ids: Iterable[int]) -> dict[int, Row]:
    """The calls, held until the transaction ends; taken in one order, so that nobody waits in a circle."""
    wanted = set(ids)
    if not wanted:
        return {}
    rows = select(*COLUMNS).where(calls.c.id.in_(wanted)).order_by(calls.c.id).with_for_update()
    return {row.id: Row(*row) for row in connection.execute(rows)}


def _made(connection: Connection, links: Sequence[Link], led: dict[Ref, int], now: float) -> dict[int, Row]:
    """Makes the calls of those events whose references lead to none; notes in `led`, and in the database, the
    references that are new. What leads to several calls is left to `Group.take`."""
    first: list[Link] = []
    new: dict[Ref, int] = {}  # where a call is still to be made, one less than minus its place in `first`
    for one in links:
        found = {call for ref in one.refs if (call := led.get(ref, new.get(ref))) is not None}
        if not found:
            first.append(one)
        if len(found) < 2:
            call = found.pop() if found else -len(first)
            new |= {ref: call for ref in one.refs if ref not in led}
    ids = _new_calls(connection, first, now)
    found_ids = {ref: ids[-call - 1] if call < 0 else call for ref, call in new.items()}
    _add_refs(connection, found_ids)
    led |= found_ids
    return {call: Row(call, 0, ended=False, state="done", next_at=now, forgotten_at=None) for call in ids}


def _new_calls(connection: Connection, links: Sequence[Link], now: float) -> list[int]:
    """A new call for each of the events, in their order."""
    if not links:
        return []
    values = [
        {
            "account": one.refs[0][0],
            "state": "done",
            "reason": NOT_ENDED,
            "facts": {},
            "first_at": one.received_at,
            "next_at": now,
        }
        for one in links
    ]
    return list(connection.execute(NEW_CALLS, values).scalars())


def _add_refs(connection: Connection, refs: Mapping[Ref, int]) -> None:
    """More names for calls; a name that leads to a call already stays as it is."""
    rows = [
        {"account": account, "kind": kind, "reference": reference, "call_id": call}
        for (account, kind, reference), call in refs.items()
    ]
    if rows:
        connection.execute(insert(connection, call_refs).on_conflict_do_nothing(), rows)


@dataclass
class Group:
    """Events that are linked together: what follows for calls and events is written by few statements."""

    connection: Connection
    now: float
    queued_until: float
    led: dict[Ref, int]
    rows: dict[int, Row]
    kinds: Counter[str] = field(default_factory=Counter)
    _raised: set[int] = field(default_factory=set)
    _attached: list[dict[str, Any]] = field(default_factory=list)

    def take(self, one: Link) -> int | None:
        """Attaches the event; gives its call where that is due now by it."""
        call = self._call_of(one)
        if call is None:
            return None
        self.kinds[f"kinds.{one.name}.linked"] += 1
        return call if self._attach(self.rows[call], one) else None

    def _call_of(self, one: Link) -> int | None:
        """The one call of the event's references; None where a merge must wait."""
        call, *others = sorted({self.led[ref] for ref in one.refs if ref in self.led})
        for other in others:
            self.write()
            if not merge(self.connection, call, other, self.now):
                return None
            self.rows |= _rows(self.connection, [call])
            self.led |= {ref: call for ref, led in self.led.items() if led == other}
        new = {ref: call for ref in one.refs if ref not in self.led}
        _add_refs(self.connection, new)
        self.led |= new
        return call

    def _attach(self, row: Row, one: Link) -> bool:
        """True when the call is due now by it. What tells nothing new leaves the version as it is."""
        row.version += one.wakes_in is not None
        row.ended |= one.ends
        self._raised.add(row.id)
        if row.forgotten_at is not None:
            erasure.drop_event(self.connection, one.event, one.name, row.id, self.now)
            return False
        self._attached.append(
            {"of_event": one.event, "name": one.name, "call_id": row.id, "version": row.version}
        )
        if one.wakes_in is None or not row.ended or row.state == "parked":  # it takes it along at its turn
            return False
        at, at_once = self.now + one.wakes_in, one.wakes_in == 0.0
        if row.state != "due" or row.next_at > at:
            row.state, row.next_at, row.queued_until = "due", at, self.queued_until if at_once else 0.0
        return at_once

    def write(self) -> None:
        """Writes what was taken until now."""
        raised = [self.rows[call] for call in sorted(self._raised)]
        for statement, woken in ((RAISED, False), (WOKEN, True)):
            alike = [row for row in raised if (row.queued_until is not None) == woken]
            _execute(self.connection, statement, [_values(row) for row in alike])
        _execute(self.connection, ATTACHED, self._attached)
        self._raised.clear()
        self._attached = []


def _values(row: Row) -> dict[str, Any]:
    values = {"of_call": row.id, "version": row.version, "ended": row.ended}
    return values | (
        {} if row.queued_until is None else {"next_at": row.next_at, "queued_until": row.queued_until}
    )


def _execute(connection: Connection, statement: Update, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def lock_calls(connection: Connection, ids: Iterable[int]) -> None:
    """Holds the rows until the transaction ends, taken in one order, so that nobody waits in a circle."""
    rows = select(calls.c.id).where(calls.c.id.in_(set(ids))).order_by(calls.c.id)
    connection.execute(rows.with_for_update()).all()


def add_ref(connection: Connection, ref: Ref, call: int) -> None:
    """One more name for a call; a name that leads to a call already stays as it is."""
    serialise(connection)
    _add_refs(connection, {ref: call})


def merge(
    connection: Connection, kept: int, gone: int, now: float, owner: str | None = None, quietly: bool = False
) -> bool:
    """Makes two rows one: events, references, tags and decisions united, the version raised, due again.

    The version of what comes from `gone` is raised by that of `kept`, so that each decision still names the
    events that it rests on. `quietly` leaves what is done as it is. False when a worker other than `owner`
    has one of them now.
    """
    serialise(connection)
    pair = (kept, gone)
    lock_calls(connection, pair)
    held = select(calls.c.id).where(
        calls.c.id.in_(pair), calls.c.lease_until > now, calls.c.lease_owner != (owner or "")
    )
    if connection.execute(held.limit(1)).first():
        return False
    rows = {row.id: row for row in connection.execute(select(calls).where(calls.c.id.in_(pair)))}
    if len(rows) < 2:
        return False
    one, other = rows[kept], rows[gone]
    connection.execute(update(call_refs).where(call_refs.c.call_id == gone).values(call_id=kept))
    for table in (events, decisions):
        moved = {"call_id": kept, "version": table.c.version + one.version}
        connection.execute(update(table).where(table.c.call_id == gone).values(moved))
    jobs_of_both = select(job_calls.c.job).where(job_calls.c.call_id == kept)  # it counts there once
    of_others = and_(job_calls.c.call_id == gone, job_calls.c.job.not_in(jobs_of_both))
    connection.execute(update(job_calls).where(of_others).values(call_id=kept))
    _unite_tags(connection, kept, gone)
    connection.execute(delete(calls).where(calls.c.id == gone))
    united = _united(one, other)
    if quietly and united["ended"] and one.state == other.state == "done":
        united |= {"state": "done", "reason": one.reason}
    connection.execute(update(calls).where(calls.c.id == kept).values({**united, "next_at": now}))
    if one.forgotten_at is not None or other.forgotten_at is not None:  # so the call is, all of it
        erasure.erase(connection, [kept], now)
    return True


def _united(one: Any, other: Any) -> dict[str, Any]:
    ended = one.ended or other.ended
    return {
        "version": one.version + other.version + 1,
        "ended": ended,
        "state": "due" if ended else "done",
        "reason": None if ended else NOT_ENDED,
        "queued_until": 0.0,
        "platform_id": one.platform_id or other.platform_id,
        "others": other.others if one.others is None else one.others,
        "first_at": min(one.first_at, other.first_at),
    }


STRENGTH = ("off", "ours", "intended", "removing", "blocked")
"""States of a tag: where both calls bear it, what a person did counts most, then what is written again."""


def _unite_tags(connection: Connection, kept: int, gone: int) -> None:
    t = applied_tags.c
    rows = connection.execute(select(t.call_id, t.tag, t.state).where(t.call_id.in_((kept, gone)))).all()
    by_strength = sorted(rows, key=lambda row: (STRENGTH.index(row.state), row.call_id == kept))
    strongest = {row.tag: row.call_id for row in by_strength}
    for row in rows:
        if strongest[row.tag] != row.call_id:
            connection.execute(delete(applied_tags).where(t.call_id == row.call_id, t.tag == row.tag))
    connection.execute(update(applied_tags).where(t.call_id == gone).values(call_id=kept))
