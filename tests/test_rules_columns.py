"""Calls as columns; that every answer is that of one call alone is held by the differential test."""

import numpy as np

from rules.block import Block
from rules.columns import Answers, counts, pairs
from rules.evaluate import evaluate
from rules.facts import Facts, facts_from_json
from rules.ruleset import RuleSet
from tests.rule_sets import rule_set

WORDS = ("refund", "angry", "both refund and angry", "neither", "a refund again")
CALLS: list[Facts] = [
    facts_from_json({"queue": "ab"[at % 2], "duration": at, "transcript": f"{WORDS[at % 5]} {at}"})
    for at in range(70)
]


def asking(queue: str) -> RuleSet:
    return rule_set(f"""
rules:
  - {{id: r, when: {{all: [{{field: queue, eq: {queue}}}, {{field: transcript, mentions: refund}}]}}, tag: R}}
  - {{id: a, when: {{all: [{{field: queue, eq: {queue}}}, {{field: transcript, mentions: angry}}]}}, tag: A}}
""")


def tags(ruleset: RuleSet, block: Block) -> list[tuple[str, ...]]:
    answers = Answers(ruleset, block)
    return [answers.evaluation(row).tags for row in range(block.calls)]


def test_only_texts_that_matter_are_looked_through_and_none_twice() -> None:
    block = Block.of(CALLS)
    for queue, looked in (("a", 0.5), ("b", 1.0), ("a", 1.0)):
        ruleset = asking(queue)
        assert tags(ruleset, block) == [evaluate(ruleset, facts).tags for facts in CALLS]
        (found,) = block.hits.values()
        assert found.scanned[1:].mean() == looked
    texts = [str(facts["transcript"]) for facts in CALLS]
    assert len(found.texts) == sum(text.count("refund") + text.count("angry") for text in texts)


def test_what_follows_from_the_zone_is_looked_through_for_each_zone() -> None:
    block = Block.of([facts_from_json({"started_at": "2026-11-20T23:30:00Z"})])
    rule = "rules: [{id: r, when: {field: weekday, contains: sa}, tag: T}]"
    found = {zone: tags(rule_set(f"timezone: {zone}\n{rule}"), block) for zone in ("UTC", "Europe/Paris")}
    assert found == {"UTC": [()], "Europe/Paris": [("T",)]}


def test_bits_are_counted_over_any_number_of_rows() -> None:
    bits = np.zeros((1000, 2), dtype=np.uint64)
    bits[:, 0] = 0b101
    bits[600:, 1] = 1
    assert list(counts(bits, 65)) == [1000, 0, 1000, *[0] * 61, 400]
    rows, places = pairs(bits[599:601])
    assert list(zip(rows.tolist(), places.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 0), (1, 2), (1, 64)]


def test_a_block_without_calls_and_a_set_without_rules_that_are_asked_have_no_answers() -> None:
    off = rule_set("rules: [{id: r, when: {field: queue, eq: a}, tag: T, mode: off}]")
    assert Answers(off, Block.of(CALLS)).true.sum() == 0
    assert len(Answers(asking("a"), Block.of([])).true) == 0
