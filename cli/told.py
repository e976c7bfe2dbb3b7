"""How the operator's commands tell what they found: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from worker.words import number as number

if TYPE_CHECKING:
    from store.listing import Count

LONGEST = 300
"""Characters of one value that are shown; JSON has all of it."""


def tell_json(found: Any) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


def tell_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on a terminal; elsewhere one line a row, with tabs between the cells."""
    cells = [[cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (columns, *cells):
            typer.echo("\t".join(line))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in cells:
        table.add_row(*map(Text, row))
    Console().print(table)


def tell_counts(counts: Iterable["Count"], as_json: bool) -> None:
    """How many there are, by state and reason."""
    if as_json:
        tell_json([asdict(count) for count in counts])
    else:
        tell_table(
            ("number", "state", "reason"), [(count.number, count.state, count.reason) for count in counts]
        )


def tell_next(last: int | None) -> None:
    """Says how to see the next page, where there is one; not where the rows go."""
    if last is not None:
        typer.echo(f"there are more: --before {last}", err=True)


def cell(value: object) -> str:
    """A value in one line, without what would steer a terminal."""
    if value is None:
        return ""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}... ({len(plain)} characters)"


def moment(at: float | None) -> str:
    """A time in UTC, to the second."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def refuse(why: str) -> NoReturn:
    """Says in one line that there is nothing, or that it is not done; exits with 1."""
    typer.echo(f"calltag: {why}", err=True)
    raise typer.Exit(1)


def ask(question: str, yes: bool) -> None:
    """Goes on when the person agrees, or has said so before; otherwise exits with 1."""
    if yes:
        return
    typer.echo(f"{question} [y/N] ", err=True, nl=False)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # nobody is there to answer
        typer.echo(err=True)
    if answer.strip().lower() not in ("y", "yes"):
        refuse("nothing was done; --yes does it without asking")
