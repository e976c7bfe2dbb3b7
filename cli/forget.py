"""`calltag calls forget`: erases what the store has of one call or one person."""

from pathlib import Path

import typer

from cli.errors import UserError
from cli.operating import Store, check_account, find_call, opened
from cli.options import Format
from cli.told import ask, number, refuse, tell_json
from worker import forgetting
from worker.forgetting import Person


def forget(
    config: Path | None, form: Format, ref: str | None, of: str | None, account: str | None, yes: bool
) -> None:
    """Erases after asking, and says how much; exits with 1 when nothing fits or something was left."""
    if (ref is None) == (of is None):
        raise UserError("say which call (REF), or whose calls (--number), and not both")
    with opened(config) as store:
        person = _found(store, ref, of, account)
        if not (person.calls or person.events):
            refuse("nothing is known of that number")
        about = forgetting.number_of_events(store.database, person)
        ask(f"Erase {number(len(person.calls), 'call')} and {number(about, 'event')} for ever?", yes)
        erased = forgetting.forget(store.database, store.settings, person)
    left = len(person.calls) - len(erased.calls)
    if form is Format.JSON:
        tell_json({"calls": len(erased.calls), "events": erased.events, "left": left})
    else:
        typer.echo(f"erased: {number(len(erased.calls), 'call')} and {number(erased.events, 'event')}")
    if left:
        refuse(f"{number(left, 'call')} could not be erased, since workers had them all the time; try again")


def _found(store: Store, ref: str | None, of: str | None, account: str | None) -> Person:
    if ref is not None:
        call = find_call(store, ref)
        return Person([call.id], [])
    if account is not None:
        check_account(store, account)
    try:
        return forgetting.find(store.database, store.settings, account, of or "")
    except ValueError as fault:
        raise UserError(f"--number: '{of}' {fault}") from None
