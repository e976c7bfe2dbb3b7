"""What a call needs: the difference between what the rules give and what is on the call."""

from collections.abc import Sequence

import pytest

from rules.facts import Facts
from rules.loader import parse
from rules.ruleset import RuleSet
from store.calls import Intent, LeasedCall, TagState
from worker.fold import Folded, TagLists
from worker.knowledge import Known
from worker.plan import Work, plan

RULES = """
version: 1
rules:
  - {id: long, when: {field: duration, gt: 30m}, tag: Long}
  - {id: short, when: {field: duration, lt: 60}, tag: Short}
  - {id: refund, when: {field: transcript, contains: refund}, tag: Refund}
  - {id: vip, when: {field: tags, includes: VIP}, tag: Very Important}
  - {id: unseen, when: {field: tags, exists: false}, tag: Unseen}
"""


def rule_set(text: str = RULES) -> RuleSet:
    return parse({"rules.yaml": text.encode()})


def intent(tag: str, state: str = "ours", rule: str = "long") -> Intent:
    return Intent(1, tag, TagState(state), rule, "f" * 64)


def planned(
    facts: Facts,
    ours: Sequence[Intent] = (),
    others: tuple[str, ...] | None = (),
    tags: tuple[str, ...] | None = None,
    rules: str = RULES,
) -> Work:
    call = LeasedCall(1, "sipsim", 1, others, None, 0.0, 0)
    told = None if tags is None else TagLists((tags,), 1, 0.0)
    known = Known(others, tuple(ours))
    return plan(call, [], Folded(facts, told, None, False, 0.0), known, rule_set(rules))


def test_what_the_rules_give_and_the_call_lacks_is_added() -> None:
    work = planned({"duration": 1900, "transcript": "refund"})
    assert (work.add, work.remove, work.changes) == (("Long", "Refund"), (), True)
    assert work.ruleset == rule_set().hash


def test_what_is_there_is_not_added_again() -> None:
    work = planned({"duration": 1900}, [intent("Long")])
    assert (work.add, work.remove, work.changes) == ((), (), False)


@pytest.mark.parametrize("state", ["intended", "removing"])
def test_what_was_begun_is_done_again(state: str) -> None:
    work = planned({"duration": 1900}, [intent("Long", state)])
    assert (work.add, work.unfinished) == (("Long",), {"Long"})
    work = planned({"duration": 5}, [intent("Long", state), intent("Short", "ours", "short")])
    assert (work.add, work.remove) == ((), ("Long",))


def test_what_no_longer_holds_is_removed() -> None:
    work = planned({"duration": 5}, [intent("Long")])
    assert (work.add, work.remove) == (("Short",), ("Long",))


def test_what_is_unknown_stays() -> None:
    assert not planned({}, [intent("Long")]).changes


def test_what_was_taken_off_is_neither_on_the_call_nor_anybody_elses() -> None:
    facts: Facts = {"duration": 5}
    gone = [intent("Long", "off"), intent("Short", "ours", "short")]
    assert not planned(facts, gone).changes
    work = planned(facts, gone, tags=("Long", "Short"))
    assert (work.known.others, work.changes) == ((), False)
    again = planned({"duration": 1900}, gone, tags=("Long", "Short"))
    assert (again.add, again.remove, again.unfinished) == (("Long",), ("Short",), set())


def test_a_tag_of_others_is_neither_added_nor_removed() -> None:
    assert planned({"duration": 1900}, others=("Long",)).add == ()
    assert planned({"duration": 1900}, tags=("Long", "VIP")).add == ("Very Important",)
    assert planned({"duration": 5}, [intent("Short", "ours", "short")], others=("Long",)).remove == ()


def test_the_newest_list_replaces_what_was_known_of_others() -> None:
    work = planned({}, others=("VIP",), tags=("Other",))
    assert (work.known.others, work.add) == (("Other",), ())
    assert planned({}, others=("VIP",), tags=()).known.others == ()
    assert planned({}, others=("VIP",)).add == ("Very Important",)


def test_others_tags_are_facts_once_they_were_seen() -> None:
    assert planned({}, others=None).add == ("Unseen",)
    assert "tags" not in planned({}, others=None).folded.facts
    assert planned({}, others=()).add == ()
    assert planned({}, others=("VIP",)).folded.facts["tags"] == ["VIP"]


def test_a_list_that_shows_only_ours_tells_nothing_of_others() -> None:
    ours = [intent("Unseen", "ours", "unseen")]
    work = planned({}, ours, others=None, tags=("Unseen",))
    assert (work.known.others, work.changes) == (None, False)


def test_what_is_ours_is_nobody_elses() -> None:
    work = planned({"duration": 5}, [intent("Long"), intent("Short", "ours", "short")], others=("Long",))
    assert work.remove == ("Long",)


def test_a_blocked_tag_is_not_given_and_not_removed() -> None:
    work = planned({"duration": 1900}, [intent("Long", "blocked")])
    assert (work.evaluation.tags, work.changes) == ((), False)
    assert not planned({"duration": 5}, [intent("Long", "blocked"), intent("Short", "ours", "short")]).changes


def test_a_tag_of_ours_that_another_rule_gives_is_that_rules_from_now_on() -> None:
    work = planned({"duration": 1900}, [intent("Long", "ours", "an-older-rule")])
    assert not work.changes
    assert [(one.tag, one.rule) for one in work.known.changed] == [("Long", "long")]


def test_a_list_that_is_accounted_for_is_not_believed_again() -> None:
    call = LeasedCall(1, "sipsim", 1, ("VIP",), None, 0.0, 0, tags_version=1)
    folded = Folded({}, TagLists((("Other",),), 1, 0.0), None, False, 0.0)
    assert plan(call, [], folded, Known(("VIP",), ()), rule_set()).known.others == ("VIP",)
