"""Rows that tests of the store begin with: events that came, and the calls they made."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from store import inbox, linking
from store.calls import LeasedCall, Outcome
from store.database import Database
from store.inbox import Arrival
from store.linking import Link, Ref
from store.schema import applied_tags, calls, events

NOW = 1_800_000_000.0
ACCOUNT = "sipsim"


def arrival(body: str, account: str = ACCOUNT, received_at: float = NOW) -> Arrival:
    return Arrival(account, body.encode(), received_at, received_at)


def ref(value: str, kind: str = "pbx_id", account: str = ACCOUNT) -> Ref:
    return (account, kind, value)


def event(connection: Connection, body: str, received_at: float = NOW) -> int:
    """The id of a new row of the inbox."""
    one = arrival(body, received_at=received_at)
    inbox.accept(connection, [one])
    row = select(events.c.id).where(events.c.account == one.account, events.c.dedup_key == one.dedup_key)
    return int(connection.execute(row).scalar_one())


def told(
    connection: Connection, body: str, *refs: Ref, ends: bool = True, wakes: bool = True, at: float = NOW
) -> Link:
    """An event in the inbox, read: it belongs to the call of these references."""
    return Link(event(connection, body, at), "an_event", refs, at, ends, 0.0 if wakes else None)


def ended_call(database: Database, name: str, at: float = NOW) -> int:
    """The id of a call of which one event tells that it has ended."""
    with database.write() as connection:
        linking.serialise(connection)
        (call,) = linking.link(connection, [told(connection, f"{name} ended", ref(name), at=at)], at, 0.0)
    return call


def ended_calls(database: Database, number: int, at: float = NOW) -> list[int]:
    return [ended_call(database, f"call_{n}", at) for n in range(number)]


def change(connection: Connection, call: int, **values: object) -> None:
    connection.execute(update(calls).where(calls.c.id == call).values(values))


def column(database: Database, call: int, name: str) -> object:
    """One value of a call's row; None also where there is no such call."""
    with database.read() as connection:
        return connection.execute(select(calls.c[name]).where(calls.c.id == call)).scalar()


def done(leased: Sequence[LeasedCall], **more: object) -> list[Outcome]:
    return [Outcome(call, "done", **more) for call in leased]  # type: ignore[arg-type] # a test's own values


def tag_states(database: Database, call: int) -> dict[str, str]:
    """The tags of ours on the call, with those that are off it or blocked."""
    rows = select(applied_tags.c.tag, applied_tags.c.state).where(applied_tags.c.call_id == call)
    with database.read() as connection:
        return dict(list(connection.execute(rows)))
