"""Which schedules a moment is in, by its second of the week."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from rules.literals import MIDNIGHT
from rules.schedules import Schedule

WEEK = 7 * MIDNIGHT
DAY = timedelta(days=1)


class Hours:
    """The schedules of one time zone. Near days on which one of them is closed it asks each."""

    def __init__(self, schedules: Iterable[Schedule], timezone: ZoneInfo) -> None:
        self.timezone = timezone
        self.schedules = tuple(schedules)
        closed = {day for schedule in self.schedules for day in schedule.closed}
        self.special: set[date] = closed | {day + DAY for day in closed}
        spans = [span for schedule in self.schedules for span in _spans(schedule)]
        self.turns = sorted({0, *(turn for start, end, _ in spans for turn in (start, end))})
        self.open = [
            tuple(dict.fromkeys(name for start, end, name in spans if start <= turn < end))
            for turn in self.turns
        ]

    def at(self, moment: datetime) -> tuple[str, ...]:
        """The names of the schedules that the moment is in."""
        local = moment.astimezone(self.timezone)
        if self.special and local.date() in self.special:
            return tuple(schedule.name for schedule in self.schedules if schedule.holds(moment))
        second = local.weekday() * MIDNIGHT + local.hour * 3600 + local.minute * 60 + local.second
        return self.open[bisect_right(self.turns, second) - 1]


def _spans(schedule: Schedule) -> Iterable[tuple[int, int, str]]:
    """From and to which second of the week it is open; what goes over the week's end is two spans."""
    for day, spans in enumerate(schedule.days):
        for start, end in spans:
            first = day * MIDNIGHT + start
            last = day * MIDNIGHT + end + (MIDNIGHT if end < start else 0)
            yield first, min(last, WEEK), schedule.name
            if last > WEEK:
                yield 0, last - WEEK, schedule.name


def hours_of(schedules: Iterable[Schedule]) -> Callable[[datetime], list[str]]:
    """The names of those of these schedules that a moment is in."""

    def zone(schedule: Schedule) -> str:
        return schedule.timezone.key

    ordered = sorted({schedule.name: schedule for schedule in schedules}.values(), key=zone)
    parts = [Hours(found, ZoneInfo(key)) for key, found in groupby(ordered, key=zone)]
    return lambda moment: [name for part in parts for name in part.at(moment)]
