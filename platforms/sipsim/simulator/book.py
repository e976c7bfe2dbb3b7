"""All calls that the platform knows, by id, by reference, by time and by number."""

import heapq
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass
from time import monotonic

from platforms.sipsim.simulator.records import Key, Record, digits
from platforms.sipsim.simulator.series import Series

FEW = 10_000
"""Calls up to which it is quicker to sort them than to look through the whole list for them."""


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked of the list, newest first: low <= start <= high, below the key `before`, with this number
    (digits) if any; of the calls added one by one those that were there at `ended_by` (monotonic seconds)."""

    low: float
    high: float
    number: str | None
    before: Key | None
    ended_by: float

    def holds(self, record: Record) -> bool:
        numbers = (digits(record.caller), digits(record.receiver))
        return (
            self.low <= record.started <= self.high
            and (self.before is None or record.key < self.before)
            and (self.number is None or self.number in numbers)
        )


class Book:
    """Calls that were added one by one, and a generated history beneath them."""

    def __init__(self, history: Series | None = None) -> None:
        self.history = history
        self._records: dict[int, Record] = {}
        self._ids: dict[str, int] = {}
        self._added: dict[int, float] = {}
        self._by_time: list[Key] = []
        self._by_number: dict[str, list[Key]] = defaultdict(list)

    def add(self, record: Record) -> None:
        """Takes a call; ValueError if its id or its reference is taken."""
        if self.get(record.id) or self.find(record.reference):
            raise ValueError(f"call {record.id} ({record.reference}) is there already")
        self._records[record.id] = record
        self._ids[record.reference] = record.id
        self._added[record.id] = monotonic()
        insort(self._by_time, record.key)
        for number in {digits(record.caller), digits(record.receiver)}:
            insort(self._by_number[number], record.key)

    def next_id(self) -> int:
        """An id above all that were added."""
        return max(self._records, default=100_000) + 1

    def records(self) -> list[Record]:
        """The calls that were added, without the history."""
        return list(self._records.values())

    def get(self, call_id: int) -> Record | None:
        return self._records.get(call_id) or (self.history.get(call_id) if self.history else None)

    def find(self, reference: str) -> Record | None:
        """The call of this `pbx_id`."""
        call_id = self._ids.get(reference)
        if call_id is not None:
            return self._records[call_id]
        return self.history.find(reference) if self.history else None

    def newest_first(self, span: Span) -> Iterator[Record]:
        """The calls of this span."""
        keys = self._by_time if span.number is None else self._by_number.get(span.number, [])
        stop = bisect_right(keys, (span.high, 1 << 62))
        if span.before is not None:
            stop = min(stop, bisect_left(keys, span.before))
        start = bisect_left(keys, (span.low, 0))
        places = range(stop - 1, start - 1, -1)
        added = (self._records[keys[place][1]] for place in places if self._listed(keys[place][1], span))
        if self.history is None:
            return added
        history = self.history.newest_first(span.low, span.high, span.number, span.before)
        return heapq.merge(added, history, key=lambda record: record.key, reverse=True)

    def among(self, call_ids: Set[int], span: Span) -> Iterator[Record]:
        """Those of these calls that are of this span."""
        if len(call_ids) > FEW:
            return (record for record in self.newest_first(span) if record.id in call_ids)
        found = filter(None, map(self.get, call_ids))
        fitting = (record for record in found if span.holds(record) and self._listed(record.id, span))
        return iter(sorted(fitting, key=lambda record: record.key, reverse=True))

    def _listed(self, call_id: int, span: Span) -> bool:
        return self._added.get(call_id, span.ended_by) <= span.ended_by
