"""What tests of the rules share: sets and conditions from the text that an author would write."""

from typing import Any

from rules import reference
from rules.evaluate import Evaluation, evaluate
from rules.facts import facts_from_json
from rules.faults import RuleSetFaults
from rules.loader import parse
from rules.ruleset import RuleSet

SECTIONS = """\
lists: {vips: ["+33612345678", "+33698765432"], words: [alpha, beta]}
schedules:
  office: {mon-fri: ["09:00-12:30", "13:30-18:00"], sat: ["10:00-12:00"], closed: ["2026-12-25"]}
  night: {fri-mon: ["22:00-02:30"], closed: ["2026-11-20"]}
"""


def rule_set(text: str) -> RuleSet:
    return parse({"rules.yaml": f"version: 1\n{text}".encode()})


def faults(text: str) -> list[str]:
    """The messages about a file that begins with `version: 1`, without their places."""
    try:
        parse({"rules.yaml": f"version: 1\n{text}".encode()})
    except RuleSetFaults as found:
        return [fault.message for fault in found.faults]
    return []


def outcome(condition: str, timezone: str = "Europe/Paris", /, **facts: Any) -> str:
    """What a condition is for a call; `__` in a fact's name stands for a dot. Both evaluators must agree."""
    ruleset = rule_set(
        f"timezone: {timezone}\n{SECTIONS}rules:\n  - id: r\n    when: {condition}\n    tag: T\n"
    )
    return tags_of(ruleset, **facts).rules["r"].value


def tags_of(ruleset: RuleSet, **facts: Any) -> Evaluation:
    known = facts_from_json({name.replace("__", "."): value for name, value in facts.items()})
    evaluation = evaluate(ruleset, known)
    assert evaluation == reference.evaluate(ruleset, known)
    return evaluation
