"""Times as people write them."""

from datetime import UTC, datetime

from rules.literals import read_date, read_duration, read_time

DAYS = 86_400


def read_moment(text: str, now: float) -> float:
    """Unix seconds of `2h` or `3d` (ago), of a date (its beginning in UTC), or of ISO 8601 with an offset;
    raises `ValueError` with what is wrong and what would be right."""
    for read in (_ago, _time, _date):
        try:
            return read(text, now)
        except ValueError:
            continue
    raise ValueError(
        f"'{text}' is no time; it is 2h or 3d (ago), 2026-12-25 (UTC), "
        "or ISO 8601 with an offset such as 2026-12-25T18:00:00+01:00"
    )


def _ago(text: str, now: float) -> float:
    days, mark, rest = text.rpartition("d")
    if not text or (mark and not (days.isascii() and days.isdigit() and len(days) < 6)):
        raise ValueError
    seconds = int(days) * DAYS if mark else 0
    return now - seconds - (read_duration(rest) if rest else 0)


def _time(text: str, _now: float) -> float:
    return read_time(text).timestamp()


def _date(text: str, _now: float) -> float:
    day = read_date(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
