"""`calltag events`: lists, one event with its body, replay."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from cli.operating import opened, read_filter, wake
from cli.options import Format
from cli.told import cell, moment, number, refuse, tell_counts, tell_json, tell_next, tell_table
from store import driving, listing
from store.listing import EventRow
from worker.events import body_of, says


def tell_events(
    config: Path | None, form: Format, given: Mapping[str, Any], count: bool, limit: int, before: int | None
) -> None:
    """Lists or counts the events that fit; exits with 1 when there is none."""
    with opened(config) as store:
        wanted = read_filter(store, **given)
        with store.database.read() as connection:
            if count:
                tell_counts(listing.count_events(connection, wanted), form is Format.JSON)
                return
            rows = listing.list_events(connection, wanted, limit + 1, before)
    page, more = rows[:limit], len(rows) > limit
    if form is Format.JSON:
        tell_json({"events": [row.to_json() for row in page], "next": page[-1].id if more else None})
    elif page:
        tell_table(
            ("id", "received", "account", "event", "from", "state", "body", "reason"), map(_line, page)
        )
        tell_next(page[-1].id if more else None)
    if not page:
        refuse("no event fits")


def _line(row: EventRow) -> tuple[object, ...]:
    body = "kept" if row.emptied_at is None else "dropped"
    return row.id, moment(row.received_at), row.account, row.name, row.source, row.state, body, row.reason


def tell_event(config: Path | None, form: Format, event: int) -> None:
    """Shows an event with its body, and what it says; exits with 1 when there is none."""
    with opened(config) as store, store.database.read() as connection:
        found = listing.one_event(connection, event)
    if found is None:
        refuse(f"there is no event {event}")
    row, body = found
    shown = {**row.to_json(), "body": body_of(body), "says": says(store.settings, row, body)}
    if form is Format.JSON:
        tell_json(shown)
        return
    times = ("received_at", "signed_at", "emptied_at")
    rows = [(name, moment(value) if name in times else value) for name, value in shown.items()]
    tell_table(("what", "value"), [(name, value) for name, value in rows if name not in ("body", "says")])
    for name in ("body", "says"):
        typer.echo(f"\n{name}:\n{_text(shown[name])}")


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return "\n".join(
        "".join(sign if sign.isprintable() else " " for sign in line) for line in text.splitlines()
    )


def replay(config: Path | None, form: Format, ids: Sequence[int]) -> None:
    """Has the events worked on again; exits with 1 when one of them cannot be."""
    with opened(config) as store:
        with store.database.write() as connection:
            result = driving.replay(connection, ids, time.time())
        done = result.events or result.calls
        told = wake(store.settings, result.calls, events=bool(result.events)) if done else "nothing was done"
    if form is Format.JSON:
        refused = {str(event): why for event, why in result.refused.items()}
        tell_json({"events": result.events, "calls": result.calls, "refused": refused, "told": told})
    elif done:
        what = [
            *([f"{number(len(result.events), 'event')} will be read again"] if result.events else []),
            *([f"{number(len(result.calls), 'call')} due again"] if result.calls else []),
        ]
        typer.echo(f"{', '.join(what)}; {told}")
    for event, why in result.refused.items():
        typer.echo(f"calltag: event {event} is not replayed: {cell(why)}", err=True)
    if result.refused:
        raise typer.Exit(1)
