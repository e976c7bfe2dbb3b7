"""Is all well, in words; what happened lately, in numbers: what the overview shows."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import redis
from sqlalchemy import Connection

from store import breaker, calls, days, fleet, inbox, recent, rulesets
from store.recent import MINUTE
from worker import why
from worker.rate import backlog
from worker.settings import Settings
from worker.why import State

LATE = 60.0
"""Seconds after which a call that is due has waited too long."""
SLOW = 1.0
"""Seconds to the next free slot of the rate from which on it is told as used up."""
MINUTES = 60
DAYS = 14
TAGS = 8
"""Tags that the chart tells apart; the others are one."""


class Grade(StrEnum):
    """How much a finding matters; what needs a hand comes first."""

    AMISS = "amiss"
    WARN = "warn"
    WELL = "well"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the service's health; `page` is where one can do something about it."""

    grade: Grade
    subject: str
    text: str
    page: str | None = None


Backlogs = Callable[[], Mapping[str, float] | None]
"""By account the seconds to the next free slot of its rate; None where Redis does not answer."""


def backlogs(client: redis.Redis, settings: Settings) -> Mapping[str, float] | None:
    """As `Backlogs`."""
    try:
        return {account: backlog(client, account) for account in settings.accounts}
    except redis.RedisError:
        return None


def health(state: State, waits: Backlogs) -> list[Finding]:
    """What is amiss, what is late, and what is well, in this order. Raises `Unavailable`."""
    now = time.time()
    with state.database.read() as connection:
        found = [
            *_amiss(connection, now),
            *_dead(connection),
            *_late(connection, now),
            *_rules(connection, now),
            *_platforms(connection, state.settings),
            *_workers(connection, now),
        ]
    found += [*_accounts(state.settings), *_rates(state.settings, waits())]
    return sorted(found, key=lambda one: list(Grade).index(one.grade))


def _amiss(connection: Connection, now: float) -> Iterator[Finding]:
    since = {notice.subject: notice.since for notice in fleet.amiss(connection)}
    for subject, text in why.amiss(connection, now).items():
        told = f"{text} (for {_long(now - since[subject])})" if subject in since else text
        yield Finding(Grade.AMISS, subject, told, "/setup" if subject.startswith("platform:") else None)


def _long(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h`, `5 d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _dead(connection: Connection) -> Iterator[Finding]:
    dead = {"call": recent.waiting(connection)["dead"], "event": inbox.number(connection, "dead")}
    told = " and ".join(f"{number:,} {what}{'s' * (number != 1)}" for what, number in dead.items() if number)
    if told:
        yield Finding(Grade.WARN, "dead letters", f"{told} given up", "/deadletters")
    else:
        yield Finding(Grade.WELL, "dead letters", "none", "/deadletters")


def _late(connection: Connection, now: float) -> Iterator[Finding]:
    oldest, states = calls.oldest_due(connection, now), recent.waiting(connection)
    if oldest > LATE:
        yield Finding(Grade.WARN, "waiting", f"the oldest waiting call has been due for {_long(oldest)}",
                      "/calls?state=due")  # fmt: skip
    else:
        number = states["due"] + inbox.number(connection, "new")
        yield Finding(
            Grade.WELL, "waiting", f"{number:,} calls wait for a worker" if number else "no call waits"
        )
    if states["parked"]:
        yield Finding(Grade.WELL, "parked", f"{states['parked']:,} wait for the platform and are tried again",
                      "/calls?state=parked")  # fmt: skip


def _rules(connection: Connection, now: float) -> Iterator[Finding]:
    active = rulesets.in_force(connection)
    if active is not None:
        hash, since = active
        text = f"version {hash[:12]} is in force for {_long(now - since)}"
        yield Finding(Grade.WELL, "rules in force", text, "/rules")


def _platforms(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Those that answer; of one that does not, a notice tells."""
    silent = breaker.open_accounts(connection)
    noticed = {notice.subject for notice in fleet.amiss(connection)}
    for account in settings.accounts:
        if account not in silent and f"platform:{account}" not in noticed:
            yield Finding(Grade.WELL, f"platform of {account}", "answers")


def _workers(connection: Connection, now: float) -> Iterator[Finding]:
    if number := fleet.living(connection, "worker", now):
        yield Finding(Grade.WELL, "workers", f"{number} alive")


def _accounts(settings: Settings) -> Iterator[Finding]:
    if not settings.accounts:
        text = "no account of a platform is configured: no webhook is taken"
        yield Finding(Grade.AMISS, "accounts", text, "/setup")


def _rates(settings: Settings, waits: Mapping[str, float] | None) -> Iterator[Finding]:
    if waits is None:
        yield Finding(Grade.AMISS, "broker", "Redis does not answer: calls wait until the sweeper finds them")
        return
    for account, seconds in waits.items():
        rate = f"{settings.accounts[account].settings.rate:g} requests a second"
        if seconds > SLOW:
            text = f"used up: the next request may go in {_long(seconds)} (at most {rate})"
            yield Finding(Grade.WARN, f"rate of {account}", text)
        else:
            yield Finding(Grade.WELL, f"rate of {account}", f"free, at most {rate}")


@dataclass(frozen=True, slots=True)
class Charts:
    """Calls a minute of the last hour (by the minute's beginning in Unix seconds), the running one so far.

    Tags a day: their names, and by the day's beginning how often each was put.
    """

    calls: list[tuple[int, int]]
    tags: list[str]
    days: list[tuple[int, list[int]]]


def charts(connection: Connection, now: float) -> Charts:
    """What the overview draws."""
    running = int(now // MINUTE) * MINUTE
    minutes = range(running - (MINUTES - 1) * MINUTE, running + 1, MINUTE)
    counted = recent.calls_a_minute(connection, minutes[0])
    today = days.day_of(now)
    by_day = days.of_tags(connection, today - DAYS + 1)
    names = _most(by_day)
    rows = [
        (day * days.DAY, [_put(by_day.get(day, {}), name, names) for name in names])
        for day in range(today - DAYS + 1, today + 1)
    ]
    return Charts([(minute, counted.get(minute, 0)) for minute in minutes], names, rows)


OTHERS = "all others"


def _most(by_day: Mapping[int, Mapping[str, int]]) -> list[str]:
    """The tags that were put most often; what more there are is one."""
    totals: dict[str, int] = {}
    for day in by_day.values():
        for name, number in day.items():
            totals[name] = totals.get(name, 0) + number
    names = sorted(totals, key=lambda name: (-totals[name], name))
    return names if len(names) <= TAGS else [*names[: TAGS - 1], OTHERS]


def _put(day: Mapping[str, int], name: str, names: list[str]) -> int:
    if name == OTHERS:
        return sum(number for tag, number in day.items() if tag not in names[:-1])
    return day.get(name, 0)
