"""What the fleet's processes tell each other: who lives, who has a duty, what is amiss or found out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, or_, select, update

from store.database import insert
from store.schema import accounts, duties, notices, platform_tags, processes

HEARTBEAT = 10.0
"""Seconds between two signs of life; a process not seen for three of them counts as gone."""


def beat(connection: Connection, process: str, part: str, now: float) -> None:
    """A sign of life."""
    statement = insert(connection, processes).values(process=process, part=part, seen_at=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["process"], set_={"seen_at": now}))
    connection.execute(delete(processes).where(processes.c.seen_at < now - 60 * HEARTBEAT))


def living(connection: Connection, part: str, now: float) -> int:
    """How many processes of that part showed a sign of life lately."""
    alive = select(func.count()).where(processes.c.part == part, processes.c.seen_at >= now - 3 * HEARTBEAT)
    return connection.execute(alive).scalar_one()


def hold(connection: Connection, duty: str, owner: str, now: float, seconds: float) -> bool:
    """Takes or keeps a duty that one process at a time has; False while another one has it."""
    statement = insert(connection, duties).values(duty=duty, owner=owner, until=now + seconds)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["duty"]))
    mine = or_(duties.c.owner == owner, duties.c.until <= now)
    taken = update(duties).where(duties.c.duty == duty, mine).values(owner=owner, until=now + seconds)
    return connection.execute(taken).rowcount == 1


def held(connection: Connection, duty: str, now: float) -> bool:
    """Whether some process has the duty now."""
    rows = select(duties.c.owner).where(duties.c.duty == duty, duties.c.until > now)
    return connection.execute(rows).first() is not None


def release(connection: Connection, duty: str, owner: str) -> None:
    """Gives a duty back at once, so that the next process need not wait for its end."""
    connection.execute(delete(duties).where(duties.c.duty == duty, duties.c.owner == owner))


@dataclass(frozen=True, slots=True)
class Notice:
    """Something amiss that health answers name."""

    subject: str
    text: str
    since: float


def report(connection: Connection, subject: str, text: str, now: float) -> None:
    """Says what is amiss with the subject, keeping the time since when."""
    statement = insert(connection, notices).values(subject=subject, text=text, since=now)
    connection.execute(statement.on_conflict_do_update(index_elements=["subject"], set_={"text": text}))


def clear(connection: Connection, subject: str) -> None:
    """The subject is well again."""
    connection.execute(delete(notices).where(notices.c.subject == subject))


def amiss(connection: Connection) -> list[Notice]:
    """All that is amiss now."""
    rows = connection.execute(
        select(notices.c.subject, notices.c.text, notices.c.since).order_by(notices.c.subject)
    )
    return [Notice(*row) for row in rows]


def found_lookup(connection: Connection, account: str) -> str | None:
    """How the account's references lead to call ids, once that was found out: `direct` or `search`."""
    return connection.execute(select(accounts.c.lookup).where(accounts.c.account == account)).scalar()


def remember_lookup(connection: Connection, account: str, lookup: str) -> None:
    statement = insert(connection, accounts).values(account=account, lookup=lookup)
    connection.execute(statement.on_conflict_do_update(index_elements=["account"], set_={"lookup": lookup}))


class Reconciled(NamedTuple):
    """When reconciliation of an account began, and until when the platform's calls were looked at."""

    first: float
    last: float


def reconciled(connection: Connection, account: str, now: float) -> Reconciled:
    """How far the account is reconciled; it begins now where it never was."""
    a = accounts.c
    begun = insert(connection, accounts).values(account=account, reconciled_from=now, reconciled_until=now)
    first_time = {"reconciled_from": now, "reconciled_until": now}
    connection.execute(
        begun.on_conflict_do_update(
            index_elements=["account"], set_=first_time, where=a.reconciled_from.is_(None)
        )
    )
    row = connection.execute(select(a.reconciled_from, a.reconciled_until).where(a.account == account)).one()
    return Reconciled(*row)


def remember_reconciled(connection: Connection, account: str, until: float) -> None:
    this = update(accounts).where(accounts.c.account == account)
    connection.execute(this.values(reconciled_until=until))


@dataclass(frozen=True, slots=True)
class PlatformTag:
    """A tag's definition on the platform: its name there now, and its id, None once it was deleted."""

    id: str | None
    known_as: str


def tags_on_platform(connection: Connection, account: str) -> dict[str, PlatformTag]:
    """The platform's tags as last read, by the name that rules give."""
    t = platform_tags.c
    rows = connection.execute(select(t.name, t.tag_id, t.known_as).where(t.account == account))
    return {name: PlatformTag(tag_id, known_as) for name, tag_id, known_as in rows}


def keep_tags(connection: Connection, account: str, tags: Mapping[str, PlatformTag]) -> None:
    """Replaces what is known of the account's tags."""
    connection.execute(delete(platform_tags).where(platform_tags.c.account == account))
    rows = [
        {"account": account, "name": name, "tag_id": tag.id, "known_as": tag.known_as}
        for name, tag in tags.items()
    ]
    if rows:
        statement = insert(connection, platform_tags).values(rows)
        connection.execute(statement.on_conflict_do_nothing())
