"""`calltag rules test`: the results for people, for programs, and for a build server."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.rules_files import file_of
from cli.rules_show import failure_lines, place_of, show_results

if TYPE_CHECKING:
    from rules.ruleset import RuleSet
    from rules.testing import Result
    from rules.trace import Step


class TestFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def test_rules(path: Path, ruleset: "RuleSet", rule: str | None, form: TestFormat) -> bool:
    """Runs and tells the tests; True if all passed."""
    from rules.testing import run_tests

    results = list(run_tests(ruleset, rule))
    if form is TestFormat.JSON:
        typer.echo(
            json.dumps([_as_json(ruleset, result) for result in results], ensure_ascii=False, indent=2)
        )
    elif form is TestFormat.JUNIT:
        typer.echo(_junit(path, ruleset, results))
    else:
        show_results(path, results, lambda result: _explain(ruleset, result))
    return all(result.passed for result in results)


def _explain(ruleset: "RuleSet", result: "Result") -> "Iterator[tuple[str, Step]]":
    """The trees of the rules that the failure is about: its own, or those that name a tag that differs."""
    from rules.trace import trace, trace_rule

    if result.rule:
        yield result.rule.id, trace_rule(ruleset, result.rule, result.facts)
        return
    differ = set(result.expected) ^ set(result.got)
    for found in trace(ruleset, result.facts):
        if found.step and differ & set(found.tags):
            skipped = f", skipped by {found.skipped_by}" if found.skipped_by else ""
            yield f"{found.id} is {found.outcome}{skipped}", found.step


def _as_json(ruleset: "RuleSet", result: "Result") -> dict[str, Any]:
    from rules.facts import facts_to_json

    found: dict[str, Any] = {
        "rule": result.rule.id if result.rule else None,
        "name": result.name,
        "place": str(result.test.place),
        "passed": result.passed,
        "call": facts_to_json(result.facts),
        "expected": _one(result, result.expected),
        "got": _one(result, result.got),
    }
    if not result.passed:
        found["trace"] = [
            {"rule": name, "condition": step.to_json()} for name, step in _explain(ruleset, result)
        ]
    return found


def _one(result: "Result", outcome: tuple[str, ...]) -> Any:
    return outcome[0] if result.rule else list(outcome)


def _printable(text: str) -> str:
    """The text without the characters that XML cannot hold."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "\ufffd" for sign in text)


def _junit(path: Path, ruleset: "RuleSet", results: "list[Result]") -> str:
    from xml.etree import ElementTree as Xml

    from rich.text import Text

    failures = sum(not result.passed for result in results)
    suite = Xml.Element("testsuite", name="rules", tests=str(len(results)), failures=str(failures))
    for result in results:
        place = result.test.place
        group = result.rule.id if result.rule else "the whole set"
        case = Xml.SubElement(
            suite,
            "testcase",
            classname=group,
            name=_printable(result.name),
            file=str(file_of(path, place.file)),
            line=str(place.line),
        )
        if not result.passed:
            message = (
                f"expected {', '.join(result.expected) or 'no tag'}, got {', '.join(result.got) or 'no tag'}"
            )
            lines = [place_of(path, result), *failure_lines(path, result, _explain(ruleset, result))]
            Xml.SubElement(case, "failure", message=message).text = _printable(
                Text.from_ansi("\n".join(lines)).plain
            )
    return Xml.tostring(suite, encoding="unicode")
