"""`calltag rules`: what a rule author checks, tries and tests with, before a rule is live."""

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from cli.errors import UserError
from cli.rules_backtest import BacktestFormat
from cli.rules_files import FaultFormat, check_rules, load_rules
from cli.rules_tests import TestFormat, test_rules

if TYPE_CHECKING:
    from rules.evaluation import Applied
    from rules.facts import Facts
    from rules.ruleset import RuleSet

app = typer.Typer(help="Check, try and test rules before they are live.", no_args_is_help=True)


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


RulesPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A rule file, or a folder of *.yaml files.", show_default=False)
]
CallsPath = Annotated[
    Path,
    typer.Argument(metavar="CALLS", help="Calls, one JSON object a line; - is stdin.", show_default=False),
]
Config = Annotated[
    Path | None,
    typer.Option(help="A TOML file with settings; the environment wins over it.", metavar="FILE"),
]
OneRule = Annotated[str | None, typer.Option("--rule", metavar="ID", help="Only this rule.")]


@app.command()
def check(
    path: RulesPath,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are faults too.")] = False,
    form: Annotated[FaultFormat, typer.Option("--format", help="How to tell it.")] = FaultFormat.TEXT,
) -> None:
    """Tell everything that is wrong with rules: file:line:column: message. Exits with 1 if anything is."""
    if not check_rules(path, strict, form):
        raise typer.Exit(1)


@app.command(name="test")
def run(
    path: RulesPath,
    rule: OneRule = None,
    form: Annotated[TestFormat, typer.Option("--format", help="How to tell it.")] = TestFormat.TEXT,
) -> None:
    """Run the tests beside the rules. Exits with 1 if one fails, with 2 if the rules are broken."""
    ruleset = load_rules(path)
    check_rule(ruleset, rule)
    if not test_rules(path, ruleset, rule, form):
        raise typer.Exit(1)


@app.command(name="eval")
def eval_(path: RulesPath, calls: CallsPath) -> None:
    """Say for each call which tags it gets: a line of JSON in, a line of JSON out.

    A line is the call's facts by field name, such as {"duration": 1801}; our tags that are on the call may
    stand beside them as "applied": [{"tag": ..., "rule": ...}]. Exits with 1 if a line was bad.
    """
    import orjson

    from rules.lines import evaluate_line

    ruleset = load_rules(path)
    bad = False
    for number, line in enumerate(read_lines(calls), 1):
        answer = evaluate_line(ruleset, line, number)
        bad = bad or "error" in answer
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
    if bad:
        raise typer.Exit(1)


@app.command()
def explain(
    path: RulesPath,
    call: Annotated[
        Path | None, typer.Option("--call", metavar="FILE", help="A call as a JSON object; - is stdin.")
    ] = None,
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="ACCOUNT:REF", help="A stored call: sipsim:call_abc123.")
    ] = None,
    rule: OneRule = None,
    config: Config = None,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Default: text on a terminal, JSON elsewhere.", show_default=False),
    ] = None,
) -> None:
    """Show why each rule says what it says of one call: every condition with the value found."""
    from cli.rules_show import show_explanation
    from rules.evaluate import evaluate
    from rules.lines import evaluation_to_json
    from rules.trace import trace

    ruleset = load_rules(path)
    check_rule(ruleset, rule)
    facts, applied = one_call(call, ref, config)
    evaluation = evaluate(ruleset, facts, applied)
    traces = [found for found in trace(ruleset, facts, applied) if rule in (None, found.id)]
    if (form or (Format.TEXT if sys.stdout.isatty() else Format.JSON)) is Format.TEXT:
        show_explanation(path, evaluation, traces)
    else:
        found = evaluation_to_json(evaluation) | {"rules": [found.to_json() for found in traces]}
        print(json.dumps(found, ensure_ascii=False, indent=2))


def one_call(file: Path | None, ref: str | None, config: Path | None) -> "tuple[Facts, tuple[Applied, ...]]":
    """The call that the author names, and our tags on it."""
    from rules.facts import FactError
    from rules.lines import read_line

    if (file is None) == (ref is None):
        raise UserError("one call is needed: --call FILE, or --ref ACCOUNT:REFERENCE")
    if ref is not None:
        from cli.rules_store import stored_call

        return stored_call(ref, config)
    assert file is not None  # noqa: S101  (one of the two)
    try:
        facts, applied = read_line(b"".join(read_lines(file)))
    except FactError as fault:
        raise UserError(f"{file}: {fault}") from None
    return facts, applied or ()


@app.command(name="new-test")
def new_test(
    ref: Annotated[
        str, typer.Option("--ref", metavar="ACCOUNT:REF", help="A stored call: sipsim:call_abc123.")
    ],
    config: Config = None,
) -> None:
    """Print a test from a stored call, without numbers, names and what was said.

    It expects what the rules in force say of what is left; put it into a rule file and change it.
    """
    from cli import rules_store

    print(rules_store.new_test(ref, config))


@app.command()
def backtest(
    path: RulesPath,
    calls: Annotated[
        Path,
        typer.Option(
            "--calls", metavar="FILE|store", help="*.csv, JSON lines, -, or store.", show_default=False
        ),
    ],
    against: Annotated[
        Path | None, typer.Option("--against", metavar="OLD", help="Older rules, to compare the tags with.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only calls from then on.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="Only calls until then.")
    ] = None,
    config: Config = None,
    form: Annotated[BacktestFormat, typer.Option("--format", help="How to tell it.")] = BacktestFormat.TEXT,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.html", help="Also write a page with charts.")
    ] = None,
) -> None:
    """Count what rules would have done with many calls: per rule, per tag, and against older rules.

    Exits with 1 if lines of the file could not be read; they are told, and not counted.
    """
    from cli.rules_backtest import count, moment, parts_of, tell
    from cli.rules_plot import write_page
    from rules.backtest import Backtest

    ruleset = load_rules(path)
    counted = Backtest(ruleset, load_rules(against) if against else None)
    first, last = moment(since, "--since", ruleset, False), moment(until, "--until", ruleset, True)
    bad = count(counted, parts_of(calls, ruleset, config, (first, last)))
    tell(counted, form)
    if plot:
        write_page(plot, counted)
    if bad:
        raise typer.Exit(1)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The rules before.", show_default=False)],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The rules after.", show_default=False)],
    form: Annotated[Format, typer.Option("--format", help="How to tell it.")] = Format.TEXT,
) -> None:
    """Say what changed in meaning from one rule set to another; layout, comments and tests do not count."""
    from rules.diff import differences

    found = differences(load_rules(old), load_rules(new))
    if form is Format.JSON:
        print(json.dumps([change.to_json() for change in found], ensure_ascii=False, indent=2))
        return
    for change in found:
        typer.echo(str(change))
    if not found:
        typer.echo("the two mean the same")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a rule file, by which an editor completes and checks.

    Put `# yaml-language-server: $schema=FILE` on the first line of a rule file.
    """
    from rules.schema import schema as of_rules

    print(json.dumps(of_rules(), ensure_ascii=False, indent=1))


@app.command()
def fields(form: Annotated[Format, typer.Option("--format", help="How to tell it.")] = Format.TEXT) -> None:
    """List what a rule can ask of a call, and what each platform fills."""
    from cli.rules_show import show_fields

    show_fields(form is Format.JSON)


@app.command()
def operators(
    form: Annotated[Format, typer.Option("--format", help="How to tell it.")] = Format.TEXT,
) -> None:
    """List how a field can be compared."""
    from cli.rules_show import operator_rows, show_rows

    show_rows(operator_rows(), form is Format.JSON)


def check_rule(ruleset: "RuleSet", rule: str | None) -> None:
    """Refuses the id of a rule that the set has not."""
    from rules.words import did_you_mean

    if rule is not None and rule not in ruleset.by_id:
        raise UserError(f"no rule '{rule}' in this set{did_you_mean(rule, ruleset.by_id)}")


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of the file, or of standard input for `-`."""
    if str(path) == "-":
        yield from sys.stdin.buffer
        return
    with open_file(path) as file:
        yield from file


def open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as fault:
        raise UserError(f"{path} cannot be read: {fault.strerror}") from None
