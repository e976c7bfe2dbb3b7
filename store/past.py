"""The calls that ended, for counting what rules would have done with them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select

from store.database import Database
from store.schema import call_refs, calls

PAGE = 1000


class Latest(NamedTuple):
    """A call that ended, by its row; `facts` as in `PastCall`."""

    id: int
    account: str
    first_at: float
    facts: dict[str, Any]


class PastCall(NamedTuple):
    """A call as it is known now: `facts` as JSON, with the tags on it that are not ours."""

    name: str
    """Account and one of its references, `sipsim:call_abc123`."""
    facts: dict[str, Any]
    first_at: float
    """When it became known, or of a call of the past when it was, as far as that is known (Unix seconds)."""


def parts(database: Database, most: int) -> Iterator[tuple[int, int]]:
    """The first and last row of each part of all calls, of so many at most, in the order in which they became
    known."""
    before = 0
    while True:
        rows = select(calls.c.id).where(calls.c.id > before).order_by(calls.c.id).limit(most).subquery()
        with database.read() as connection:
            last: int | None = connection.execute(select(func.max(rows.c.id))).scalar_one()
        if last is None:
            return
        yield before + 1, last
        before = last


def calls_of(connection: Connection, part: tuple[int, int], since: float | None = None) -> list[PastCall]:
    """The calls of a part that ended and were not forgotten, as they are known now.

    With `since` only those whose `first_at` is not before it.
    """
    c, refs = calls.c, call_refs.c
    reference = select(func.min(refs.reference)).where(refs.call_id == c.id).scalar_subquery()
    rows = select(c.id, c.account, c.facts, c.others, c.first_at, reference)
    rows = rows.where(c.id.between(*part), *_wanted(since)).order_by(c.id)
    return [
        PastCall(
            f"{account}:{reference or id_}", facts if others is None else {**facts, "tags": others}, first_at
        )
        for id_, account, facts, others, first_at, reference in connection.execute(rows)
    ]


def number(connection: Connection, since: float | None = None) -> int:
    """How many there are in all parts."""
    return connection.execute(select(func.count()).select_from(calls).where(*_wanted(since))).scalar_one()


def _wanted(since: float | None) -> list[ColumnElement[bool]]:
    wanted = [calls.c.ended, calls.c.forgotten_at.is_(None)]
    return wanted if since is None else [*wanted, calls.c.first_at >= since]


def latest_calls(database: Database, most: int) -> list[Latest]:
    """The newest calls that ended, by `first_at`, newest first; not those that were forgotten."""
    found: list[Latest] = []
    c = calls.c
    columns = c.id, c.account, c.first_at, c.facts, c.others
    while len(found) < most:
        rows = select(*columns).where(c.ended, c.forgotten_at.is_(None))
        rows = rows.order_by(c.first_at.desc(), c.id.desc())
        if found:
            at, id_ = found[-1].first_at, found[-1].id
            rows = rows.where(c.first_at <= at, or_(c.first_at < at, c.id < id_))
        with database.read() as connection:
            page = connection.execute(rows.limit(min(PAGE, most - len(found)))).all()
        for id_, account, first_at, facts, others in page:
            known = facts if others is None else {**facts, "tags": others}
            found.append(Latest(id_, account, first_at, known))
        if len(page) < PAGE:
            break
    return found
