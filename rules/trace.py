"""Why the rules decided as they did: every condition with its place, its text, the value and its truth."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rules.conditions import AllOf, AnyOf, Comparison, Condition, Is, Not, Test
from rules.evaluation import OUTCOMES, Applied, Outcome
from rules.facts import Facts, derive, value_to_json
from rules.faults import Place
from rules.reference import Finding, evaluate, find, find_named
from rules.ruleset import Mode, Rule, RuleSet

DEEPEST = 60
"""Levels that a trace shows; named conditions below are shown without their parts."""


@dataclass(frozen=True, slots=True)
class Step:
    """One condition of a trace. `value` is the field's as JSON has it, None where the call has none.

    `compares` says whether there is a value to show at all; it is that of `field`. `decides`: the rule's
    outcome rests on it.
    """

    place: Place
    text: str
    truth: Outcome
    compares: bool
    field: str | None
    value: Any
    decides: bool
    items: "tuple[Step, ...]"

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"place": str(self.place), "text": self.text, "result": self.truth.value}
        found["decides"] = self.decides
        if self.compares:
            found["value"] = self.value
        if self.items:
            found["items"] = [item.to_json() for item in self.items]
        return found


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """What became of one rule. `lost` has its tags that lost their group, each with what won it.

    `step` is the tree of its conditions, also where it was skipped; None where the rule is off.
    """

    id: str
    mode: Mode
    outcome: Outcome
    skipped_by: str | None
    tags: tuple[str, ...]
    lost: tuple[tuple[str, str], ...]
    place: Place
    step: Step | None

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.id,
            "mode": self.mode.value,
            "outcome": self.outcome.value,
            "skipped_by": self.skipped_by,
            "tags": list(self.tags),
            "lost": [{"tag": tag, "to": winner} for tag, winner in self.lost],
            "place": str(self.place),
            "condition": self.step.to_json() if self.step else None,
        }


def trace(
    ruleset: RuleSet, facts: Facts, applied: Sequence[Applied] = (), blocked: Collection[str] = ()
) -> list[RuleTrace]:
    """The trace of every rule, in their order; it always agrees with `evaluate`.

    It shows values of the call: for those only who may see the call.
    """
    evaluation = evaluate(ruleset, facts, applied, blocked)
    known = derive(facts, ruleset.timezone)
    named = find_named(ruleset, known)
    traces = []
    for rule in ruleset.rules:
        outcome = evaluation.rules[rule.id]
        shown = None if rule.mode is Mode.OFF else step_of(find(rule.when, known, named))
        skipped_by = evaluation.stopped_by if outcome is Outcome.SKIPPED else None
        lost = _lost(ruleset, rule, evaluation.winners) if outcome is Outcome.TRUE else ()
        traces.append(RuleTrace(rule.id, rule.mode, outcome, skipped_by, rule.tags, lost, rule.place, shown))
    return traces


def trace_rule(ruleset: RuleSet, rule: Rule, facts: Facts) -> Step:
    """The tree of one rule's condition alone, whatever its mode."""
    known = derive(facts, ruleset.timezone)
    return step_of(find(rule.when, known, find_named(ruleset, known)))


def _lost(ruleset: RuleSet, rule: Rule, winners: Any) -> tuple[tuple[str, str], ...]:
    if rule.mode is not Mode.LIVE:
        return ()
    won = {tag: winners.get(ruleset.group_of(tag), tag) for tag in rule.tags}
    return tuple((tag, winner or "a tag that is not ours") for tag, winner in won.items() if winner != tag)


def step_of(
    finding: Finding,
    decides: bool = True,
    depth: int = 1,
    shown: set[str] | None = None,
    field: str | None = None,
) -> Step:
    """The finding as a trace shows it; a named condition has its parts where it stands first.

    A part decides where the whole does, and is what it is: what `all` or `any` came out as, its parts of the
    same truth made it; `not` and `is` rest on their one part.
    """
    shown = set() if shown is None else shown
    condition = finding.condition
    items = _parts(finding, depth, shown)
    compares = isinstance(condition, Comparison | Test)
    field = condition.field if isinstance(condition, Comparison) else field
    value = None if finding.value is None else value_to_json(finding.value)
    below = tuple(
        step_of(
            item,
            decides and (item.truth == finding.truth or isinstance(condition, Not)),
            depth + 1,
            shown,
            field,
        )
        for item in items
    )
    truth = OUTCOMES[finding.truth]
    return Step(condition.place, _text(condition), truth, compares, field, value, decides, below)


def _parts(finding: Finding, depth: int, shown: set[str]) -> tuple[Finding, ...]:
    """What is shown below: one operator alone stands with its field, a known named condition as its name."""
    condition = finding.condition
    if isinstance(condition, Comparison) and len(finding.items) == 1:
        return ()
    if not isinstance(condition, Is):
        return finding.items
    seen = condition.name in shown or depth > DEEPEST
    shown.add(condition.name)
    return () if seen else finding.items


def _text(condition: Condition | Test) -> str:
    match condition:
        case AllOf():
            return "all"
        case AnyOf():
            return "any"
        case Not():
            return "not"
        case Test(operator=operator, text=text):
            return f"{operator}: {text}"
    return condition.text
