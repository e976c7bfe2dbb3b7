"""The way to the platform cut, frozen and slow, and a platform that is away for longer."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from platforms.sipsim.simulator import PlannedFault
from tests.fault_proxy import fault_proxy
from tests.service import KILLS, STORM, a_day, calltag_up, platform
from tests.waiting import eventually

RATE = 50
CONNECTIONS = 16
"""Of each worker process."""


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.timeout(300)
def test_connections_to_the_platform_that_are_cut_frozen_and_slow_write_nothing_twice(tmp_path: Path) -> None:
    with (
        platform({"latency": 0.02}) as (simulator, url),
        fault_proxy(port_of(url)) as proxy,
        calltag_up(tmp_path, simulator, proxy.url) as run,
    ):
        pool = len(run.pool())
        with run.playing(a_day(300), 20):
            for number in range(1, 4):
                run.has_put(20 * number)
                proxy.cut()
            with proxy.refusing():
                time.sleep(2)
            proxy.latency = 0.3
            time.sleep(2)
            proxy.latency = 0.0
            with proxy.swallowing():
                time.sleep(12)  # longer than an answer is waited for
        run.ends_right(KILLS, in_flight=6 * pool * CONNECTIONS)


@pytest.mark.timeout(300)
def test_a_platform_that_is_away_is_asked_by_one_probe_named_and_then_caught_up_with_in_the_rate(
    tmp_path: Path,
) -> None:
    settings = {"CALLTAG_SIPSIM_RATE": str(RATE)}
    with platform() as (simulator, url), calltag_up(tmp_path, simulator, url, settings=settings) as run:
        day = a_day(200)
        run.play(day[:10])
        run.settles(60)
        simulator.plan(PlannedFault(kind="503", route="*"))
        run.play(day[10:])
        eventually(lambda: "platform:sipsim" in run.health()["degraded"], "the platform is named", 60)
        eventually(lambda: run.status()["calls"]["parked"] > 100, "calls wait for it", 60)
        before = asked(simulator.counters.requests)
        time.sleep(8)
        assert asked(simulator.counters.requests) - before <= 4, "probes alone"
        assert run.get("/readyz").status_code == 200
        assert run.status()["calls"]["dead"] == 0
        simulator.gate.clear()
        run.ends_right(STORM)
        assert simulator.counters.max_in_one_second <= 1.1 * RATE
        assert "platform:sipsim" not in run.health()["degraded"]


def asked(requests: Mapping[str, Mapping[str, int]]) -> int:
    return sum(sum(counts.values()) for counts in requests.values())
