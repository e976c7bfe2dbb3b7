"""What is asked of a job: checked before there is one."""

from typing import Any

import pytest

from rules.loader import parse
from worker.retag.spec import WINDOW, BadSpec, JobRules, Spec, asking, check, tags_of, windows

RULES = b"""version: 1
tags:
  Spare: {}
conditions:
  spoken: {field: transcript, contains: refund}
lists:
  vips: ["+33612345678"]
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: talk, when: {all: [{is: spoken}, {not: {field: duration, lt: 60}}]}, tag: Talk}
  - {id: dark, when: {field: rating, lt: 5}, tag: Dark, mode: "off"}
"""
RULESET = parse({"rules.yaml": RULES})


def test_a_range_is_cut_into_days_that_meet_and_end_where_it_ends() -> None:
    parts = windows(Spec(1000.0, 1000.0 + 2.5 * WINDOW), None)
    assert parts == [
        (1000.0, 1000.0 + WINDOW),
        (1000.0 + WINDOW, 1000.0 + 2 * WINDOW),
        (1000.0 + 2 * WINDOW, 1000.0 + 2.5 * WINDOW),
    ]


def test_no_part_is_longer_than_the_platform_lists_at_once() -> None:
    assert windows(Spec(0.0, 100.0), 40.0) == [(0.0, 40.0), (40.0, 80.0), (80.0, 100.0)]
    assert windows(Spec(0.0, 80.0), 40.0) == [(0.0, 40.0), (40.0, 80.0)], "no part is empty"


def test_a_spec_survives_being_stored() -> None:
    spec = Spec(
        1.0, 2.0, ("in",), ("Inbound",), "{field: duration, gt: 5}", "VIP", "store", "remove", fetch=False
    )
    assert Spec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"since": 2.0, "until": 2.0}, "the range is empty: since must be before until"),
        ({"rules": ("talc",)}, "the rule set in force has no rule 'talc', did you mean 'talk'?"),
        ({"rules": ("zzz",)}, "the rule set in force has no rule 'zzz'; there are in, talk, dark"),
        ({"tags": ("inbound",)}, "the rule set in force has no tag 'inbound', did you mean 'Inbound'?"),
        ({"fetch": True, "source": "store"}, "fetch is for calls that the platform lists"),
        ({"where": "{field: dur,"}, "where: "),
        (
            {"where": "{field: durration, gt: 5}"},
            "where: unknown field 'durration', did you mean 'duration'?",
        ),
        ({"where": "{field: duration, gt: 5}\n    tag: Mine"}, "where is one line, such as"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_would_be_right(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(BadSpec) as fault:
        check(Spec(**{"since": 1.0, "until": 2.0} | asked), RULESET)
    assert str(fault.value).startswith(why)
    assert "\n" not in str(fault.value)


def test_a_rule_or_tag_that_is_gone_may_be_named_where_orphans_are_removed() -> None:
    check(Spec(1.0, 2.0, rules=("gone",), tags=("Gone",), orphaned="remove"), RULESET)


def test_every_tag_that_the_set_names_can_be_chosen() -> None:
    assert tags_of(RULESET) == ["Spare", "Inbound", "Talk", "Dark"]


def test_a_condition_may_use_the_set_s_own_names() -> None:
    rules = JobRules(RULESET, Spec(1.0, 2.0, where="{is: spoken}"))
    assert rules.wants({"transcript": "a refund, please"})
    assert not rules.wants({"transcript": "hello"})
    assert not rules.wants({}), "what is unknown is not wanted"
    assert JobRules(RULESET, Spec(1.0, 2.0)).wants({})


def test_the_fields_of_a_rule_are_those_of_its_named_conditions_too() -> None:
    assert asking(RULESET) == {"in": {"direction"}, "talk": {"transcript", "duration"}}
