"""The rules of a set as bitmaps: all of them are asked at once.

Rules become conjunctions, each with a number. Per field, tables lead from a value to the mask of the
conjunctions that it satisfies (`tables.py`); what is in the masks of all fields is true. A text is looked
through (`scan.py`) only where a conjunction that is left asks for it, and what no table can tell is checked
for the few that are left then.

What is asked of a field without a value is unknown. So there are two masks for its absence: of what is true
all the same, and of what stays possible. A rule with a conjunction that is true is true, with one that is
possible unknown, and else false.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, NamedTuple, Protocol

from rules.checks import Call, Check, Truth, kind
from rules.scan import Scan, Sought
from rules.tables import Mask, Table, ValueTable, mask_of, numbers_of

Residual = tuple[Check, bool]
"""A check, and what it must say."""


class Column(NamedTuple):
    """What is asked of one field; of a `custom` field only its values of one kind, the others are as none."""

    field: str
    kind: type | None
    tables: tuple[Table, ...]
    present: Mask
    absent_true: Mask
    absent_possible: Mask

    @property
    def table(self) -> Table:
        """What a value of the column's kind leaves."""
        return self.tables[0] if len(self.tables) == 1 and self.present == -1 else self._mask

    def _mask(self, value: Any) -> Mask:
        mask = self.present
        for table in self.tables:
            mask &= table(value)
        return mask

    def masks(self, values: Sequence[Any], absent: Mask) -> list[Mask]:
        """What each value leaves, of which the first is None."""
        table = self.table
        if self.kind is None:
            return [absent, *map(table, values[1:])]
        return [table(value) if kind(value) is self.kind else absent for value in values]

    def lookup(self, absent: Mask) -> "Lookup":
        """From a value, or None, to what it leaves; `absent` where it is none of the column's."""
        if isinstance(self.table, ValueTable) and self.kind is None:
            return ValueTable({**self.table, None: absent}, self.table.base)
        return _Lookup(self.table, self.kind, absent)


class Lookup(Protocol):
    """A table that knows of absence too. Subscripts, since those of a dictionary cost least."""

    def __getitem__(self, value: Any, /) -> Mask: ...


class _Lookup:
    __slots__ = ("_absent", "_kind", "_table")

    def __init__(self, table: Table, kind: type | None, absent: Mask) -> None:
        self._table = table
        self._kind = kind
        self._absent = absent

    def __getitem__(self, value: Any) -> Mask:
        if value is None or (self._kind and kind(value) is not self._kind):
            return self._absent
        return self._table(value)


class Look(NamedTuple):
    """What is looked for in a text field, and the conjunctions that need it.

    What is found flips bits of `base`, which is what a text leaves where nothing is.
    """

    field: str
    scan: Scan
    base: Mask
    flips: Mapping[Sought, Mask]
    needed: Mask

    def mask(self, found: Iterable[Sought]) -> Mask:
        """What a text leaves in which this was found."""
        return self.base ^ reduce(or_, [self.flips[item] for item in found if item in self.flips], 0)


class Index:
    """The bitmaps of a set's conditions. `owners` has the place of the condition of each conjunction."""

    def __init__(
        self,
        columns: Sequence[Column],
        looks: Sequence[Look],
        owners: Sequence[int],
        residuals: Mapping[int, Sequence[Residual]],
    ) -> None:
        self.columns = columns
        self.looks = looks
        self.owners = owners
        self._several = len(set(owners)) < len(owners)
        self.every = (1 << len(owners)) - 1
        self._residuals = residuals
        self.unsettled = mask_of(residuals)
        self._true = [(column.field, column.lookup(column.absent_true)) for column in columns]
        self._possible = [(column.field, column.lookup(column.absent_possible)) for column in columns]

    def true(self, call: Call) -> Mask:
        """The conjunctions that are true for a call, whose facts are derived already."""
        mask, value_of = self.every, call.facts.get
        for field, lookup in self._true:
            mask &= lookup[value_of(field)]
            if not mask:
                return 0
        return self.settled(self._looked(mask, call), call, ())

    def possible(self, call: Call) -> Mask:
        """Those that are true or unknown."""
        mask = self.every
        for field, lookup in self._possible:
            mask &= lookup[call.facts.get(field)]
        return self.settled(self._looked(mask, call), call, (None,))

    def _looked(self, mask: Mask, call: Call) -> Mask:
        for look in self.looks:
            if mask & look.needed:
                found = call.view(look.scan.find, look.field)
                if found is not None:
                    mask &= look.mask(found)
        return mask

    def settled(self, mask: Mask, call: Call, other: tuple[Truth, ...]) -> Mask:
        """Without those whose residual says something else than it must, or than `other`."""
        for number in numbers_of(mask & self.unsettled):
            if not all(check(call) in (wanted, *other) for check, wanted in self._residuals[number]):
                mask ^= 1 << number
        return mask

    def conditions(self, mask: Mask) -> list[int]:
        """The places of the conditions that have one of these conjunctions, ascending."""
        found = [self.owners[number] for number in numbers_of(mask)]
        return list(dict.fromkeys(found)) if self._several else found
