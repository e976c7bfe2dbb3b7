"""Many calls at once: the rules of a set asked of a block of them.

The tables of `bitmaps.py` are asked once for each value of a column; what they leave is gathered for all
calls and intersected. The answers are those of `evaluate`, row for row.
"""

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rules.bitmaps import Look
from rules.block import Block, Column, Numbers, numbered
from rules.checks import Truth
from rules.evaluate import evaluation_of
from rules.evaluation import Applied, Evaluation
from rules.ruleset import Mode, RuleSet
from rules.tables import Mask, mask_of, numbers_of

Bits = NDArray[np.uint64]
"""A row for each call or value, a bit for each conjunction or rule, the first in the lowest bit."""

ABSENT: Mask = -2
"""Stands for what is left where there is no value, which depends on what is asked."""


class Answers:
    """What the rules of a set say of each call of a block."""

    def __init__(self, ruleset: RuleSet, block: Block) -> None:
        self.ruleset = ruleset
        self.block = block
        self._index = ruleset.program.index
        self._calls = block.calls
        self._width = _words(len(self._index.owners))

    @cached_property
    def true(self) -> Bits:
        """The rules that are true, whatever stops; bit n is that of rule n."""
        return self._of_rules(self._ask(unknown_too=False))

    @cached_property
    def possible(self) -> Bits:
        """The rules that are true or unknown, whatever stops."""
        return self._of_rules(self._ask(unknown_too=True))

    @cached_property
    def stops(self) -> Numbers:
        """For each call the place of the rule that skips the later ones, or one past the last rule."""
        rules = self.ruleset.rules
        stopping = mask_of(at for at, rule in enumerate(rules) if rule.stop and rule.mode is Mode.LIVE)
        found = np.full(self._calls, len(rules), dtype=np.intp)
        rows, places = pairs(self.true & self.row(stopping))
        first = np.unique(rows, return_index=True)[1]
        found[rows[first]] = places[first]
        return found

    @cached_property
    def asked(self) -> Bits:
        """The rules that are not skipped."""
        rules = self.ruleset.rules
        shadow = mask_of(at for at, rule in enumerate(rules) if rule.mode is Mode.SHADOW)
        values, codes = np.unique(self.stops, return_inverse=True)
        masks = [((1 << (int(value) + 1)) - 1) | shadow for value in values]
        return _table(masks, _words(len(rules) + 1)).take(codes, axis=0)[:, : self.true.shape[1]]

    def evaluation(
        self, row: int, applied: Sequence[Applied] = (), blocked: Collection[str] = ()
    ) -> Evaluation:
        """What `evaluate` gives for one of the calls."""
        return evaluation_of(
            self.ruleset,
            self.block.facts(row),
            _places(self.true, row),
            lambda: _places(self.possible, row),
            applied,
            blocked,
        )

    def row(self, rules: Mask) -> NDArray[np.uint64]:
        """A mask of rules as a row of bits."""
        return _row(rules, self.true.shape[1])

    def column(self, field: str) -> Column:
        """A field of the calls."""
        return self.block.column(field, self.ruleset.timezone)

    @cached_property
    def _left(self) -> Sequence[tuple[Sequence[Mask], Numbers]]:
        """For each column of the index what its values leave, and for each call the place of that."""
        found = []
        for column in self._index.columns:
            values, codes = self.column(column.field)
            masks, places = numbered(column.masks(values, ABSENT))
            found.append((masks, places.take(codes)))
        return found

    def _ask(self, unknown_too: bool) -> Bits:
        index = self._index
        left = np.repeat(_row(index.every, self._width)[None, :], self._calls, axis=0)
        for column, (masks, codes) in zip(index.columns, self._left, strict=True):
            absent = column.absent_possible if unknown_too else column.absent_true
            known = [absent if mask == ABSENT else mask for mask in masks]
            left &= _table(known, self._width).take(codes, axis=0)
        for look in index.looks:
            self._look(look, left)
        self._settle(left, (None,) if unknown_too else ())
        return left

    def _look(self, look: Look, left: Bits) -> None:
        rows = np.flatnonzero((left & _row(look.needed, self._width)).any(axis=1))
        if not len(rows):
            return
        values, codes = self.column(look.field)
        found = self.block.found(look, self.ruleset.timezone)
        texts = np.unique(codes[rows])
        fresh = [at for at in texts[~found.scanned[texts]].tolist() if isinstance(values[at], str)]
        numbers = {item: at for at, item in enumerate(look.scan.items)}
        found.add(fresh, [[numbers[item] for item in look.scan.find(values[at])] for at in fresh])
        flips = _table([look.flips.get(item, 0) for item in look.scan.items], self._width)
        masks = np.repeat(_row(look.base, self._width)[None, :], len(values), axis=0)
        if len(found.texts):
            starts = np.flatnonzero(np.diff(found.texts, prepend=-1))
            masks[found.texts[starts]] ^= np.bitwise_or.reduceat(flips[found.items], starts, axis=0)
        masks[[not isinstance(value, str) for value in values]] = _row(self._index.every, self._width)
        left &= masks[codes]

    def _settle(self, left: Bits, other: tuple[Truth, ...]) -> None:
        """What no table can tell, call by call."""
        program, timezone = self.ruleset.program, self.ruleset.timezone
        for row in np.flatnonzero((left & _row(self._index.unsettled, self._width)).any(axis=1)).tolist():
            call = program.start(self.block.facts(row), timezone)
            mask = int.from_bytes(left[row].tobytes(), "little")
            left[row] = _row(self._index.settled(mask, call, other), self._width)

    def _of_rules(self, conjunctions: Bits) -> Bits:
        """A rule is what one of its conjunctions is."""
        owners, number = np.asarray(self._index.owners, dtype=np.intp), len(self.ruleset.rules)
        if np.array_equal(owners, np.arange(number)):
            return conjunctions
        found = np.zeros((self._calls, _words(number) * 64), dtype=np.uint8)
        if len(owners):
            bits = np.unpackbits(conjunctions.view(np.uint8), axis=1, count=len(owners), bitorder="little")
            starts = np.flatnonzero(np.diff(owners, prepend=-1))
            found[:, owners[starts]] = np.bitwise_or.reduceat(bits, starts, axis=1)
        return np.packbits(found, axis=1, bitorder="little").view(np.uint64)


def pairs(bits: Bits) -> tuple[Numbers, Numbers]:
    """The set bits as rows and places, in this order."""
    octets = np.ascontiguousarray(bits).view(np.uint8)
    rows, columns = np.nonzero(octets)
    which, bit = np.nonzero(np.unpackbits(octets[rows, columns][:, None], axis=1, bitorder="little"))
    return rows[which], columns[which] * 8 + bit


def counts(bits: Bits, number: int) -> Numbers:
    """How many rows have each of the first `number` bits."""
    found = np.zeros(number, dtype=np.intp)
    octets = np.ascontiguousarray(bits).view(np.uint8)
    for at in range(0, len(bits), 255):  # as many as a small sum can hold
        some = np.unpackbits(octets[at : at + 255], axis=1, count=number, bitorder="little")
        found += np.add.reduce(some, axis=0, dtype=np.uint8)
    return found


def _words(bits: int) -> int:
    return max(1, -(-bits // 64))


def _table(masks: Sequence[Mask], width: int) -> Bits:
    every = (1 << width * 64) - 1
    octets = b"".join((mask & every).to_bytes(width * 8, "little") for mask in masks)
    return np.frombuffer(octets, dtype="<u8").reshape(-1, width)


def _row(mask: Mask, width: int) -> NDArray[np.uint64]:
    found: NDArray[np.uint64] = _table([mask], width)[0]
    return found


def _places(bits: Bits, row: int) -> list[int]:
    return numbers_of(int.from_bytes(bits[row].tobytes(), "little"))
