"""Traces, test results and catalogues as text for a terminal."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.rules_files import file_of, number

if TYPE_CHECKING:
    from rules.evaluation import Evaluation
    from rules.testing import Result
    from rules.trace import RuleTrace, Step

COLORS = {
    "true": "green",
    "false": "red",
    "unknown": "yellow",
    "skipped": "bright_black",
    "off": "bright_black",
}
LONGEST_VALUE = 60


def show_explanation(path: Path, evaluation: "Evaluation", traces: "Iterable[RuleTrace]") -> None:
    """The tags, and the tree of every rule."""
    typer.echo(f"tags: {', '.join(evaluation.tags) or 'none'}")
    if evaluation.shadow_tags:
        typer.echo(f"shadow rules would give: {', '.join(evaluation.shadow_tags)}")
    for removal in evaluation.remove:
        typer.echo(f"taken off: {removal.tag}, since {removal.why}")
    for trace in traces:
        typer.echo()
        show_rule(path, trace)


def show_rule(path: Path, trace: "RuleTrace") -> None:
    notes = [f"gives {', '.join(trace.tags)}"] if trace.outcome == "true" and trace.tags else []
    notes += [] if trace.mode == "live" else [trace.mode.value]
    notes += [f"skipped by {trace.skipped_by}"] if trace.skipped_by else []
    notes += [f"{tag} lost its group to {winner}" for tag, winner in trace.lost]
    typer.echo(
        f"{_truth(trace.outcome.value)}{typer.style(trace.id, bold=True)}  {'; '.join(notes)}".rstrip()
    )
    if trace.step:
        typer.echo("\n".join(step_lines(path, trace.step)))


def step_lines(path: Path, step: "Step", depth: int = 1) -> Iterator[str]:
    """One line a condition: its truth, its text, the value found, its place; what decided is marked."""
    value = f"  found {_value(step.value)}" if step.compares else ""
    mark = typer.style("  <- decides", bold=True) if step.decides and not step.items else ""
    place = typer.style(f"  {file_of(path, step.place.file)}:{step.place.line}:{step.place.column}", dim=True)
    yield f"{_truth(step.truth.value)}{'  ' * depth}{step.text}{value}{mark}{place}"
    for item in step.items:
        yield from step_lines(path, item, depth + 1)


def _truth(truth: str) -> str:
    return typer.style(f"{truth:8}", fg=COLORS[truth])


def _value(value: Any) -> str:
    if value is None:
        return "no value"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}... ({len(text)} characters)"


def show_results(path: Path, results: "list[Result]", explain: "Any") -> None:
    """Failed tests with what they expected and why it came otherwise; a last line that counts."""
    failed = [result for result in results if not result.passed]
    for result in failed:
        typer.echo(f"{typer.style('failed', fg='red')}  {title(result)}  {place_of(path, result)}")
        typer.echo("\n".join(failure_lines(path, result, explain(result))) + "\n")
    typer.echo(f"{number(len(results), 'test')}, {len(results) - len(failed)} passed, {len(failed)} failed")


def failure_lines(path: Path, result: "Result", trees: "Iterable[tuple[str, Step]]") -> Iterator[str]:
    """The call, what was expected and what came, and why."""
    yield f"  call      {_call(result)}"
    yield f"  expected  {', '.join(result.expected) or 'no tag'}"
    yield f"  got       {', '.join(result.got) or 'no tag'}"
    for name, step in trees:
        yield f"  {name}"
        yield from step_lines(path, step, 2)


def place_of(path: Path, result: "Result") -> str:
    place = result.test.place
    return f"{file_of(path, place.file)}:{place.line}:{place.column}"


def title(result: "Result") -> str:
    return f"{result.rule.id if result.rule else 'the whole set'}: {result.name}"


def _call(result: "Result") -> str:
    from rules.facts import facts_to_json

    return json.dumps(facts_to_json(result.facts), ensure_ascii=False)


def show_table(columns: list[str], rows: Iterable[Iterable[str]]) -> None:
    """A table as wide as the terminal; where there is none, wide enough to lose nothing."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    (console if console.is_terminal else Console(width=200)).print(table, markup=False)


Row = dict[str, Any]

MARKS = {"webhook": "W", "list": "L", "request": "R"}
LEGEND = (
    "W: a webhook tells it. L: the platform's list of calls has it. R: a request for each call brings it."
)


def show_fields(as_json: bool) -> None:
    """The catalogue of fields, with how each platform fills them: in words, or as letters in its column."""
    from platforms.filled import ways
    from platforms.registry import PLATFORMS
    from rules.fields import CATALOGUE, CUSTOM_FIELD

    rows: list[Row] = []
    for field in (*CATALOGUE, CUSTOM_FIELD):
        filled = {name: [str(way) for way in ways(one, field)] for name, one in PLATFORMS.items()}
        letters = {name: "".join(MARKS[way] for way in found) for name, found in filled.items()}
        row = {
            "field": field.name,
            "type": str(field.type) + (f", {field.unit}" if field.unit else ""),
            "meaning": field.meaning,
            "values": list(field.values),
        }
        rows.append(row | ({"filled by": filled} if as_json else letters))
    show_rows(rows, as_json)
    if not as_json:
        typer.echo(LEGEND)


def operator_rows() -> list[Row]:
    """The catalogue of operators."""
    from rules.fields import CUSTOM_FIELD, Type
    from rules.operators import CATALOGUE

    names = {Type.SCALAR: CUSTOM_FIELD.name}
    return [
        {
            "operator": operator.name,
            "takes": str(operator.takes),
            "holds when": operator.meaning,
            "on": [names.get(type_, str(type_)) for type_ in Type if type_ in operator.types],
            "ignore_case": "yes" if operator.folds else "",
        }
        for operator in CATALOGUE
    ]


def show_rows(rows: list[Row], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    cells = [[cell if isinstance(cell, str) else ", ".join(cell) for cell in row.values()] for row in rows]
    show_table(list(rows[0]), cells)
