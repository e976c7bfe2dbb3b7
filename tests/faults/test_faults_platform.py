"""The platform in a storm: 429, 503, connections that break before and after the effect."""

from pathlib import Path

import pytest

from platforms.sipsim.simulator import PlannedFault
from tests.service import STORM, a_day, calltag_up, platform

RATE = 50
PUT = "PUT /api/v2/calls/{call}/tags/{tag}"
STORMS = (
    PlannedFault(kind="429", seconds=6, retry_after="2"),
    PlannedFault(kind="503", seconds=6, after=8),
    PlannedFault(kind="drop_before", seconds=4, after=15),
    PlannedFault(kind="drop_after", seconds=4, after=20),
)


@pytest.mark.timeout(400)
def test_after_a_storm_of_errors_every_tag_is_on_its_call_within_the_rate(tmp_path: Path) -> None:
    with (
        platform() as (simulator, url),
        calltag_up(tmp_path, simulator, url, settings={"CALLTAG_SIPSIM_RATE": str(RATE)}) as run,
    ):
        day = a_day(500)
        run.play(day[:50], 50)
        with run.playing(day[50:], 20):
            for fault in STORMS:
                simulator.plan(fault)
        run.settles(STORM)
        counters = simulator.counters
        run.ends_right(STORM, in_flight=counters.requests[PUT]["dropped"])
        assert counters.max_in_one_second <= 1.1 * RATE
        assert counters.rate_limited > 0
        assert sum(answers["503"] + answers["dropped"] for answers in counters.requests.values()) > 0
