"""Lists of calls and events for people: filtered, newest first, page by page, and counted."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select

from store.calls import free
from store.database import storable
from store.schema import applied_tags, call_refs, calls, events

EVENT_STATES = ("new", "linked", "ignored", "dead")


@dataclass(frozen=True, slots=True)
class Filter:
    """What is wanted; None is no condition.

    `since` and `until` are Unix seconds, of an event's receipt and of the receipt of a call's first event;
    `numbers` are all spellings of one number, the caller's or the receiver's; `tag` and `rule` are those of
    tags of ours. Events are found by the number, reference, tag and rule of their call.
    """

    account: str | None = None
    state: str | None = None
    since: float | None = None
    until: float | None = None
    reason: str | None = None
    """Part of the reason, in any case of letters."""
    whole_reason: str | None = None
    numbers: Sequence[str] | None = None
    reference: str | None = None
    tag: str | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as a line of a list; `tags` are ours, `references` as `names` orders them."""

    id: int
    account: str
    state: str
    reason: str | None
    first_at: float
    caller: str | None
    receiver: str | None
    references: list[str]
    tags: list[str]
    forgotten_at: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as a line of a list; `emptied_at` says when its body was dropped."""

    id: int
    account: str
    source: str
    state: str
    name: str | None
    reason: str | None
    received_at: float
    signed_at: float
    call: int | None
    emptied_at: float | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of one state and reason."""

    state: str
    reason: str | None
    number: int


EVENT_COLUMNS: tuple[ColumnElement[Any], ...] = (
    events.c.id,
    events.c.account,
    events.c.source,
    events.c.state,
    events.c.name,
    events.c.reason,
    events.c.received_at,
    events.c.signed_at,
    events.c.call_id,
    events.c.emptied_at,
)


def list_calls(
    connection: Connection, wanted: Filter, now: float, most: int, before: int | None = None
) -> list[CallRow]:
    """The newest calls that fit, newest first; `before` is the last id of the page before."""
    return as_lines(connection, connection.execute(calls_page(wanted, now, most, before)).all())


def as_lines(connection: Connection, rows: Sequence[Any]) -> list[CallRow]:
    """Rows of `call_columns` with the references and tags of each."""
    ids = [row.id for row in rows]
    references = names(connection, ids)
    ours = select(applied_tags.c.call_id, applied_tags.c.tag).where(
        applied_tags.c.state.not_in(("blocked", "off"))
    )
    tags = _of_each(connection, ours.order_by(applied_tags.c.tag), ids)
    return [
        CallRow(
            **row._mapping,  # the columns are named as the fields
            references=references.get(row.id, []),
            tags=tags.get(row.id, []),
        )
        for row in rows
    ]


def names(connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
    """The references of each call: first the one by which the platform itself names it, as far as that is
    known, then by kind, so that like calls are named alike."""
    r = call_refs.c
    its_own = case((r.reference == calls.c.platform_id, 0), else_=1)
    pairs = select(r.call_id, r.reference).join(calls, calls.c.id == r.call_id)
    return _of_each(connection, pairs.order_by(its_own, r.kind, r.reference), ids)


def call_ids(connection: Connection, wanted: Filter, now: float, after: int, most: int) -> list[int]:
    """The calls that fit by id, beginning after one."""
    rows = select(calls.c.id).where(*of_calls(wanted, now), calls.c.id > after)
    return list(connection.execute(rows.order_by(calls.c.id).limit(most)).scalars())


def event_ids(connection: Connection, wanted: Filter, after: int, most: int) -> list[int]:
    """The events that fit and still have their body, by id, beginning after one."""
    rows = select(events.c.id).where(*of_events(wanted), events.c.emptied_at.is_(None), events.c.id > after)
    return list(connection.execute(rows.order_by(events.c.id).limit(most)).scalars())


def list_events(
    connection: Connection, wanted: Filter, most: int, before: int | None = None
) -> list[EventRow]:
    """The newest events that fit, newest first; `before` is the last id of the page before."""
    return [EventRow(*row) for row in connection.execute(events_page(wanted, most, before))]


def events_of(connection: Connection, call: int, most: int) -> list[EventRow]:
    """The newest events of a call, newest first."""
    rows = select(*EVENT_COLUMNS).where(events.c.call_id == call).order_by(events.c.id.desc()).limit(most)
    return [EventRow(*row) for row in connection.execute(rows)]


def has_account(connection: Connection, account: str) -> bool:
    """Whether there is something of that account, though it may not be configured."""
    return any(
        connection.execute(select(table.c.account).where(table.c.account == account).limit(1)).first()
        for table in (call_refs, events)
    )


def one_event(connection: Connection, event: int) -> tuple[EventRow, bytes] | None:
    """An event and its body, which is empty once it was dropped; None when there is no such event."""
    row = connection.execute(select(events.c.body, *EVENT_COLUMNS).where(events.c.id == event)).first()
    if row is None:
        return None
    body, *columns = row
    return EventRow(*columns), bytes(body)


def count_calls(connection: Connection, wanted: Filter, now: float) -> list[Count]:
    """How many calls fit, by state and reason, most first."""
    state = shown_state(now)
    rows = select(state, calls.c.reason, func.count()).where(*of_calls(wanted, now))
    return _counts(connection, rows.group_by(state, calls.c.reason))


def count_events(connection: Connection, wanted: Filter) -> list[Count]:
    """How many events fit, by state and reason, most first."""
    rows = select(events.c.state, events.c.reason, func.count()).where(*of_events(wanted))
    return _counts(connection, rows.group_by(events.c.state, events.c.reason))


def _counts(connection: Connection, rows: Select[Any]) -> list[Count]:
    found = [Count(*row) for row in connection.execute(rows)]
    return sorted(found, key=lambda count: (-count.number, count.state, count.reason or ""))


def _of_each(connection: Connection, pairs: Select[Any], ids: Sequence[int]) -> dict[int, list[str]]:
    call, _value = pairs.selected_columns.values()
    found: dict[int, list[str]] = {}
    for owner, one in connection.execute(pairs.where(call.in_(ids))):
        found.setdefault(owner, []).append(one)
    return found


def call_columns(now: float) -> tuple[ColumnElement[Any], ...]:
    """What a line of a list of calls is made of."""
    return (
        calls.c.id,
        calls.c.account,
        shown_state(now).label("state"),
        calls.c.reason,
        calls.c.first_at,
        calls.c.caller,
        calls.c.receiver,
        calls.c.forgotten_at,
    )


def calls_page(wanted: Filter, now: float, most: int, before: int | None) -> Select[Any]:
    page = select(*call_columns(now)).where(*of_calls(wanted, now))
    return _page(page, calls.c.id, wanted, most, before)


def events_page(wanted: Filter, most: int, before: int | None) -> Select[Any]:
    page = select(*EVENT_COLUMNS).where(*of_events(wanted))
    return _page(page, events.c.id, wanted, most, before)


def _page(
    rows: Select[Any], id: ColumnElement[int], wanted: Filter, most: int, before: int | None
) -> Select[Any]:
    # with `+ 0` SQLite looks for the time, instead of reading all rows by id for the few that are new enough
    order = id if wanted.since is None else id + 0
    page = rows.order_by(order.desc()).limit(most)
    return page if before is None else page.where(id < before)


def shown_state(now: float) -> ColumnElement[str]:
    """A call's state as people see it: `running` while a worker has it."""
    return case((calls.c.lease_until > now, "running"), else_=calls.c.state)


def of_calls(wanted: Filter, now: float) -> list[ColumnElement[bool]]:
    """The conditions on a row of `calls`."""
    found = _common(wanted, calls, calls.c.first_at)
    if wanted.state == "running":
        found.append(and_(calls.c.state.in_(("due", "parked")), calls.c.lease_until > now))
    elif wanted.state is not None:
        found.append(and_(calls.c.state == wanted.state, free(now)))
    return found + _identified(wanted)


def of_events(wanted: Filter) -> list[ColumnElement[bool]]:
    """The conditions on a row of `events`."""
    found = _common(wanted, events, events.c.received_at)
    if wanted.state is not None:
        found.append(events.c.state == wanted.state)
    if conditions := _identified(wanted):
        found.append(events.c.call_id.in_(select(calls.c.id).where(*conditions)))
    return found


def _common(wanted: Filter, table: Any, at: ColumnElement[float]) -> list[ColumnElement[bool]]:
    conditions: Sequence[tuple[Any, Callable[[Any], ColumnElement[bool]]]] = (
        (wanted.account, lambda account: table.c.account == account),
        (wanted.since, lambda since: at >= since),
        (wanted.until, lambda until: at < until),
        (wanted.reason, lambda text: table.c.reason.icontains(text, autoescape=True)),
        (wanted.whole_reason, lambda text: table.c.reason == text),
    )
    return [condition(value) for value, condition in conditions if value is not None]


def _identified(wanted: Filter) -> list[ColumnElement[bool]]:
    """The conditions that name calls by what belongs to them."""
    found: list[ColumnElement[bool]] = []
    if wanted.numbers is not None:
        numbers = [storable(number) for number in wanted.numbers]
        found.append(or_(calls.c.caller.in_(numbers), calls.c.receiver.in_(numbers)))
    if wanted.reference is not None:
        named = select(call_refs.c.call_id).where(call_refs.c.reference == wanted.reference)
        found.append(calls.c.id.in_(named))
    tagged = ((wanted.tag, applied_tags.c.tag), (wanted.rule, applied_tags.c.rule))
    if asked := [column == value for value, column in tagged if value is not None]:
        found.append(
            calls.c.id.in_(select(applied_tags.c.call_id).where(*asked, applied_tags.c.state != "off"))
        )
    return found


@dataclass(frozen=True, slots=True)
class PastRow:
    """An ended call by its row, and by the platform's id of it or another of its references."""

    id: int
    reference: str


def ended_between(
    connection: Connection,
    account: str,
    since: float,
    until: float,
    after: int,
    most: int,
    tag: str | None,
    id_kind: str,
) -> tuple[list[PastRow], int | None]:
    """The calls that ended, after that row, and the row after which there may be more.

    `since` and `until` are of their first event; `tag`: only those that bear it.
    """
    # the id last: it may become known between the plan and the run of a job, which knows the call by this
    mine = call_refs.c.call_id == calls.c.id
    by_id = select(func.min(call_refs.c.reference)).where(mine, call_refs.c.kind == id_kind).scalar_subquery()
    other = select(func.min(call_refs.c.reference)).where(mine, call_refs.c.kind != id_kind).scalar_subquery()
    rows = connection.execute(
        select(
            calls.c.id, func.coalesce(other, by_id, calls.c.platform_id).label("reference"), calls.c.others
        )
        .where(calls.c.account == account, calls.c.ended, calls.c.forgotten_at.is_(None))
        .where(calls.c.first_at >= since, calls.c.first_at < until, calls.c.id > after)
        .order_by(calls.c.id)
        .limit(most)
    ).all()
    bearing = {row.id for row in rows}
    if tag is not None:
        on_it = (
            applied_tags.c.call_id.in_(bearing),
            applied_tags.c.tag == tag,
            applied_tags.c.state == "ours",
        )
        ours = set(connection.execute(select(applied_tags.c.call_id).where(*on_it)).scalars())
        bearing = {row.id for row in rows if row.id in ours or tag in (row.others or ())}
    found = [PastRow(row.id, row.reference) for row in rows if row.id in bearing]
    return found, rows[-1].id if len(rows) == most else None
