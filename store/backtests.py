"""Backtests that people asked for on the pages: one at a time, and what came of each for a day."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from store.database import lock
from store.schema import backtests

ALIVE = 30.0
"""Seconds after its last sign of life in which one that runs is taken to run."""
KEPT = 24 * 3600.0
"""Seconds."""
BEGINNING = 7_302_613  # any number: PostgreSQL's advisory locks are numbers
INTERRUPTED = "it was interrupted"


class Busy(Exception):
    """Another one runs, of the id that this tells."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """One backtest of the rule set of a hash, or of `files` (name to text) that never were one, against that
    of another hash; `total` are the calls that it is to look at."""

    id: str
    files: dict[str, str] | None
    ruleset: str | None
    against: str | None
    asked: dict[str, Any]
    state: str
    reason: str | None
    looked: int
    total: int | None
    result: dict[str, Any] | None
    begun_at: float


def begin(
    connection: Connection,
    rules: Mapping[str, str] | str,
    against: str | None,
    asked: Mapping[str, Any],
    now: float,
) -> str:
    """The id of a new one, of rule files or of the hash of a set; those of yesterday are dropped.

    Raises `Busy`.
    """
    lock(connection, BEGINNING)
    b = backtests.c
    running = select(b.id).where(b.state == "running", b.seen_at > now - ALIVE).limit(1)
    if other := connection.execute(running).scalar():
        raise Busy(other)
    connection.execute(delete(backtests).where(b.begun_at < now - KEPT))
    id_ = secrets.token_hex(16)
    of = {"ruleset": rules} if isinstance(rules, str) else {"files": dict(rules)}
    row = {"id": id_, **of, "against": against, "asked": dict(asked), "state": "running"}
    connection.execute(insert(backtests).values(row | {"begun_at": now, "seen_at": now}))
    return id_


def find(connection: Connection, id_: str, now: float) -> Backtest | None:
    """The backtest, or None; one that has shown no sign of life for long has failed."""
    if "\0" in id_:  # PostgreSQL refuses to look for it
        return None
    row = connection.execute(select(backtests).where(backtests.c.id == id_)).mappings().first()
    if row is None:
        return None
    known = {name: row[name] for name in Backtest.__slots__}
    if row["state"] == "running" and row["seen_at"] <= now - ALIVE:
        known |= {"state": "failed", "reason": INTERRUPTED}
    return Backtest(**known)


def newest(connection: Connection, most: int) -> list[tuple[str, str, dict[str, Any], float]]:
    """Id, state, what was asked, and when, of the last ones."""
    b = backtests.c
    rows = select(b.id, b.state, b.asked, b.begun_at).order_by(b.begun_at.desc()).limit(most)
    return [(id_, state, asked, at) for id_, state, asked, at in connection.execute(rows)]


def show_life(connection: Connection, id_: str, now: float, looked: int, total: int | None = None) -> bool:
    """Notes how far it is; False when it is wanted no more."""
    b = backtests.c
    values = {"looked": looked, "seen_at": now, "total": func.coalesce(total, b.total)}
    running = update(backtests).where(b.id == id_, b.state == "running").values(values)
    return connection.execute(running).rowcount > 0


def end(
    connection: Connection,
    id_: str,
    state: str,
    reason: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    """Ends one that runs: done, failed or stopped. One that has ended stays as it did."""
    b = backtests.c
    values: dict[str, Any] = {"state": state, "reason": reason}
    if result is not None:
        values["result"] = dict(result)
    connection.execute(update(backtests).where(b.id == id_, b.state == "running").values(values))
