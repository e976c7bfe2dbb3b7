"""Many workers on a simulated clock: the rate is kept, live calls go first, every call is done once."""

from bisect import bisect_right
from pathlib import Path

from benchmarks.scaling import BEGIN, Plan, World, simulate
from worker.intake import QUEUED
from worker.rate import AHEAD, SPARE


def most_in_one_second(world: World) -> int:
    times = [at for at, _ in world.requests]
    return max(bisect_right(times, at + 1.0) - place for place, at in enumerate(times))


def test_twenty_workers_use_the_rate_and_no_second_holds_more(tmp_path: Path) -> None:
    world = simulate(Plan(workers=10, rate=100, live=20, seconds=15), tmp_path)
    assert most_in_one_second(world) <= 100
    assert len([at for at, _ in world.requests if at >= BEGIN + 1]) >= 0.95 * 100 * 14


def test_with_workers_that_die_no_second_holds_more_than_the_rate_either(tmp_path: Path) -> None:
    world = simulate(Plan(workers=50, rate=50, live=10, seconds=20, deaths=0.3, lost=0.2), tmp_path)
    assert world.deaths > 5
    assert most_in_one_second(world) <= 50


def test_live_calls_wait_no_longer_beside_a_job_than_for_what_was_promised(tmp_path: Path) -> None:
    world = simulate(Plan(workers=10, rate=50, live=20, seconds=15), tmp_path)
    assert len(world.waits) >= 280
    assert max(world.waits) <= AHEAD + 5 * SPARE / 50


def test_when_live_calls_take_the_whole_rate_the_job_gets_next_to_nothing(tmp_path: Path) -> None:
    world = simulate(Plan(workers=6, rate=300, live=400, seconds=6), tmp_path)
    begun = [call for at, call in world.requests if at >= BEGIN + 3]
    assert sum(call not in world.arrived for call in begun) <= 0.05 * len(begun)


def test_every_call_is_done_once_though_workers_die_and_messages_are_lost(tmp_path: Path) -> None:
    ends = 3 * QUEUED
    plan = Plan(workers=5, rate=100, live=3, seconds=600, live_for=ends, deaths=0.1, lost=0.2, most=600)
    world = simulate(plan, tmp_path)
    assert world.deaths > 5
    everything = {*world.arrived, *world.in_job}
    assert set(world.done) == everything
    assert set(world.done.values()) == {1}
    assert {call for _, call in world.requests} == everything
