"""Reconciliation: calls that no webhook told of are found in the platform's list and tagged."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

import pytest
from sqlalchemy import update

from platforms.errors import PlatformError
from platforms.sipsim.simulator import Config, PlannedFault
from store import fleet, schema
from tests.waiting import eventually
from tests.worker_bench import Bench
from worker.history import keep, match
from worker.reconcile import Reconciler

Make = Callable[..., Bench]
Ids = Literal["reference", "integer"]
LIST = "GET /api/v2/calls"


def begun_long_ago(bench: Bench) -> Reconciler:
    """A reconciler whose first start was days ago and whose last look was an hour ago."""
    found = Reconciler(bench.worker, 0.001)
    found.look(bench.account, time.time())
    with bench.database.write() as connection:
        values = {"reconciled_from": time.time() - 3 * 86400, "reconciled_until": time.time() - 3600}
        connection.execute(update(schema.accounts).values(values))
    return found


def look(bench: Bench, reconciler: Reconciler) -> int:
    fed = reconciler.look(bench.account, time.time())
    bench.settle()
    return fed


@pytest.mark.parametrize("ids", ["reference", "integer"])
def test_a_day_without_webhooks_is_tagged_too(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids))
    reconciler = begun_long_ago(bench)
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 31)]
    short = bench.call(99, duration=5)
    assert look(bench, reconciler) == 31
    assert all(bench.tags(call) == ["Long Call"] for call in calls)
    assert bench.tags(short) == []


def test_the_first_start_reads_no_history(make_bench: Make) -> None:
    bench = make_bench()
    bench.call()
    reconciler = Reconciler(bench.worker, 0.001)
    assert [look(bench, reconciler) for _ in range(2)] == [0, 0]
    assert bench.rows() == 0


@pytest.mark.parametrize("ids", ["reference", "integer"])
def test_calls_that_webhooks_told_of_are_not_fed_again(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids))
    reconciler = begun_long_ago(bench)
    told, untold = bench.call(1, caller="+33600000001"), bench.call(2, caller="+33600000002")
    missed = bench.call(3, caller="+33600000003", duration=0, status="MISSED")
    bench.end(told)
    bench.end(missed)
    bench.settle()
    puts = bench.requests()
    assert look(bench, reconciler) == 1
    assert bench.rows() == 3
    assert bench.tags(untold) == ["Long Call"]
    assert look(bench, reconciler) == 0, "what was fed once is known by its id"
    assert bench.requests() > puts


def test_a_webhook_that_comes_late_joins_the_call_that_was_found(make_bench: Make) -> None:
    bench = make_bench()
    reconciler = begun_long_ago(bench)
    call = bench.call()
    assert look(bench, reconciler) == 1
    bench.end(call)
    bench.settle()
    assert bench.rows() == 1
    assert bench.references(call.reference) == {"pbx_id": call.reference, "call_id": str(call.id)}
    assert bench.simulator.counters.put_201 == 1


def test_a_call_that_has_not_ended_is_left_alone(make_bench: Make) -> None:
    bench = make_bench()
    reconciler = begun_long_ago(bench)
    bench.call(duration=0, status="MISSED")  # the list leaves its length open, as that of a call that goes on
    assert look(bench, reconciler) == 0


def test_of_two_alike_of_which_one_is_known_none_is_guessed(make_bench: Make) -> None:
    bench = make_bench()
    reconciler = begun_long_ago(bench)
    calls = [bench.call(n, duration=1900) for n in (1, 2)]
    bench.end(calls[0])
    bench.settle()
    assert bench.tags(calls[0]) == ["Long Call"]
    assert look(bench, reconciler) == 2
    bench.later()
    assert bench.simulator.counters.put_201 + bench.simulator.counters.put_204 <= 2
    assert bench.tags(calls[0]) == ["Long Call"]


def test_a_call_that_was_kept_as_one_of_the_past_is_found_all_the_same(make_bench: Make) -> None:
    bench = make_bench()
    reconciler = begun_long_ago(bench)
    call, told = bench.call(1), bench.call(2, caller="+33600000002")
    bench.end(told)
    bench.settle()
    client = bench.worker.client(bench.account, time.monotonic())
    since, until = time.time() - 3600, time.time()
    records = list(client.list_calls(datetime.fromtimestamp(since, UTC), datetime.fromtimestamp(until, UTC)))
    with bench.database.write() as connection:
        matched = match(connection, bench.account, records, since, until)
        keep(connection, bench.account, matched, until, until)
    bench.settle()
    assert bench.tags(call) == []
    assert [look(bench, reconciler) for _ in range(2)] == [1, 0]
    assert (bench.tags(call), bench.tags(told)) == (["Long Call"], ["Long Call"])


def test_a_look_that_fails_is_told_and_made_again(make_bench: Make) -> None:
    bench = make_bench()
    reconciler = begun_long_ago(bench)
    call = bench.call()
    bench.simulator.plan(PlannedFault(kind="503", route=LIST, count=1))
    with pytest.raises(PlatformError):
        reconciler.look(bench.account, time.time())
    assert look(bench, reconciler) == 1
    assert bench.tags(call) == ["Long Call"]


@contextmanager
def silence() -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a platform that takes requests and answers none, and what makes it hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", server.close


def amiss(bench: Bench) -> list[str]:
    with bench.database.read() as connection:
        return [notice.subject for notice in fleet.amiss(connection)]


def test_a_platform_that_hangs_does_not_keep_the_calls_of_another_from_being_found(make_bench: Make) -> None:
    with silence() as (url, hang_up):
        lyon = {"platform": "sipsim", "base_url": url, "access_token": "a-token"}
        own = {f"sipsim_lyon_{name}": value for name, value in lyon.items()}
        bench = make_bench(accounts="sipsim-lyon,sipsim", **own)
        with bench.database.write() as connection:
            for name in bench.settings.accounts:
                fleet.reconciled(connection, name, time.time() - 3 * 86400)
        call = bench.call()
        ended = threading.Event()
        looking = threading.Thread(target=Reconciler(bench.worker, 900.0).run, args=[ended])
        looking.start()
        eventually(lambda: bench.messages.woken, "the call is found")
        assert amiss(bench) == [], "the other platform is still being waited for"
        hang_up()
        eventually(lambda: amiss(bench) == ["reconciliation:sipsim-lyon"], "it is said which one is down")
        ended.set()
        looking.join()
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
