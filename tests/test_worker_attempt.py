"""One account's share of a batch: the platform is asked no more than needed, and not while it is away."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from platforms.sipsim.simulator import Config, PlannedFault, Record, events
from store import fleet, schema
from store.breaker import THRESHOLD
from tests.worker_bench import LONG, PUT, TOKEN, Bench, Sent
from worker.context import CONNECTIONS, SILENT, open_worker
from worker.tagging import tag

Make = Callable[..., Bench]
TAGS_OF_CALL = "GET /api/v2/calls/{call}/tags"
SEVERAL = (
    LONG
    + """
  - {id: inbound, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: answered, when: {field: status, eq: answered}, tag: Answered}
"""
)


def ended(bench: Bench, number: int, first: int = 1) -> list[Record]:
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(first, first + number)]
    for call in calls:
        bench.end(call)
    return calls


def outage(bench: Bench) -> None:
    """The platform goes away, and calls find out until the breaker opens."""
    bench.simulator.plan(PlannedFault(kind="503", route="*"))
    for number in range(THRESHOLD):
        tag(bench.worker, bench.due() if not number else due_at_once(bench)[:1])


def test_a_batch_asks_a_platform_that_stays_silent_no_more(make_bench: Make) -> None:
    bench = make_bench()
    ended(bench, 1)
    bench.settle()
    bench.simulator.plan(PlannedFault(kind="503", route=PUT))
    calls = ended(bench, 60, first=2)
    tag(bench.worker, bench.due())
    assert SILENT <= bench.requests(PUT) - 1 < SILENT + CONNECTIONS
    bench.simulator.gate.clear()
    bench.later()
    assert [bench.tags(call) for call in calls] == [["Long Call"]] * 60


def due_at_once(bench: Bench) -> list[int]:
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(next_at=0.0, queued_until=0.0))
    return bench.due()


def breaker_row(bench: Bench) -> Any:
    with bench.database.read() as connection:
        return connection.execute(select(schema.breakers)).one()


def pause_is_over(bench: Bench) -> None:
    with bench.database.write() as connection:
        connection.execute(update(schema.breakers).values(open_until=time.time() - 1))


def amiss(bench: Bench) -> list[str]:
    with bench.database.read() as connection:
        return [notice.subject for notice in fleet.amiss(connection)]


def states(bench: Bench) -> list[str]:
    with bench.database.read() as connection:
        return list(connection.execute(select(schema.calls.c.state)).scalars())


def test_it_opens_after_three_batches_without_an_answer_and_then_nothing_is_asked(make_bench: Make) -> None:
    bench = make_bench()
    ended(bench, 20)
    outage(bench)
    assert breaker_row(bench).failures == THRESHOLD
    assert amiss(bench) == ["platform:sipsim"]
    requests = bench.requests()
    for _ in range(5):
        tag(bench.worker, due_at_once(bench))
    assert bench.requests() == requests
    assert set(states(bench)) == {"parked"}


def test_one_call_is_the_probe_of_the_fleet(make_bench: Make) -> None:
    bench = make_bench()
    ended(bench, 20)
    outage(bench)
    requests = bench.requests() + bench.requests(TOKEN)
    pause_is_over(bench)
    with open_worker(bench.settings, Sent()) as second:
        due = due_at_once(bench)
        tag(bench.worker, due[:10])
        tag(second, due[10:])
    assert bench.requests() + bench.requests(TOKEN) == requests + 1
    assert breaker_row(bench).open_until > time.time() + 5, "the pause has doubled"


def test_an_answer_to_the_probe_brings_everything_at_once_within_the_rate(make_bench: Make) -> None:
    bench = make_bench(sipsim_rate="40")
    calls = ended(bench, 50)
    outage(bench)
    with bench.database.write() as connection:  # they have waited for hours
        connection.execute(update(schema.calls).values(next_at=time.time() + 900))
    bench.simulator.gate.clear()
    pause_is_over(bench)
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).where(schema.calls.c.id == 1).values(next_at=0.0))
    bench.settle()
    assert all(bench.tags(call) == ["Long Call"] for call in calls)
    assert set(states(bench)) == {"done"}
    assert bench.simulator.counters.max_in_one_second <= 44
    assert amiss(bench) == []
    assert breaker_row(bench).failures == 0


def test_waiting_for_the_platform_costs_no_attempts_and_kills_no_call(make_bench: Make) -> None:
    """Six hours of it: a probe every two minutes at most."""
    bench = make_bench()
    calls = ended(bench, 3)
    outage(bench)
    for _ in range(180):
        pause_is_over(bench)
        tag(bench.worker, due_at_once(bench))
    assert set(states(bench)) == {"parked"}
    with bench.database.read() as connection:
        assert set(connection.execute(select(schema.calls.c.attempts)).scalars()) == {0}
    bench.simulator.gate.clear()
    pause_is_over(bench)
    bench.later()
    assert all(bench.tags(call) == ["Long Call"] for call in calls)


def test_a_call_that_needs_nothing_of_the_platform_is_done_while_it_is_away(make_bench: Make) -> None:
    bench = make_bench()
    ended(bench, 3)
    outage(bench)
    short = bench.call(9, duration=20)
    bench.end(short)
    bench.settle()
    assert bench.state(short.reference).state == "done"


def test_some_answers_among_failures_keep_it_closed(make_bench: Make) -> None:
    bench = make_bench()
    ended(bench, 1, first=900)
    bench.settle()
    for number in range(4):
        calls = ended(bench, 4, first=1 + 10 * number)
        bench.simulator.plan(PlannedFault(kind="503", count=2))
        bench.settle()
        assert any(bench.tags(call) for call in calls)
    assert amiss(bench) == []


@pytest.mark.parametrize("kind", ["429", "403", "404"])
def test_an_answer_that_is_no_success_is_an_answer(make_bench: Make, kind: str) -> None:
    bench = make_bench()
    ended(bench, 1)
    bench.simulator.plan(PlannedFault(kind=kind, retry_after="0"))
    for _ in range(4):
        tag(bench.worker, due_at_once(bench))
    assert amiss(bench) == []


def test_calls_with_several_tags_cost_hardly_more_than_a_request_for_each_tag(make_bench: Make) -> None:
    """No read, though each write is told by an event, in several seconds and orders."""
    bench = make_bench(Config(), rules=SEVERAL)
    calls = ended(bench, 100)
    for start in range(0, 100, 64):
        tag(bench.worker, bench.due()[:64] if not start else bench.due())
    now = time.time()
    for call in calls:
        names = [tag.name for tag in bench.simulator.tags.of(call.id)]
        lists = [names[: n + 1] for n in range(3)]
        bench.receive(*(events.tags(call, now, names) for names in reversed(lists)))
    bench.settle()
    bench.later()
    assert bench.simulator.counters.put_201 == 300
    assert bench.requests(TAGS_OF_CALL) == 0
    assert (bench.requests() + bench.requests(TOKEN)) / 300 <= 1.02


def test_a_read_without_an_answer_leaves_the_call_parked_and_writes_nothing(make_bench: Make) -> None:
    bench = make_bench(rules=SEVERAL)
    (call,) = ended(bench, 1)
    bench.settle()
    writes = bench.simulator.counters.put_201
    names = bench.simulator.edit(call.reference, add=["VIP"])
    bench.receive(events.tags(call, time.time() + 5, names))
    bench.simulator.plan(PlannedFault(kind="503", route=TAGS_OF_CALL, count=1))
    bench.settle()
    assert bench.state(call.reference).state == "parked"
    bench.later()
    assert bench.state(call.reference).others == ["VIP"]
    assert bench.simulator.counters.put_201 == writes
