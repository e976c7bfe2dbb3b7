"""The decision on one call."""

from collections.abc import Callable, Collection, Sequence

from rules.decide import decide, without
from rules.evaluation import Applied, Evaluation, Outcome, Outcomes, Removal
from rules.facts import Facts
from rules.ruleset import Mode, Rule, RuleSet

__all__ = ["Applied", "Evaluation", "Outcome", "Removal", "evaluate", "match"]


def evaluate(
    ruleset: RuleSet, facts: Facts, applied: Sequence[Applied] = (), blocked: Collection[str] = ()
) -> Evaluation:
    """The decision on a call with these facts (derived fields need not be among them).

    Rules are asked in their order. A live rule that matches gives its tags and, with `stop`, ends the asking
    of live rules; shadow rules are asked in any case, rules that are off in none. Of a group's tags only the
    first that a live rule gives stays, and none where a tag of the group is on the call that is not ours.
    `blocked` tags were taken off by a person: they win their group and are not given. `applied` are our tags
    on the call; those that must go are in `remove`.
    """
    index = ruleset.program.index
    call = ruleset.program.start(facts, ruleset.timezone)
    matching = index.conditions(index.true(call))
    return evaluation_of(
        ruleset, facts, matching, lambda: index.conditions(index.possible(call)), applied, blocked
    )


def evaluation_of(
    ruleset: RuleSet,
    facts: Facts,
    matching: Sequence[int],
    possible: Callable[[], Sequence[int]],
    applied: Sequence[Applied] = (),
    blocked: Collection[str] = (),
) -> Evaluation:
    """What `evaluate` gives, from the places of the rules that are true, and those that are not false."""
    plainly = _plainly(ruleset, matching) if not blocked else None
    if plainly is not None:
        outcomes = Outcomes(ruleset.by_id, lambda: _not_false(ruleset, matching, possible(), None))
        return without(ruleset, facts, Evaluation(tuple(plainly), plainly, (), outcomes), applied, blocked)
    live: list[Rule] = []
    shadow: list[Rule] = []
    stop: int | None = None
    for at in matching:
        rule = ruleset.rules[at]
        if rule.mode is Mode.SHADOW:
            shadow.append(rule)
        elif stop is None:
            live.append(rule)
            if rule.stop:
                stop = at
    outcomes = Outcomes(ruleset.by_id, lambda: _not_false(ruleset, matching, possible(), stop))
    stopped_by = None if stop is None else ruleset.rules[stop].id
    return decide(ruleset, facts, outcomes, live, shadow, stopped_by, applied, blocked)


def _plainly(ruleset: RuleSet, matching: Sequence[int]) -> dict[str, str] | None:
    """The tags and by which rule, where each rule that matches just gives a tag of its own, as most do: each
    match then costs a tenth. None where it takes `decide` to tell."""
    program = ruleset.program
    if ruleset.groups or not program.elaborate.isdisjoint(matching):
        return None
    given_by = dict(map(program.plain.__getitem__, matching))
    return given_by if len(given_by) == len(matching) else None


def _not_false(
    ruleset: RuleSet, matching: Sequence[int], possible: Sequence[int], stop: int | None
) -> dict[str, Outcome]:
    """By id, in the order of the rules; `stop` is the place of the rule that skipped the later ones."""
    rules = ruleset.rules
    found = dict.fromkeys(possible, Outcome.UNKNOWN)
    found |= dict.fromkeys(matching, Outcome.TRUE)
    if stop is not None:
        later = (at for at in range(stop + 1, len(rules)) if rules[at].mode is Mode.LIVE)
        found |= dict.fromkeys(later, Outcome.SKIPPED)
    found |= dict.fromkeys(ruleset.program.off, Outcome.OFF)
    return {rules[at].id: found[at] for at in sorted(found)}


def match(ruleset: RuleSet, rule: Rule, facts: Facts) -> bool | None:
    """What one rule's condition alone says (None: unknown); its mode, stops and groups play no part."""
    program = ruleset.program
    return program.checks[rule.id](program.start(facts, ruleset.timezone))
