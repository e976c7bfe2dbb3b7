"""Calls of the past: known with all that was told of them, and nobody is woken for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, exists, select, update

from store import linking
from store.counters import count
from store.database import insert, storable
from store.inbox import Arrival
from store.linking import NOT_ENDED, Ref
from store.schema import call_refs, calls, events

PAST = "a call of the past: no rule has looked at it yet"
"""The reason of a call that was only kept."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is told of one ended call; `at` (Unix seconds) is its own time, for a row that is new."""

    refs: Sequence[Ref]
    """The first one is the platform's own id, where it is known."""
    told: Arrival
    name: str
    at: float
    call: int | None = None
    """The row that it is, where the references alone do not lead to it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The row of each call, in order (None: it was forgotten), the rows of which more is known now, and how
    many rows are new."""

    calls: list[int | None]
    fresh: list[int]
    new: int


def keep(connection: Connection, told: Sequence[Past]) -> Kept:
    """Links each event to its call, making those that are new; what is there already changes nothing.

    Every state stays as it is: no call is due by it. Rows that prove to be one call are united where no
    worker has them.
    """
    linking.serialise(connection)
    rows, united, new = _rows(connection, told)
    known = select(calls.c.id, calls.c.version).where(calls.c.id.in_(rows), calls.c.forgotten_at.is_(None))
    versions: dict[int, int] = dict(connection.execute(known).all())
    remembered = [row if row in versions else None for row in rows]
    fresh = _tell(connection, told, remembered, versions)
    return Kept(remembered, sorted({*fresh, *united} & versions.keys()), new)


def note(connection: Connection, facts: Mapping[int, Mapping[str, Any]]) -> None:
    """Notes by call what is known of it, all of it."""
    if facts:
        by_id = update(calls).where(calls.c.id == bindparam("row"))
        values: dict[str, Any] = {name: bindparam(f"its_{name}") for name in ("facts", "caller", "receiver")}
        connection.execute(
            by_id.values(values),
            [
                {
                    "row": row,
                    "its_facts": dict(known),
                    **{f"its_{side}": storable(known.get(side)) for side in ("caller", "receiver")},
                }
                for row, known in sorted(facts.items())
            ],
        )


def note_others(connection: Connection, others: Mapping[int, Sequence[str]]) -> None:
    """Notes by call the tags on it that are not ours."""
    if others:
        by_id = update(calls).where(calls.c.id == bindparam("row")).values(others=bindparam("tags"))
        rows = [{"row": row, "tags": list(tags)} for row, tags in sorted(others.items())]
        connection.execute(by_id, rows)


def tags_versions(connection: Connection, ids: Iterable[int]) -> dict[int, int]:
    """Up to which version of each call's facts lists of its tags are accounted for."""
    rows = select(calls.c.id, calls.c.tags_version).where(calls.c.id.in_(list(ids)))
    return dict(connection.execute(rows).all())


def without(connection: Connection, ids: Iterable[int], facts: Iterable[str]) -> list[int]:
    """Those of the calls of which none of these facts is known; not those that were forgotten."""
    unknown = (calls.c.facts[name].as_string().is_(None) for name in sorted(facts))
    rows = select(calls.c.id).where(calls.c.id.in_(list(ids)), calls.c.forgotten_at.is_(None), *unknown)
    return list(connection.execute(rows.order_by(calls.c.id)).scalars())


def _rows(connection: Connection, told: Sequence[Past]) -> tuple[list[int], set[int], int]:
    """The row of each, to which its references lead from now on, the rows that took in another one, and how
    many are new."""
    known = linking.find(connection, (ref for one in told for ref in one.refs))
    named = set(known)
    guessed = [one for one in told if one.call is not None]
    linking.lock_calls(connection, [*known.values(), *(one.call for one in guessed if one.call is not None)])
    free = _unnamed(connection, guessed)
    united: dict[int, int] = {}
    new: list[Past] = []
    for one in told:
        row = _led(connection, one, known, united)
        if row is None and one.call in free:
            row = united.get(one.call, one.call)
        if row is None:  # its id is known once all the new ones are made
            new.append(one)
            row = -len(new)
        for ref in one.refs:
            known.setdefault(ref, row)
    made = _new_rows(connection, new)
    known = {ref: made[-row - 1] if row < 0 else row for ref, row in known.items()}
    _name(connection, {ref: row for ref, row in known.items() if ref not in named})
    return [known[one.refs[0]] for one in told], set(united.values()), len(new)


def _led(connection: Connection, one: Past, known: dict[Ref, int], united: dict[int, int]) -> int | None:
    """The row that the references lead to: that of the first one, which takes in the others if it can."""
    found = list(dict.fromkeys(known[ref] for ref in one.refs if ref in known))
    if not found:
        return None
    row, *others = found
    for other in others:
        stored = row > 0 and other > 0
        if stored and linking.merge(connection, row, other, one.told.received_at, quietly=True):
            known |= {ref: row for ref, led in known.items() if led == other}
            united[other] = row
    return row


def _unnamed(connection: Connection, guessed: Sequence[Past]) -> set[int]:
    """The rows that these may be and that are still there, without a name of the first reference's kind."""
    kinds = {one.refs[0][1] for one in guessed}
    named = exists().where(call_refs.c.call_id == calls.c.id, call_refs.c.kind.in_(kinds))
    rows = select(calls.c.id).where(calls.c.id.in_([one.call for one in guessed]), ~named)
    return set(connection.execute(rows).scalars()) if guessed else set()


def _new_rows(connection: Connection, new: Sequence[Past]) -> list[int]:
    if not new:
        return []
    rows = [
        {
            "account": one.told.account,
            "state": "done",
            "reason": PAST,
            "facts": {},
            "first_at": one.at,
            "next_at": one.at,
            "ended": True,
        }
        for one in new
    ]
    statement = insert(connection, calls).returning(calls.c.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _name(connection: Connection, refs: Mapping[Ref, int]) -> None:
    """A name that leads to a call already stays as it is."""
    rows = [
        {"account": account, "kind": kind, "reference": reference, "call_id": row}
        for (account, kind, reference), row in sorted(refs.items())
    ]
    if rows:
        connection.execute(insert(connection, call_refs).on_conflict_do_nothing(), rows)


def _tell(
    connection: Connection, told: Sequence[Past], rows: Sequence[int | None], versions: dict[int, int]
) -> list[int]:
    """Adds the events that are new, each with the version that it makes; gives their rows."""
    values: list[dict[str, Any]] = []
    for one, row in zip(told, rows, strict=True):
        if row is not None:
            versions[row] += 1
            values.append(_event(one, row, versions[row]))
    if not values:
        return []
    # sorted, as whoever adds events does: two in different orders would lock each other out
    values.sort(key=lambda value: (value["account"], value["dedup_key"]))
    statement = insert(connection, events)
    told_anew = statement.on_conflict_do_update(
        index_elements=["account", "dedup_key"],
        set_={name: statement.excluded[name] for name in ("version", "signed_at", "received_at")},
        where=_is_news(statement),
    )
    added = connection.execute(told_anew.returning(events.c.call_id, events.c.version), values).all()
    raised: dict[int, int] = {}
    for row, version in sorted((row.call_id, row.version) for row in added):
        raised[row] = version
    _raise(connection, raised)
    count(connection, {f"kinds.{told[0].name}.linked": len(added)} if added else {})
    return list(raised)


def _is_news(statement: Any) -> Any:
    """A list that shows what it showed before something else was told: the call is so again."""
    return and_(
        events.c.source == "record",
        events.c.call_id == statement.excluded.call_id,
        events.c.emptied_at.is_(None),
        events.c.version < statement.excluded.version - 1,
    )


def _event(one: Past, row: int, version: int) -> dict[str, Any]:
    return {
        "account": one.told.account,
        "dedup_key": one.told.dedup_key,
        "source": one.told.source,
        "body": one.told.body,
        "signed_at": one.told.signed_at,
        "received_at": one.told.received_at,
        "state": "linked",
        "name": one.name,
        "call_id": row,
        "version": version,
    }


def _raise(connection: Connection, versions: Mapping[int, int]) -> None:
    if versions:
        raised = (
            update(calls)
            .where(calls.c.id == bindparam("row"))
            .values(
                version=bindparam("its_version"),
                ended=True,
                reason=case((calls.c.reason == NOT_ENDED, PAST), else_=calls.c.reason),
            )
        )
        rows = [{"row": row, "its_version": version} for row, version in sorted(versions.items())]
        connection.execute(raised, rows)
