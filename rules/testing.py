"""The tests beside the rules: run, and told with what they expected."""

from collections.abc import Iterator
from dataclasses import dataclass

from rules.conditions import Written
from rules.evaluate import evaluate, match
from rules.evaluation import OUTCOMES
from rules.facts import Facts
from rules.ruleset import Rule, RuleSet


@dataclass(frozen=True, slots=True)
class Result:
    """One test. `rule` is None for a test of the whole set, whose `expected` and `got` are tags.

    For a test in a rule they are one of `true`, `false`, `unknown`.
    """

    test: Written
    name: str
    rule: Rule | None
    facts: Facts
    expected: tuple[str, ...]
    got: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.expected == self.got


def run_tests(ruleset: RuleSet, rule_id: str | None = None) -> Iterator[Result]:
    """Every test, or those of one rule, in the order of the rules; those of the whole set last."""
    for rule in ruleset.rules:
        if rule_id in (None, rule.id):
            yield from _rule_tests(ruleset, rule)
    if rule_id is None:
        for number, test in enumerate(ruleset.tests, 1):
            got = tuple(sorted(evaluate(ruleset, test.facts).tags))
            yield Result(
                test, test.name or f"test {number}", None, test.facts, tuple(sorted(test.expect)), got
            )


def _rule_tests(ruleset: RuleSet, rule: Rule) -> Iterator[Result]:
    for number, test in enumerate(rule.tests, 1):
        got = OUTCOMES[match(ruleset, rule, test.facts)]
        expected = OUTCOMES[test.match]
        yield Result(test, test.name or f"test {number}", rule, test.facts, (expected.value,), (got.value,))
