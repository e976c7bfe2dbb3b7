"""Rules beside each other: what they match together, and their text."""

from typing import Any

from rules.evaluate import Outcome, evaluate
from rules.excerpt import rule_texts
from rules.facts import facts_from_json
from rules.loader import parse
from rules.reading import read
from rules.together import Together, together

RULES = """\
version: 1
rules:
  # the first
  - id: long
    when: {field: duration, gt: 30m}   # half an hour
    tag: Long

    # and this belongs to it
    tests: [{call: {duration: 10}, match: false}]
  # the second
  - {id: short, when: {field: duration, lt: 60}, tag: Short}
  - {id: trial, mode: shadow, when: {field: direction, eq: inbound}, tag: Long}
  - {id: never, when: {field: duration, gt: 9h}, tag: Never}
  - { id: wide,
  when: {field: duration, exists: true}, tag: Wide }
  - {id: off, mode: "off", when: {field: duration, exists: true}, tag: Wide}
tests:
  - {call: {duration: 10}, expect: [Short, Wide]}
"""
CALLS: list[dict[str, Any]] = [
    {"duration": 2000, "direction": "inbound"},
    {"duration": 10, "direction": "inbound"},
    {"duration": 2000, "direction": "outbound"},
    {"duration": 100, "direction": "inbound"},
    {"direction": "outbound"},
]


def test_rules_are_held_against_each_other_on_the_same_calls() -> None:
    ruleset = parse({"rules.yaml": RULES.encode()})
    assert together(ruleset, [read(CALLS[:2])[0], read(CALLS[2:])[0]]) == Together(
        5,
        {"long": 2, "short": 1, "trial": 3, "wide": 4},
        {"long": 0, "short": 1, "trial": 0, "wide": 0},
        {
            "long": [("wide", 2), ("trial", 1)],
            "short": [("trial", 1), ("wide", 1)],
            "trial": [("wide", 3), ("long", 1), ("short", 1)],
            "wide": [("trial", 3), ("long", 2), ("short", 1)],
        },
        {"trial": 2},
    )


def test_of_no_calls_nothing_is_said() -> None:
    assert together(parse({"rules.yaml": RULES.encode()}), []) == Together(0, {}, {}, {}, {})


def test_a_rule_that_was_skipped_does_not_match() -> None:
    text = RULES.replace("tag: Long\n\n", "tag: Long\n    stop: true\n")
    ruleset = parse({"rules.yaml": text.encode()})
    found = together(ruleset, [read(CALLS * 700)[0]])
    assert (found.matched["long"], found.matched["wide"], found.matched["trial"]) == (1400, 1400, 2100)
    wanted = [evaluate(ruleset, facts_from_json(call)).rules["wide"] for call in CALLS]
    assert wanted.count(Outcome.TRUE) == 2


def test_the_text_of_a_rule_is_what_its_author_wrote() -> None:
    texts = rule_texts(parse({"rules.yaml": RULES.encode()}))
    assert texts["long"] == (
        "id: long\nwhen: {field: duration, gt: 30m}   # half an hour\ntag: Long\n\n"
        "# and this belongs to it\ntests: [{call: {duration: 10}, match: false}]"
    )
    assert texts["short"] == "{id: short, when: {field: duration, lt: 60}, tag: Short}"
    assert texts["wide"] == "{id: wide, when: {field: duration, exists: true}, tag: Wide}"
    assert texts["off"].endswith("tag: Wide}")


def test_rules_on_one_line_are_told_apart() -> None:
    rules = [f"{{id: {id_}, when: {{field: duration, lt: 9}}, tag: T}}" for id_ in "ab"]
    text = f"{{version: 1, rules: [{', '.join(rules)}]}}".encode()
    texts = rule_texts(parse({"rules.yaml": text}))
    assert texts["b"] == rules[1]
