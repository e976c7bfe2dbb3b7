"""Workers killed with -9 thirty times, and ended, under load: nothing is lost, wrong or written twice."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.processes import alive
from tests.service import KILLS, Run, a_day, calltag_up, kill, platform
from tests.waiting import eventually

RULES = """\
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: out, when: {field: direction, eq: outbound}, tag: Outbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long}
  - {id: refund, when: {field: transcript_caller, contains: refund}, tag: Refund}
"""
GRACE = 60.0
"""Seconds within which a worker that is asked to end has."""


def one_of_the_pool(run: Run) -> int:
    kill(run.pool()[0])
    return 1


def the_whole_pool(run: Run) -> int:
    pool = run.pool()
    for pid in pool:
        kill(pid)
    return len(pool)


def the_worker(run: Run) -> int:
    """The process that holds the pool, which ends with it."""
    pool = run.pool()
    kill(run.part("worker"))
    return len(pool)


def ends_within_its_grace(run: Run) -> None:
    worker = run.part("worker")
    os.kill(worker, signal.SIGTERM)
    eventually(lambda: not alive(worker), "it has ended", GRACE)


KILLED = (*[one_of_the_pool] * 8, the_worker, the_whole_pool) * 3


@pytest.mark.timeout(400)
def test_workers_killed_thirty_times_and_ended_under_load_lose_nothing(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    with platform({"latency": 0.05}) as (simulator, url), calltag_up(tmp_path, simulator, url, rules) as run:
        died = 0
        with run.playing(a_day(500), 15):
            run.has_put(10)
            for harm in KILLED:
                died += harm(run)
                time.sleep(0.6)
            ends_within_its_grace(run)
        run.ends_right(KILLS, in_flight=16 * died)
