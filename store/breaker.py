"""The circuit breaker of an account's platform, shared by the fleet.

Closed: requests are made. After `THRESHOLD` batches in a row without any answer it opens, and nothing is
asked until `open_until`. Then one process at a time may work on one call as a probe: an answer closes it, and
the calls that were parked for it are due again; no answer opens it for twice as long.
"""

from enum import Enum

from sqlalchemy import Connection, and_, or_, select, update

from store.database import insert
from store.schema import breakers, calls

THRESHOLD = 3
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 60.0
"""A platform that is back is noticed within this, and its calls are tagged within two minutes."""
PROBE_TIME = 30.0
"""Seconds that one process has for its probe before another one may try."""
STEP = 5000
"""Calls made due in one transaction, which holds SQLite's write lock."""
FOR_PLATFORM = "platform"
"""What calls wait for that were parked because the platform did not answer."""


class Gate(Enum):
    """Whether requests may be made now."""

    CLOSED = "closed"
    PROBE = "probe"
    OPEN = "open"


def failures(connection: Connection, account: str) -> int:
    """How many batches in a row the platform left without an answer."""
    found = select(breakers.c.failures).where(breakers.c.account == account)
    return connection.execute(found).scalar() or 0


def open_accounts(connection: Connection) -> list[str]:
    """The accounts whose breaker is open."""
    rows = select(breakers.c.account).where(breakers.c.failures >= THRESHOLD).order_by(breakers.c.account)
    return list(connection.execute(rows).scalars())


def enter(connection: Connection, account: str, now: float) -> tuple[Gate, float]:
    """Whether this process may ask the platform, and when calls that may not ask try again."""
    found = select(breakers.c.failures, breakers.c.open_until).where(breakers.c.account == account)
    row = connection.execute(found).first()
    if row is None or row.failures < THRESHOLD:
        return Gate.CLOSED, now
    if row.open_until > now:
        return Gate.OPEN, row.open_until
    mine = update(breakers).where(breakers.c.account == account, breakers.c.open_until <= now)
    taken = connection.execute(mine.values(open_until=now + PROBE_TIME)).rowcount == 1
    return (Gate.PROBE if taken else Gate.OPEN), now + PROBE_TIME


def failed(connection: Connection, account: str, now: float, probe: bool = False) -> bool:
    """Notes that the platform did not answer; True when the breaker opens by it.

    While it is open only a `probe` counts: batches that were under way when it opened say nothing new.
    """
    found = select(breakers.c.open_until).where(breakers.c.account == account, breakers.c.open_until > now)
    if not probe and connection.execute(found).first():
        return False
    statement = insert(connection, breakers).values(account=account, failures=1, open_until=0.0)
    more = {"failures": breakers.c.failures + 1}
    counted = statement.on_conflict_do_update(index_elements=["account"], set_=more)
    in_a_row: int = connection.execute(counted.returning(breakers.c.failures)).scalar_one()
    if in_a_row < THRESHOLD:
        return False
    pause = min(FIRST_PAUSE * 2.0 ** min(in_a_row - THRESHOLD, 16), LONGEST_PAUSE)
    this = update(breakers).where(breakers.c.account == account)
    connection.execute(this.values(open_until=now + pause))
    return in_a_row == THRESHOLD


def answered(connection: Connection, account: str) -> bool:
    """Notes that the platform answered; True when the breaker closes by it: `wake` what waited."""
    before = failures(connection, account)
    this = update(breakers).where(breakers.c.account == account)
    connection.execute(this.values(failures=0, open_until=0.0))
    return before >= THRESHOLD


def wake(connection: Connection, account: str, now: float) -> bool:
    """Makes due some of the calls that wait for the platform; True when there may be more."""
    waiting = and_(
        calls.c.account == account,
        calls.c.state == "parked",
        calls.c.parked_for == FOR_PLATFORM,
        or_(calls.c.next_at > now, calls.c.queued_until > now),
    )
    some = select(calls.c.id).where(waiting).limit(STEP)
    woken = update(calls).where(calls.c.id.in_(some)).values(next_at=now, queued_until=0.0)
    return connection.execute(woken).rowcount == STEP
