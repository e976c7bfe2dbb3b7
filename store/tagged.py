"""On which calls a tag of ours stands, and what is noted of them when its definition is deleted."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Select, exists, func, select, update

from store.calls import UNSURE, TagState
from store.schema import applied_tags, calls

What = Literal["rule", "tag"]
ON_CALL = (TagState.INTENDED, TagState.OURS, TagState.REMOVING)


def count(connection: Connection, account: str) -> dict[str, int]:
    """By tag, the number of the account's calls on which it stands by us, or may."""
    t = applied_tags.c
    rows = select(t.tag, func.count()).join(calls, calls.c.id == t.call_id)
    rows = rows.where(calls.c.account == account, t.state.in_(ON_CALL)).group_by(t.tag)
    return dict(list(connection.execute(rows)))


def has_given(connection: Connection, account: str, what: What, name: str) -> bool:
    """Whether a tag of ours stands or stood on one of the account's calls by that rule, or of that name."""
    if "\0" in name or any("\ud800" <= sign <= "\udfff" for sign in name):  # no database can look for it
        return False
    t = applied_tags.c
    rows = _on_calls_of(account, select(t.call_id).where(t[what] == name))
    return connection.execute(rows.limit(1)).first() is not None


def given(connection: Connection, account: str, what: What) -> list[str]:
    """Those rules, or those names. It reads a whole index: for the few who asked for one that is not among
    them."""
    every = select(applied_tags.c[what].label("name")).distinct().subquery()
    one = _on_calls_of(account, select(applied_tags.c.call_id).where(applied_tags.c[what] == every.c.name))
    return list(connection.execute(select(every.c.name).where(exists(one))).scalars())


def _on_calls_of(account: str, rows: Select[Any]) -> Select[Any]:
    return rows.join(calls, calls.c.id == applied_tags.c.call_id).where(calls.c.account == account)


def bearing(connection: Connection, account: str, tags: Collection[str], before: float) -> list[int]:
    """The calls, ascending, on which one of the tags may stand that we began to put before that time."""
    t = applied_tags.c
    rows = select(t.call_id).join(calls, calls.c.id == t.call_id).distinct().order_by(t.call_id)
    wanted = (t.tag.in_(list(tags)), t.state.in_(ON_CALL), t.at < before, calls.c.account == account)
    return list(connection.execute(rows.where(*wanted)).scalars())


def note_off(connection: Connection, ids: Sequence[int], tags: Collection[str], before: float) -> None:
    """The tags are on none of these calls any more; neither a person nor a job took them off."""
    t = applied_tags.c
    these = (t.call_id.in_(ids), t.tag.in_(list(tags)), t.state.in_(ON_CALL), t.at < before)
    connection.execute(update(applied_tags).where(*these).values(state=TagState.OFF, job=None))


def leased(connection: Connection, account: str, now: float) -> list[int]:
    """The account's calls that workers have now, ascending; it looks at every call."""
    these = (calls.c.account == account, calls.c.lease_until > now)
    return list(connection.execute(select(calls.c.id).where(*these).order_by(calls.c.id)).scalars())


def doubt(connection: Connection, ids: Sequence[int]) -> None:
    """What is recorded of the calls' tags is read from the platform before it is relied on again."""
    connection.execute(update(calls).where(calls.c.id.in_(ids)).values(tags_version=UNSURE))
