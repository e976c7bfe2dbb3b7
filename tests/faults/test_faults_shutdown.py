"""`calltag up` ended under load, as asked and by force: nothing stays behind, nothing is lost."""

import signal
from pathlib import Path

import pytest

from tests.processes import alive, descendants
from tests.service import KILLS, PLAIN, a_day, calltag_up, kill, platform
from tests.waiting import eventually

GRACE = 90.0
"""Seconds that the parts together may take to end."""
PATIENT = {"retries": (1.0,) * 60, "latency": 0.02}
"""The platform sends again what was not taken, for as long as a restart may last."""


@pytest.mark.timeout(400)
def test_asked_to_end_under_load_it_does_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    day = a_day(300)
    with platform(PATIENT) as (simulator, url):
        with calltag_up(tmp_path, simulator, url) as run, run.playing(day, 40):
            run.has_put(30)
            parts = [process.pid for process in descendants(run.process.pid)]
            run.process.send_signal(signal.SIGTERM)
            assert run.process.wait(GRACE) == 0
            assert alive(*parts) == []
            assert "is killed" not in run.log
        with calltag_up(tmp_path, simulator, url) as run:
            run.played += day
            run.ends_right(PLAIN)


@pytest.mark.timeout(400)
def test_killed_under_load_it_leaves_no_process_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    day = a_day(300)
    with platform(PATIENT) as (simulator, url):
        with calltag_up(tmp_path, simulator, url) as run, run.playing(day, 40):
            run.has_put(30)
            parts = [process.pid for process in descendants(run.process.pid)]
            pool = len(run.pool())
            kill(run.process.pid)
            run.process.wait()
            eventually(lambda: not alive(*parts), "no process is left", 10)
        with calltag_up(tmp_path, simulator, url) as run:
            run.played += day
            run.ends_right(KILLS, in_flight=16 * pool)
