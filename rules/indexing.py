"""From conditions to their bitmaps: conjunctions are numbered, and their tests put into tables."""

from collections.abc import Callable, Mapping
from typing import Any

from rules.bitmaps import Column, Index, Look, Residual
from rules.checks import Call, Check, Truth, check_of
from rules.conditions import Condition
from rules.conjunctions import Conjunction, Literal, TooManyError, certain, conjunctions
from rules.hours import hours_of
from rules.places import How, Place, place
from rules.scan import Scan, Sought, regexes
from rules.schedules import Schedule
from rules.tables import (
    Keys,
    Marks,
    Mask,
    Table,
    Values,
    beginnings,
    folded_table,
    keyed_table,
    mask_of,
    value_table,
)
from rules.text import nfc

View = Callable[[str], str] | None


def index_of(
    conditions: Mapping[int, Condition], named: Mapping[str, Condition], whole: Callable[[int], Check]
) -> Index:
    """The index of these conditions by their places, ascending; `whole` gives the check of one."""
    building = _Building()
    for at, condition in conditions.items():
        try:
            for conjunction in conjunctions(condition, True, named):
                building.add(at, conjunction)
        except TooManyError:
            number = building.add(at, certain(condition, named))
            building.residuals.setdefault(number, []).append((whole(at), True))
    return building.index()


class _Asked:
    """What is asked of one column, by the kind of table."""

    def __init__(self) -> None:
        self.keys: dict[tuple[How, View], Keys] = {}
        self.order = Marks()
        self.value: set[int] = set()
        """The conjunctions that ask for a value, whatever it is to be."""
        self.presence: dict[bool, set[int]] = {True: set(), False: set()}

    def add(self, number: int, place: Place) -> bool:
        """False where the conjunction asks that table something already."""
        if place.how is How.PRESENCE:
            self.presence[place.wanted].add(number)
            return True
        self.value.add(number)
        if place.how is How.ORDER:
            return self.order.add(number, place.asked, place.wanted)
        keys = self.keys.setdefault((place.how, place.view), Values() if place.how is How.VALUE else Keys())
        return keys.add(number, place.asked, place.wanted)


class _Building:
    """Conjunctions as they are numbered and placed."""

    def __init__(self) -> None:
        self.owners: list[int] = []
        self.residuals: dict[int, list[Residual]] = {}
        self.asked: dict[tuple[str, type | None], _Asked] = {}
        self.schedules: dict[str, Schedule] = {}
        self.sought: dict[tuple[str, View], dict[Sought, Any]] = {}
        """By field and view all that is looked for, with the compiled patterns of `matches`."""
        self.scans: dict[tuple[str, View], Scan] = {}

    def add(self, owner: int, conjunction: Conjunction) -> int:
        """Gives the conjunction's number."""
        number = len(self.owners)
        self.owners.append(owner)
        for literal in sorted(conjunction, key=lambda literal: not literal.wanted):
            placed = place(literal)
            if placed is None:
                self._leave(number, check_of(literal.comparison, literal.test), literal)
                continue
            self._note(literal, placed)
            asked = self.asked.setdefault((placed.field, placed.kind), _Asked())
            if not asked.add(number, placed):
                self._leave(number, self._check(literal, placed), literal)
        return number

    def _leave(self, number: int, check: Check, literal: Literal) -> None:
        self.residuals.setdefault(number, []).append((check, literal.wanted))

    def _note(self, literal: Literal, placed: Place) -> None:
        if placed.how is How.SCHEDULES:
            self.schedules[literal.test.operand.name] = literal.test.operand
        elif placed.how is How.FOUND:
            items = self.sought.setdefault((placed.field, placed.view), {})
            items |= dict.fromkeys(placed.asked) | regexes(literal.comparison, literal.test)

    def _check(self, literal: Literal, placed: Place) -> Check:
        """The test by itself; of a text by what is found in it anyway."""
        if placed.how is not How.FOUND:
            return check_of(literal.comparison, literal.test)
        scans, wanted = self.scans, frozenset(placed.asked)

        def check(call: Call) -> Truth:
            found = call.view(scans[placed.field, placed.view].find, placed.field)
            return None if found is None else not wanted.isdisjoint(found)

        return check

    def index(self) -> Index:
        for key, items in self.sought.items():
            self.scans[key] = Scan(list(items), items)
        every = (1 << len(self.owners)) - 1
        return Index(
            [self._column(*key, self.asked[key], every) for key in self._most_asked_first()],
            [look for (field, _), asked in self.asked.items() for look in self._looks(field, asked, every)],
            self.owners,
            self.residuals,
        )

    def _most_asked_first(self) -> list[tuple[str, type | None]]:
        """So that it is soon seen where nothing is left."""
        return sorted(self.asked, key=lambda key: -len(self.asked[key].value))

    def _column(self, field: str, kind: type | None, asked: _Asked, every: Mask) -> Column:
        tables = [
            self._table(how, view, keys, every)
            for (how, view), keys in asked.keys.items()
            if how is not How.FOUND
        ]
        if asked.order.asked:
            tables.append(asked.order.table(every))
        present, absent = (mask_of(asked.presence[wanted]) for wanted in (True, False))
        return Column(
            field,
            kind,
            tuple(tables),
            present=every ^ absent if absent else -1,
            absent_true=every & ~mask_of(asked.value) & ~present,
            absent_possible=every & ~present,
        )

    def _table(self, how: How, view: View, keys: Keys, every: Mask) -> Table:
        if how is How.SCHEDULES:
            return keyed_table(keys, every, hours_of(self.schedules[name] for name in keys.all_keys()))
        if view is None or (how, view) == (How.VALUE, nfc):
            return value_table(keys, every)
        if how is How.VALUE:
            return folded_table(keys, every)
        if how is How.ITEMS:
            return keyed_table(keys, every, lambda items: map(view, items))
        if how is How.END:
            return keyed_table(keys, every, beginnings(keys, lambda text: view(text)[::-1]))
        return keyed_table(keys, every, beginnings(keys, view))

    def _looks(self, field: str, asked: _Asked, every: Mask) -> list[Look]:
        return [
            Look(field, self.scans[field, view], keys.without(every), keys.flips(), mask_of(keys.asked))
            for (how, view), keys in asked.keys.items()
            if how is How.FOUND
        ]
