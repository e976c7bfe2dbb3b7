"""Calls of the store, for the commands that try rules on them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cli.errors import UserError
from cli.parts import need_database, read_settings
from rules.evaluate import Applied
from rules.facts import Facts
from rules.loader import parse
from rules.reading import Calls
from store import rulesets
from store.database import Database, Unavailable
from worker.known import Known, known_call, text_of_test
from worker.stored import Bounds, Part, parts, stored_calls


@contextmanager
def opened(config: Path | None) -> Iterator[Database]:
    """The store that the settings name; `UserError` when there is none or it cannot be read."""
    settings = read_settings(config)
    need_database(settings, "nothing is stored yet: there is no {}")
    database = Database(settings.database)
    try:
        yield database
    except Unavailable as fault:
        raise UserError(f"the database cannot be read: {fault}") from None
    finally:
        database.close()


def stored_call(reference: str, config: Path | None) -> tuple[Facts, tuple[Applied, ...]]:
    """The facts of a call and our tags on it, by a reference such as sipsim:call_abc123."""
    with opened(config) as database:
        return _call(database, reference)


def _call(database: Database, reference: str) -> Known:
    account, colon, name = reference.partition(":")
    if not (account and colon and name):
        raise UserError(
            f"'{reference}' is no reference; one is ACCOUNT:REFERENCE, such as sipsim:call_abc123"
        )
    with database.read() as connection:
        known = known_call(connection, account, name)
    if known is None:
        raise UserError(f"no call of the account '{account}' has the reference '{name}'")
    return known


def stored_parts(config: Path | None, asked: Bounds) -> Iterator[Callable[[], Calls]]:
    """What reads each part of the calls that ended and were in that time, in whichever process."""
    with opened(config) as database:
        every = list(parts(database))
    # the connection is closed: SQLite must not share one with processes that are forked meanwhile
    yield from (partial(_read, config, part, asked) for part in every)


def _read(config: Path | None, part: Part, asked: Bounds) -> Calls:
    with opened(config) as database:
        return stored_calls(database, part, asked).within(*asked)


def new_test(reference: str, config: Path | None) -> str:
    """A test of the set in force, from a stored call without what is personal in it."""
    with opened(config) as database:
        facts, _ = _call(database, reference)
        with database.read() as connection:
            hash_ = rulesets.active(connection)
            files = rulesets.files(connection, hash_) if hash_ else {}
    return text_of_test(reference, facts, parse(files) if files else None)
