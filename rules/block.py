"""Calls as columns: the values of each field numbered, so that each of them is looked at once."""

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from rules.bitmaps import Look
from rules.checks import kind
from rules.facts import ENDS, LOCAL, Facts, country_of
from rules.fields import CUSTOM, DERIVED, FIELDS, Type

Numbers = NDArray[np.intp]


class Column(NamedTuple):
    """The values of a field, None the first and only there, and for each call the place of its value. Equal
    values may have several places."""

    values: Sequence[Any]
    codes: Numbers

    def take(self, rows: Numbers) -> "Column":
        return Column(self.values, self.codes.take(rows))

    def mapped(self, function: Callable[[Any], Any]) -> "Column":
        """What becomes of each value."""
        values, places = numbered([None, *map(function, self.values[1:])])
        return Column(values, places.take(self.codes))

    def or_else(self, other: "Column") -> "Column":
        """Where there is no value, that of the other column."""
        if len(other.values) == 1 or self.codes.all():
            return self
        moved = np.where(other.codes > 0, other.codes + len(self.values) - 1, 0)
        return Column([*self.values, *other.values[1:]], np.where(self.codes > 0, self.codes, moved))


def numbered(items: Sequence[Any]) -> tuple[list[Any], Numbers]:
    """The distinct ones in the order of their first, and for each item the place of its like."""
    places = {item: at for at, item in enumerate(dict.fromkeys(items))}
    return list(places), np.fromiter(map(places.__getitem__, items), np.intp, len(items))


class Found:
    """What was found in the texts of a column, as pairs of a text's place and an item's number."""

    def __init__(self, texts: int) -> None:
        self.scanned = np.zeros(texts, dtype=bool)
        self.texts: Numbers = np.zeros(0, dtype=np.intp)
        self.items: Numbers = np.zeros(0, dtype=np.intp)

    def add(self, texts: Sequence[int], found: Sequence[Sequence[int]]) -> None:
        """More texts, each with the numbers of the items found in it; so those of a text stand together."""
        self.scanned[texts] = True
        counts = list(map(len, found))
        more = np.repeat(np.asarray(texts, dtype=np.intp), counts)
        items = np.fromiter((item for some in found for item in some), np.intp, sum(counts))
        self.texts = np.concatenate([self.texts, more])
        self.items = np.concatenate([self.items, items])


class Block:
    """Calls as columns, with what was found in their texts."""

    def __init__(self, calls: int, facts: Callable[[int], Facts], given: Callable[[str], Column]) -> None:
        """`facts` gives those of a call by its place, `given` a field of all calls as their facts have it."""
        self.calls = calls
        self.facts = cache(facts)
        self.given = cache(given)
        self._columns: dict[tuple[str, str], Column] = {}
        self.hits: dict[Any, Found] = {}
        """What was found in texts, by field, zone and what was looked for."""

    @classmethod
    def of(cls, facts: Sequence[Facts]) -> "Block":
        """Of calls with these facts."""
        return cls(len(facts), facts.__getitem__, lambda field: _encoded(field, facts))

    def take(self, rows: Numbers) -> "Block":
        """Of some of the calls."""
        return Block(
            len(rows), lambda row: self.facts(int(rows[row])), lambda field: self.given(field).take(rows)
        )

    @cached_property
    def moments(self) -> Column:
        """When each call began, else when it ended, as `moment_of` tells it of one."""
        return self.given("started_at").or_else(self.given("ended_at"))

    def column(self, field: str, timezone: ZoneInfo) -> Column:
        """One field of the calls, as `derive` tells it of one."""
        if field not in DERIVED:
            return self.given(field)
        key = field, timezone.key
        if key not in self._columns:
            self._columns[key] = self.given(field).or_else(self._derived(field, timezone))
        return self._columns[key]

    def _derived(self, field: str, timezone: ZoneInfo) -> Column:
        if field in LOCAL:
            part = LOCAL[field]
            return self.moments.mapped(lambda moment: part(moment.astimezone(timezone)))
        if field == "remote_country":
            return self.column("remote_number", timezone).mapped(country_of)
        directions, codes = self.given("direction")
        found = Column([None], np.zeros(self.calls, dtype=np.intp))
        for at, direction in enumerate(directions):
            if direction in ENDS:
                values, places = self.given(ENDS[direction][field])
                found = found.or_else(Column(values, np.where(codes == at, places, 0)))
        return found

    def found(self, look: Look, timezone: ZoneInfo) -> Found:
        """What is known already of what a look finds; the same things looked for are the same answers."""
        zone = timezone.key if look.field in DERIVED else None
        texts = len(self.column(look.field, timezone).values)
        return self.hits.setdefault((look.field, zone, tuple(look.scan.items)), Found(texts))


def _encoded(field: str, facts: Sequence[Facts]) -> Column:
    raw: list[Any] = [known.get(field) for known in facts]
    if field.startswith(CUSTOM):  # 1 and True are equal, and yet two values
        pairs, codes = numbered([(kind(value), value) for value in [None, *raw]])
        return Column([value for _, value in pairs], codes[1:])
    if FIELDS[field].type is Type.TEXTS:
        raw = [tuple(value) if isinstance(value, list) else value for value in raw]
    values, codes = numbered([None, *raw])
    return Column(values, codes[1:])
