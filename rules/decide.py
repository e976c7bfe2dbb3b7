"""From the rules that match to the tags: groups, blocked tags, and tags of ours that must go."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from rules.evaluation import Applied, Evaluation, Outcome, Outcomes, Removal
from rules.facts import Facts, Value
from rules.ruleset import Mode, Rule, RuleSet
from rules.text import nfc


def decide(
    ruleset: RuleSet,
    facts: Facts,
    outcomes: Outcomes,
    live: Sequence[Rule],
    shadow: Sequence[Rule],
    stopped_by: str | None,
    applied: Sequence[Applied],
    blocked: Collection[str],
) -> Evaluation:
    """From the rules that match (both in order) to the tags."""
    groups = ruleset.groups
    winners = _foreign(ruleset, facts) if groups else {}
    given_by: dict[str, str] = {}
    for rule in live:
        for tag in rule.tags:
            if tag in groups and winners.setdefault(groups[tag], tag) != tag:
                continue
            if tag not in given_by and tag not in blocked:
                given_by[tag] = rule.id
    evaluation = Evaluation(
        tags=tuple(given_by),
        given_by=given_by,
        shadow_tags=tuple(dict.fromkeys(tag for rule in shadow for tag in rule.tags)),
        rules=outcomes,
        stopped_by=stopped_by,
        winners=winners,
    )
    return without(ruleset, facts, evaluation, applied, blocked)


def without(
    ruleset: RuleSet,
    facts: Facts,
    evaluation: Evaluation,
    applied: Sequence[Applied],
    blocked: Collection[str],
) -> Evaluation:
    """The evaluation, with those of our tags on the call that must go."""
    if not applied:
        return evaluation
    theirs = {*_texts(facts.get("tags")), *blocked}
    whys = ((item, why_remove(ruleset, evaluation, item)) for item in applied if item.tag not in theirs)
    return replace(evaluation, remove=tuple(Removal(*item, why) for item, why in whys if why))


def why_remove(ruleset: RuleSet, evaluation: Evaluation, item: Applied) -> str | None:
    """Why a tag of ours must go, in words, or None where it stays."""
    rule = ruleset.by_id.get(item.rule)
    if item.tag in evaluation.given_by or rule is None or rule.mode is not Mode.LIVE or rule.keep:
        return None
    outcome = evaluation.rules[rule.id]
    if outcome is Outcome.SKIPPED:
        return f"rule '{rule.id}' was skipped by '{evaluation.stopped_by}'"
    if item.tag not in rule.tags:
        return f"rule '{rule.id}' no longer names it"
    if outcome is Outcome.FALSE:
        return f"rule '{rule.id}' is false"
    return _lost(ruleset.group_of(item.tag), evaluation, item.tag)  # true, or unknown, which alone leaves it


def _lost(group: str | None, evaluation: Evaluation, tag: str) -> str | None:
    """By what the tag lost its group, if it did."""
    winner = evaluation.winners.get(group, tag) if group is not None else tag
    if winner is None:
        return f"a tag of the group '{group}' is on the call that is not ours"
    return None if winner == tag else f"'{winner}' won the group '{group}'"


def _foreign(ruleset: RuleSet, facts: Facts) -> dict[str, str | None]:
    """The groups that a tag on the call holds which is not ours; no tag of ours wins there."""
    groups = (ruleset.group_of(tag) for tag in _texts(facts.get("tags")))
    return {group: None for group in groups if group is not None}


def _texts(tags: Value | None) -> list[str]:
    return [nfc(tag) for tag in tags] if isinstance(tags, list) else []
