"""The rules in force as people look at them: what each did by day, what they do together, and versions."""

import difflib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.block import Block
from rules.diff import Change, differences
from rules.excerpt import rule_texts
from rules.faults import RuleSetFaults
from rules.reading import PART, read
from rules.ruleset import Mode, Rule, RuleSet
from rules.together import Together, together
from store import days, linking, past, rulesets
from store.days import ALL, Matches
from store.rulesets import Version
from worker.why import State

DAYS = 30
"""Days that are shown, today the last."""
LATEST = 10_000
"""Calls on which rules are held against each other."""
KEPT = 300.0
"""Seconds for which that is told again without being worked out."""
ENOUGH = 20
"""Calls that a set must have decided before it is said that a rule never matches."""
MOST_LINES = 10_000
"""Lines of text that are compared."""


@dataclass(frozen=True, slots=True)
class Line:
    """One rule. `days` are its matches by day, oldest first, one for each of `DAYS`; `share` is the part of
    the calls that the set decided in this time, None where it decided none; `last` is the last day on which
    it matched (since 1970), by whichever version."""

    rule: Rule
    text: str
    days: Sequence[Matches]
    share: float | None
    last: int | None

    @property
    def total(self) -> Matches:
        """Of all the days."""
        return Matches(*(sum(getattr(day, kind) for day in self.days) for kind in KINDS))


KINDS = ("live", "shadow", "unknown")


class Texts:
    """The text of each rule, kept for the last set that was asked for."""

    def __init__(self) -> None:
        self._last: tuple[str, Mapping[str, str]] | None = None

    def of(self, ruleset: RuleSet) -> Mapping[str, str]:
        if self._last is None or self._last[0] != ruleset.hash:
            self._last = (ruleset.hash, rule_texts(ruleset))
        return self._last[1]


def lines(state: State, ruleset: RuleSet, rules: Sequence[Rule], texts: Texts, now: float) -> list[Line]:
    """The rules with what they did lately."""
    ids = [rule.id for rule in rules]
    today = days.day_of(now)
    since = today - DAYS + 1
    with state.database.read() as connection:
        by_day = days.of_rules(connection, ids, since)
        of_set = days.of_set(connection, ruleset.hash, ids, since)
        last = days.last_days(connection, ids)
    decided = of_set.get(ALL, 0)
    none = Matches(0, 0, 0)
    return [
        Line(
            rule,
            texts.of(ruleset)[rule.id],
            [by_day.get(rule.id, {}).get(day, none) for day in range(since, today + 1)],
            of_set.get(rule.id, 0) / decided if decided else None,
            last.get(rule.id),
        )
        for rule in rules
    ]


def never(state: State, ruleset: RuleSet, now: float) -> list[str] | None:
    """The rules that are asked and matched nothing as far as is counted; None where too few calls were."""
    asked = [rule.id for rule in ruleset.rules if rule.mode is not Mode.OFF]
    with state.database.read() as connection:
        if days.of_set(connection, ruleset.hash, [], 0).get(ALL, 0) < ENOUGH:
            return None
        lately = days.matching(connection, ruleset.hash, days.day_of(now) - DAYS)  # of most rules it is all
        silent = [id_ for id_ in asked if id_ not in lately]
        ever = days.of_set(connection, ruleset.hash, silent, 0)
    return [id_ for id_ in silent if not ever.get(id_)]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What the rules do together on the latest calls; `last` leads to the newest call that each matched:
    account, reference and time. `at` says when it was worked out."""

    found: Together
    last: Mapping[str, tuple[str, str, float]]
    at: float


class Overlaps:
    """Works overlaps out when they are asked for, one at a time, and keeps the last."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._working = threading.Lock()
        self._last: tuple[str, Overlap] | None = None

    def of(self, ruleset: RuleSet) -> Overlap:
        """Takes a second or so where it is not kept."""
        with self._working:
            if self._last is None or self._last[0] != ruleset.hash or self._last[1].at < time.time() - KEPT:
                self._last = (ruleset.hash, self._worked_out(ruleset))
            return self._last[1]

    def _worked_out(self, ruleset: RuleSet) -> Overlap:
        calls = past.latest_calls(self._state.database, LATEST)
        blocks: list[Block] = []
        known: list[past.Latest] = []
        for start in range(0, len(calls), PART):
            some = calls[start : start + PART]
            block, wrong = read([call.facts for call in some])
            blocks.append(block)
            known += [call for at, call in enumerate(some) if at not in wrong]
        found = together(ruleset, blocks)
        first = {rule: known[at] for rule, at in found.first.items()}
        with self._state.database.read() as connection:
            refs = linking.refs_of(connection, {call.id for call in first.values()})
        named = {
            rule: (call.account, refs[call.id][0][2], call.first_at)
            for rule, call in first.items()
            if call.id in refs
        }
        return Overlap(found, named, time.time())


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions. `text` is a unified difference of the files; None where they are too long for one.
    `changes` are those in meaning; None where one of the sets can no longer be read."""

    old: Version
    new: Version
    changes: Sequence[Change] | None
    text: Sequence[str] | None


def compare(state: State, old: str, new: str) -> Compared:
    """What changed from one version to the other; raises KeyError for one that there is not."""
    with state.database.read() as connection:
        known = [rulesets.version(connection, hash) for hash in (old, new)]
        files = [rulesets.files(connection, hash) for hash in (old, new)]
    before, after = known
    if before is None or after is None:
        raise KeyError(old if before is None else new)
    return Compared(before, after, _changes(state, old, new), _text(*files))


def _changes(state: State, old: str, new: str) -> list[Change] | None:
    try:
        return differences(state.rules.by_hash(old), state.rules.by_hash(new))
    except RuleSetFaults:  # of an earlier version of calltag
        return None


def _text(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[str] | None:
    split = [{name: text.decode().splitlines() for name, text in files.items()} for files in (old, new)]
    if sum(len(lines) for files in split for lines in files.values()) > MOST_LINES:
        return None
    before, after = split
    return [
        line
        for name in {**before, **after}
        for line in difflib.unified_diff(before.get(name, []), after.get(name, []), name, name, lineterm="")
    ]
