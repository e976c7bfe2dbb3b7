"""Re-tagging jobs of two accounts at once: each changes its own calls, and one that waits delays no other."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import update

from platforms.sipsim.simulator import Config, PlannedFault, Record, Simulator, serve
from store import fleet, schema
from store.jobs import Place
from tests.retag_job import DAY, BenchJob
from tests.waiting import eventually
from tests.worker_bench import CALLER, LIST_CALLS, RECEIVER, Bench, Sent
from worker.context import open_worker
from worker.retag import orders
from worker.retag.drive import drive
from worker.retag.spec import Spec

Make = Callable[..., Bench]
LYON = "sipsim-lyon"
EACH = 40


@contextmanager
def two_accounts(make_bench: Make) -> Iterator[tuple[Bench, Simulator]]:
    """The bench of one account, and the platform of the other; both have the same calls."""
    lyon = Simulator(Config())
    with serve(lyon) as url:
        secret = lyon.config.client_secret
        own = {"platform": "sipsim", "base_url": url, "client_id": lyon.config.client_id, "rate": "5000"}
        more = {f"sipsim_lyon_{name}": value for name, value in {**own, "client_secret": secret}.items()}
        bench = make_bench(accounts=f"sipsim,{LYON}", **more)
        for platform in (bench.simulator, lyon):
            for number in range(EACH):
                platform.add(past(number))
        yield bench, lyon


def past(number: int) -> Record:
    """A call of yesterday; every other one is long."""
    return Record(
        id=10_000 + number,
        reference=f"call_{number:05d}",
        started=time.time() - DAY - number * 60,
        direction="inbound",
        caller=CALLER,
        receiver=RECEIVER,
        duration=1900 if number % 2 else 20,
    )


def made(bench: Bench, account: str) -> BenchJob:
    """A job of that account over the last three days, not planned yet."""
    ruleset = bench.worker.rules.now()
    assert ruleset is not None
    spec = Spec(time.time() - 3 * DAY, time.time())
    return BenchJob(bench, orders.plan(bench.database, bench.settings.accounts[account], spec, ruleset))


def tagged(platform: Simulator) -> int:
    return sum(tags == ["Long Call"] for tags in platform.call_tags().values())


@contextmanager
def driving(bench: Bench, jobs: list[BenchJob]) -> Iterator[None]:
    """Two workers drive every job in turn, as long as the block lasts."""
    ended = threading.Event()

    def work(number: int) -> None:
        with open_worker(bench.settings, Sent(), "batch") as worker:
            while not ended.wait(0.01):
                for job in jobs:
                    drive(worker, Place(job.number, f"job:{job.number}:{number}", f"token {number}"))

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(work, number) for number in range(2)]
        try:
            yield
        finally:
            ended.set()
            for one in working:
                one.result()


def test_jobs_of_two_accounts_at_once_each_change_their_own_calls(make_bench: Make) -> None:
    with two_accounts(make_bench) as (bench, lyon):
        jobs = [made(bench, account) for account in ("sipsim", LYON)]
        with driving(bench, jobs):
            eventually(lambda: all(job.state == "planned" for job in jobs), "both are planned")
            assert (tagged(bench.simulator), tagged(lyon)) == (0, 0)
            for job in jobs:
                job.start()
            eventually(lambda: all(job.state == "done" for job in jobs), "both are done")
        assert [job.row.plan["change"] for job in jobs] == [EACH / 2, EACH / 2]
        assert (tagged(bench.simulator), tagged(lyon)) == (EACH / 2, EACH / 2)
        assert bench.simulator.counters.put_204 == lyon.counters.put_204 == 0


def test_a_job_whose_platform_is_down_waits_and_delays_no_other(make_bench: Make) -> None:
    with two_accounts(make_bench) as (bench, lyon):
        waiting, other = (made(bench, account) for account in (LYON, "sipsim"))
        lyon.plan(PlannedFault(kind="503"))
        with driving(bench, [waiting, other]):
            eventually(lambda: other.state == "planned", "the one is planned")
            other.start()
            eventually(lambda: other.state == "done", "and done")
            eventually(lambda: waiting.row.reason, "the other one says that it waits")
            assert (waiting.state, waiting.row.reason) == (
                "planning",
                "it waits and goes on by itself: GET was answered 503",
            )
            lyon.gate.clear()
            eventually(lambda: try_again(bench) or waiting.state == "planned", "it goes on by itself")
    assert tagged(bench.simulator) == EACH / 2


def try_again(bench: Bench) -> bool:
    """The time has come for it, once more."""
    with bench.database.write() as connection:
        connection.execute(update(schema.breakers).values(open_until=0.0))
        connection.execute(update(schema.job_windows).values(next_at=0.0))
    return False


def amiss(bench: Bench) -> list[str]:
    with bench.database.read() as connection:
        return [notice.subject for notice in fleet.amiss(connection)]


def requests(platform: Simulator) -> int:
    return sum(platform.counters.requests[LIST_CALLS].values())


def test_a_job_asks_a_platform_that_does_not_answer_no_more_but_for_a_probe(make_bench: Make) -> None:
    """So that it does not hold the processes that jobs of other accounts could have."""
    with two_accounts(make_bench) as (bench, lyon):
        job = made(bench, LYON)
        lyon.plan(PlannedFault(kind="drop_before"))
        while not amiss(bench):
            job.later()
        asked = requests(lyon)
        for _ in range(3):
            job.later()
        assert (requests(lyon), job.state, amiss(bench)) == (asked, "planning", [f"platform:{LYON}"])
        lyon.gate.clear()
        try_again(bench)
        job.drive()
        assert (job.state, amiss(bench)) == ("planned", [])
