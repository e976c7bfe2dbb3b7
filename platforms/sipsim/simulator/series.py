"""A long history of calls that is worked out as it is asked for, so that a million of them cost no memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from platforms.sipsim.simulator.records import Key, Record

MIX = 2654435761  # Knuth's multiplicative hash: spreads neighbours


@dataclass(frozen=True, slots=True)
class Series:
    """`count` calls, one every `step` seconds from `start` (Unix seconds); call i has id `first_id + i`."""

    count: int
    start: int
    step: int = 2
    first_id: int = 10_000_001
    others: int = 5000
    ours: int = 20

    def record(self, index: int) -> Record:
        """The call at this place of the history."""
        mixed = index * MIX % 2**32
        other, our = f"+336{index % self.others:08d}", f"+331{index % self.ours:08d}"
        outgoing, answered = mixed % 3 == 0, mixed % 5 != 0
        return Record(
            id=self.first_id + index,
            reference=f"call_h{index:010x}",
            direction="outbound" if outgoing else "inbound",
            caller=our if outgoing else other,
            receiver=other if outgoing else our,
            started=self.start + index * self.step,
            duration=mixed // 7 % 3600 + 1 if answered else 0,
            status="ANSWER" if answered else "NOANSWER" if outgoing else "MISSED",
        )

    def get(self, call_id: int) -> Record | None:
        index = call_id - self.first_id
        return self.record(index) if 0 <= index < self.count else None

    def find(self, reference: str) -> Record | None:
        prefix, _, rest = reference.partition("call_h")
        try:
            index = int(rest, 16)
        except ValueError:
            return None
        found = self.record(index) if not prefix and 0 <= index < self.count else None
        return found if found and found.reference == reference else None

    def newest_first(
        self, low: float, high: float, number: str | None, before: Key | None
    ) -> Iterator[Record]:
        """Calls with low <= start <= high, below the key `before`, with this number (digits) if any."""
        last = int((high - self.start) // self.step)
        if before is not None:
            last = min(last, self._last_below(before))
        first = max(-int((self.start - low) // self.step), 0)
        span = range(first, min(last, self.count - 1) + 1)
        if number is None:
            yield from map(self.record, reversed(span))
            return
        for index in self._with_number(span, number):
            yield self.record(index)

    def _last_below(self, before: Key) -> int:
        started, call_id = before
        index = int((started - self.start) // self.step)
        at = self.start + index * self.step
        return index if (at, self.first_id + index) < (started, call_id) else index - 1

    def _with_number(self, span: range, number: str) -> Iterator[int]:
        for prefix, size in (("336", self.others), ("331", self.ours)):
            rest = number.removeprefix(prefix)
            if rest != number and rest.isdigit() and int(rest) < size:
                offset = (int(rest) - span.start) % size
                yield from reversed(range(span.start + offset, span.stop, size))
