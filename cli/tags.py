"""The operator's command `calltag tags`: the definitions of tags on the platform."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.options import Config, Form, Format, Yes

app = typer.Typer(
    help="Look at the tags on the platform, and change their definitions.", no_args_is_help=True
)


class MapFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    CSV = "csv"


Account = Annotated[
    str | None,
    typer.Option(help="The account, where several are configured.", metavar="NAME", show_default=False),
]
Name = Annotated[str, typer.Argument(help="The tag's name.", metavar="NAME", show_default=False)]


@app.command("list")
def list_tags(account: Account = None, form: Form = Format.TEXT, config: Config = None) -> None:
    """List the tags on the platform: on how many calls each stands by calltag, and which rules give it."""
    from cli.tag_definitions import tell_tags

    tell_tags(config, form, account)


@app.command()
def sync(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Take the tags of this file: *.csv or *.json with name, color, description.",
            metavar="FILE",
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Change colours and descriptions that differ.")
    ] = False,
    account: Account = None,
    form: Annotated[
        MapFormat, typer.Option("--format", help="text, or json; with --from also csv.")
    ] = MapFormat.TEXT,
    config: Config = None,
) -> None:
    """Make the tags on the platform that the rules' `tags` has, and say what is not as it should be.

    That is: colours and descriptions that differ, tags that were renamed there, tags that no rule gives, and
    rules whose tag does not exist. With --from it prints the id of each tag of the file. It may be repeated.
    Exits with 1 if the platform refused a tag.
    """
    from cli.tag_definitions import sync, sync_file

    if source is None:
        sync(config, form, account, apply)
    else:
        sync_file(config, form, account, apply, source)


@app.command()
def rename(
    old: Annotated[str, typer.Argument(help="Its name now.", metavar="OLD", show_default=False)],
    new: Annotated[str, typer.Argument(help="Its name from now on.", metavar="NEW", show_default=False)],
    account: Account = None,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Rename a tag on the platform, on all its calls. Rules that give it by its old name go on giving it."""
    from cli.tag_definitions import rename

    rename(config, form, account, old, new)


@app.command()
def delete(
    name: Name,
    account: Account = None,
    yes: Yes = False,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Delete a tag on the platform, which takes it off every call for good; says how many, and asks."""
    from cli.tag_definitions import delete

    delete(config, form, account, name, yes)
