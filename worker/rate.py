"""The rate: how many requests a second the whole fleet sends to one account's platform.

A GCRA (generic cell rate algorithm) in Redis, by the server's clock: requests are spaced evenly, so that no
second holds more than the rate, whoever sends. While Redis is away each process keeps to its share.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import NamedTuple

import redis

from platforms.adapter import Limit
from platforms.errors import OutOfTime

AHEAD = 0.05
"""Seconds ahead for which slots are promised to who goes behind live calls: with none at all, each would be
lost that nobody happened to ask for at its moment. For as long after a live call's slot nobody goes before
the live calls that wait after it in its process, so that the next of them can ask."""
AT_ONCE = 0.02
"""Seconds whose slots a process asks for at once where as many of its live calls wait: above fifty requests a
second to ask for each would cost more than to send it."""
SPARE = 1.02
"""Requests are spaced this much wider than the rate, to make up for some being sent a little late."""
REDIS_AWAY = 2.0
"""Seconds before a Redis that did not answer is asked again."""

RESERVE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local most, who, owner, ahead, live = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), KEYS[#KEYS]
local number = tonumber(ARGV[5])
local live_until, live_owner = string.match(redis.call('GET', live) or '0 ', '(%S+) (.*)')
local wait = 0
local due = {}
for i = 1, #KEYS - 1 do
  due[i] = tonumber(redis.call('GET', KEYS[i]) or '0')
  wait = math.max(wait, due[i] - ARGV[2 * i + 5] - now)
end
if who == 'behind' and tonumber(live_until) > now then
  return {0, string.format('%.6f', math.max(wait, live_until - now))}
end
if wait > most then return {0, string.format('%.6f', wait)} end
local function keep(key, until_, more)
  local life = math.ceil((until_ - now) * 1000) + 1000
  redis.call('SET', key, string.format('%.6f', until_) .. more, 'PX', life)
end
for i = 1, #KEYS - 1 do
  keep(KEYS[i], math.max(due[i], now + wait) + number * ARGV[2 * i + 4], '')
end
if who == 'more' then keep(live, now + wait + number * ARGV[6] + ahead, ' ' .. owner) end
if who == 'live' and live_owner == owner then redis.call('DEL', live) end
return {1, string.format('%.6f', wait)}
"""
COOL = """
local clock = redis.call('TIME')
local until_ = clock[1] + clock[2] / 1000000 + ARGV[1]
if until_ > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], string.format('%.6f', until_), 'PX', math.ceil(ARGV[1] * 1000) + 1000)
end
"""


class Cell(NamedTuple):
    """One cell of the algorithm, in seconds: a slot each `interval`, and up to `early` before its time."""

    interval: float
    early: float = 0.0


def cells(rate: float, limits: Sequence[Limit]) -> list[Cell]:
    """The rate's own cell, which spaces requests evenly, and one for each long limit: of that, half may come
    in a burst and half comes evenly, so that no time of that length holds more. Pure."""
    halves = [(limit.requests // 2, limit.seconds) for limit in limits]
    long = [Cell(SPARE * seconds / half, SPARE * seconds * (half - 1) / half) for half, seconds in halves]
    return [Cell(SPARE / rate), *long]


class Who(StrEnum):
    """Who asks for a slot."""

    LIVE = "live"
    MORE = "more"
    """A live call after which others of its process wait."""
    BEHIND = "behind"
    """Whoever leaves the rate to live calls."""


class Spacing:
    """The same in one process's memory, in seconds of its monotonic clock."""

    def __init__(self, cells: Sequence[Cell], clock: Callable[[], float] = time.monotonic) -> None:
        self._cells = cells
        self._clock = clock
        self._due = [0.0] * len(cells)
        self._live_until, self._live_owner = 0.0, ""
        self._lock = threading.Lock()

    def reserve(self, share: int, most: float, who: Who = Who.LIVE, owner: str = "own") -> tuple[bool, float]:
        """A slot of the share that one of so many processes has; `owner` is the process that asks."""
        with self._lock:
            now = self._clock()
            waits = [due - cell.early - now for due, cell in zip(self._due, self._cells, strict=True)]
            wait = max(0.0, *waits)
            if who is Who.BEHIND and self._live_until > now:
                return False, max(wait, self._live_until - now)
            if wait > most:
                return False, wait
            self._take(now + wait, share)
            if who is Who.MORE:
                self._live_until, self._live_owner = now + wait + AHEAD, owner
            elif who is Who.LIVE and owner == self._live_owner:
                self._live_until = 0.0
            return True, wait

    def note(self, wait: float) -> None:
        """A slot was given elsewhere, so many seconds ahead."""
        with self._lock:
            self._take(self._clock() + wait, 1)

    def _take(self, at: float, share: int) -> None:
        self._due = [
            max(due, at) + cell.interval * share for due, cell in zip(self._due, self._cells, strict=True)
        ]

    def cool(self, seconds: float) -> None:
        with self._lock:
            self._due[0] = max(self._due[0], self._clock() + seconds)


def backlog(client: redis.Redis, account: str) -> float:
    """Seconds until the account's next free slot: what is promised to who waits, or a cooldown after a 429.

    Raises `redis.RedisError`.
    """
    text = client.get(_key(account))
    seconds, microseconds = client.time()
    return max(float(text) - seconds - microseconds / 1_000_000, 0.0) if isinstance(text, bytes) else 0.0


def _key(account: str) -> str:
    return f"calltag:rate:{account}"


class Line:
    """Threads that take turns, and how many there are."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self.length = 0

    @contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Raises `OutOfTime` where it does not come in time."""
        with self._counting:
            self.length += 1
        try:
            if not self._turn.acquire(timeout=max(seconds, 0.0)):
                raise OutOfTime("no slot of the rate was free in time")
            try:
                yield
            finally:
                self._turn.release()
        finally:
            with self._counting:
                self.length -= 1


class Rate:
    """One account's rate; `share` tells how many processes divide it while Redis is away.

    The threads of a process take turns: each asks only once the one before has had its slot. So little is
    promised ahead, and a pause or the loss of Redis counts at once. Who goes behind live calls asks while
    others still wait for their slots, which are near: a thread that wakes up late loses none of the rate.
    """

    def __init__(
        self,
        client: redis.Redis,
        account: str,
        rate: float,
        share: Callable[[], int],
        limits: Sequence[Limit] = (),
    ) -> None:
        own = cells(rate, limits)
        self._key = _key(account)
        self._keys = [self._key, *(f"{self._key}:{limit.seconds:g}" for limit in limits), f"{self._key}:live"]
        self._cells = [seconds for cell in own for seconds in cell]
        self._interval = own[0].interval
        self._most = 1 if limits else max(int(AT_ONCE / self._interval), 1)
        self._promised: deque[float] = deque()
        """Slots that live calls of this process may still take (monotonic seconds)."""
        self._name = uuid.uuid4().hex
        self._share = share
        self._sharing = 1
        self._live = Line()
        self._behind = Line()
        self._own = Spacing(own)
        self._away_until = 0.0
        self._sharing_until = 0.0
        self._reserve = client.register_script(RESERVE)
        self._cool = client.register_script(COOL)

    def wait(self, seconds: float, behind_live: bool = False) -> None:
        """Waits for a slot, `seconds` at most; raises `OutOfTime` if there is none.

        Who is `behind_live` takes a slot only when it is near, and none while live calls wait.
        """
        end = time.monotonic() + seconds
        if behind_live:
            with self._behind.turn(seconds):
                wait = self._near_slot(end)
            time.sleep(wait)
            return
        with self._live.turn(seconds):
            now = time.monotonic()
            promised = self._next_promised(now)
            if promised is None:
                waiting = self._live.length
                who = Who.MORE if waiting > 1 else Who.LIVE
                granted, wait = self._slot(max(end - now, 0.0), who, min(waiting, self._most))
            else:
                granted, wait = now + promised <= end, promised
            if not granted:
                raise OutOfTime("no slot of the rate was free in time", retry_after=wait)
            if wait > 0:
                time.sleep(wait)

    def _next_promised(self, now: float) -> float | None:
        """Seconds until the next slot that this process has; one that nobody came for in time is lost."""
        with suppress(IndexError):  # a pause takes them all
            while (at := self._promised.popleft()) < now - AT_ONCE:
                pass
            return max(at - now, 0.0)
        return None

    def _near_slot(self, end: float) -> float:
        """Waits until a slot is no more than `AHEAD` away, and gives the seconds until it."""
        while True:
            left = max(end - time.monotonic(), 0.0)
            granted, wait = self._slot(min(left, AHEAD), Who.BEHIND)
            if granted:
                return wait
            if wait >= left:
                raise OutOfTime("no slot of the rate was free in time", retry_after=wait)
            time.sleep(max(wait - AHEAD, AHEAD / 10))

    def _slot(self, seconds: float, who: Who, number: int = 1) -> tuple[bool, float]:
        """Whether there is a slot in time, and the seconds until it; of so `number` the others are kept."""
        wait = 0.0
        if time.monotonic() >= self._away_until:
            try:
                granted, text = self._reserve(
                    keys=self._keys, args=[seconds, who, self._name, AHEAD, number, *self._cells]
                )
            except redis.RedisError:
                self._redis_is_away()
            else:
                wait = float(text)
                if not granted or time.monotonic() >= self._sharing_until:
                    if granted:
                        self._keep(wait, number)
                    else:
                        self._own.cool(wait)
                    return bool(granted), wait
        granted, own_wait = self._own.reserve(self._sharing, seconds, who)
        return granted, max(wait, own_wait)

    def _keep(self, wait: float, number: int) -> None:
        """Slots were given, the first of them in so many seconds."""
        first = time.monotonic() + wait
        self._promised.extend(first + place * self._interval for place in range(1, number))
        self._own.note(wait + (number - 1) * self._interval)

    def _redis_is_away(self) -> None:
        """Others find it again at other times: until all have, each keeps to its share."""
        self._away_until = time.monotonic() + REDIS_AWAY
        self._sharing_until = self._away_until + REDIS_AWAY
        self._sharing = max(self._share(), 1)

    def cool_down(self, seconds: float) -> None:
        """Nobody sends for that long: the platform said 429."""
        self._promised.clear()
        self._own.cool(seconds)
        try:
            self._cool(keys=[self._key], args=[seconds])
        except redis.RedisError:
            self._redis_is_away()
