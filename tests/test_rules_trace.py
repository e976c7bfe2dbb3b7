"""The trace: every condition with its place, its text, the value and its truth; and what decided."""

import json

from rules.facts import facts_from_json
from rules.trace import Step, trace, trace_rule
from tests.rule_sets import rule_set

RULES = rule_set("""
lists: {vips: ["+33612345678"]}
schedules: {office: {mon-fri: ["09:00-18:00"]}}
conditions:
  answered: {all: [{field: status, eq: answered}, {field: duration, gt: 0, lt: 2h}]}
rules:
  - id: one
    when:
      any:
        - {is: answered}
        - not: {is: answered}
        - {field: caller, in: $vips}
        - {field: started_at, during: office}
        - {field: queue, contains: "a b", ignore_case: true}
    tag: T
  - {id: off, when: {field: duration, gt: 0}, tag: O, mode: off}
""")
FACTS = facts_from_json({"status": "answered", "duration": 8000, "started_at": "2026-11-20T10:00:00+01:00"})


def flat(step: Step) -> list[tuple[str, str, bool]]:
    found = [(step.text, step.truth.value, step.decides)]
    return found + [line for item in step.items for line in flat(item)]


def test_a_trace_shows_every_condition_as_its_author_wrote_it() -> None:
    step = trace(RULES, FACTS)[0].step
    assert step
    assert flat(step) == [
        ("any", "true", True),
        ("{is: answered}", "false", False),
        ("all", "false", False),
        ("{field: status, eq: answered}", "true", False),
        ("{field: duration, gt: 0, lt: 2h}", "false", False),
        ("gt: 0", "true", False),
        ("lt: 2h", "false", False),
        ("not", "true", True),
        ("{is: answered}", "false", True),  # shown with its parts above
        ("{field: caller, in: $vips}", "unknown", False),
        ("{field: started_at, during: office}", "true", True),
        ('{field: queue, contains: "a b", ignore_case: true}', "unknown", False),
    ]


def test_a_step_has_its_place_and_its_value() -> None:
    step = trace(RULES, FACTS)[0].step
    assert step
    during = step.items[3]
    assert str(during.place) == "rules.yaml:14:11"
    assert during.to_json() == {
        "place": "rules.yaml:14:11",
        "text": "{field: started_at, during: office}",
        "result": "true",
        "decides": True,
        "value": "2026-11-20T10:00:00+01:00",
    }
    assert step.items[2].to_json()["value"] is None


def test_a_trace_can_be_written_as_json() -> None:
    told = json.loads(json.dumps([step.to_json() for step in trace(RULES, FACTS)]))
    assert [rule["outcome"] for rule in told] == ["true", "off"]
    assert told[1]["condition"] is None


def test_the_condition_of_a_rule_that_is_off_can_be_traced_alone() -> None:
    assert trace_rule(RULES, RULES.by_id["off"], FACTS).truth == "true"


def test_of_unknown_parts_those_decide_that_are_unknown() -> None:
    ruleset = rule_set(
        "rules: [{id: r, when: {all: [{field: duration, gt: 0}, {field: queue, eq: a}]}, tag: T}]"
    )
    step = trace(ruleset, {"duration": 5})[0].step
    assert step
    assert [(item.truth.value, item.decides) for item in step.items] == [("true", False), ("unknown", True)]
