"""Who calls whom, when and for how long on a realistic day, for every platform that is simulated."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

from platforms.simulated import Call, Status

OURS = tuple(f"+3318480{last:04d}" for last in (100, 110, 120, 200))
COUNTRIES = (
    ("+336", 8, 60),
    ("+337", 8, 15),
    ("+331", 8, 10),
    ("+44207", 7, 6),
    ("+49151", 8, 5),
    ("+1212", 7, 4),
)
"""How a number begins, how many digits follow, and how many of a hundred callers have one."""

HOURS = (1, 1, 1, 1, 1, 1, 2, 4, 9, 14, 15, 13, 8, 9, 13, 14, 12, 9, 5, 3, 2, 2, 1, 1)
STATUSES: dict[str, dict[Status, int]] = {
    "inbound": {"answered": 68, "missed": 20, "busy": 5, "no_answer": 7},
    "outbound": {"answered": 70, "busy": 10, "no_answer": 20},
}
EDGES = (29, 30, 31, 1799, 1800, 1801, 3600)
"""Durations at which rules like to change."""

APART = 600
"""Least seconds between two calls of one number, beyond twice the longer one's length, so that a search by
number and time finds one call."""


def plan_day(chance: random.Random, calls: int, on: date | None = None) -> list[Call]:
    """That many calls of this day (UTC; default yesterday) by their end; about a third of them from numbers
    that call more than once.

    No two of one number are close in time, and no two answered ones of it are of nearly one length: so
    number, direction, duration and time name one call.
    """
    day = on or datetime.now(UTC).date() - timedelta(days=1)
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    regulars = [_number(chance) for _ in range(max(calls // 12, 1))]
    before: defaultdict[str, list[Call]] = defaultdict(list)
    planned: list[Call] = []
    while len(planned) < calls:
        other, call = _plan(chance, regulars, midnight)
        if all(_told_apart(call, earlier) for earlier in before[other]):
            before[other].append(call)
            planned.append(call)
    return sorted(planned, key=lambda call: call.ended)


def _plan(chance: random.Random, regulars: list[str], midnight: int) -> tuple[str, Call]:
    """A call, and the number that it is with."""
    inbound = chance.random() < 0.65
    status = _weighted(chance, STATUSES["inbound" if inbound else "outbound"])
    hour = chance.choices(range(24), HOURS)[0]
    other = chance.choice(regulars) if chance.random() < 0.35 else _number(chance)
    ours = chance.choice(OURS)
    call = Call(
        direction="inbound" if inbound else "outbound",
        caller=other if inbound else ours,
        receiver=ours if inbound else other,
        status=status,
        started=midnight + hour * 3600 + chance.randrange(3600),
        ring=chance.randint(2, 45),
        duration=_duration(chance) if status == "answered" else 0,
    )
    return other, call


def _duration(chance: random.Random) -> int:
    kind = chance.random()
    if kind < 0.08:
        return chance.choice(EDGES)
    if kind < 0.18:
        return chance.randint(1801, 5400)
    return min(max(int(chance.lognormvariate(5.0, 1.0)), 2), 1800)


def _told_apart(call: Call, other: Call) -> bool:
    gap = abs(call.started - other.started) > 2 * max(call.duration, other.duration) + APART
    answered = call.duration and other.duration
    return gap and (not answered or abs(call.duration - other.duration) > 5)


def _number(chance: random.Random) -> str:
    prefix, length, _ = chance.choices(COUNTRIES, [weight for _, _, weight in COUNTRIES])[0]
    return prefix + "".join(str(chance.randrange(10)) for _ in range(length))


def _weighted(chance: random.Random, weights: dict[Status, int]) -> Status:
    return chance.choices(list(weights), list(weights.values()))[0]
