"""Somebody at a terminal, beside a bench whose worker plans and runs re-tagging jobs meanwhile."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from structlog.testing import capture_logs

from platforms.sipsim.simulator import Config
from store import fleet, jobs
from tests.commands import Operator
from tests.worker_bench import Bench
from worker.retag.drive import drive

HOUR = 3600.0
LOOK = 0.02


def desk(bench: Bench) -> Operator:
    """The operator, with the settings of the bench."""
    data = bench.settings.data_dir
    shipped = Config()
    return Operator(
        data,
        {
            "CALLTAG_DATA_DIR": str(data),
            "CALLTAG_REDIS_URL": bench.settings.redis,
            "CALLTAG_RULES": str(data / "rules.yaml"),
            "CALLTAG_SIPSIM_BASE_URL": bench.account.settings.base_url,
            "CALLTAG_SIPSIM_CLIENT_ID": shipped.client_id,
            "CALLTAG_SIPSIM_CLIENT_SECRET": shipped.client_secret,
            "CALLTAG_SIPSIM_RATE": "100",
        },
    )


def alive(bench: Bench) -> None:
    """A sweeper and a worker of the queue show signs of life, for an hour."""
    now = time.time()
    with bench.database.write() as connection:
        fleet.hold(connection, "sweeper", "a sweeper", now, HOUR)
        fleet.beat(connection, "a worker", "batch", now + HOUR)


@contextmanager
def working(bench: Bench) -> Iterator[None]:
    """What the sweeper and the workers of the queue do, for as long as the block lasts."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(LOOK):
            with bench.database.write() as connection:
                at_work = [one.id for one in jobs.newest(connection, 100) if one.works]
            for job in at_work:
                try:
                    drive(bench.worker, jobs.Place(job, f"job:{job}:test", "test"))
                except BaseException as fault:  # whoever looks on would do so for ever
                    with bench.database.write() as connection:
                        jobs.change(connection, job, state=jobs.JobState.FAILED, reason=repr(fault))
                    raise

    alive(bench)
    with capture_logs(), ThreadPoolExecutor(1) as pool:  # else they would be among what commands print
        at_work = pool.submit(work)
        try:
            yield
        finally:
            ended.set()
            at_work.result()
