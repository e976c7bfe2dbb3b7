"""The tags that a set's live rules give to each call of a block, as `decide.py` gives them to one."""

from collections.abc import Sequence

import numpy as np

from rules.block import Numbers
from rules.columns import Answers, pairs
from rules.ruleset import Mode, RuleSet
from rules.tables import mask_of
from rules.text import nfc


class Giving:
    """The tags of a rule set by number: `tags` are their names."""

    def __init__(self, ruleset: RuleSet) -> None:
        self.ruleset = ruleset
        self.tags = list(dict.fromkeys(tag for rule in ruleset.rules for tag in rule.tags))
        numbers = {tag: at for at, tag in enumerate(self.tags)}
        self._counts = np.asarray([len(rule.tags) for rule in ruleset.rules], dtype=np.intp)
        self._starts = np.cumsum(self._counts) - self._counts
        self._flat = np.asarray([numbers[tag] for rule in ruleset.rules for tag in rule.tags], dtype=np.intp)
        self._groups = {group: at for at, group in enumerate(dict.fromkeys(ruleset.groups.values()))}
        self._group = np.asarray([self._group_of(tag) for tag in self.tags], dtype=np.intp)
        self._live = mask_of(at for at, rule in enumerate(ruleset.rules) if rule.mode is Mode.LIVE)

    def _group_of(self, tag: str) -> int:
        group = self.ruleset.group_of(tag)
        return -1 if group is None else self._groups[group]

    def given(self, answers: Answers) -> tuple[Numbers, Numbers]:
        """Rows and the numbers of the tags given there, by row, each once."""
        rows, rules = pairs(answers.true & answers.asked & answers.row(self._live))
        counts = self._counts[rules]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        tags = self._flat[np.repeat(self._starts[rules], counts) + within]
        rows = np.repeat(rows, counts)
        kept = self._won(rows, tags, answers)
        found = np.unique(rows[kept] * max(1, len(self.tags)) + tags[kept])
        return np.divmod(found, max(1, len(self.tags)))

    def _won(self, rows: Numbers, tags: Numbers, answers: Answers) -> Numbers:
        """Which of them, in the order of the rules, do not lose their group."""
        every = np.arange(len(tags))
        group = self._group[tags]
        grouped = np.flatnonzero(group >= 0)
        if not len(grouped):
            return every
        keys = rows[grouped] * len(self._groups) + group[grouped]
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
        lost = tags[grouped] != tags[grouped][first][which]
        values, codes = answers.column("tags")
        taken = np.asarray([self._taken(value) for value in values])
        lost |= taken[codes[rows[grouped]], group[grouped]]
        return np.delete(every, grouped[lost])

    def _taken(self, others: Sequence[str] | None) -> list[bool]:
        """For each group whether a tag on the call has it that is not ours."""
        groups = {self.ruleset.group_of(nfc(tag)) for tag in others or ()}
        return [group in groups for group in self._groups]
