"""Looking through a text for all of it at once."""

import random
import re
from typing import Any

import pytest

from rules.conditions import AllOf, Comparison
from rules.scan import Scan, Sought, regexes, sought
from tests.rule_sets import rule_set


def scan(when: str, memory: int | None = None) -> Scan:
    condition = rule_set(f"rules: [{{id: r, tag: T, when: {when}}}]").rules[0].when
    parts = condition.items if isinstance(condition, AllOf) else (condition,)
    items: list[Sought] = []
    compiled: dict[Sought, Any] = {}
    for part in parts:
        assert isinstance(part, Comparison)
        items += sought(part, part.tests[0])
        compiled |= regexes(part, part.tests[0])
    return Scan(items, compiled) if memory is None else Scan(items, compiled, memory)


def found(scan: Scan, text: str) -> set[str]:
    return {item.text for item in scan.find(text)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A REFUND, please", {"refund", "a refund"}),
        ("refunds", set()),
        ("_refund", set()),
        ("été", {"été"}),
        ("l'été!", {"été"}),
        ("étés", set()),
        ("refundé", set()),
        ("érefund", set()),
        ("refund²", {"refund"}),
        ("refund\u0301", set()),
        ("«refund»", {"refund"}),
        ("a \u00a0\n refund", {"refund", "a refund"}),
        ("a\x1crefund", {"refund"}),
        ("#1", {"#1"}),
        ("a#1", set()),
        ("##1", {"#1"}),
        ("#12", set()),
        ("", set()),
    ],
)
def test_phrases_are_found_as_whole_words(text: str, said: set[str]) -> None:
    looked = scan('{field: transcript, mentions: [refund, a refund, été, "#1"]}')
    assert found(looked, text) == said


def test_parts_and_patterns_are_found_in_one_pass() -> None:
    looked = scan(
        '{all: [{field: transcript, contains: ["a.b", é]}, {field: transcript, matches: "[0-9]{3}$"}]}'
    )
    assert found(looked, "xa.bx 123") == {"a.b", "[0-9]{3}$"}
    assert found(looked, "axb e\u0301 12") == {"é"}


def test_a_pattern_ignores_case_all_through() -> None:
    looked = scan('{field: transcript, matches: "abc|x(y)", ignore_case: true}')
    assert found(looked, "ABC")
    assert found(looked, "XY")


def test_half_of_a_surrogate_pair_hides_nothing_and_finds_nothing() -> None:
    looked = scan('{field: transcript, contains: ["?", ab]}')
    assert found(looked, "\ud800ab") == {"ab"}


@pytest.mark.parametrize("memory", [1, 2_000, 20_000])
def test_what_does_not_fit_the_memory_is_found_all_the_same(memory: int) -> None:
    looked = scan('{field: transcript, mentions: [refund, angry, "lösung"]}', memory)
    assert found(looked, "an ANGRY Lösung") == {"angry", "lösung"}
    assert found(looked, "nothing") == set()
    patterns = scan('{field: transcript, matches: ["[ab]*a[ab]{12}c", "(?i)HELLO"]}', memory)
    assert found(patterns, "ab" * 500 + "hello" + "a" + "ab" * 6 + "c") == {"[ab]*a[ab]{12}c", "(?i)HELLO"}


@pytest.mark.parametrize("memory", [1_000, 3_000, 6_000, 12_000, 24_000, 50_000, 1_000_000])
def test_a_long_text_is_looked_through_to_its_end_however_little_room_there_is(memory: int) -> None:
    looked = scan('{field: transcript, matches: ["a[ab]{12}c", "c[ab]{9}d$", "ddd"]}', memory)
    dice = random.Random(memory)
    for length in (0, 20, 50_000):
        text = "".join(dice.choices("aabbc", k=length)) + "dddcabababababd"
        wanted = {item.text for item in looked.items if re.search(item.text, text)}
        assert found(looked, text) == wanted
