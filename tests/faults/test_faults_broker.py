"""The broker killed: webhooks go on being taken at once, and everything is tagged afterwards.

Refused, frozen, emptied and full it is in `test_faults_cases_store.py`.
"""

from pathlib import Path

import pytest

from tests.service import KILLS, a_day, calltag_up, kill, platform

AT_ONCE = {"webhook_timeout": 1, "latency": 0.02}
"""A webhook that is not answered within a second counts as failed."""
WRITTEN_TWICE = 8
"""Writes that the loss of a broker may repeat: a task that it cut short leaves them to the next."""


@pytest.mark.timeout(400)
def test_a_valkey_killed_again_and_again_costs_nothing_but_time(tmp_path: Path) -> None:
    with platform(AT_ONCE) as (simulator, url), calltag_up(tmp_path, simulator, url) as run:
        with run.playing(a_day(400), 40):
            for number in range(3):
                run.has_put(25 * (number + 1))
                kill(run.part("valkey"))
        run.ends_right(KILLS, in_flight=WRITTEN_TWICE)
        run.took_all_at_once()
