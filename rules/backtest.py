"""What a rule set would have done with many calls, counted block by block in constant memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from rules.block import Block, Column, Numbers
from rules.columns import Answers, counts, pairs
from rules.compile import asked
from rules.conditions import AllOf, AnyOf, Comparison, Condition, Not, Test
from rules.evaluation import Outcome
from rules.fields import DERIVED, Type
from rules.giving import Giving
from rules.ruleset import Mode, Rule, RuleSet

CHANGES = ("gained", "lost", "unchanged")
SAMPLE = 5
"""Calls that are named of each kind of change."""
FEW_CALLS = 20
"""Below, no share says anything."""
ALMOST_ALL = 0.95


@dataclass(slots=True)
class RuleCount:
    """One rule: how often each outcome, on which days (of the set's time zone) it was true, and a few calls
    of which it is unknown, by name."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    days: Counter[date] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)


@dataclass(slots=True)
class TagChange:
    """One tag, against another set: how many calls gained, lost and kept it, a few of each by name."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in CHANGES})

    def add(self, more: "TagChange") -> None:
        self.counts.update(more.counts)
        for kind, names in more.samples.items():
            add_samples(self.samples[kind], names)


@dataclass(slots=True)
class Threshold:
    """A rule's number, and how the field's values lie around it (rounded to three digits, value -> calls)."""

    rule: str
    asks: str
    text: str
    marks: tuple[float, ...]
    values: Counter[float] = field(default_factory=Counter)


@dataclass(slots=True)
class Counts:
    """What some calls came to under a rule set; in arrays each rule has the place that it has in the set."""

    calls: int = 0
    days: Counter[date] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    changes: dict[str, TagChange] = field(default_factory=dict)
    values: dict[str, Counter[float]] = field(default_factory=dict)
    """By field that a number is asked of, its values."""
    outcomes: dict[Outcome, Numbers] = field(default_factory=dict)
    true_on: dict[date, Numbers] = field(default_factory=dict)
    unknown: dict[int, list[str]] = field(default_factory=dict)
    """By a rule's place, a few calls of which it is unknown."""

    def add(self, more: "Counts") -> None:
        """Adds those of calls that come after these."""
        self.calls += more.calls
        self.days.update(more.days)
        self.tags.update(more.tags)
        for tag, change in more.changes.items():
            self.changes.setdefault(tag, TagChange()).add(change)
        for asks, values in more.values.items():
            self.values.setdefault(asks, Counter()).update(values)
        for outcome, found in more.outcomes.items():
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + found
        for day, found in more.true_on.items():
            self.true_on[day] = self.true_on.get(day, 0) + found
        for rule, names in more.unknown.items():
            add_samples(self.unknown.setdefault(rule, []), names)


def add_samples(samples: list[str], more: Sequence[str]) -> None:
    """The first ones stay."""
    samples += more[: SAMPLE - len(samples)]


class Backtest:
    """Counts as calls are added; `against` is an older set to compare the tags with."""

    def __init__(self, ruleset: RuleSet, against: RuleSet | None = None) -> None:
        self.ruleset = ruleset
        self.against = against
        self.counts = Counts()
        self.thresholds = [threshold for rule in ruleset.rules for threshold in _thresholds(rule)]
        for one in self.thresholds:
            one.values = self.counts.values.setdefault(one.asks, Counter())
        self._places = {rule.id: at for at, rule in enumerate(ruleset.rules)}
        self._giving = Giving(ruleset)

    @property
    def calls(self) -> int:
        return self.counts.calls

    @property
    def days(self) -> Counter[date]:
        return self.counts.days

    @property
    def tags(self) -> Counter[str]:
        return self.counts.tags

    @property
    def changes(self) -> dict[str, TagChange]:
        return self.counts.changes

    def add(self, block: Block, names: Sequence[str]) -> None:
        """More calls; `names` are how they are called in samples."""
        self.counts.add(self.count(block, names))

    def count(self, block: Block, names: Sequence[str]) -> Counts:
        """What these calls alone come to."""
        answers = Answers(self.ruleset, block)
        rows, tags = self._giving.given(answers)
        found = Counts(
            calls=block.calls,
            tags=Counter(
                {
                    self._giving.tags[tag]: int(calls)
                    for tag, calls in zip(*np.unique(tags, return_counts=True), strict=True)
                }
            ),
            values={asks: _counted_values(answers.column(asks)) for asks in self.counts.values},
        )
        self._count_outcomes(found, answers, names)
        self._count_days(found, answers)
        if self.against:
            before = Giving(self.against)
            self._compare(found, before, before.given(Answers(self.against, block)), (rows, tags), names)
        return found

    def _count_outcomes(self, found: Counts, answers: Answers, names: Sequence[str]) -> None:
        rules = self.ruleset.rules
        off = np.asarray([rule.mode is Mode.OFF for rule in rules])
        stopped = np.cumsum(np.bincount(answers.stops, minlength=len(rules) + 1))[:-1]
        unknown = answers.possible & ~answers.true & answers.asked
        found.outcomes = {
            Outcome.TRUE: counts(answers.true & answers.asked, len(rules)),
            Outcome.UNKNOWN: counts(unknown, len(rules)),
            Outcome.SKIPPED: np.concatenate([[0], stopped[:-1]]) * [rule.mode is Mode.LIVE for rule in rules],
            Outcome.OFF: off * found.calls,
        }
        found.outcomes[Outcome.FALSE] = found.calls - np.sum(list(found.outcomes.values()), axis=0)
        for rule in np.flatnonzero(found.outcomes[Outcome.UNKNOWN]).tolist():
            rows = np.flatnonzero(unknown[:, rule // 64] >> np.uint64(rule % 64) & np.uint64(1))
            found.unknown[rule] = [names[row] for row in rows[:SAMPLE]]

    def _count_days(self, found: Counts, answers: Answers) -> None:
        days, codes = days_of(answers.block, self.ruleset)
        calls = np.bincount(codes, minlength=len(days)).tolist()
        found.days.update({day: calls[at] for at, day in enumerate(days) if day and calls[at]})
        rows, rules = pairs(answers.true & answers.asked)
        number = len(self.ruleset.rules)
        table = np.bincount(codes[rows] * number + rules, minlength=len(days) * number)
        for day, true in zip(days, table.reshape(-1, number), strict=True):
            if day and true.any():
                found.true_on[day] = true

    def _compare(
        self,
        found: Counts,
        giving_before: Giving,
        before: tuple[Numbers, Numbers],
        after: tuple[Numbers, Numbers],
        names: Sequence[str],
    ) -> None:
        every = list(dict.fromkeys([*self._giving.tags, *giving_before.tags]))
        numbers = {tag: at for at, tag in enumerate(every)}
        old, new = (
            rows * len(every) + np.asarray([numbers[tag] for tag in giving.tags], dtype=np.intp)[tags]
            for giving, (rows, tags) in ((giving_before, before), (self._giving, after))
        )
        kinds = {
            "gained": np.setdiff1d(new, old),
            "lost": np.setdiff1d(old, new),
            "unchanged": np.intersect1d(old, new),
        }
        for kind, which in kinds.items():
            rows, tags = np.divmod(which, len(every))
            for at, calls in zip(*np.unique(tags, return_counts=True), strict=True):
                change = found.changes.setdefault(every[at], TagChange())
                change.counts[kind] += int(calls)
                change.samples[kind] += [names[row] for row in rows[tags == at][:SAMPLE]]

    @property
    def rules(self) -> dict[str, RuleCount]:
        """The counts of each rule by its id."""
        outcomes = self.counts.outcomes
        found = {
            rule.id: RuleCount(Counter({kind: int(n[at]) for kind, n in outcomes.items() if n[at]}))
            for at, rule in enumerate(self.ruleset.rules)
        }
        for place, names in self.counts.unknown.items():
            found[self.ruleset.rules[place].id].unknown = names
        for day, calls in self.counts.true_on.items():
            for at in np.flatnonzero(calls):
                found[self.ruleset.rules[at].id].days[day] = int(calls[at])
        return found

    def share(self, id_: str) -> float:
        """The part of all calls for which the rule is true."""
        at = self._places[id_]
        return int(self.counts.outcomes[Outcome.TRUE][at]) / self.calls if self.calls else 0.0

    def remarks(self) -> Iterator[str]:
        """Rules that take almost all calls, or none."""
        if self.calls < FEW_CALLS:
            return
        for rule in self.ruleset.rules:
            if rule.mode is Mode.OFF:
                continue
            share = self.share(rule.id)
            if share >= ALMOST_ALL:
                yield f"rule '{rule.id}' matches almost every call ({share:.0%})"
            elif share == 0:
                yield f"rule '{rule.id}' matches no call"


def days_of(block: Block, ruleset: RuleSet) -> Column:
    """The days of the calls in the set's time zone."""
    return block.moments.mapped(lambda moment: moment.astimezone(ruleset.timezone).date())


def asked_fields(ruleset: RuleSet) -> list[str]:
    """The fields that the rules ask for and that do not follow from others."""
    conditions = [*ruleset.conditions.values(), *(rule.when for rule in ruleset.rules)]
    return sorted(set().union(*map(asked, conditions)) - set(DERIVED))


def _thresholds(rule: Rule) -> Iterator[Threshold]:
    for condition, test in _tests(rule.when):
        numeric = condition.type in (Type.NUMBER, Type.DURATION)
        if numeric and test.operator in ("gt", "gte", "lt", "lte", "between", "eq"):
            marks = test.operand if isinstance(test.operand, tuple) else (test.operand,)
            yield Threshold(
                rule.id, condition.field, f"{test.operator}: {test.text}", tuple(map(float, marks))
            )


def _tests(condition: Condition) -> Iterator[tuple[Comparison, Test]]:
    match condition:
        case Comparison(tests=tests):
            yield from ((condition, test) for test in tests)
        case Not(item=item):
            yield from _tests(item)
        case AllOf(items=items) | AnyOf(items=items):
            for item in items:
                yield from _tests(item)


def _counted_values(column: Column) -> Counter[float]:
    counted: Counter[float] = Counter()
    for value, calls in zip(
        column.values, np.bincount(column.codes, minlength=len(column.values)), strict=True
    ):
        if calls and isinstance(value, int | float):
            counted[_rounded(value)] += int(calls)
    return counted


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
