"""How the rules of a set come out on many calls, beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rules.block import Block
from rules.columns import Answers
from rules.giving import Giving
from rules.ruleset import Mode, RuleSet

STEP = 1000
"""Calls that are multiplied at once."""
MOST_RULES = 1000
"""Rules that are held against each other: those that match most calls."""
MOST_OTHERS = 5
"""Of each rule, the others that match the same calls most often."""


@dataclass(frozen=True, slots=True)
class Together:
    """Of so many calls: how many each rule matches, the first of them (by its place), the rules that match
    the same calls, most first, and on how many calls a shadow rule would give a tag that no live rule gives.

    A rule that matches none is in none of the mappings.
    """

    calls: int
    matched: Mapping[str, int]
    first: Mapping[str, int]
    others: Mapping[str, Sequence[tuple[str, int]]]
    news: Mapping[str, int]


def together(ruleset: RuleSet, blocks: Sequence[Block]) -> Together:
    """Asks every rule about every call, as live evaluation would."""
    steps = [_matches(ruleset, block) for block in blocks]
    number = len(ruleset.rules)
    true = np.concatenate([matches for matches, _ in steps]) if steps else np.zeros((0, number), np.uint8)
    news = sum((news for _, news in steps), start=np.zeros(number, dtype=np.intp))
    counts = true.sum(axis=0, dtype=np.intp)
    ids = [rule.id for rule in ruleset.rules]
    places = np.flatnonzero(counts)
    return Together(
        len(true),
        {ids[at]: int(counts[at]) for at in places},
        {ids[at]: int(true[:, at].argmax()) for at in places},
        _others(true, counts, ids),
        {ids[at]: int(news[at]) for at in np.flatnonzero(news)},
    )


def _matches(ruleset: RuleSet, block: Block) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """A row for each call with a one for each rule that is true; and for each rule the calls to which it
    would bring something new."""
    answers = Answers(ruleset, block)
    bits = np.ascontiguousarray(answers.true & answers.asked).view(np.uint8)
    number = len(ruleset.rules)
    true = np.unpackbits(bits, axis=1, count=number, bitorder="little")
    giving = Giving(ruleset)
    given = np.zeros((block.calls, len(giving.tags)), dtype=bool)
    given[giving.given(answers)] = True
    numbers = {tag: at for at, tag in enumerate(giving.tags)}
    news = np.zeros(number, dtype=np.intp)
    for at, rule in enumerate(ruleset.rules):
        if rule.mode is Mode.SHADOW and rule.tags:
            there = given[:, [numbers[tag] for tag in rule.tags]].all(axis=1)
            news[at] = np.count_nonzero(true[:, at].astype(bool) & ~there)
    return true, news


def _others(
    true: NDArray[np.uint8], counts: NDArray[np.intp], ids: Sequence[str]
) -> dict[str, Sequence[tuple[str, int]]]:
    most = np.argsort(-counts, kind="stable")[:MOST_RULES]
    chosen = np.sort(most[counts[most] > 0])
    both = np.zeros((len(chosen), len(chosen)), dtype=np.float64)
    for at in range(0, len(true), STEP):
        some = true[at : at + STEP, chosen].astype(np.float32)
        both += some.T @ some
    np.fill_diagonal(both, 0)
    found: dict[str, Sequence[tuple[str, int]]] = {}
    for row, place in enumerate(chosen):
        order = np.argsort(-both[row], kind="stable")[:MOST_OTHERS]
        found[ids[place]] = [(ids[chosen[at]], int(both[row, at])) for at in order if both[row, at] > 0]
    return found
