"""What changed in meaning between two sets."""

import pytest

from rules.diff import differences
from tests.rule_sets import rule_set

BASE = """
timezone: Europe/Paris
tags: {A: {group: g}}
lists: {l: [a, b]}
schedules: {s: {mon-fri: ["09:00-18:00"]}}
conditions: {c: {field: duration, gt: 30m}}
rules:
  - id: one
    when: {all: [{is: c}, {field: queue, in: $l}]}
    tag: A
  - id: two
    when: {field: started_at, during: s}
    tag: B
  - id: three
    when: {field: local_time, between: ["09:00", "18:00"]}
    tag: C
"""


def changes(old: str, new: str) -> list[str]:
    assert old != new
    return [str(change).splitlines()[0] for change in differences(rule_set(old), rule_set(new))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gt: 30m", "gt: 1800"),
        ("[a, b]", "[b, 'a']"),
        ("{is: c}", "{field: duration, gt: 30m}"),
        ("{all: [{is: c}, {field: queue, in: $l}]}", "{all: [{field: queue, in: [b, a]}, {is: c}]}"),
        ("tag: B", "tag: [B]\n    description: hours\n    tests: [{call: {}, match: unknown}]"),
    ],
)
def test_what_means_the_same_is_no_change(old: str, new: str) -> None:
    assert changes(BASE, BASE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("gt: 30m", "gt: 31m", ["~ rule one: what its condition refers to"]),
        ("[a, b]", "[a, b, c]", ["~ rule one: what its condition refers to"]),
        ('18:00"]}}', '18:30"]}}', ["~ rule two: what its condition refers to"]),
        (
            "Europe/Paris",
            "Europe/London",
            ["~ rule two: what its condition refers to", "~ rule three: what its condition refers to"],
        ),
        ('["09:00", "18:00"]', '["18:00", "09:00"]', ["~ rule three: condition"]),
        ("tag: B", "tag: [B, D]", ["~ rule two: tags"]),
        ("tag: B", "tag: B\n    mode: off", ["~ rule two: mode"]),
        ("tag: B", "tag: B\n    on_unmatch: keep", ["~ rule two: on_unmatch"]),
        ("tag: B", "tag: B\n    stop: true", ["~ rule two: stop"]),
        ("id: two", "id: zwei", ["- rule two", "+ rule zwei"]),
        ("{A: {group: g}}", "{A: {}, Z: {}}", ["~ tag A: group", "+ tag Z to the catalogue"]),
        ("{field: queue, in: $l}", "{field: queue, in: $l, ignore_case: true}", ["~ rule one: condition"]),
    ],
)
def test_a_change_is_told(old: str, new: str, expected: list[str]) -> None:
    assert changes(BASE, BASE.replace(old, new)) == expected


def test_another_order_is_told_because_groups_and_stops_follow_it() -> None:
    head, one, rest = BASE.partition("  - id: one")
    first, two, others = (one + rest).partition("  - id: two")
    assert changes(BASE, head + two + others + first) == [
        "~ the order of the rules: from rule two on, which stood elsewhere"
    ]


def test_numbers_texts_and_booleans_are_not_the_same() -> None:
    rule = "rules: [{{id: r, when: {{field: custom.x, in: [{}]}}, tag: T}}]"
    assert changes(rule.format("1"), rule.format("true")) == ["~ rule r: condition"]
    assert changes(rule.format("1"), rule.format('"1"')) == ["~ rule r: condition"]
