"""Up to 200 workers on a simulated clock: what they get done, who goes first, and that the rate is kept.

    python -m benchmarks.scaling

The rate, the leases, the job's calls and the sweeper's round are the product's own functions, on a real
SQLite database; the clock, the network and the workers' processor time are simulated.
"""

import heapq
import random
import sqlite3
import statistics
import sys
import tempfile
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event

from benchmarks import plot
from benchmarks.measure import RESULTS, ROOT, machine, table, tell, where
from store import calls as store_calls
from store import job_changes, job_meeting, jobs, schema
from store.calls import LEASE, LeasedCall, Outcome
from store.database import Database, insert, migrate
from store.job_changes import Result
from store.job_meeting import Met
from store.jobs import CallState
from worker.celery import CHUNK
from worker.context import CONNECTIONS, LONGEST_REQUEST, calls_in_lease
from worker.intake import QUEUED
from worker.rate import AHEAD, Spacing, Who, cells
from worker.retag.carry import GROUP
from worker.sweeper import TICK, sweep

BEGIN = 1_000_000_000.0
"""The simulated clock's start, in Unix seconds."""
REQUEST = 0.1
"""Seconds from a request to its answer."""
COST = 0.002
"""Seconds of a process's own work for each call, as measured with `benchmarks/retag.py`."""
RESTART = 1.0
"""Seconds until a worker that died is started again."""
ACCOUNT = "sipsim"

Step = Generator[float | None, None, None]
"""A process: gives the seconds that it sleeps, or None to be woken by a message."""


@dataclass(frozen=True)
class Plan:
    """What is simulated: so many processes of each queue, requests and live calls a second, for so long."""

    workers: int
    rate: float
    live: float
    seconds: float
    batch: bool = True
    deaths: float = 0.0
    """The share of groups whose worker dies in the middle."""
    lost: float = 0.0
    """The share of messages that are lost."""
    most: int | None = None
    """The job's calls; none: as many as there is time for."""
    live_for: float = float("inf")
    """Seconds during which live calls end."""


@dataclass
class World:
    """The fleet and its platform. Raises nothing: what goes wrong shows in the figures."""

    plan: Plan
    database: Database
    now: float = BEGIN
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    requests: list[tuple[float, int]] = field(default_factory=list)
    """When each request was sent, and of which call."""
    waits: list[float] = field(default_factory=list)
    """Seconds from a live call's end to its request."""
    done: Counter[int] = field(default_factory=Counter)
    """How often each call was recorded as done."""
    deaths: int = 0

    def __post_init__(self) -> None:
        self.spacing = Spacing(cells(self.plan.rate, []), lambda: self.now)
        self._events: list[tuple[float, int, Step]] = []
        self._count = 0
        self._queue: deque[list[int]] = deque()
        self._idle: list[Step] = []
        self.arrived: dict[int, float] = {}
        self.job = 0
        self.in_job: list[int] = []

    # what the sweeper tells the workers

    def send(self, calls: Sequence[int]) -> None:
        for start in range(0, len(calls), CHUNK):
            if self.chance.random() >= self.plan.lost:
                self._queue.append(list(calls[start : start + CHUNK]))
                if self._idle:
                    self._at(self.now, self._idle.pop())

    def wake(self) -> None:
        """There is no inbox here."""

    def drive(self, _place: object, /) -> bool:
        """The batch workers are at it all the time."""
        return True

    # the clock

    def _at(self, when: float, step: Step) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, step))

    def run(self) -> None:
        """Until the time is over."""
        processes = [self._arrivals(), self._sweeper()]
        processes += [self._live() for _ in range(self.plan.workers)]
        if self.plan.batch:
            number = self.plan.most or int(self.plan.rate * self.plan.seconds)
            self.job = self._make_job(number)
            processes += [self._batch(f"batch-{at}") for at in range(self.plan.workers)]
        for process in processes:
            self._at(BEGIN + self.chance.random() * 0.01, process)
        end = BEGIN + self.plan.seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, process = heapq.heappop(self._events)
            sleeps = next(process, False)
            if sleeps is None:
                self._idle.append(process)
            elif sleeps is not False:
                self._at(self.now + sleeps, process)

    # who does what

    def _arrivals(self) -> Step:
        """Calls end at even distances; intake makes their rows and sends them."""
        while self.now < BEGIN + self.plan.live_for and self.plan.live:
            row = {"account": ACCOUNT, "state": "due", "facts": {}, "first_at": self.now, "next_at": self.now,
                   "ended": True, "version": 1, "queued_until": self.now + QUEUED}  # fmt: skip
            with self.database.write() as connection:
                made = insert(connection, schema.calls).values(row).returning(schema.calls.c.id)
                call = int(connection.execute(made).scalar_one())
            self.arrived[call] = self.now
            self.send([call])
            yield 1 / self.plan.live

    def _sweeper(self) -> Step:
        while True:
            sweep(self.database, self, self.now)
            yield TICK

    def _live(self) -> Step:
        owner = f"live-{self.chance.random()}"
        while True:
            while not self._queue:
                yield None
            ids = self._queue.popleft()
            while self._queue and len(ids) + len(self._queue[0]) <= CHUNK:  # as intake gathers what came
                ids += self._queue.popleft()
            groups = [ids]
            while groups:
                with self.database.write() as connection:
                    leased, lonely = store_calls.lease(connection, groups.pop(0), owner, self.now)
                groups += [[call] for call in lonely]
                outcomes = yield from self._tag(leased, owner, behind=False)
                if outcomes is None:
                    yield RESTART
                    owner = f"live-{self.chance.random()}"
                    continue
                with self.database.write() as connection:
                    again = store_calls.record(connection, owner, outcomes, self.now).due
                self._note(outcomes)
                if again:
                    self.send(again)

    def _batch(self, owner: str) -> Step:
        while True:
            with self.database.write() as connection:
                todo = job_changes.next_todo(
                    connection, self.job, self.now, calls_in_lease(self.plan.rate, GROUP), self.now + LEASE
                )
                wanted = {one.call: one for one in todo if one.call is not None}
                leased, lonely = store_calls.lease(connection, list(wanted), owner, self.now, for_job=True)
            groups = [leased] if leased else []
            for call in lonely:
                with self.database.write() as connection:
                    alone, _ = store_calls.lease(connection, [call], owner, self.now, for_job=True)
                groups += [alone] if alone else []
            for group in groups:
                outcomes = yield from self._tag(group, owner, behind=True)
                if outcomes is None:
                    yield RESTART
                    owner += "'"
                    break
                with self.database.write() as connection:
                    store_calls.record(connection, owner, outcomes, self.now, self.job)
                    job_changes.settle(
                        connection, self.job, [_result(wanted[one.call.id], one) for one in outcomes]
                    )
                self._note(outcomes)
            if not groups:
                yield 1.0

    def _tag(
        self, leased: list[LeasedCall], owner: str, behind: bool
    ) -> Generator[float, None, list[Outcome] | None]:
        """A request for each call, several under way at once; None where the worker dies in the middle."""
        last_start = self.now + LEASE - LONGEST_REQUEST
        dies_at = (
            self.chance.randrange(len(leased)) if self.chance.random() < self.plan.deaths and leased else None
        )
        yield COST * len(leased)
        under_way: deque[float] = deque()
        outcomes = []
        for place, call in enumerate(leased):
            if place == dies_at:
                self.deaths += 1
                return None
            who = Who.BEHIND if behind else Who.MORE if place + 1 < len(leased) else Who.LIVE
            granted = yield from self._slot(last_start - self.now, who, owner)
            if not granted:
                outcomes.append(Outcome(call, "due", "no slot in time", next_at=self.now + 1.0))
                continue
            if len(under_way) == CONNECTIONS and (busy := under_way.popleft() - self.now) > 0:
                yield busy
            self._request(call.id)
            under_way.append(self.now + REQUEST)
            outcomes.append(Outcome(call, "done"))
        if under_way:
            yield max(under_way[-1] - self.now, 0.0)
        return outcomes

    def _slot(self, seconds: float, who: Who, owner: str) -> Generator[float, None, bool]:
        """As `Rate.wait`: live calls take the next slot, others one that is near."""
        end = self.now + seconds
        behind = who is Who.BEHIND
        while True:
            left = end - self.now
            granted, wait = self.spacing.reserve(1, min(left, AHEAD) if behind else left, who, owner)
            if granted:
                yield wait
                return True
            if not behind or wait >= left:
                return False
            yield max(wait - AHEAD, AHEAD / 10)

    def _request(self, call: int) -> None:
        self.requests.append((self.now, call))
        if call in self.arrived:
            self.waits.append(self.now - self.arrived[call])

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        self.done.update(one.call.id for one in outcomes if one.state == "done")

    def _make_job(self, number: int) -> int:
        with self.database.write() as connection:
            job = jobs.create(connection, ACCOUNT, "retag", {}, "0" * 64, [(0.0, 1.0)], self.now)
            rows = [
                {
                    "account": ACCOUNT,
                    "state": "done",
                    "facts": {},
                    "first_at": 0.0,
                    "next_at": 0.0,
                    "ended": True,
                }
                for _ in range(number)
            ]
            made = insert(connection, schema.calls).returning(schema.calls.c.id)
            self.in_job = list(connection.execute(made, rows).scalars())
            job_meeting.note_met(
                connection, job, [Met(str(call), call, add=("Tag",)) for call in self.in_job]
            )
        return job

    # the figures

    def most_in_one_second(self) -> int:
        times = [at for at, _ in self.requests]
        return max(bisect_right(times, at + 1.0) - place for place, at in enumerate(times))


def _result(change: job_changes.Change, outcome: Outcome) -> Result:
    if outcome.state == "done":
        return Result(change.reference, CallState.DONE)
    return Result(change.reference, CallState.TODO, outcome.reason, outcome.next_at, uncounted=True)


def _unsynchronised(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # on a simulated clock nothing waits for a disk


def simulate(plan: Plan, folder: Path) -> World:
    """Runs the plan with a new database in the folder."""
    database = Database(f"sqlite:///{folder / 'calltag.db'}")
    event.listen(database.engine, "connect", _unsynchronised)
    migrate(database)
    world = World(plan, database)
    try:
        world.run()
        return world
    finally:
        database.close()


WORKERS = (1, 2, 5, 10, 20, 50, 100)
"""Processes of each of the two queues."""
RATES = ((100.0, 30.0, 20.0), (1000.0, 300.0, 6.0))
"""Requests a second, live calls a second among them, and for how many seconds."""


def main() -> None:
    cases: list[dict[str, Any]] = []
    for rate, live, seconds in RATES:
        for workers in WORKERS:
            beside, alone = (_measured(Plan(workers, rate, live, seconds, batch)) for batch in (True, False))
            cases.append(
                {
                    "rate": rate,
                    "workers": workers,
                    **beside,
                    "alone": alone["median"],
                    "alone p99": alone["p99"],
                }
            )
            print(f"{rate:g}/s, {2 * workers} workers: {beside['used']:.1%}", file=sys.stderr)
    result = {"machine": machine("SQLAlchemy"), "cases": cases}
    tell("scaling", result, _text(result), ROOT / "docs" / "scaling.md")
    (RESULTS / "scaling.svg").write_text(
        plot.lines(
            "Requests a second, by workers (half of them live)",
            {
                f"{kind}, {rate:g}/s": [(2 * c["workers"], c[kind]) for c in cases if c["rate"] == rate]
                for rate, *_ in RATES
                for kind in ("live", "batch")
            },
        ),
        encoding="utf-8",
    )


def _measured(plan: Plan) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        world = simulate(plan, Path(folder))
    settled = [(at, call) for at, call in world.requests if at >= BEGIN + 2.0]
    seconds = plan.seconds - 2.0
    live = sum(call in world.arrived for _, call in settled)
    return {
        "live": live / seconds,
        "batch": (len(settled) - live) / seconds,
        "used": len(settled) / seconds / plan.rate,
        "most": world.most_in_one_second(),
        "median": statistics.median(world.waits),
        "p99": statistics.quantiles(world.waits, n=100)[98],
    }


def _text(result: dict[str, Any]) -> str:
    header = ["rate/s", "workers", "live/s", "batch/s", "of the rate", "most in a second",
              "live waits, ms: median", "p99", "without the job: median", "p99"]  # fmt: skip
    rows = [
        [
            f"{c['rate']:g}",
            2 * c["workers"],
            f"{c['live']:.0f}",
            f"{c['batch']:.0f}",
            f"{c['used']:.0%}",
            c["most"],
            *(f"{c[name] * 1000:.0f}" for name in ("median", "p99", "alone", "alone p99")),
        ]
        for c in result["cases"]
    ]
    return f"{table(header, rows)}\n\nOn {where(result['machine'])}"


if __name__ == "__main__":
    main()
