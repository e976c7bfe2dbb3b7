"""`calltag calls`: lists, one call in full, retry and unblock."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from cli.call_text import tell_text
from cli.operating import Store, find_call, named, opened, read_filter, wake
from cli.options import Format
from cli.told import moment, refuse, tell_counts, tell_json, tell_next, tell_table
from store import driving, listing
from store.calls import LEASE
from worker import why
from worker.context import RulesInForce

LOOK_AGAIN = 0.2


def tell_calls(
    config: Path | None, form: Format, given: Mapping[str, Any], count: bool, limit: int, before: int | None
) -> None:
    """Lists or counts the calls that fit; exits with 1 when there is none."""
    with opened(config) as store:
        wanted = read_filter(store, **given)
        now = time.time()
        with store.database.read() as connection:
            if count:
                tell_counts(listing.count_calls(connection, wanted, now), form is Format.JSON)
                return
            rows = listing.list_calls(connection, wanted, now, limit + 1, before)
    page, more = rows[:limit], len(rows) > limit
    if form is Format.JSON:
        tell_json({"calls": [row.to_json() for row in page], "next": page[-1].id if more else None})
    elif page:
        columns = ("id", "call", "first event", "state", "from", "to", "tags", "reason")
        tell_table(columns, [_line(row) for row in page])
        tell_next(page[-1].id if more else None)
    if not page:
        refuse("no call fits")


def _line(row: listing.CallRow) -> tuple[object, ...]:
    names = [f"{row.account}:{reference}" for reference in row.references]
    return row.id, names, moment(row.first_at), row.state, row.caller, row.receiver, row.tags, row.reason


def tell_call(config: Path | None, form: Format, ref: str) -> None:
    """Shows what the API shows."""
    with opened(config) as store:
        account, reference = named(store, ref)
        state = why.State(store.settings, store.database, RulesInForce(store.database))
        found = why.call(state, account, reference)
    if found is None:
        refuse(f"no call of the account '{account}' has the reference '{reference}'")
    if form is Format.JSON:
        tell_json(found)
    else:
        tell_text(found)


def retry(config: Path | None, form: Format, ref: str) -> None:
    """Makes the call due; exits with 1 when it cannot be."""
    with opened(config) as store:
        call = find_call(store, ref)
        with store.database.write() as connection:
            again = driving.retry(connection, [call.id], time.time())
            why_not = driving.refusal(connection, call.id, time.time())
        if not again:
            refuse(f"'{ref}' is not tried again: {why_not}")
        told = wake(store.settings, again)
    if form is Format.JSON:
        tell_json({"due": again, "told": told})
    else:
        typer.echo(f"'{ref}' is due again; {told}")


def unblock(config: Path | None, form: Format, ref: str, tag: str) -> None:
    """Lifts the block, between the leases of the workers; exits with 1 when there is none."""
    with opened(config) as store:
        call = find_call(store, ref)
        if not _unblocked(store, call.id, tag):
            with store.database.read() as connection:
                blocked = driving.blocked_tags(connection, call.id)
            others = f"; blocked on it: {', '.join(blocked)}" if blocked else ""
            refuse(f"the tag '{tag}' is not blocked on '{ref}'{others}")
        told = wake(store.settings, [call.id])
    if form is Format.JSON:
        tell_json({"unblocked": tag, "told": told})
    else:
        typer.echo(f"the rules may put '{tag}' on '{ref}' again; {told}")


def _unblocked(store: Store, call: int, tag: str) -> bool:
    deadline = time.monotonic() + LEASE
    while True:
        try:
            with store.database.write() as connection:
                return driving.unblock(connection, call, tag, time.time())
        except driving.Busy:
            if time.monotonic() > deadline:
                refuse("a worker has the call all the time; try again later")
            time.sleep(LOOK_AGAIN)
