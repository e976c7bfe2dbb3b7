"""Warnings: what is no fault and yet hardly meant."""

import pytest

from tests.rule_sets import rule_set

TESTED = "tests: [{call: {}, match: false}]"


def warnings(text: str) -> list[str]:
    return [fault.message for fault in rule_set(text).warnings]


def of_rule(when: str, sections: str = "") -> list[str]:
    return warnings(f"{sections}\nrules:\n  - id: r\n    when: {when}\n    tag: T\n    {TESTED}\n")


NEVER = [
    ("{field: duration, gt: 60, lt: 30}", "duration"),
    ("{all: [{field: duration, gt: 60}, {not: {field: duration, gt: 30}}]}", "duration"),
    ("{field: duration, lt: 0}", "duration"),
    ("{all: [{field: direction, eq: inbound}, {field: direction, eq: outbound}]}", "direction"),
    ("{field: direction, not_in: [inbound, outbound, internal]}", "direction"),
    ("{all: [{field: queue, eq: a}, {field: queue, in: [b, c]}]}", "queue"),
    ("{all: [{field: queue, exists: false}, {field: queue, eq: a}]}", "queue"),
    ("{not: {any: [{field: has_recording, eq: true}, {field: has_recording, eq: false}]}}", "has_recording"),
    (
        '{all: [{field: local_time, gte: "18:00"}, {field: local_time, between: ["09:00", "18:00"]}]}',
        "local_time",
    ),
    ("{all: [{field: local_date, gt: 2026-01-01}, {field: local_date, lt: 2026-01-02}]}", "local_date"),
    ("{all: [{field: custom.n, eq: 1}, {field: custom.n, eq: true}]}", "custom.n"),
    ("{field: platform, exists: false}", "platform"),
]
SOMETIMES = [
    "{field: duration, gt: 30, lt: 60}",
    "{all: [{field: queue, eq: A}, {field: queue, eq: a, ignore_case: true}]}",
    "{any: [{field: duration, gt: 60, lt: 30}, {field: queue, eq: a}]}",
    "{all: [{field: transcript, contains: a}, {not: {field: transcript, contains: b}}]}",
    '{all: [{field: local_time, gte: "17:59"}, {field: local_time, between: ["09:00", "18:00"]}]}',
    "{field: rating, between: [5, 5]}",
    "{field: duration, lte: 0}",
    "{field: custom.n, gt: 1, ne: 5}",
]
ALWAYS = [
    "{field: duration, gte: 0}",
    "{any: [{field: queue, exists: true}, {field: queue, exists: false}]}",
    '{field: local_time, between: ["00:00", "24:00"]}',
    "{not: {field: platform, exists: false}}",
]


@pytest.mark.parametrize(("when", "field"), NEVER)
def test_a_rule_that_can_never_match_is_told(when: str, field: str) -> None:
    assert of_rule(when) == [f"rule 'r' never matches: no '{field}' satisfies all that is asked of it"]


@pytest.mark.parametrize("when", SOMETIMES)
def test_a_rule_that_can_match_is_left_in_peace(when: str) -> None:
    assert of_rule(when) == []


@pytest.mark.parametrize("when", ALWAYS)
def test_a_rule_that_always_matches_is_told(when: str) -> None:
    assert of_rule(when) == ["rule 'r' matches every call of which it knows what it asks"]


def test_a_contradiction_is_seen_through_named_conditions() -> None:
    sections = "conditions: {long: {field: duration, gt: 60}, short: {field: duration, lt: 30}}"
    assert "never matches" in of_rule("{all: [{is: long}, {is: short}]}", sections)[0]


def test_a_schedule_without_hours_is_told() -> None:
    found = of_rule("{field: started_at, during: s}", "schedules: {s: {closed: [2026-12-25]}}")
    assert found[0] == "the schedule 's' has no hours: no time is during it"


def test_a_rule_after_one_that_always_stops_is_told() -> None:
    text = """
rules:
  - {id: all, when: {field: platform, exists: true}, stop: true, tests: [{call: {}, match: unknown}]}
  - {id: never, when: {field: duration, gt: 5}, tag: T, tests: [{call: {}, match: unknown}]}
  - {id: shadow, when: {field: duration, gt: 5}, tag: T, mode: shadow, tests: [{call: {}, match: unknown}]}
"""
    assert warnings(text)[1:] == ["rule 'never' is never reached: rule 'all' always stops"]


def test_a_stop_on_what_is_not_always_known_is_not_unconditional() -> None:
    text = """
rules:
  - {id: all, when: {field: duration, gte: 0}, stop: true, tests: [{call: {}, match: unknown}]}
  - {id: later, when: {field: duration, exists: false}, tag: T, tests: [{call: {}, match: true}]}
"""
    assert not any("never reached" in message for message in warnings(text))


def test_tags_that_differ_in_case_or_white_space_alone_are_told() -> None:
    text = f"""
tags: {{Long Call: {{}}}}
rules:
  - {{id: a, when: {{field: duration, gt: 5}}, tag: long call, {TESTED}}}
  - {{id: b, when: {{field: duration, gt: 5}}, tag: [Long Call, LongCall], {TESTED}}}
"""
    assert warnings(text) == [
        "the tag 'long call' differs from 'Long Call' in case or white space alone",
        "the tag 'LongCall' differs from 'Long Call' in case or white space alone",
    ]


def test_a_rule_without_a_test_is_told() -> None:
    assert warnings("rules: [{id: a, when: {field: duration, gt: 5}, tag: T}]") == ["rule 'a' has no test"]


def test_what_is_not_used_is_told() -> None:
    sections = (
        "lists: {l: [a]}\nschedules: {s: {mon: ['09:00-10:00']}}\nconditions: {c: {field: queue, eq: a}}"
    )
    assert of_rule("{field: duration, gt: 5}", sections) == [
        "the list 'l' is not used",
        "the schedule 's' is not used",
        "the condition 'c' is not used",
    ]


def test_numbers_that_can_hardly_match_are_told() -> None:
    assert "has no country code" in of_rule('{field: caller, eq: "06 12 34 56 78"}')[0]
    assert "has no country code" in of_rule("{field: caller, in: $l}", "lists: {l: ['0612345678']}")[0]
    assert "never matches" in of_rule('{field: caller, starts_with: "+33 6"}')[0]
    assert of_rule('{field: caller, eq: "+33 6 12 34 56 78"}') == []
    assert of_rule('{field: caller, eq: "123456"}') == []


def test_warnings_have_their_place_and_say_what_they_are() -> None:
    warning = rule_set("rules:\n  - {id: a, when: {field: duration, gt: 5}, tag: T}").warnings[0]
    assert str(warning) == "rules.yaml:3:5: warning: rule 'a' has no test"
