"""The operator's commands `calltag calls`, `events` and `deadletters`; their work is in modules so named."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import (
    TIMES,
    Account,
    Before,
    CallState,
    Config,
    Count,
    EventState,
    Form,
    Format,
    Limit,
    Number,
    Reason,
    Ref,
    Reference,
    Rule,
    Since,
    Tag,
    Until,
    Yes,
)

calls = typer.Typer(help="Look at calls, and drive them on.", no_args_is_help=True)
events = typer.Typer(help="Look at what the platform sent, and have it read again.", no_args_is_help=True)
deadletters = typer.Typer(
    help="What was given up: calls that could not be tagged, events that could not be read.",
    no_args_is_help=True,
)


@calls.command("list")
def list_calls(
    account: Account = None,
    state: Annotated[CallState | None, typer.Option(help="Only calls in this state.")] = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
    number: Number = None,
    ref: Reference = None,
    tag: Tag = None,
    rule: Rule = None,
    count: Count = False,
    limit: Limit = 50,
    before: Before = None,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """List calls, newest first. The time of a call is the receipt of its first event.

    due: it waits for a worker. running: a worker has it. done: it bears its tags.
    parked: it waits for the platform, and is tried again by itself.
    dead: it was given up; see `calltag deadletters`.
    """
    from cli.calls import tell_calls

    given = {"account": account, "state": state, "since": since, "until": until, "reason": reason,
             "number": number, "reference": ref, "tag": tag, "rule": rule}  # fmt: skip
    tell_calls(config, form, given, count, limit, before)


@calls.command("show")
def show_call(ref: Ref, form: Form = Format.TEXT, config: Config = None) -> None:
    """Show one call: what is known of it, its tags with who put them, why, and its events."""
    from cli.calls import tell_call

    tell_call(config, form, ref)


@calls.command()
def retry(ref: Ref, form: Form = Format.TEXT, config: Config = None) -> None:
    """Have a call evaluated and tagged again now, whatever its state; not while a worker has it."""
    from cli.calls import retry

    retry(config, form, ref)


@calls.command()
def unblock(
    ref: Ref,
    tag: Annotated[str, typer.Argument(help="The tag's name.", metavar="TAG", show_default=False)],
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Let the rules put a tag on a call again that a person took off it."""
    from cli.calls import unblock

    unblock(config, form, ref, tag)


@calls.command()
def fetch(
    since: Annotated[str, typer.Option(help=f"From then on: {TIMES}.", metavar="TIME", show_default=False)],
    until: Annotated[
        str | None, typer.Option(help="Up to then, written alike; by default until now.", metavar="TIME")
    ] = None,
    account: Account = None,
    transcripts: Annotated[
        bool, typer.Option("--transcripts", help="Also what was said: a request for each call. Asks first.")
    ] = False,
    yes: Yes = False,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Fill the store with the calls that the platform lists, without tagging any.

    Rules can then be tried on them: `calltag rules backtest RULES --calls store`.
    Live calls go first. Stopped or killed, the same command goes on: what is there
    already changes nothing.
    """
    from cli.fetch import fetch

    fetch(config, form, since, until, account, transcripts, yes)


@calls.command("import")
def import_calls(
    file: Annotated[
        Path, typer.Argument(help="*.csv, *.jsonl or *.parquet.", metavar="FILE", show_default=False)
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="Which column is a field, or the reference. Repeat it.",
            metavar="FIELD=COLUMN",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(help="Whose calls they are, where several are configured.", show_default=False),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong with the file.")] = False,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Fill the store with calls from a file, without tagging any.

    A column that has a field's name is that field (`calltag rules fields`), and
    `reference` is the call's id on the platform; --map duration=Seconds names others.
    The same file a second time changes nothing. Exits with 1 if lines were bad:
    they are told, and the others are imported.
    """
    from cli.import_calls import import_calls

    import_calls(config, form, file, mapping or [], account, check)


@calls.command()
def forget(
    ref: Annotated[
        str | None,
        typer.Argument(help="The call: ACCOUNT:REF, or REF.", metavar="REF", show_default=False),
    ] = None,
    number: Annotated[
        str | None,
        typer.Option(help="Every call from or to this phone number.", metavar="NUMBER"),
    ] = None,
    account: Account = None,
    yes: Yes = False,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Erase a person's data: one call, or every call from or to a number. It cannot be undone.

    Facts, numbers, decisions and the bodies of the events go. What stays is a row
    that says that the call was forgotten, and when. Its tags on the platform stay
    as they are, and it is never evaluated again.
    """
    from cli.forget import forget

    forget(config, form, ref, number, account, yes)


@events.command("list")
def list_events(
    account: Account = None,
    state: Annotated[EventState | None, typer.Option(help="Only events in this state.")] = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
    number: Number = None,
    ref: Reference = None,
    tag: Tag = None,
    rule: Rule = None,
    count: Count = False,
    limit: Limit = 50,
    before: Before = None,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """List what the platform sent, newest first.

    new: it waits to be read. linked: it belongs to a call, and is found by what
    its call is found by. ignored: it concerns no call. dead: it cannot be read.
    """
    from cli.events import tell_events

    given = {"account": account, "state": state, "since": since, "until": until, "reason": reason,
             "number": number, "reference": ref, "tag": tag, "rule": rule}  # fmt: skip
    tell_events(config, form, given, count, limit, before)


EventId = Annotated[
    int,
    typer.Argument(help="The event's id, as in the list.", metavar="ID", min=1, show_default=False),
]
EventIds = Annotated[
    list[int],
    typer.Argument(help="The events' ids, as in the list.", metavar="ID...", min=1, show_default=False),
]


@events.command("show")
def show_event(event: EventId, form: Form = Format.TEXT, config: Config = None) -> None:
    """Show one event with its body as it came. That is personal data: mind where you paste it."""
    from cli.events import tell_event

    tell_event(config, form, event)


@events.command()
def replay(events: EventIds, form: Form = Format.TEXT, config: Config = None) -> None:
    """Have dead and ignored events read again, and the calls of linked ones evaluated again."""
    from cli.events import replay

    replay(config, form, events)


@deadletters.command("list")
def list_dead(
    account: Account = None,
    since: Since = None,
    reason: Reason = None,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Count what was given up, by reason. `calltag calls list --state dead` names the calls."""
    from cli.deadletters import tell_dead

    tell_dead(config, form, {"account": account, "since": since, "reason": reason})


@deadletters.command("retry")
def retry_dead(
    account: Account = None,
    since: Since = None,
    reason: Reason = None,
    yes: Yes = False,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Drive dead letters again, all or those that fit: shows how many, asks, and reports."""
    from cli.deadletters import retry_dead

    retry_dead(config, form, {"account": account, "since": since, "reason": reason}, yes)
