"""Fetching: the calls that the platform lists are kept in the store, page by page, and nobody is woken.

The range is walked in windows, from the oldest on. Nothing is noted of how far it came: what is there already
changes nothing, so it is simply done again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from platforms.adapter import Client, Page, Record
from platforms.errors import OutOfTime, PageExpired, PlatformError
from store import keeping
from worker.context import Worker
from worker.history import DAY, Matched, ended, keep, match, parts, tidy
from worker.outcomes import backoff
from worker.settings import Account

PATIENCE = 300.0
"""Seconds for which a platform that answered before is asked again, until it is given up."""
RESTARTS = 5
"""How often a window is listed from its first page again, because a page's token was no longer taken."""
REST = 0.01
"""Seconds between two transactions, in which others can write."""

Answer = TypeVar("Answer")


class Window(NamedTuple):
    """A part of the range (Unix seconds)."""

    since: float
    until: float


class Step(NamedTuple):
    """How far it came: up to this time (Unix seconds), and the counts so far, all in all.

    Counts: listed, and of these new, known, ambiguous, going on; lacking: those without a transcript that may
    have one; asked and transcripts: requests for one, and how many there were.
    """

    reached: float
    counts: Counter[str]


def fetch(worker: Worker, account: Account, since: float, until: float) -> Iterator[Step]:
    """Keeps the calls of that time, a step for each page. Raises `PlatformError` and `Unavailable`; what was
    kept until then stays."""
    counts: Counter[str] = Counter()
    for window in windows(since, until, account.platform.longest_range):
        for requested_at, records in _pages(worker, account, window, bool(counts["listed"])):
            matched = _matched(worker, account, records, requested_at, window)
            rows = _keep(worker, account, matched, requested_at, window)
            tidy(worker.database)
            counts += _counted(records, matched, rows)
            counts["lacking"] += len(_lacking(worker, account, matched, rows))
            yield Step(window.since, counts)
        yield Step(window.until, counts)


def transcribe(worker: Worker, account: Account, since: float, until: float) -> Iterator[Step]:
    """Asks for the transcripts that are lacking, a request for each call. Otherwise as `fetch`."""
    counts: Counter[str] = Counter()
    for window in windows(since, until, account.platform.longest_range):
        for requested_at, records in _pages(worker, account, window, True):
            matched = _matched(worker, account, records, requested_at, window)
            rows = {one.record.id: one.call for one in matched if one.call is not None}
            for part in parts(_lacking(worker, account, matched, rows)):
                _transcribe(worker, account, part, window, counts)
                yield Step(window.since, counts)
        yield Step(window.until, counts)


def windows(since: float, until: float, longest: timedelta | None) -> Iterator[Window]:
    """The range cut into days, or into what the platform lists at once where that is less."""
    length = DAY if longest is None else min(DAY, longest.total_seconds())
    while since < until:
        yield Window(since, min(since + length, until))
        since += length


def _pages(
    worker: Worker, account: Account, window: Window, answered: bool
) -> Iterator[tuple[float, list[Record]]]:
    """The pages of a window, each with the time at which it was asked for."""
    since, until = (datetime.fromtimestamp(at, UTC) for at in window)
    token: str | None = None
    restarts = 0
    while True:
        requested_at = time.time()
        try:
            page = _answer(worker, account, partial(_list, since, until, token), answered)
        except PageExpired:
            restarts += 1
            if restarts > RESTARTS:
                raise
            token = None
            continue
        yield requested_at, page.records
        token, answered = page.next, True
        if token is None:
            return


def _list(since: datetime, until: datetime, token: str | None, client: Client) -> Page:
    return client.list_page(since, until, token)


def _answer(
    worker: Worker, account: Account, ask: Callable[[Client], Answer], answered: bool = True
) -> Answer:
    """What the platform answers. If it does not, though it has `answered` before, it is asked again for a
    while; and it is asked for as long as live calls need all of the rate."""
    ends = time.monotonic() + (PATIENCE if answered else 0.0)
    waits = 0
    while True:
        try:
            return ask(worker.client(account, time.monotonic(), behind_live=True))
        except OutOfTime:
            continue
        except PlatformError as fault:
            if fault.permanent or isinstance(fault, PageExpired) or time.monotonic() >= ends:
                raise
            time.sleep(max(fault.retry_after or 0.0, backoff(waits)))
            waits += 1


def _matched(
    worker: Worker, account: Account, records: Sequence[Record], requested_at: float, window: Window
) -> list[Matched]:
    past = ended(records, window.until, requested_at)
    with worker.database.read() as connection:
        return match(connection, account, past, *window)


def _keep(
    worker: Worker, account: Account, matched: Sequence[Matched], requested_at: float, window: Window
) -> dict[str, int]:
    """The row of each call that is kept, by its id."""
    rows: dict[str, int] = {}
    for part in parts(matched):
        with worker.database.write() as connection:
            rows |= keep(connection, account, part, requested_at, window.until)
        time.sleep(REST)
    return rows


def _counted(records: Sequence[Record], matched: Sequence[Matched], rows: Mapping[str, int]) -> Counter[str]:
    became = {record.id: "going_on" for record in records}
    became |= {one.record.id: _became(one, rows) for one in matched}
    return Counter(became.values()) + Counter(listed=len(became))


def _became(one: Matched, rows: Mapping[str, int]) -> str:
    if one.ambiguous:
        return "ambiguous"
    return "new" if one.call is None and one.record.id in rows else "known"


def _lacking(
    worker: Worker, account: Account, matched: Sequence[Matched], rows: Mapping[str, int]
) -> list[Matched]:
    """The calls that are kept and may have a transcript, of which none is known."""
    if not account.platform.fetched:  # the list brought what there is
        return []
    lengths_listed = "duration" in account.platform.listed
    spoken = {
        rows[one.record.id]: one
        for one in matched
        if one.record.id in rows and (one.record.event.facts.get("duration") or not lengths_listed)
    }
    with worker.database.read() as connection:
        return [spoken[row] for row in keeping.without(connection, spoken, account.platform.fetched)]


def _transcribe(
    worker: Worker, account: Account, part: Sequence[Matched], window: Window, counts: Counter[str]
) -> None:
    """Asks for the transcripts of the calls side by side, and keeps those that there are."""
    asked_at = time.time()
    asked = worker.pool.map(
        lambda one: _answer(worker, account, lambda client: client.transcribed(one.record)), part
    )
    answers = [replace(one, record=record) for one, record in zip(part, asked, strict=True)]
    found = [new for new, one in zip(answers, part, strict=True) if new.record is not one.record]
    _keep(worker, account, found, asked_at, window)
    counts["asked"] += len(part)
    counts["transcripts"] += len(found)
