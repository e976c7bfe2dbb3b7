"""Re-tagging jobs over a long past, with everything killed that works on them."""

import random
import time
from pathlib import Path

import pytest

from platforms.sipsim.simulator import Series
from rules.evaluate import evaluate
from rules.facts import Value
from rules.loader import load
from tests.service import Run, calltag_up, kill, platform
from tests.waiting import eventually

CALLS = 20_000
DAY = 86_400
RULES = """\
version: 1
rules:
  - {id: very-long, when: {field: duration, gt: 55m}, tag: Very Long}
  - {id: long-out, when: {all: [{field: direction, eq: outbound}, {field: duration, gt: 50m}]}, tag: Long Out}
"""
KILLS = 5
ENDED = ("done", "stopped", "failed", "cancelled")


def expected(history: Series, rules: Path) -> dict[str, list[str]]:
    """By reference, the tags that the calls of the past are to have; only those that are to have some."""
    ruleset = load(rules)
    found = {}
    for index in range(history.count):
        record = history.record(index)
        facts: dict[str, Value] = {"direction": record.direction, "duration": record.duration}
        if tags := evaluate(ruleset, facts).tags:
            found[record.reference] = sorted(tags)
    return found


def kill_something(run: Run, chance: random.Random) -> str:
    """The processes that carry out the job, the worker that holds them, or the sweeper that tells it."""
    name = chance.choice(["pool", "pool", "batch", "sweeper", "valkey"])
    if name == "pool":
        for pid in run.pool("batch"):
            kill(pid)
    else:
        kill(run.part(name))
    return name


def simulator_has(run: Run, some: int) -> None:
    eventually(lambda: len(tagged(run)) >= some, f"{some} calls are tagged", 120)


def tagged(run: Run) -> dict[str, list[str]]:
    return {reference: tags for reference, tags in run.simulator.call_tags().items() if tags}


@pytest.mark.timeout(400)
def test_a_job_killed_five_times_handles_every_call_once_and_its_undo_takes_all_back(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    now = time.time()
    history = Series(CALLS, int(now) - 30 * DAY, step=120)
    chance = random.Random(3)
    with (
        platform({"latency": 0.01}, history) as (simulator, url),
        calltag_up(tmp_path, simulator, url, rules) as run,
    ):
        job = run.planned(now - 31 * DAY, now - DAY)
        plan = run.job(job)["plan"]
        wanted = expected(history, rules)
        assert (plan["listed"], plan["change"]) == (CALLS, len(wanted))
        run.post(f"/api/jobs/{job}/run")
        for number in range(KILLS):  # soon one after the other: leases run meanwhile
            simulator_has(run, (number + 1) * len(wanted) // (3 * KILLS))
            kill_something(run, chance)
        eventually(lambda: run.job(job)["state"] in ENDED, "the job has ended", 240)
        ended = run.job(job)
        assert (ended["state"], ended["reason"]) == ("done", None)
        assert tagged(run) == wanted
        added = sum(map(len, wanted.values()))
        assert simulator.counters.put_201 == added == ended["run"]["added"]
        assert ended["run"]["done"] == len(wanted)
        assert ended["run"]["listed"] == CALLS
        back = run.post(f"/api/jobs/{job}/undo")["job"]
        eventually(lambda: run.job(back)["state"] == "planned", "the undo is planned", 60)
        run.post(f"/api/jobs/{back}/run")
        eventually(lambda: run.job(back)["state"] in ENDED, "the undo has ended", 120)
        assert (run.job(back)["state"], tagged(run)) == ("done", {})


@pytest.mark.timeout(300)
def test_a_job_that_was_cancelled_stays_so_after_everything_was_started_again(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    now = time.time()
    history = Series(4000, int(now) - 30 * DAY, step=600)
    settings = {"CALLTAG_SIPSIM_RATE": "50"}
    with platform(history=history) as (simulator, url):
        with calltag_up(tmp_path, simulator, url, rules, settings) as run:
            job = run.planned(now - 31 * DAY, now - DAY)
            run.post(f"/api/jobs/{job}/run")
            eventually(lambda: len(tagged(run)) > 20, "the run has begun", 60)
            run.post(f"/api/jobs/{job}/cancel")
        with calltag_up(tmp_path, simulator, url, rules, settings) as run:
            other = run.planned(now - 31 * DAY, now - DAY)  # by then the workers have had a job to do
            assert run.job(job)["state"] == "cancelled"
            put, ended = simulator.counters.put_201, run.job(job)
            assert run.job(other)["plan"]["add"] == ended["plan"]["add"] - put
            assert ended["run"]["added"] <= put <= ended["run"]["added"] + 64, (
                "what was under way was written"
            )
            back = run.post(f"/api/jobs/{job}/undo")["job"]
            eventually(lambda: run.job(back)["state"] == "planned", "the undo is planned", 60)
