"""Driving again what stands still: calls, events, dead letters, and tags that a person took off."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, delete, select, update

from store.calls import free
from store.linking import lock_calls
from store.schema import applied_tags, calls, events

RETRIED = {
    "state": "due",
    "reason": None,
    "parked_for": None,
    "queued_until": 0.0,
    "attempts": 0,
    "waits": 0,
    "lease_owner": None,
    "lease_until": None,
}
"""What a retry makes of a call's row; `alone` stays, so that a call that kills its worker is tried alone."""


class Busy(Exception):
    """A worker has the call now."""


@dataclass
class Replayed:
    """Events that will be read anew, calls that are due by it, and why the others stay as they are."""

    events: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def retry(connection: Connection, ids: Sequence[int], now: float) -> list[int]:
    """Makes the calls due now, as if they had never been tried; gives those that are.

    Not those that a worker has, that have not ended, or that were forgotten; see `refusal`.
    """
    lock_calls(connection, ids)
    able = (calls.c.id.in_(ids), calls.c.ended, calls.c.forgotten_at.is_(None), free(now))
    again = update(calls).where(*able).values({**RETRIED, "next_at": now})
    return sorted(connection.execute(again.returning(calls.c.id)).scalars())


def refusal(connection: Connection, call: int, now: float) -> str | None:
    """Why the call cannot be tried now; None when it can."""
    columns = (calls.c.ended, calls.c.forgotten_at, calls.c.lease_until)
    row = connection.execute(select(*columns).where(calls.c.id == call)).first()
    if row is None:
        return "there is no such call"
    if row.forgotten_at is not None:
        return "it was forgotten"
    if not row.ended:
        return "it has not ended yet"
    return "a worker has it now" if row.lease_until is not None and row.lease_until > now else None


def replay(connection: Connection, ids: Sequence[int], now: float) -> Replayed:
    """Has dead and ignored events read anew, and the calls of linked ones evaluated again."""
    columns = (events.c.id, events.c.state, events.c.call_id, events.c.emptied_at)
    rows = connection.execute(select(*columns).where(events.c.id.in_(ids)).order_by(events.c.id)).all()
    result = Replayed(refused=dict.fromkeys(ids, "there is no such event"))
    for row in rows:
        result.refused.pop(row.id)
        _replay(connection, row, now, result)
    unread = {"state": "new", "reason": None, "name": None, "call_id": None}
    connection.execute(update(events).where(events.c.id.in_(result.events)).values(unread))
    return result


def _replay(connection: Connection, row: Any, now: float, result: Replayed) -> None:
    if row.state == "new":
        result.refused[row.id] = "it waits to be read already"
    elif row.state != "linked":
        if row.emptied_at is None:
            result.events.append(row.id)
        else:
            result.refused[row.id] = "its body was dropped"
    elif row.call_id not in result.calls:
        if retry(connection, [row.call_id], now):
            result.calls.append(row.call_id)
        else:
            result.refused[row.id] = f"its call: {refusal(connection, row.call_id, now)}"


def blocked_tags(connection: Connection, call: int) -> list[str]:
    """The tags of ours that a person took off the call, and that are not put on it again."""
    t = applied_tags.c
    rows = select(t.tag).where(t.call_id == call, t.state == "blocked").order_by(t.tag)
    return list(connection.execute(rows).scalars())


def unblock(connection: Connection, call: int, tag: str, now: float) -> bool:
    """Lets the rules put a tag on the call again that a person took off; the call is then due.

    False when the tag is not blocked there. Raises `Busy`.
    """
    lock_calls(connection, [call])
    if not is_free(connection, call, now):
        raise Busy
    t = applied_tags.c
    blocked = (t.call_id == call, t.tag == tag, t.state == "blocked")
    lifted = connection.execute(delete(applied_tags).where(*blocked)).rowcount == 1
    if lifted:
        retry(connection, [call], now)
    return lifted


def is_free(connection: Connection, call: int, now: float) -> bool:
    """Whether no worker has the call now."""
    return connection.execute(select(calls.c.id).where(calls.c.id == call, free(now))).first() is not None
