"""A re-tagging job on the bench: planned, run and looked at in the test's own process."""

import time
from typing import Any

from sqlalchemy import update

from store import job_changes, jobs, schema
from store.job_changes import Change
from store.jobs import Job, Place
from tests.worker_bench import Bench
from worker.context import Worker
from worker.retag import orders
from worker.retag.drive import drive
from worker.retag.spec import Spec

DAY = 86_400.0


class BenchJob:
    """One job; made by `plan` or `undo`."""

    def __init__(self, bench: Bench, number: int) -> None:
        self.bench = bench
        self.number = number

    @property
    def row(self) -> Job:
        with self.bench.database.read() as connection:
            found = jobs.get(connection, self.number)
        assert found is not None
        return found

    @property
    def state(self) -> str:
        return self.row.state.value

    @property
    def changes(self) -> dict[str, Change]:
        """The calls that it changes or would have, by reference."""
        with self.bench.database.read() as connection:
            return {one.reference: one for one in job_changes.changes(connection, self.number)}

    def states(self) -> dict[str, str]:
        return {reference: one.state.value for reference, one in self.changes.items()}

    def drive(self, worker: Worker | None = None) -> "BenchJob":
        """What the workers of the queue do, until nothing can be done now."""
        for _ in range(100):
            sent = self.bench.messages.jobs
            sent.clear()
            drive(worker or self.bench.worker, Place(self.number, f"job:{self.number}:test", "test"))
            if not sent:
                return self
        raise AssertionError("it does not come to rest")

    def later(self, worker: Worker | None = None) -> "BenchJob":
        """The time has come for everything that waits, also for leases to end; then as `drive`."""
        with self.bench.database.write() as connection:
            connection.execute(update(schema.job_calls).values(next_at=0.0))
            connection.execute(update(schema.job_windows).values(next_at=0.0, lease_until=0.0))
            connection.execute(update(schema.calls).values(lease_until=0.0))
        return self.drive(worker)

    def start(self) -> "BenchJob":
        """The run is asked for, and nothing is done yet."""
        orders.run(self.bench.database, self.number)
        return self

    def run(self) -> "BenchJob":
        return self.start().drive()


def plan(bench: Bench, since: float = 3 * DAY, until: float = 0.0, **asked: Any) -> BenchJob:
    """A job over the calls between so many seconds ago, planned."""
    return made(bench, since, until, **asked).drive()


def made(bench: Bench, since: float = 3 * DAY, until: float = 0.0, **asked: Any) -> BenchJob:
    """The same, not planned yet."""
    ruleset = bench.worker.rules.now()
    assert ruleset is not None
    now = time.time()
    spec = Spec(now - since, now - until, **asked)
    return BenchJob(bench, orders.plan(bench.database, bench.account, spec, ruleset))


def undo(job: BenchJob) -> BenchJob:
    """A planned job that takes back what that one did."""
    return BenchJob(job.bench, orders.undo(job.bench.database, job.number)).drive()
