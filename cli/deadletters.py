"""`calltag deadletters`: how many were given up and why, and driving them again."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from cli.operating import opened, read_filter, wake
from cli.options import Format
from cli.told import ask, number, refuse, tell_json, tell_table
from worker import deadletters


def tell_dead(config: Path | None, form: Format, given: Mapping[str, Any]) -> None:
    """Counts dead calls and events by reason; exits with 1 when there is none."""
    with opened(config) as store:
        wanted = read_filter(store, **given, state="dead")
        with store.database.read() as connection:
            rows = deadletters.by_reason(connection, wanted, time.time())
    if form is Format.JSON:
        tell_json([{"of": of, "reason": one.reason, "number": one.number} for of, one in rows])
    elif rows:
        tell_table(("number", "of", "reason"), [(one.number, of, one.reason) for of, one in rows])
    if not rows:
        refuse("no dead letter fits")


def retry_dead(config: Path | None, form: Format, given: Mapping[str, Any], yes: bool) -> None:
    """Drives what fits again, after asking; exits with 1 when there is none or the person does not agree."""
    with opened(config) as store:
        dead = deadletters.fitting(store.database, read_filter(store, **given, state="dead"))
        if not dead.calls and not dead.events:
            refuse("no dead letter fits that could be driven again")
        ask(f"Drive {number(len(dead.calls), 'call')} and {number(len(dead.events), 'event')} again?", yes)
        driven = deadletters.again(store.database, dead)
        told = wake(store.settings, driven.calls, events=bool(driven.events))
    if form is Format.JSON:
        tell_json({"calls": len(driven.calls), "events": len(driven.events), "told": told})
    else:
        due, again = number(len(driven.calls), "call is", "calls are"), number(len(driven.events), "event")
        typer.echo(f"{due} due again, {again} will be read again; {told}")
