"""How durations, times of day, dates and times are written. Readers raise `ValueError` with what is right."""

import re
from datetime import date, datetime, time

DURATION = re.compile(r"(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TIME = re.compile(r"[0-9W-]+T[0-9:.,]+(?:Z|[+-][0-9:]+)")

MIDNIGHT = 86400
"""The seconds of a day: the end of the day, written `24:00`."""

LONGEST = 15
"""Digits that a duration's number may have; more is no call."""


def read_duration(text: str) -> int:
    """`1h30m` -> 5400 seconds."""
    found = DURATION.fullmatch(text)
    if not text or found is None or max(len(part or "") for part in found.groups()) > LONGEST:
        raise ValueError("is a duration: a number of seconds, or such as 90s, 30m, 2h, 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def read_time_of_day(text: str) -> time:
    """`18:00` or `18:00:30`."""
    found = TIME_OF_DAY.fullmatch(text)
    if found is None:
        raise ValueError('is a time of day, such as "09:00" or "18:00:30"')
    hour, minute, second = (int(part or 0) for part in found.groups())
    return time(hour, minute, second)


def read_date(text: str) -> date:
    """`2026-12-25`."""
    try:
        if DATE.fullmatch(text) and 1 < (day := date.fromisoformat(text)).year < 9999:
            return day
    except ValueError:
        pass  # such as the 30th of February
    raise ValueError("is a date, such as 2026-12-25")


def read_time(text: str) -> datetime:
    """ISO 8601 with an offset or `Z`."""
    try:
        if TIME.fullmatch(text):
            moment = datetime.fromisoformat(text)
            if 1 < moment.year < 9999:  # so that no change of zone leaves the calendar
                return moment
    except ValueError:
        pass  # such as an hour 25
    raise ValueError("is a time: ISO 8601 with an offset, such as 2026-12-25T18:00:00+01:00")


def seconds_of(moment: time) -> int:
    """Whole seconds since midnight."""
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def write_time_of_day(moment: time) -> str:
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")
