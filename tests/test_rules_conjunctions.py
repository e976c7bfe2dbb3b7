"""Conditions as alternatives of tests that must hold together."""

import pytest

from rules.conditions import Condition
from rules.conjunctions import MOST, Conjunction, TooManyError, certain, conjunctions
from tests.rule_sets import rule_set

NAMED = "conditions: {long: {field: duration, gte: 60, lt: 600}}\n"


def condition(when: str) -> Condition:
    return rule_set(f"{NAMED}rules: [{{id: r, tag: T, when: {when}}}]").rules[0].when


def written(conjunction: Conjunction) -> list[str]:
    return [f"{'' if one.wanted else 'not '}{one.test.operator} {one.test.text}" for one in conjunction]


def alternatives(when: str, wanted: bool = True) -> list[list[str]]:
    named = rule_set(f"{NAMED}rules: [{{id: r, tag: T, when: {{is: long}}}}]").conditions
    return [written(found) for found in conjunctions(condition(when), wanted, named)]


def test_negation_goes_down_to_the_tests() -> None:
    when = "{not: {any: [{field: queue, eq: a}, {not: {is: long}}]}}"
    assert alternatives(when) == [["not eq a", "gte 60", "lt 600"]]
    assert alternatives(when, wanted=False) == [["eq a"], ["not gte 60"], ["not lt 600"]]


def test_any_gives_alternatives_and_all_joins_them() -> None:
    when = "{all: [{any: [{field: queue, eq: a}, {field: queue, eq: b}]}, {field: duration, gt: 5}]}"
    assert alternatives(when) == [["eq a", "gt 5"], ["eq b", "gt 5"]]


def test_too_many_alternatives_are_refused_and_what_is_certain_is_kept() -> None:
    pair = "{any: [{field: queue, eq: a}, {field: queue, eq: b}]}"
    number = MOST.bit_length()
    when = condition(f"{{all: [{', '.join([pair] * number)}, {{field: duration, gt: 5}}]}}")
    with pytest.raises(TooManyError):
        conjunctions(when, True, {})
    assert written(certain(when, {})) == ["gt 5"]
    assert certain(condition(pair), {}) == []
