"""Tables from a field's value to the conjunctions that it satisfies, each a mask: bit n for conjunction n.

Every conjunction that asks nothing of the field has its bit set for every value.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import accumulate
from operator import xor
from typing import Any

from rules.text import fold, nfc

Mask = int
Table = Callable[[Any], Mask]
"""What a value that the call has satisfies."""


BITS = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]
DENSE = 40
"""Where more than one bit in so many is set, it is faster to go through all."""


def mask_of(numbers: Iterable[int]) -> Mask:
    """The mask with these bits set."""
    found = list(numbers)
    octets = bytearray((max(found, default=-1) >> 3) + 1)
    for number in found:
        octets[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(octets, "little")


def numbers_of(mask: Mask) -> list[int]:
    """The bits that are set, ascending."""
    if mask.bit_count() * DENSE > mask.bit_length():
        octets = mask.to_bytes((mask.bit_length() + 7) >> 3, "little")
        return [at * 8 + bit for at, octet in enumerate(octets) if octet for bit in BITS[octet]]
    found = []
    while mask:
        highest = mask.bit_length() - 1
        found.append(highest)
        mask ^= 1 << highest
    found.reverse()
    return found


# --- keys: a conjunction asks for any of some keys, or for none of them


class Keys:
    """Which conjunctions ask for which keys of a value: the value itself, its prefixes, its patterns..."""

    def __init__(self) -> None:
        self.asked: dict[int, tuple[frozenset[Any], bool]] = {}

    def add(self, number: int, keys: Iterable[Any], wanted: bool) -> bool:
        """One of the keys must be there, or none; False where the conjunction asks for others already."""
        if number in self.asked:
            return False
        self.asked[number] = frozenset(keys), wanted
        return True

    def all_keys(self) -> set[Any]:
        return set().union(*(keys for keys, _ in self.asked.values()))

    def flips(self) -> Mapping[Any, Mask]:
        """By key, the conjunctions that it makes true, or keeps from being true."""
        found: dict[Any, list[int]] = defaultdict(list)
        for number, (keys, _) in self.asked.items():
            for key in keys:
                found[key].append(number)
        return {key: mask_of(numbers) for key, numbers in found.items()}

    def without(self, every: Mask) -> Mask:
        """What a value with no key that is asked for satisfies."""
        return every ^ mask_of(number for number, (_, wanted) in self.asked.items() if wanted)


class Values(Keys):
    """Keys of which a value is exactly one, so that what a conjunction asks several times can be merged."""

    def add(self, number: int, keys: Iterable[Any], wanted: bool) -> bool:
        added = frozenset(keys), wanted
        self.asked[number] = _both(self.asked[number], added) if number in self.asked else added
        return True


def _both(
    first: tuple[frozenset[Any], bool], second: tuple[frozenset[Any], bool]
) -> tuple[frozenset[Any], bool]:
    """One of the keys (or none of them) in the one sense and in the other."""
    if first[1] and second[1]:
        return first[0] & second[0], True
    if not first[1] and not second[1]:
        return first[0] | second[0], False
    wanted, refused = (first, second) if first[1] else (second, first)
    return wanted[0] - refused[0], True


class ValueTable(dict[Any, Mask]):
    """For values that are their own key; a text in another form than NFC is the key that it is in NFC."""

    def __init__(self, masks: Mapping[Any, Mask], base: Mask) -> None:
        super().__init__(masks)
        self.base = base

    def __missing__(self, value: Any) -> Mask:
        if not isinstance(value, str) or value.isascii():
            return self.base
        return self.get(nfc(value), self.base)

    def __call__(self, value: Any) -> Mask:
        return self[value]


def value_table(keys: Keys, every: Mask) -> ValueTable:
    base = keys.without(every)
    return ValueTable({key: base ^ flip for key, flip in keys.flips().items()}, base)


def folded_table(keys: Keys, every: Mask) -> Table:
    """For texts that are equal when folded."""
    table = value_table(keys, every)
    return lambda value: table[fold(value)]


def keyed_table(keys: Keys, every: Mask, keys_of: Callable[[Any], Iterable[Any]]) -> Table:
    """For values with any number of keys."""
    base, flips = keys.without(every), keys.flips()

    def table(value: Any) -> Mask:
        mask = 0
        for key in keys_of(value):
            if key in flips:
                mask |= flips[key]
        return base ^ mask

    return table


def beginnings(keys: Keys, view: Callable[[str], str]) -> Callable[[str], list[str]]:
    """The beginnings of a text that may be keys."""
    lengths = sorted({len(key) for key in keys.all_keys()})

    def keys_of(value: str) -> list[str]:
        text = view(value)
        return [text[:length] for length in lengths]

    return keys_of


# --- order: a conjunction asks for spans between marks

Turns = list[int]
"""Where, in the order of cells, membership begins and ends. With the marks m0 < m1 the cells are: 0 below m0,
1 at m0, 2 between the two, 3 at m1, 4 above."""


class Marks:
    """Which conjunctions ask for which spans of an ordered field."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, Any, bool]] = []

    def add(self, number: int, asked: tuple[str, Any], wanted: bool) -> bool:
        """`asked` is an operator and its operand; what a conjunction asks several times is merged."""
        self.asked.append((number, *asked, wanted))
        return True

    def table(self, every: Mask) -> Table:
        """By the cell that the value lies in."""
        marks = sorted({mark for _, _, operand, _ in self.asked for mark in _items(operand)})
        first = {mark: 2 * at + 1 for at, mark in enumerate(marks)}  # the cell at the mark
        turns: dict[int, Turns] = {}
        for number, operator, operand, wanted in self.asked:
            cells = [first[mark] for mark in _items(operand)]
            found = TURNS[operator](cells)
            found = found if wanted else [0, *found]
            turns[number] = _crossed(turns[number], found) if number in turns else sorted(found)
        changes: list[list[int]] = [[] for _ in range(2 * len(marks) + 2)]
        for number, found in turns.items():
            for cell in found:
                changes[cell].append(number)
        base = every ^ mask_of(turns)
        flips = (reduce(xor, map((1).__lshift__, numbers), 0) for numbers in changes)
        masks = list(accumulate(flips, xor, initial=base))[1:]
        at_marks, between, last = masks[1::2], masks[::2], len(marks)

        def table(value: Any) -> Mask:
            at = bisect_left(marks, value)
            return at_marks[at] if at < last and marks[at] == value else between[at]

        return table


def _items(operand: Any) -> tuple[Any, ...]:
    return operand if isinstance(operand, tuple) else (operand,)


def _each(cells: Sequence[int]) -> Turns:
    return [turn for cell in set(cells) for turn in (cell, cell + 1)]


TURNS: Mapping[str, Callable[[Sequence[int]], Turns]] = {
    "eq": _each,
    "ne": lambda cells: [0, *_each(cells)],
    "in": _each,
    "not_in": lambda cells: [0, *_each(cells)],
    "gt": lambda cells: [cells[0] + 1],
    "gte": lambda cells: [cells[0]],
    "lt": lambda cells: [0, cells[0]],
    "lte": lambda cells: [0, cells[0] + 1],
    "between": lambda cells: [cells[0], cells[1] + 1],
    "hours": lambda cells: [*cells] if cells[0] < cells[1] else [0, *cells],
}
"""The turns of each operator, from the cells of its marks; a turn that stands twice is none."""


def _crossed(first: Turns, second: Turns) -> Turns:
    """Where both hold."""
    found, inside = [], False
    for cell in sorted({*first, *second}):
        now = _within(first, cell) and _within(second, cell)
        if now is not inside:
            found.append(cell)
            inside = now
    return found


def _within(turns: Turns, cell: int) -> bool:
    return sum(turn <= cell for turn in turns) % 2 == 1
