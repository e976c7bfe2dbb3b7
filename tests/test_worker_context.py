"""What a worker process has: rules by hash, counts, a sign of life; and an end that leaves nothing behind."""

import threading
import time
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import select, update

from platforms.errors import OutOfTime
from platforms.link import LONGEST_ANSWER
from rules.loader import parse
from rules.ruleset import RuleSet
from store import fleet, rulesets, schema
from store.calls import LEASE
from tests.waiting import eventually
from tests.worker_bench import LIST_TAGS, LONG, Bench, Sent
from worker import context
from worker.context import LONGEST_REQUEST, TIMEOUT, RulesInForce, Worker, open_worker, process_name

Make = Callable[..., Bench]


def living(bench: Bench) -> int:
    with bench.database.read() as connection:
        return fleet.living(connection, "worker", time.time())


def test_a_worker_shows_that_it_lives_before_its_first_request(make_bench: Make) -> None:
    bench = make_bench()
    assert living(bench) == 1
    with open_worker(bench.settings, Sent()):
        assert living(bench) == 2


def test_a_worker_that_is_closed_leaves_no_thread_behind(make_bench: Make) -> None:
    bench = make_bench()
    before = set(threading.enumerate())
    worker = Worker(bench.settings, Sent())
    list(worker.pool.map(time.sleep, [0.01] * 30))
    assert set(threading.enumerate()) > before
    worker.close()
    assert set(threading.enumerate()) == before
    assert worker.http.is_closed


def test_a_worker_that_is_closed_lets_its_requests_end(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.config.change({"latency": 0.5})
    worker = Worker(bench.settings, Sent())
    asked = worker.pool.submit(worker.client(bench.account, time.monotonic()).list_tags)
    while not asked.running():
        time.sleep(0.01)
    worker.close()
    assert asked.result() == []


def test_every_process_has_a_name_of_its_own() -> None:
    assert len({process_name() for _ in range(50)}) == 50
    assert len(process_name()) <= 64


def test_the_longest_request_is_the_sum_of_its_deadlines() -> None:
    deadlines = (TIMEOUT.connect, TIMEOUT.read, TIMEOUT.write, TIMEOUT.pool)
    body = LONGEST_ANSWER + (TIMEOUT.read or 0.0)
    assert sum(deadline or 0.0 for deadline in deadlines) + body == LONGEST_REQUEST


def test_requests_are_counted_by_what_was_answered_and_each_once(make_bench: Make) -> None:
    bench = make_bench()
    client = bench.worker.client(bench.account, time.monotonic())
    client.list_tags()
    client.list_tags()
    assert bench.worker.counted() == {"requests.sipsim.200": 3}  # one of them for the token
    assert bench.worker.counted() == {}


def test_the_counts_of_requests_reach_the_database(make_bench: Make) -> None:
    bench = make_bench()
    bench.end(bench.call())
    bench.settle()
    with bench.database.read() as connection:
        row = select(schema.counters.c.value).where(schema.counters.c.name == "requests.sipsim.201")
        assert connection.execute(row).scalar() == 2


def test_a_request_is_begun_only_while_the_lease_is_long_enough(make_bench: Make) -> None:
    bench = make_bench()
    bench.worker.client(bench.account, time.monotonic() - (LEASE - LONGEST_REQUEST - 5)).list_tags()
    with pytest.raises(OutOfTime):
        bench.worker.client(bench.account, time.monotonic() - (LEASE - LONGEST_REQUEST)).list_tags()
    assert bench.requests(LIST_TAGS) == 1


def test_redirects_are_not_followed_and_proxies_not_asked(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    bench = make_bench()
    assert bench.worker.client(bench.account, time.monotonic()).list_tags() == []
    assert bench.worker.http.follow_redirects is False


def test_the_rules_in_force_are_those_of_the_active_hash(make_bench: Make) -> None:
    bench = make_bench()
    rules = RulesInForce(bench.database)
    first = rules.now()
    assert first
    assert rules.now() is first, "parsed once"
    bench.rules(LONG.replace("30m", "40m"))
    second = rules.now()
    assert second
    assert second.hash != first.hash
    assert rules.by_hash(first.hash) is first
    with pytest.raises(KeyError):
        rules.by_hash("0" * 64)


def test_without_an_active_set_there_is_none(make_bench: Make) -> None:
    bench = make_bench()
    with bench.database.write() as connection:
        connection.execute(update(schema.rulesets).values(active=False))
    assert RulesInForce(bench.database).now() is None


def test_only_the_newest_sets_are_held_in_memory(make_bench: Make) -> None:
    bench = make_bench()
    rules = RulesInForce(bench.database)
    for minutes in range(31, 40):
        bench.rules(LONG.replace("30m", f"{minutes}m"))
        rules.now()
    with bench.database.read() as connection:
        assert rulesets.active(connection)
    assert len(rules._sets) == 4


def test_while_a_new_set_is_made_ready_the_one_before_it_stays(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    rules = RulesInForce(bench.database)
    before = rules.now()
    ready = threading.Event()

    def slowly(files: Mapping[str, bytes]) -> RuleSet:
        assert ready.wait(30)
        return parse(files)

    monkeypatch.setattr(context, "parse", slowly)
    monkeypatch.setattr(rules, "PATIENCE", 0.05)
    bench.rules(LONG.replace("30m", "1h"))
    assert [rules.now() for _ in range(3)] == [before] * 3
    ready.set()
    eventually(lambda: rules.now() is not before, "the new set is in force")
    with bench.database.read() as connection:
        active = rulesets.active(connection)
    after = rules.now()
    assert after
    assert after.hash == active
