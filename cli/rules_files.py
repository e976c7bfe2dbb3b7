"""Rule sets from the command line: loaded, and what is wrong with them told as the author asks."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

if TYPE_CHECKING:
    from rules.faults import Fault
    from rules.ruleset import RuleSet


class FaultFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def load_rules(path: Path) -> "RuleSet":
    """The rule set, with its warnings on standard error; ends with 2 where it has faults."""
    from rules.faults import RuleSetFaults
    from rules.loader import load

    try:
        ruleset = load(path)
    except RuleSetFaults as faults:
        tell(path, faults.faults, sys.stderr)
        raise typer.Exit(2) from None
    tell(path, ruleset.warnings, sys.stderr)
    return ruleset


def tell(path: Path, faults: "Sequence[Fault]", out: TextIO) -> None:
    """Faults or warnings, one a line, with the file as one would open it from here."""
    for fault in faults:
        print(located(path, fault), file=out)


def located(path: Path, fault: "Fault") -> "Fault":
    """The fault with the path of its file as the author gave it."""
    return replace(fault, file=str(file_of(path, fault.file)))


def file_of(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def check_rules(path: Path, strict: bool, form: FaultFormat) -> bool:
    """Tells everything about the set; False where it has faults or, with `strict`, warnings."""
    from rules.faults import RuleSetFaults
    from rules.loader import load

    ruleset: RuleSet | None = None
    try:
        ruleset = load(path)
        found: Sequence[Fault] = ruleset.warnings
    except RuleSetFaults as faults:
        found = faults.faults
    found = [replace(located(path, fault), warning=fault.warning and not strict) for fault in found]
    good = all(fault.warning for fault in found)
    if form is FaultFormat.JSON:
        print(json.dumps({"ok": good, **_summary(ruleset), **_split(found)}, ensure_ascii=False, indent=2))
        return good
    for fault in found:
        print(_annotation(fault) if form is FaultFormat.GITHUB else fault)
    if ruleset and good and form is FaultFormat.TEXT:
        tests = _summary(ruleset)["tests"]
        counts = [number(len(ruleset.rules), "rule"), number(tests, "test"), number(len(found), "warning")]
        print(f"{path}: {', '.join(counts)}, {ruleset.hash}")
    return good


def number(count: int, word: str) -> str:
    """`1 test`, `2 tests`."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def _summary(ruleset: "RuleSet | None") -> dict[str, Any]:
    if ruleset is None:
        return {}
    tests = len(ruleset.tests) + sum(len(rule.tests) for rule in ruleset.rules)
    return {"hash": ruleset.hash, "rules": len(ruleset.rules), "tests": tests}


def _split(found: "Sequence[Fault]") -> dict[str, Any]:
    def as_json(fault: "Fault") -> dict[str, Any]:
        return {"file": fault.file, "line": fault.line, "column": fault.column, "message": fault.message}

    return {
        "faults": [as_json(fault) for fault in found if not fault.warning],
        "warnings": [as_json(fault) for fault in found if fault.warning],
    }


def _annotation(fault: "Fault") -> str:
    """A workflow command of GitHub."""
    kind = "warning" if fault.warning else "error"
    place = f"file={_escaped(fault.file, ':,')},line={fault.line},col={fault.column}"
    return f"::{kind} {place}::{_escaped(fault.message)}"


def _escaped(text: str, more: str = "") -> str:
    return "".join(f"%{ord(sign):02X}" if sign in "%\r\n" + more else sign for sign in text)
