"""Rule sets by hash, and which one is in force."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from store.database import insert
from store.schema import rulesets

SWEEPER, PAGE = "sweeper", "page"
"""Who loads rule sets: the sweeper, which finds them in the rules' path, or the page that publishes them."""


@dataclass(frozen=True, slots=True)
class Version:
    """A rule set that is or was in force; `loaded_by` is who loaded it first, at `loaded_at`."""

    hash: str
    loaded_at: float
    loaded_by: str
    activated_at: float
    """When it came into force last."""
    active: bool


def activate(
    connection: Connection,
    hash: str,
    files: Mapping[str, bytes],
    now: float,
    shadow: Collection[str] = (),
    by: str = SWEEPER,
) -> None:
    """Stores the set and puts it in force, for every process from its next batch on.

    `shadow` are the ids of its shadow rules, `by` is who loaded it first: `SWEEPER` or `PAGE`.
    """
    announce(connection, hash, files, now, shadow, by)
    if active(connection) == hash:
        return
    connection.execute(update(rulesets).where(rulesets.c.active).values(active=False))
    connection.execute(update(rulesets).where(rulesets.c.hash == hash).values(active=True, activated_at=now))


def announce(
    connection: Connection,
    hash: str,
    files: Mapping[str, bytes],
    now: float,
    shadow: Collection[str] = (),
    by: str = SWEEPER,
) -> None:
    """Stores a set that is to come into force, where it is not stored yet."""
    texts = {name: text.decode() for name, text in files.items()}
    new = {"hash": hash, "files": texts, "shadow": list(shadow), "loaded_by": by}
    statement = insert(connection, rulesets).values(new | {"loaded_at": now, "activated_at": now})
    connection.execute(statement.on_conflict_do_nothing(index_elements=["hash"]))


def active(connection: Connection) -> str | None:
    """The hash of the set in force."""
    return connection.execute(select(rulesets.c.hash).where(rulesets.c.active)).scalar()


def in_force(connection: Connection) -> tuple[str, float] | None:
    """The hash of the set in force, and since when it is."""
    row = connection.execute(
        select(rulesets.c.hash, rulesets.c.activated_at).where(rulesets.c.active)
    ).first()
    return (row.hash, row.activated_at) if row else None


def files(connection: Connection, hash: str) -> dict[str, bytes]:
    """The files of a set that once was in force; raises KeyError when there is none of that hash."""
    if "\0" in hash:  # PostgreSQL refuses to look for it
        raise KeyError(hash)
    texts = connection.execute(select(rulesets.c.files).where(rulesets.c.hash == hash)).scalar()
    if texts is None:
        raise KeyError(hash)
    return {name: text.encode() for name, text in texts.items()}


def versions(connection: Connection, most: int, before: float | None = None) -> list[Version]:
    """Those that came into force last, newest first; `before` is the time of the last one of the page
    before."""
    c = rulesets.c
    rows = select(c.hash, c.loaded_at, c.loaded_by, c.activated_at, c.active)
    rows = rows.order_by(c.activated_at.desc(), c.hash).limit(most)
    if before is not None:
        rows = rows.where(c.activated_at < before)
    return [Version(*row) for row in connection.execute(rows)]


def version(connection: Connection, hash: str) -> Version | None:
    """One of them, or None."""
    if "\0" in hash:  # PostgreSQL refuses to look for it
        return None
    c = rulesets.c
    rows = select(c.hash, c.loaded_at, c.loaded_by, c.activated_at, c.active).where(c.hash == hash)
    row = connection.execute(rows).first()
    return Version(*row) if row else None
