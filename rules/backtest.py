"""What a rule set would have done with many calls, counted block by block in constant memory."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np

from rules.columns import Answers, Bits, Block, Column, Numbers, counts, numbered, pairs
from rules.compile import asked
from rules.conditions import AllOf, AnyOf, Comparison, Condition, Not, Test
from rules.evaluation import Outcome
from rules.facts import Facts
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


@dataclass(slots=True)
class Threshold:
    """A rule's number, and how the field's values lie around it (rounded to three digits, value -> calls)."""

    rule: str
    asks: str
    text: str
    marks: tuple[float, ...]
    values: Counter[float] = field(default_factory=Counter)


class Backtest:
    """Counts as calls are added; `against` is an older set to compare the tags with."""

    def __init__(self, ruleset: RuleSet, against: RuleSet | None = None) -> None:
        self.ruleset = ruleset
        self.against = against
        self.calls = 0
        self.days: Counter[date] = Counter()
        self.tags: Counter[str] = Counter()
        self.changes: dict[str, TagChange] = {}
        self.thresholds = [threshold for rule in ruleset.rules for threshold in _thresholds(rule)]
        self._values: dict[str, Counter[float]] = {one.asks: Counter() for one in self.thresholds}
        for threshold in self.thresholds:
            threshold.values = self._values[threshold.asks]
        self._outcomes = {outcome: np.zeros(len(ruleset.rules), dtype=np.intp) for outcome in Outcome}
        self._by_day: dict[date, Numbers] = {}
        self._unknown: dict[int, list[str]] = {}
        self._places = {rule.id: at for at, rule in enumerate(ruleset.rules)}
        self._giving = Giving(ruleset)

    def add(self, facts: Sequence[Facts], names: Sequence[str]) -> None:
        """More calls; `names` are how they are called in samples. Best as many as `columns.ROWS` at once."""
        block = Block(facts)
        answers = Answers(self.ruleset, block)
        self.calls += len(facts)
        self._count_outcomes(answers, names)
        self._count_days(answers)
        for asks, values in self._values.items():
            _count_values(answers.column(asks), values)
        rows, tags = self._giving.given(answers)
        for tag, calls in zip(*np.unique(tags, return_counts=True), strict=True):
            self.tags[self._giving.tags[tag]] += int(calls)
        if self.against:
            before = Giving(self.against)
            self._compare(before, before.given(Answers(self.against, block)), (rows, tags), names)

    def _count_outcomes(self, answers: Answers, names: Sequence[str]) -> None:
        rules = self.ruleset.rules
        off = np.asarray([rule.mode is Mode.OFF for rule in rules])
        stopped = np.cumsum(np.bincount(answers.stops, minlength=len(rules) + 1))[:-1]
        unknown = answers.possible & ~answers.true & answers.asked
        found = {
            Outcome.TRUE: counts(answers.true & answers.asked, len(rules)),
            Outcome.UNKNOWN: counts(unknown, len(rules)),
            Outcome.SKIPPED: np.concatenate([[0], stopped[:-1]]) * [rule.mode is Mode.LIVE for rule in rules],
            Outcome.OFF: off * len(answers.block.facts),
        }
        found[Outcome.FALSE] = len(answers.block.facts) - np.sum(list(found.values()), axis=0)
        for outcome, number in found.items():
            self._outcomes[outcome] += number
        for rule in np.flatnonzero(found[Outcome.UNKNOWN]).tolist():
            self._sample_unknown(rule, unknown[:, rule // 64] >> np.uint64(rule % 64), names)

    def _sample_unknown(self, at: int, lowest: Bits, names: Sequence[str]) -> None:
        """More calls of which the rule at that place is unknown: those whose lowest bit is set."""
        known = self._unknown.setdefault(at, [])
        if len(known) < SAMPLE:
            rows = np.flatnonzero(lowest & np.uint64(1))
            known += [names[row] for row in rows[: SAMPLE - len(known)]]

    def _count_days(self, answers: Answers) -> None:
        days = [day_of(facts, self.ruleset) for facts in answers.block.facts]
        self.days.update(day for day in days if day)
        places, codes = numbered(days)
        rows, rules = pairs(answers.true & answers.asked)
        number = len(self.ruleset.rules)
        table = np.bincount(codes[rows] * number + rules, minlength=len(places) * number)
        for day, found in zip(places, table.reshape(-1, number), strict=True):
            if day and found.any():
                self._by_day[day] = self._by_day.get(day, 0) + found

    def _compare(
        self,
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
        for kind, found in kinds.items():
            rows, tags = np.divmod(found, len(every))
            for at, calls in zip(*np.unique(tags, return_counts=True), strict=True):
                change = self.changes.setdefault(every[at], TagChange())
                some = rows[tags == at][: SAMPLE - len(change.samples[kind])]
                change.counts[kind] += int(calls)
                change.samples[kind] += [names[row] for row in some]

    @property
    def rules(self) -> dict[str, RuleCount]:
        """The counts of each rule by its id."""
        found = {
            rule.id: RuleCount(Counter({kind: int(n[at]) for kind, n in self._outcomes.items() if n[at]}))
            for at, rule in enumerate(self.ruleset.rules)
        }
        for place, names in self._unknown.items():
            found[self.ruleset.rules[place].id].unknown = names
        for day, calls in self._by_day.items():
            for at in np.flatnonzero(calls):
                found[self.ruleset.rules[at].id].days[day] = int(calls[at])
        return found

    def share(self, id_: str) -> float:
        """The part of all calls for which the rule is true."""
        at = self._places[id_]
        return int(self._outcomes[Outcome.TRUE][at]) / self.calls if self.calls else 0.0

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


def day_of(facts: Facts, ruleset: RuleSet) -> date | None:
    """The day of the call in the set's time zone."""
    moment = moment_of(facts)
    return moment.astimezone(ruleset.timezone).date() if moment else None


def moment_of(facts: Facts) -> datetime | None:
    """When the call began, else when it ended."""
    moment = facts.get("started_at", facts.get("ended_at"))
    return moment if isinstance(moment, datetime) else None


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


def _count_values(column: Column, counted: Counter[float]) -> None:
    for value, calls in zip(
        column.values, np.bincount(column.codes, minlength=len(column.values)), strict=True
    ):
        if isinstance(value, int | float):
            counted[_rounded(value)] += int(calls)


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
