"""The rule language, plainly: to be read beside its description, and to hold the compiled evaluator against.

It works out every part of a condition, so that a trace can show each.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any

from rules.conditions import AllOf, AnyOf, Comparison, Condition, Is, Not, Test
from rules.cycles import in_order
from rules.decide import decide
from rules.evaluation import OUTCOMES, Applied, Evaluation, Outcome, Outcomes
from rules.facts import Facts, derive
from rules.literals import seconds_of
from rules.ruleset import Mode, Rule, RuleSet
from rules.text import fold, mentions, nfc, spoken

Truth = bool | None
"""None is unknown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a condition, or of one operator of a comparison; `value` is the field's."""

    condition: Condition | Test
    truth: Truth
    items: "tuple[Finding, ...]" = ()
    value: Any = None


Named = Mapping[str, Finding]


def find_named(ruleset: RuleSet, facts: Facts) -> Named:
    """What is found of the named conditions; `facts` are derived already."""
    found: dict[str, Finding] = {}
    for name in in_order(ruleset.conditions):
        found[name] = find(ruleset.conditions[name], facts, found)
    return found


def find(condition: Condition, facts: Facts, named: Named) -> Finding:
    """What the condition is for these facts, which are derived already."""
    match condition:
        case AllOf(items=items):
            found = tuple(find(item, facts, named) for item in items)
            return Finding(condition, every([item.truth for item in found]), found)
        case AnyOf(items=items):
            found = tuple(find(item, facts, named) for item in items)
            return Finding(condition, some([item.truth for item in found]), found)
        case Not(item=item):
            inner = find(item, facts, named)
            return Finding(condition, opposite(inner.truth), (inner,))
        case Is(name=name):
            return Finding(condition, named[name].truth, (named[name],))
        case Comparison(tests=tests, field=field):
            value = facts.get(field)
            parts = tuple(Finding(test, holds(condition, test, value), (), value) for test in tests)
            return Finding(condition, every([part.truth for part in parts]), parts, value)


def every(truths: list[Truth]) -> Truth:
    """False if any is false, else unknown if any is unknown, else true."""
    if False in truths:
        return False
    return None if None in truths else True


def some(truths: list[Truth]) -> Truth:
    """True if any is true, else unknown if any is unknown, else false."""
    if True in truths:
        return True
    return None if None in truths else False


def opposite(truth: Truth) -> Truth:
    return None if truth is None else not truth


def holds(condition: Comparison, test: Test, value: Any) -> Truth:
    """Whether one operator holds for the field's value (None: the call has none)."""
    if test.operator == "exists":
        return (value is not None) is test.operand
    if value is None:
        return None
    ignore_case = condition.ignore_case and test.operator != "matches"  # its patterns ignore case themselves
    return HOLDS[test.operator](_comparable(value, ignore_case), _comparable(test.operand, ignore_case))


def _comparable(value: Any, ignore_case: bool) -> Any:
    """Texts in NFC, folded where case is ignored; within lists too."""
    if isinstance(value, str):
        return fold(value) if ignore_case else nfc(value)
    if isinstance(value, list | tuple):
        return [_comparable(item, ignore_case) for item in value]
    return value


def kind(value: Any) -> str:
    """What can be compared with what."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _eq(value: Any, operand: Any) -> Truth:
    return bool(value == operand) if kind(value) == kind(operand) else None


def _in(value: Any, operands: list[Any]) -> Truth:
    alike = [operand for operand in operands if kind(operand) == kind(value)]
    return value in alike if alike else None


def _between(value: Any, operands: list[Any]) -> Truth:
    low, high = operands
    if isinstance(value, time):
        second = seconds_of(value)
        return bool(low <= second < high if low < high else second >= low or second < high)
    return bool(low <= value <= high) if kind(value) == kind(low) else None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Truth]:
    return lambda value, operand: compare(value, operand) if kind(value) == kind(operand) else None


def _text(compare: Callable[[str, str], bool]) -> Callable[[Any, list[Any]], Truth]:
    """One text or any of several; on a value that is no text unknown."""

    def test(value: Any, operands: list[Any]) -> Truth:
        return any(compare(value, operand) for operand in operands) if isinstance(value, str) else None

    return test


def _matches(value: str, pattern: Any) -> bool:
    return pattern.regex.search(value.encode("utf-8", "replace")) is not None


HOLDS: Mapping[str, Callable[[Any, Any], Truth]] = {
    "eq": _eq,
    "ne": lambda value, operand: opposite(_eq(value, operand)),
    "gt": _ordered(lambda value, operand: value > operand),
    "gte": _ordered(lambda value, operand: value >= operand),
    "lt": _ordered(lambda value, operand: value < operand),
    "lte": _ordered(lambda value, operand: value <= operand),
    "between": _between,
    "in": _in,
    "not_in": lambda value, operands: opposite(_in(value, operands)),
    "contains": _text(lambda value, operand: operand in value),
    "starts_with": _text(lambda value, operand: value.startswith(operand)),
    "ends_with": _text(lambda value, operand: value.endswith(operand)),
    "mentions": _text(lambda value, operand: mentions(spoken(value), spoken(operand))),
    "matches": _text(_matches),
    "includes": lambda value, operands: any(operand in value for operand in operands),
    "includes_all": lambda value, operands: all(operand in value for operand in operands),
    "during": lambda value, schedule: schedule.holds(value),
}


def evaluate(
    ruleset: RuleSet, facts: Facts, applied: Sequence[Applied] = (), blocked: Collection[str] = ()
) -> Evaluation:
    """What `rules.evaluate.evaluate` gives, worked out plainly."""
    known = derive(facts, ruleset.timezone)
    named = find_named(ruleset, known)
    outcomes: dict[str, Outcome] = {}
    stopped_by = None
    for rule in ruleset.rules:
        outcomes[rule.id] = _outcome(rule, stopped_by, known, named)
        if outcomes[rule.id] is Outcome.TRUE and rule.stop and rule.mode is Mode.LIVE:
            stopped_by = rule.id
    matching = [rule for rule in ruleset.rules if outcomes[rule.id] is Outcome.TRUE]
    live = [rule for rule in matching if rule.mode is Mode.LIVE]
    shadow = [rule for rule in matching if rule.mode is Mode.SHADOW]
    told = {id_: outcome for id_, outcome in outcomes.items() if outcome is not Outcome.FALSE}
    every = Outcomes(ruleset.by_id, lambda: told)
    return decide(ruleset, facts, every, live, shadow, stopped_by, applied, blocked)


def _outcome(rule: Rule, stopped_by: str | None, facts: Facts, named: Named) -> Outcome:
    if rule.mode is Mode.OFF:
        return Outcome.OFF
    if stopped_by is not None and rule.mode is Mode.LIVE:
        return Outcome.SKIPPED
    return OUTCOMES[find(rule.when, facts, named).truth]
