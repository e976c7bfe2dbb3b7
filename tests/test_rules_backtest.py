"""Counting over blocks of columns gives what counting one call after another would."""

from collections import Counter
from datetime import date
from typing import Any

from benchmarks import workload
from rules import reference
from rules.backtest import SAMPLE, Backtest
from rules.block import Block
from rules.evaluation import Outcome
from rules.facts import Facts, moment_of
from rules.ruleset import RuleSet

CALLS = workload.calls(300)
NAMES = [f"line {number}" for number in range(1, len(CALLS) + 1)]


def varied(number: int, seed: int = 2) -> RuleSet:
    """Rules with modes, stops, several tags, and tags in groups."""
    rules: list[dict[str, Any]] = workload.rules(number, seed=seed)
    for at, rule in enumerate(rules):
        rule["tag"] = [f"T{at % 7}", f"G{at % 4}"] if at % 3 else f"T{at % 7}"
        rule["mode"] = {5: "shadow", 7: "off"}.get(at % 9, "live")
        if at % 20 == 18:
            rule |= {"when": {"field": "duration", "gt": 400 + at}, "stop": True}
    content = workload.content(rules) | {"tags": {f"G{at}": {"group": f"g{at % 2}"} for at in range(4)}}
    return workload.parsed(content)


def counted(ruleset: RuleSet, against: RuleSet | None = None, block: int = 77) -> Backtest:
    backtest = Backtest(ruleset, against)
    for at in range(0, len(CALLS), block):
        backtest.add(Block.of(CALLS[at : at + block]), NAMES[at : at + block])
    return backtest


def day_of(facts: Facts, ruleset: RuleSet) -> date | None:
    moment = moment_of(facts)
    return moment.astimezone(ruleset.timezone).date() if moment else None


def tags(ruleset: RuleSet, facts: Facts) -> set[str]:
    return set(reference.evaluate(ruleset, facts).tags)


def test_every_outcome_is_counted_and_the_days_of_the_true_ones() -> None:
    ruleset = varied(60)
    backtest = counted(ruleset)
    evaluations = [reference.evaluate(ruleset, facts) for facts in CALLS]
    found = backtest.rules
    for id_ in ruleset.by_id:
        outcomes = Counter(evaluation.rules[id_] for evaluation in evaluations)
        assert found[id_].outcomes == outcomes
        days = [
            day_of(facts, ruleset)
            for facts, evaluation in zip(CALLS, evaluations, strict=True)
            if evaluation.rules[id_] is Outcome.TRUE
        ]
        assert found[id_].days == Counter(days)
        unknown = [
            name
            for name, evaluation in zip(NAMES, evaluations, strict=True)
            if evaluation.rules[id_] is Outcome.UNKNOWN
        ]
        assert found[id_].unknown == unknown[:SAMPLE]
        assert backtest.share(id_) == outcomes[Outcome.TRUE] / len(CALLS)
    assert {outcome for rule in found.values() for outcome in rule.outcomes} == set(Outcome)
    assert backtest.days == Counter(day_of(facts, ruleset) for facts in CALLS)


def test_tags_are_counted_as_decided() -> None:
    ruleset = varied(60)
    assert counted(ruleset).tags == Counter(tag for facts in CALLS for tag in tags(ruleset, facts))


def test_tags_of_two_sets_are_compared_call_by_call() -> None:
    new, old = varied(60), varied(40, seed=3)
    changes = counted(new, old).changes
    kinds: dict[str, dict[str, list[str]]] = {}
    for facts, name in zip(CALLS, NAMES, strict=True):
        after, before = tags(new, facts), tags(old, facts)
        for tag in after | before:
            kind = "unchanged" if tag in after & before else "gained" if tag in after else "lost"
            kinds.setdefault(tag, {}).setdefault(kind, []).append(name)
    assert changes.keys() == kinds.keys()
    for tag, change in changes.items():
        assert change.counts == {kind: len(names) for kind, names in kinds[tag].items()}
        assert {kind: names for kind, names in change.samples.items() if names} == {
            kind: names[:SAMPLE] for kind, names in kinds[tag].items()
        }


def test_the_values_around_a_threshold_are_counted() -> None:
    backtest = counted(varied(20))
    threshold = next(one for one in backtest.thresholds if one.asks == "wait_time")
    assert threshold.values == Counter(float(facts["wait_time"]) for facts in CALLS)  # type: ignore[arg-type]
