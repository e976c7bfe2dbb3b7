"""Who is logged in to the pages, and how often somebody tried to: rows, so that all web processes agree."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from store.database import lock
from store.schema import login_attempts, sessions

LIFE = 12 * 3600.0
"""Seconds after which one must log in again."""
WINDOW = 900.0
"""Seconds in which failed attempts are counted."""
MOST_FROM_ONE = 10
"""Attempts from one address in that time."""
MOST_IN_ALL = 200
ATTEMPTS = 7_302_614  # any number: PostgreSQL's advisory locks are numbers


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in; `told` is what the next page is to tell them."""

    key: bytes
    role: str
    csrf: str
    told: str | None


def may_try(connection: Connection, address: str, now: float) -> bool:
    """Counts an attempt to log in; False, and nothing counted, when there were too many of late."""
    lock(connection, ATTEMPTS)
    a = login_attempts.c
    connection.execute(delete(login_attempts).where(a.at < now - WINDOW))
    in_all = connection.execute(select(func.count()).select_from(login_attempts)).scalar_one()
    from_one = connection.execute(select(func.count()).where(a.address == address)).scalar_one()
    if from_one >= MOST_FROM_ONE or in_all >= MOST_IN_ALL:
        return False
    connection.execute(insert(login_attempts).values(address=address, at=now))
    return True


def open_session(connection: Connection, key: bytes, role: str, csrf: str, address: str, now: float) -> None:
    """Keeps a new session under the SHA-256 `key`; the attempts of its address are forgiven."""
    connection.execute(delete(sessions).where(sessions.c.until <= now))
    connection.execute(delete(login_attempts).where(login_attempts.c.address == address))
    connection.execute(insert(sessions).values(key=key, role=role, csrf=csrf, until=now + LIFE))


def find(connection: Connection, keys: list[bytes], now: float) -> Session | None:
    """The session that has one of the keys and has not ended."""
    s = sessions.c
    rows = select(s.key, s.role, s.csrf, s.told).where(s.key.in_(keys), s.until > now)
    row = connection.execute(rows).first()
    return Session(bytes(row.key), row.role, row.csrf, row.told) if row else None


def tell(connection: Connection, key: bytes, text: str | None) -> None:
    """Keeps what the next page is to tell, or None when it was told."""
    connection.execute(update(sessions).where(sessions.c.key == key).values(told=text))


def close(connection: Connection, key: bytes) -> None:
    """Ends the session."""
    connection.execute(delete(sessions).where(sessions.c.key == key))
