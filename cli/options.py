"""Options that many commands have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


class Queue(StrEnum):
    LIVE = "live"
    BATCH = "batch"


class CallState(StrEnum):
    DUE = "due"
    RUNNING = "running"
    DONE = "done"
    DECIDED = "decided"
    PARKED = "parked"
    DEAD = "dead"


class EventState(StrEnum):
    NEW = "new"
    LINKED = "linked"
    IGNORED = "ignored"
    DEAD = "dead"


TIMES = "2h or 3d ago, 2026-12-25 (UTC), or 2026-12-25T18:00:00+01:00"

Config = Annotated[
    Path | None,
    typer.Option(help="A TOML file of settings; the environment wins over it.", exists=True, dir_okay=False),
]
Form = Annotated[Format, typer.Option("--format", help="text for people, or json for programs.")]
Account = Annotated[str | None, typer.Option(help="Only this account, such as sipsim.", show_default=False)]
Since = Annotated[
    str | None, typer.Option(help=f"Only what was received since then: {TIMES}.", metavar="TIME")
]
Until = Annotated[
    str | None, typer.Option(help="Only what was received before then, written alike.", metavar="TIME")
]
Reason = Annotated[
    str | None, typer.Option(help="Only what has this text in its reason, in any case.", metavar="TEXT")
]
Number = Annotated[
    str | None, typer.Option(help="Only calls from or to this phone number.", metavar="NUMBER")
]
Reference = Annotated[
    str | None, typer.Option("--ref", help="Only the call that has this reference.", metavar="REF")
]
Tag = Annotated[str | None, typer.Option(help="Only calls to which calltag gave this tag.", metavar="NAME")]
Rule = Annotated[str | None, typer.Option(help="Only calls that this rule gave a tag.", metavar="ID")]
Count = Annotated[bool, typer.Option("--count", help="Count by state and reason, instead of listing.")]
Limit = Annotated[int, typer.Option(help="Lines at most.", min=1, max=1000)]
Before = Annotated[
    int | None, typer.Option(help="Go on after the last id of the page before.", metavar="ID", min=1)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Ref = Annotated[
    str,
    typer.Argument(
        help="A reference of the call: ACCOUNT:REF, or REF where one account is configured.",
        metavar="REF",
        show_default=False,
    ),
]
