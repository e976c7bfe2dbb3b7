"""Modes, stops, groups, and tags of ours that must go."""

from rules.evaluate import Applied, Removal, evaluate
from rules.facts import facts_from_json
from rules.trace import trace
from tests.rule_sets import rule_set, tags_of

GROUPED = rule_set("""
tags: {Long: {group: length}, Short: {group: length}, Huge: {group: length}}
rules:
  - {id: huge, when: {field: duration, gt: 100}, tag: Huge}
  - {id: long, when: {field: duration, gt: 10}, tag: [Long, Plain]}
  - {id: long-again, when: {field: duration, gt: 10}, tag: Long}
  - {id: short, when: {field: queue, eq: a}, tag: Short}
""")


def ruleset_of_two(first: str, second: str) -> str:
    return f"""
rules:
  - {{id: first, when: {{field: duration, gt: 10}}, {first}}}
  - {{id: second, when: {{field: duration, gt: 0}}, {second}}}
"""


def why(text: str, applied: list[Applied], **facts: object) -> list[Removal]:
    return list(evaluate(rule_set(text), facts_from_json(facts), applied).remove)


def test_tags_come_in_the_order_of_the_rules_each_once() -> None:
    ruleset = rule_set(ruleset_of_two("tag: [B, A]", "tag: [A, C, B]"))
    evaluation = tags_of(ruleset, duration=11)
    assert evaluation.tags == ("B", "A", "C")
    assert evaluation.given_by == {"B": "first", "A": "first", "C": "second"}


def test_a_stop_skips_the_live_rules_after_it() -> None:
    ruleset = rule_set("""
rules:
  - {id: stop, when: {field: duration, gt: 10}, stop: true}
  - {id: later, when: {field: duration, gt: 0}, tag: A}
  - {id: shadow, when: {field: duration, gt: 0}, tag: S, mode: shadow}
  - {id: off, when: {field: duration, gt: 0}, tag: O, mode: off}
""")
    evaluation = tags_of(ruleset, duration=11)
    assert evaluation.tags == ()
    assert evaluation.shadow_tags == ("S",)
    assert list(evaluation.rules.values()) == ["true", "skipped", "true", "off"]
    assert [step.skipped_by for step in trace(ruleset, {"duration": 11})] == [None, "stop", None, None]
    assert tags_of(ruleset, duration=10).tags == ("A",)
    assert tags_of(ruleset).tags == ()


def test_a_shadow_rule_neither_stops_nor_gives_nor_wins_a_group() -> None:
    ruleset = rule_set("""
tags: {A: {group: g}, B: {group: g}}
rules:
  - {id: shadow, when: {field: duration, gt: 0}, tag: A, mode: shadow, stop: true}
  - {id: live, when: {field: duration, gt: 0}, tag: B}
""")
    evaluation = tags_of(ruleset, duration=1)
    assert (evaluation.tags, evaluation.shadow_tags) == (("B",), ("A",))


def test_shadow_tags_are_told_also_where_a_live_rule_gives_them() -> None:
    evaluation = tags_of(rule_set(ruleset_of_two("tag: A", "tag: A, mode: shadow")), duration=11)
    assert (evaluation.tags, evaluation.shadow_tags) == (("A",), ("A",))


def test_the_first_rule_wins_a_group_and_the_trace_shows_the_losers() -> None:
    assert tags_of(GROUPED, duration=11, queue="a").tags == ("Long", "Plain")
    assert tags_of(GROUPED, duration=101, queue="a").tags == ("Huge", "Plain")
    steps = {step.id: step for step in trace(GROUPED, {"duration": 101, "queue": "a"})}
    assert steps["huge"].lost == ()
    assert steps["long"].lost == (("Long", "Huge"),)
    assert steps["short"].lost == (("Short", "Huge"),)


def test_a_tag_of_the_group_that_is_not_ours_wins_over_all() -> None:
    evaluation = tags_of(GROUPED, duration=11, queue="a", tags=["Short"])
    assert evaluation.tags == ("Plain",)
    assert tags_of(GROUPED, duration=11, tags=["Other"]).tags == ("Long", "Plain")
    assert tags_of(GROUPED, duration=11, tags=["Long"]).tags == ("Plain",)


def test_a_blocked_tag_wins_its_group_and_is_not_given() -> None:
    evaluation = evaluate(GROUPED, {"duration": 11, "queue": "a"}, blocked={"Long"})
    assert evaluation.tags == ("Plain",)
    assert "Long" not in evaluation.given_by


def test_a_stop_acts_even_where_its_tag_lost_its_group_or_is_blocked() -> None:
    ruleset = rule_set("""
tags: {A: {group: g}, B: {group: g}}
rules:
  - {id: one, when: {field: duration, gt: 0}, tag: A}
  - {id: two, when: {field: duration, gt: 0}, tag: B, stop: true}
  - {id: three, when: {field: duration, gt: 0}, tag: C}
""")
    assert tags_of(ruleset, duration=1).tags == ("A",)
    assert evaluate(ruleset, {"duration": 1}, blocked={"B"}).tags == ("A",)


ONE = "rules: [{{id: first, when: {{field: duration, gt: 10}}, {0}}}]"
OURS = [Applied("A", "first")]


def test_a_tag_of_ours_goes_when_its_rule_is_false() -> None:
    assert why(ONE.format("tag: A"), OURS, duration=5) == [Removal("A", "first", "rule 'first' is false")]
    assert why(ONE.format("tag: A"), OURS, duration=11) == []


def test_a_tag_of_ours_stays_while_its_rule_is_unknown() -> None:
    assert why(ONE.format("tag: A"), OURS) == []


def test_keep_leaves_the_tag() -> None:
    assert why(ONE.format("tag: A, on_unmatch: keep"), OURS, duration=5) == []


def test_a_rule_that_is_off_shadow_or_gone_leaves_its_tags() -> None:
    assert why(ONE.format("tag: A, mode: off"), OURS, duration=5) == []
    assert why(ONE.format("tag: A, mode: shadow"), OURS, duration=5) == []
    assert why(ONE.format("tag: A"), [Applied("A", "gone")], duration=5) == []


def test_a_tag_of_ours_goes_when_its_rule_no_longer_names_it() -> None:
    expected = [Removal("A", "first", "rule 'first' no longer names it")]
    assert why(ONE.format("tag: B"), OURS, duration=11) == expected
    assert why(ONE.format("tag: B"), OURS) == expected


def test_a_tag_of_ours_goes_when_its_rule_was_skipped() -> None:
    text = ruleset_of_two("stop: true", "tag: A")
    assert why(text, [Applied("A", "second")], duration=11) == [
        Removal("A", "second", "rule 'second' was skipped by 'first'")
    ]


def test_a_tag_of_ours_that_another_rule_gives_stays() -> None:
    assert why(ruleset_of_two("tag: A", "tag: A"), OURS, duration=5) == []


def test_a_tag_of_ours_goes_when_another_won_its_group() -> None:
    ours = [Applied("Short", "short")]
    lost = [Removal("Short", "short", "'Long' won the group 'length'")]
    assert list(evaluate(GROUPED, {"duration": 11, "queue": "a"}, ours).remove) == lost
    assert list(evaluate(GROUPED, {"duration": 11}, ours).remove) == lost  # unknown, and yet
    assert list(evaluate(GROUPED, {"duration": 11}, ours, blocked={"Long"}).remove) == lost
    assert evaluate(GROUPED, {}, ours).remove == ()


def test_a_tag_of_ours_goes_when_one_of_its_group_is_not_ours() -> None:
    removed = evaluate(GROUPED, {"duration": 11, "tags": ["Huge"]}, [Applied("Long", "long")]).remove
    why = "a tag of the group 'length' is on the call that is not ours"
    assert removed == (Removal("Long", "long", why),)


def test_what_a_person_added_is_never_removed() -> None:
    assert why(ONE.format("tag: A"), OURS, duration=5, tags=["A"]) == []


def test_a_tag_that_a_person_took_off_is_not_taken_off_again() -> None:
    ruleset = rule_set(ONE.format("tag: A"))
    assert evaluate(ruleset, {"duration": 5}, OURS, blocked={"A"}).remove == ()
