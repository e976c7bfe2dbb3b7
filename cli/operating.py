"""What the operator's commands share: the store, how calls and times are named, waking the workers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import UserError
from cli.parts import need_database, read_settings
from cli.told import refuse
from store import history, listing
from store.database import Database, Unavailable, migrate
from store.history import Call
from store.listing import Filter
from worker import moments
from worker.celery import CeleryMessages, create_celery
from worker.numbers import spellings
from worker.settings import Settings

BUSY = 10.0
"""Seconds that a command waits for other writers."""
SENT = 1024
"""Calls of which the workers are told at once; the sweeper sends the others."""


@dataclass(frozen=True, slots=True)
class Store:
    settings: Settings
    database: Database


@contextmanager
def opened(config: Path | None, new: bool = False) -> Iterator[Store]:
    """The store that the settings name; raises `UserError` when it cannot be used, or there is none and it is
    not to be made `new`."""
    settings = read_settings(config)
    if not new:
        need_database(settings, "there is no database {}; CALLTAG_DATA_DIR says where `calltag up` keeps it")
    database = Database(settings.database, busy=BUSY)
    try:
        migrate(database)
        yield Store(settings, database)
    except Unavailable as fault:
        raise UserError(f"the database cannot be used: {fault}") from None
    finally:
        database.close()


def read_moment(text: str | None, option: str) -> float | None:
    """Unix seconds of a time as people write it; raises `UserError`."""
    if text is None:
        return None
    try:
        return moments.read_moment(text, time.time())
    except ValueError as fault:
        raise UserError(f"{option}: {fault}") from None


def read_filter(store: Store, number: str | None = None, **given: Any) -> Filter:
    """The filter that the options make; raises `UserError`."""
    for option in ("since", "until"):
        given[option] = read_moment(given.get(option), f"--{option}")
    if (account := given.get("account")) is not None:
        check_account(store, account)
    numbers = None if number is None else read_number(store, number)
    return Filter(**given, numbers=numbers)


def read_number(store: Store, number: str) -> list[str]:
    """The spellings of a phone number; raises `UserError`."""
    try:
        return spellings(store.settings, number)
    except ValueError as fault:
        raise UserError(f"--number: '{number}' {fault}") from None


def check_account(store: Store, account: str) -> None:
    """Raises `UserError` for an account that is neither configured nor known to the store."""
    if account in store.settings.accounts:
        return
    with store.database.read() as connection:
        if listing.has_account(connection, account):
            return
    known = ", ".join(store.settings.accounts) or "none"
    raise UserError(f"no account is named '{account}'; configured: {known}")


def named(store: Store, ref: str) -> tuple[str, str]:
    """Account and reference of `ACCOUNT:REF`, or of `REF` where one account is configured."""
    account, colon, reference = ref.partition(":")
    with store.database.read() as connection:
        known = account in store.settings.accounts or listing.has_account(connection, account)
    if colon and reference and known:
        return account, reference
    if len(store.settings.accounts) != 1:
        configured = ", ".join(store.settings.accounts) or "none"
        raise UserError(f"'{ref}' names no account: say ACCOUNT:REF; configured: {configured}")
    return next(iter(store.settings.accounts)), ref


def find_call(store: Store, ref: str) -> Call:
    """The call; exits with 1 when there is none."""
    account, reference = named(store, ref)
    with store.database.read() as connection:
        found = history.call_by_reference(connection, account, reference, time.time())
    return found or refuse(f"no call of the account '{account}' has the reference '{reference}'")


def wake(settings: Settings, calls: Sequence[int] = (), events: bool = False) -> str:
    """Tells the workers what is due; says in words who will take it up."""
    from worker import log

    log.configure(settings.model_copy(update={"log_level": "error"}), "command")  # it is told below
    messages = CeleryMessages(create_celery(settings))
    if events:
        messages.wake()
    if messages.reachable and calls:
        messages.send(calls[:SENT])
    if not messages.reachable:
        return "the broker cannot be reached: the sweeper sends it on as soon as it can be"
    return "the workers have been told" if len(calls) <= SENT else "the sweeper sends it on"
