"""Dropping what has been kept long enough: bodies of events first, whole calls much later."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sqlalchemy import Connection, and_, delete, func, or_, select, update

from store.calls import free
from store.database import insert
from store.erasure import wipe_deleted
from store.inbox import COLUMNS, InboxEvent
from store.schema import applied_tags, call_refs, calls, decisions, events

OF_CALLS = (applied_tags, decisions, events, call_refs)
"""The tables whose rows go with their call."""
SETTLED = ("done", "decided", "dead")
"""The states of calls that nothing waits for."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """A call, and those of its events whose bodies are to be dropped, with what stands for earlier ones."""

    call: int
    version: int
    account: str
    rows: Sequence[InboxEvent]

    @property
    def newest(self) -> int:
        """The newest version that one of the rows made."""
        return max(row.version or 0 for row in self.rows)


@dataclass(frozen=True, slots=True)
class Old:
    """The oldest bodies: by call, and the events of no call."""

    calls: Sequence[Outdated]
    unlinked: Sequence[int]


def old_bodies(
    connection: Connection, accounts: Collection[str], before: float, now: float, most: int, most_bytes: int
) -> Old:
    """The oldest bodies received before that time that nothing waits for.

    A call that is due, running or parked keeps its bodies, and so does one of an account that is not
    configured: what its events say could not be read. At most so many events, and so many bytes unless the
    oldest one alone has more.
    """
    settled = and_(
        events.c.state == "linked",
        events.c.account.in_(accounts),
        calls.c.state.in_(SETTLED),
        free(now),
    )
    rows = connection.execute(
        select(events.c.id, events.c.call_id, func.length(events.c.body).label("size"))
        .join(calls, calls.c.id == events.c.call_id, isouter=True)
        .where(events.c.emptied_at.is_(None), events.c.received_at < before)
        .where(or_(events.c.state.in_(("dead", "ignored")), settled))
        .order_by(events.c.received_at)
        .limit(most)
    ).all()
    sizes = accumulate(row.size for row in rows)
    rows = [
        row for n, (row, size) in enumerate(zip(rows, sizes, strict=True)) if n == 0 or size <= most_bytes
    ]
    linked = {row.id: row.call_id for row in rows if row.call_id is not None}
    unlinked = [row.id for row in rows if row.call_id is None]
    return Old(list(_outdated(connection, list(linked), set(linked.values()))), unlinked)


def _outdated(connection: Connection, ids: Sequence[int], of: Collection[int]) -> Iterator[Outdated]:
    snapshots = and_(events.c.call_id.in_(of), events.c.source == "snapshot")
    rows: dict[int, list[InboxEvent]] = {}
    for call, *columns in connection.execute(
        select(events.c.call_id, *COLUMNS).where(or_(events.c.id.in_(ids), snapshots))
    ):
        rows.setdefault(call, []).append(InboxEvent(*columns))
    for row in connection.execute(
        select(calls.c.id, calls.c.version, calls.c.account).where(calls.c.id.in_(of))
    ):
        yield Outdated(row.id, row.version, row.account, rows[row.id])


def replace_bodies(connection: Connection, folded: Sequence[tuple[Outdated, bytes]], now: float) -> int:
    """Puts each snapshot in the place of what it stands for; gives how many bodies were dropped.

    Not where a worker took the call meanwhile, or it got another event.
    """
    ids = [old.call for old, _snapshot in folded]
    idle = (calls.c.id.in_(ids), calls.c.state.in_(SETTLED), free(now))
    held = select(calls.c.id, calls.c.version).where(*idle).order_by(calls.c.id).with_for_update()
    versions = dict(connection.execute(held).all())
    folded = [(old, body) for old, body in folded if versions.get(old.call) == old.version]
    if not folded:
        return 0
    replaced = events.c.id.in_([row.id for old, _snapshot in folded for row in old.rows])
    with_body = update(events).where(replaced, events.c.source != "snapshot")
    dropped = connection.execute(with_body.values(body=b"", emptied_at=now)).rowcount
    connection.execute(delete(events).where(replaced, events.c.source == "snapshot"))
    standing = [_row(old, body, now) for old, body in folded]
    connection.execute(insert(connection, events).values(standing))  # last: SQLite may give it a deleted id
    return dropped


def _row(old: Outdated, snapshot: bytes, now: float) -> dict[str, object]:
    newest = max(row.received_at for row in old.rows)
    return {
        "account": old.account,
        "dedup_key": secrets.token_bytes(32),  # nobody sends it again
        "source": "snapshot",
        "body": snapshot,
        "signed_at": newest,
        "received_at": newest,
        "state": "linked",
        "name": "snapshot",
        "call_id": old.call,
        "version": old.newest,
        "emptied_at": now,
    }


def drop_unlinked(connection: Connection, ids: Collection[int], now: float) -> int:
    """Drops the bodies of dead and ignored events, as far as they are that still."""
    idle = (events.c.id.in_(ids), events.c.state.in_(("dead", "ignored")), events.c.emptied_at.is_(None))
    return connection.execute(update(events).where(*idle).values(body=b"", emptied_at=now)).rowcount


def drop_calls(connection: Connection, before: float, now: float, most: int) -> int:
    """Deletes calls whose first event is that old, with all that belongs to them; gives how many.

    Not those that a worker has. Call `linking.serialise` first, so that no event comes to them meanwhile.
    """
    wipe_deleted(connection)
    old = (
        select(calls.c.id).where(calls.c.first_at < before, free(now)).order_by(calls.c.first_at).limit(most)
    )
    ids = list(connection.execute(old.with_for_update(skip_locked=True)).scalars())
    for table in OF_CALLS:
        connection.execute(delete(table).where(table.c.call_id.in_(ids)))
    connection.execute(delete(calls).where(calls.c.id.in_(ids)))
    return len(ids)


def drop_events(connection: Connection, before: float, most: int) -> int:
    """Deletes events that old that belong to no call; gives how many."""
    wipe_deleted(connection)
    old = select(events.c.id).where(events.c.received_at < before, events.c.call_id.is_(None))
    ids = list(connection.execute(old.order_by(events.c.received_at).limit(most)).scalars())
    return connection.execute(delete(events).where(events.c.id.in_(ids))).rowcount
