"""What one worker process has: its settings, its connections, and the rule set in force."""

import contextlib
import os
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field
from typing import Protocol

import httpx
import redis
import structlog

from platforms.adapter import Client, Event
from platforms.errors import OutOfTime, Unreachable
from platforms.link import LONGEST_ANSWER, Link, TimelyTransport
from rules.loader import parse
from rules.ruleset import RuleSet
from store import fleet, rulesets
from store.calls import LEASE
from store.database import Database, Unavailable
from store.jobs import Place
from worker.places import Places
from worker.rate import Rate
from worker.settings import Account, Settings
from worker.tokens import FleetTokens

CONNECTIONS = 16
"""Requests that one process has under way at once."""
READ = 10.0
TIMEOUT = httpx.Timeout(connect=3.0, read=READ, write=5.0, pool=5.0)
LONGEST_REQUEST = 3.0 + 5.0 + 5.0 + READ + LONGEST_ANSWER + READ
"""Seconds by which a request has ended, one way or the other: the sum of the timeouts. The last is for the
part of the body that is waited for when its time ends."""

SILENT = 3
"""Requests of one batch without an answer, and none with one, after which no more of it is sent: the calls of
other platforms wait for the process that waits for this one."""

log = structlog.get_logger()


def calls_in_lease(rate: float, most: int) -> int:
    """How many calls of two requests each a lease leaves time for at so many requests a second. Pure."""
    return max(1, min(most, int(rate * (LEASE - LONGEST_REQUEST) / 2)))


class Messages(Protocol):
    """How work reaches the workers. A lost message costs time, nothing else: the rows say what is due."""

    def send(self, calls: Sequence[int]) -> None:
        """Says that these calls are due."""

    def wake(self) -> None:
        """Says that there are new events in the inbox."""

    def drive(self, place: Place, /) -> bool:
        """Says that there is something to do for a re-tagging job, in one of its places; False where that
        could not be said."""


def process_name() -> str:
    """A name for this process that no other one of the fleet has."""
    return f"{socket.gethostname()[:32]}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def redis_client(settings: Settings) -> redis.Redis:
    """A client that never waits long: what is in Redis may be lost, and all can go on without."""
    return redis.Redis.from_url(settings.redis, socket_timeout=1.0, socket_connect_timeout=1.0)


class RulesInForce:
    """The active rule set, parsed and indexed once for each hash.

    A large set takes seconds: it is made ready beside the work, which goes on by the set before it.
    """

    PATIENCE = 1.0
    """Seconds that work waits for a new set to be ready."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sets: dict[str, RuleSet] = {}
        self._last: RuleSet | None = None
        self._coming: threading.Thread | None = None

    def now(self) -> RuleSet | None:
        """The set in force, or None while there is none; the one before it while it is made ready."""
        with self._database.read() as connection:
            hash = rulesets.active(connection)
        if hash is None:
            return None
        if self._last is not None and hash not in self._sets:
            self._make_ready(hash)
        if self._last is None or hash in self._sets:
            self._last = self.by_hash(hash)
        return self._last

    def _make_ready(self, hash: str) -> None:
        """In a thread, one at a time; should it fail, the next look makes another."""
        if self._coming is None or not self._coming.is_alive():
            self._coming = threading.Thread(target=self._prepare, args=[hash], name="rules", daemon=True)
            self._coming.start()
        self._coming.join(self.PATIENCE)

    def _prepare(self, hash: str) -> None:
        try:
            self.by_hash(hash)
        except Unavailable as fault:
            log.warning("the new rule set could not be read", fault=str(fault))

    def by_hash(self, hash: str) -> RuleSet:
        """A set that is or was in force; raises KeyError for any other."""
        if hash not in self._sets:
            with self._database.read() as connection:
                files = rulesets.files(connection, hash)
            ruleset = parse(files)
            ruleset.program.index  # noqa: B018 it is made at its first use
            self._sets = dict(list(self._sets.items())[-3:]) | {hash: ruleset}
        return self._sets[hash]


@dataclass
class Tally:
    """Whether the platform answered the requests of one batch."""

    answered: int = 0
    silent: int = 0

    def note(self, outcome: str) -> None:
        """`outcome` is an answer's status, or says that there was none; of a 5xx nothing is learnt either."""
        if outcome.isdigit() and int(outcome) < 500:
            self.answered += 1
        else:
            self.silent += 1


@dataclass
class Worker:
    """One worker process. Made after the fork, closed at its end."""

    settings: Settings
    messages: Messages
    part: str = "worker"
    """What this process is, in its signs of life."""
    name: str = field(default_factory=process_name)
    shared: InitVar[Places | None] = None
    """Of the processes that it is one of; by default it is alone."""

    def __post_init__(self, shared: Places | None) -> None:
        self.places = shared or Places(self.settings.accounts)
        self.database = Database(self.settings.database)
        self.rules = RulesInForce(self.database)
        self.redis = redis_client(self.settings)
        self.http = httpx.Client(
            timeout=TIMEOUT,
            transport=TimelyTransport(
                limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
                trust_env=False,
            ),
            follow_redirects=False,
            trust_env=False,
        )
        self.pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="platform")
        self.read: Mapping[int, Event] = {}
        """Events of the inbox that this process has just read, by their ids: they need not be read again."""
        self._fleet_size = 1
        self._rates = {a.name: self._rate(a) for a in self.settings.accounts.values()}
        self._tokens = {name: FleetTokens(self.redis, name, self.database) for name in self.settings.accounts}
        self._counts: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._ended = threading.Event()
        self._show_life()  # before the first request: the others share with this process from now on
        self._heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def _rate(self, account: Account) -> Rate:
        rate, limits = account.settings.rate, account.platform.limits(account.settings)
        return Rate(self.redis, account.name, rate, self._living, limits)

    def _beat(self) -> None:
        while not self._ended.wait(fleet.HEARTBEAT):
            self._show_life()

    def _show_life(self) -> None:
        try:
            with self.database.write(repeatable=True) as connection:
                fleet.beat(connection, self.name, self.part, time.time())
        except Unavailable as fault:
            log.warning("no sign of life could be left in the database", fault=str(fault))

    def _living(self) -> int:
        """How many worker processes there are, as last known."""
        with contextlib.suppress(Unavailable), self.database.read() as connection:
            now = time.time()
            self._fleet_size = sum(fleet.living(connection, part, now) for part in ("worker", "batch"))
        return self._fleet_size

    def client(
        self, account: Account, leased_at: float, tally: Tally | None = None, behind_live: bool = False
    ) -> Client:
        """The account's platform, for a lease that was taken at that time (monotonic seconds); `tally` notes
        which requests were answered. `behind_live` leaves the rate to whoever does not say so."""
        rate = self._rates[account.name]
        last_start = leased_at + LEASE - LONGEST_REQUEST

        def slot() -> None:
            if tally is not None and tally.silent >= SILENT and not tally.answered:
                raise Unreachable("the platform did not answer the requests before")
            left = last_start - time.monotonic()
            if left <= 0:
                raise OutOfTime("the lease is too short for another request")
            rate.wait(left, behind_live)
            if time.monotonic() >= last_start:  # the process was stopped meanwhile
                raise OutOfTime("the lease is too short for another request")

        def observe(outcome: str) -> None:
            with self._counting:
                if tally is not None:
                    tally.note(outcome)
                self._counts[f"requests.{account.name}.{outcome}"] += 1

        link = Link(self.http, slot, rate.cool_down, observe)
        client: Client = account.platform.connect(account.settings, link, self._tokens[account.name])
        return client

    def counted(self) -> Mapping[str, int]:
        """The requests made since this was last asked, by counter's name."""
        with self._counting:
            counts, self._counts = self._counts, Counter()
        return counts

    def close(self) -> None:
        """Ends what is under way, which a lease bounds, then the connections."""
        self._ended.set()
        self._heart.join()
        self.pool.shutdown(cancel_futures=True)
        self.http.close()
        self.redis.close()
        self.places.close()
        self.database.close()


@contextlib.contextmanager
def open_worker(settings: Settings, messages: Messages, part: str = "worker") -> Iterator[Worker]:
    """A worker for the length of a block."""
    worker = Worker(settings, messages, part)
    try:
        yield worker
    finally:
        worker.close()
