"""What is asked of a job, checked; and the rules that it goes by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

from rules.conditions import AllOf, AnyOf, Comparison, Condition, Is, Not
from rules.evaluate import Evaluation, Outcome, Removal, match
from rules.facts import Facts
from rules.faults import RuleSetFaults
from rules.loader import parse
from rules.ruleset import Mode, Rule, RuleSet
from rules.words import did_you_mean
from store.calls import TagState
from worker.knowledge import Known
from worker.plan import ON_THE_CALL

WINDOW = 86_400.0
"""Seconds of a job's range that one worker walks; a page token that expires costs no more than these."""
MOST_WINDOWS = 1000
"""Of a longer range each window is longer, where the platform lists so much at once."""
WHERE = "condition-of-where"
"""The file and the rule in which the condition of `--where` is read."""


class BadSpec(Exception):
    """What was asked for is not possible; the text says what, and what would be right."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a job is asked for: the calls of which time (Unix seconds), and which of the changes."""

    since: float
    until: float
    rules: tuple[str, ...] = ()
    """Only changes by these rules; none: by any."""
    tags: tuple[str, ...] = ()
    """Only changes of these tags; none: of any."""
    where: str | None = None
    """Only calls for which this condition of the rule language is true."""
    having: str | None = None
    """Only calls that bear this tag."""
    source: Literal["platform", "store"] = "platform"
    orphaned: Literal["keep", "remove"] = "keep"
    """What becomes of tags of ours whose rule is off or gone."""
    fetch: bool = False
    """Fetch the transcripts that rules need, at a request for each call."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(spec: Mapping[str, Any]) -> "Spec":
        return Spec(**{**spec, "rules": tuple(spec["rules"]), "tags": tuple(spec["tags"])})


def windows(spec: Spec, longest: float | None) -> list[tuple[float, float]]:
    """The parts of the range, each no longer than the platform lists at once. Pure."""
    width = max(WINDOW, (spec.until - spec.since) / MOST_WINDOWS)
    width = min(width, longest or width)
    starts = [spec.since]
    while starts[-1] + width < spec.until:
        starts.append(starts[-1] + width)
    return list(zip(starts, [*starts[1:], spec.until], strict=True))


def check(spec: Spec, ruleset: RuleSet) -> None:
    """Raises `BadSpec` for what cannot be meant."""
    if spec.since >= spec.until:
        raise BadSpec("the range is empty: since must be before until")
    if spec.orphaned == "keep":  # else rules and tags may be meant that are in no set any more
        _known("rule", spec.rules, list(ruleset.by_id))
        _known("tag", spec.tags, tags_of(ruleset))
    if spec.fetch and spec.source == "store":
        raise BadSpec("fetch is for calls that the platform lists: leave out source store")
    JobRules(ruleset, spec).check()


def tags_of(ruleset: RuleSet) -> list[str]:
    """Every tag that the set names."""
    return list(dict.fromkeys([*ruleset.tags, *(tag for rule in ruleset.rules for tag in rule.tags)]))


def _known(what: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            near = did_you_mean(name, names) or f"; there are {', '.join(names[:10]) or 'none'}"
            raise BadSpec(f"the rule set in force has no {what} '{name}'{near}")


def asking(ruleset: RuleSet) -> dict[str, set[str]]:
    """The fields that each rule asks for; not of those that are off."""
    return {rule.id: _asked(rule.when, ruleset) for rule in ruleset.rules if rule.mode is not Mode.OFF}


def _asked(condition: Condition, ruleset: RuleSet) -> set[str]:
    match condition:
        case Comparison(field=field):
            return {field}
        case Is(name=name):
            return _asked(ruleset.conditions[name], ruleset)
        case Not(item=item):
            return _asked(item, ruleset)
        case AllOf(items=items) | AnyOf(items=items):
            return set().union(*(_asked(item, ruleset) for item in items))


@dataclass(frozen=True)
class JobRules:
    """The rule set of a job, and what of its changes the job carries out."""

    ruleset: RuleSet
    spec: Spec

    def check(self) -> None:
        """Raises `BadSpec` where the condition of `--where` cannot be read."""
        self._where  # noqa: B018 it is read here

    @cached_property
    def _where(self) -> tuple[RuleSet, Rule] | None:
        """The condition, as a rule beside those of the set: it may name their conditions and lists."""
        if self.spec.where is None:
            return None
        if "\n" in self.spec.where:
            raise BadSpec("where is one line, such as {field: duration, gt: 30m}")
        rule = f"version: 1\nrules:\n  - id: {WHERE}\n    tag: {WHERE}\n    when: {self.spec.where}\n"
        try:
            found = parse({**_beside(self.ruleset), f"{WHERE}.yaml": rule.encode()})
        except RuleSetFaults as faults:
            raise BadSpec(f"where: {faults.faults[0].message}") from None
        return found, found.by_id[WHERE]

    def wants(self, facts: Facts) -> bool:
        """Whether the job is about a call with these facts."""
        if self._where is None:
            return True
        ruleset, rule = self._where
        return match(ruleset, rule, facts) is True

    def choose(self, _call: int, evaluation: Evaluation, known: Known) -> Evaluation:
        """See `worker.plan.Choose`: the changes by the rules and of the tags that were asked for."""
        spec = self.spec
        if not spec.rules and not spec.tags and spec.orphaned == "keep":
            return evaluation
        remove = evaluation.remove + (self._orphaned(evaluation, known) if spec.orphaned == "remove" else ())
        given = {tag: rule for tag, rule in evaluation.given_by.items() if self._chosen(tag, rule)}
        return replace(
            evaluation,
            tags=tuple(tag for tag in evaluation.tags if tag in given),
            given_by=given,
            remove=tuple(removal for removal in remove if self._chosen(removal.tag, removal.rule)),
        )

    def _chosen(self, tag: str, rule: str) -> bool:
        spec = self.spec
        return (not spec.rules or rule in spec.rules) and (not spec.tags or tag in spec.tags)

    def _orphaned(self, evaluation: Evaluation, known: Known) -> tuple[Removal, ...]:
        """Tags of ours whose rule is off or gone; not those that a rule may give that is unknown."""
        told = evaluation.rules.not_false
        unknown = [self.ruleset.by_id[rule] for rule, got in told.items() if got is Outcome.UNKNOWN]
        open_ = {tag for rule in unknown if rule.mode is Mode.LIVE for tag in rule.tags}
        found = []
        for intent in known.ours:
            lost = _lost(self.ruleset.by_id.get(intent.rule))
            if lost and intent.state in ON_THE_CALL and intent.tag not in (*evaluation.given_by, *open_):
                why = f"rule '{intent.rule}' {lost}, and the job takes off orphaned tags"
                found.append(Removal(intent.tag, intent.rule, why))
        return tuple(found)


def _lost(rule: Rule | None) -> str | None:
    """Why a rule gives nothing any more, whatever the call."""
    if rule is None:
        return "is no longer in the rules"
    return "is off" if rule.mode is Mode.OFF else None


def _beside(ruleset: RuleSet) -> dict[str, bytes]:
    """The set's files under names that leave room for one more."""
    return {f"set/{name}": text for name, text in ruleset.files.items()}


def blocked(evaluation: Evaluation, ruleset: RuleSet, known: Known) -> set[str]:
    """Tags that rules give and a person took off."""
    off = known.names(TagState.BLOCKED)
    if not off:
        return set()
    true = [ruleset.by_id[rule] for rule, got in evaluation.rules.not_false.items() if got is Outcome.TRUE]
    return {tag for rule in true if rule.mode is Mode.LIVE for tag in rule.tags} & off
