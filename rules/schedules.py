"""Opening hours: spans of the local wall clock by weekday, and whole days that are closed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from rules.literals import seconds_of

Span = tuple[int, int]
"""Start and end in seconds since midnight; the end is outside; the smaller end is the next day's."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """`days` has the spans of each weekday, Monday first."""

    name: str
    timezone: ZoneInfo
    days: Sequence[Sequence[Span]]
    closed: frozenset[date]

    def holds(self, moment: datetime) -> bool:
        """Whether the moment is inside; a span across midnight belongs to the day on which it starts."""
        local = moment.astimezone(self.timezone)
        today, second = local.date(), seconds_of(local.time())
        yesterday = today - timedelta(days=1)
        return any(
            start <= second and (second < end or end < start) for start, end in self._spans(today)
        ) or any(end < start and second < end for start, end in self._spans(yesterday))

    def _spans(self, day: date) -> Sequence[Span]:
        return () if day in self.closed else self.days[day.weekday()]
