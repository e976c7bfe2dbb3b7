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


def ended_calls(
    database: Database, since: float | None = None, until: float | None = None
) -> Iterator[PastCall]:
    """Every call that ended and was not forgotten, in the order in which it became known, page by page.

    With `since` and `until` only those whose `first_at` is in that time.
    """
    last = 0
    while page := _page(database, last, since, until):
        for last, account, facts, others, first_at, reference in page:
            known = facts if others is None else {**facts, "tags": others}
            yield PastCall(f"{account}:{reference or last}", known, first_at)


def number(connection: Connection, since: float | None = None, until: float | None = None) -> int:
    """How many there are."""
    rows = select(func.count()).select_from(calls).where(*_wanted(since, until))
    return connection.execute(rows).scalar_one()


def _wanted(since: float | None, until: float | None) -> list[ColumnElement[bool]]:
    wanted = [calls.c.ended, calls.c.forgotten_at.is_(None)]
    wanted += [] if since is None else [calls.c.first_at >= since]
    return wanted if until is None else [*wanted, calls.c.first_at <= until]


def _page(database: Database, after: int, since: float | None, until: float | None) -> list[Any]:
    refs = call_refs.c
    reference = select(func.min(refs.reference)).where(refs.call_id == calls.c.id).scalar_subquery()
    wanted = calls.c.id > after, *_wanted(since, until)
    columns = calls.c.id, calls.c.account, calls.c.facts, calls.c.others, calls.c.first_at, reference
    with database.read() as connection:
        return list(connection.execute(select(*columns).where(*wanted).order_by(calls.c.id).limit(PAGE)))


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
