"""An account's tokens where renewing them uses up a refresh token, which is good once: one process at a time
renews, and what it got is kept before anybody uses it."""

from dataclasses import dataclass

from sqlalchemy import Connection, or_, select, update

from store.database import insert
from store.schema import credentials


@dataclass(frozen=True, slots=True)
class Kept:
    """An account's tokens, and until when they are good (Unix seconds)."""

    access_token: str
    access_until: float
    refresh_token: str | None = None
    refresh_until: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """What is kept of an account, and up to when its logins have used their limit (Unix seconds)."""

    kept: Kept | None = None
    login_at: float = 0.0


def read(connection: Connection, account: str) -> State:
    """What is kept of the account."""
    row = connection.execute(select(credentials).where(credentials.c.account == account)).first()
    if row is None:
        return State()
    kept = None
    if row.access_token is not None:
        kept = Kept(row.access_token, row.access_until, row.refresh_token, row.refresh_until)
    return State(kept, row.login_at)


def take(connection: Connection, account: str, owner: str, now: float, seconds: float) -> bool:
    """Takes the renewal for so many seconds; False while another one has it."""
    statement = insert(connection, credentials).values(account=account)
    connection.execute(statement.on_conflict_do_nothing(index_elements=["account"]))
    free = or_(credentials.c.lease_owner.is_(None), credentials.c.lease_until <= now)
    mine = update(credentials).where(credentials.c.account == account, free)
    return connection.execute(mine.values(lease_owner=owner, lease_until=now + seconds)).rowcount == 1


def renewed(connection: Connection, account: str, owner: str, kept: Kept, login_at: float) -> bool:
    """Keeps what the renewal brought and gives it back; False when another one has taken it meanwhile."""
    return _end(
        connection,
        account,
        owner,
        access_token=kept.access_token,
        access_until=kept.access_until,
        refresh_token=kept.refresh_token,
        refresh_until=kept.refresh_until,
        login_at=login_at,
    )


def failed(connection: Connection, account: str, owner: str, login_at: float) -> bool:
    """Gives the renewal back, which brought nothing."""
    return _end(connection, account, owner, login_at=login_at)


def _end(connection: Connection, account: str, owner: str, **values: object) -> bool:
    mine = update(credentials).where(credentials.c.account == account, credentials.c.lease_owner == owner)
    return connection.execute(mine.values(lease_owner=None, lease_until=0.0, **values)).rowcount == 1
