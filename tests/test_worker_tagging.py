"""From due calls to tags on the platform: a real worker, database and Valkey, and the simulated platform."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import update

from platforms.sipsim.simulator import Config, PlannedFault, Record, Segment, events
from store import schema
from store.inbox import Arrival, accept
from tests.worker_bench import (
    CREATE_TAG,
    FOLLOWING,
    LIST_CALLS,
    LIST_TAGS,
    LONG,
    PUT,
    TOKEN,
    Bench,
    Sent,
)
from worker.context import open_worker
from worker.places import Places
from worker.process import tied
from worker.tagging import tag

Make = Callable[..., Bench]
INTEGERS = Config(ids="integer")
REFUND = (Segment("I want a refund", 0.0, 2.0, "left"),)


def test_a_call_that_ended_gets_its_tag(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    assert bench.ours(call.reference) == {"Long Call": "ours"}
    assert bench.state(call.reference).state == "done"
    assert bench.answers(PUT) == {"201": 1}


def test_calls_of_another_account_are_handed_on_and_do_not_wait(make_bench: Make) -> None:
    lyon = {"platform": "sipsim", "base_url": "http://127.0.0.1:9", "access_token": "a-token"}
    own = {f"sipsim_lyon_{name}": value for name, value in lyon.items()}
    bench = make_bench(accounts="sipsim-lyon,sipsim", **own)
    assert bench.account.name == "sipsim-lyon"
    bench.end(bench.call(1))
    call = bench.call(2, caller="+33698765432")
    end = orjson.dumps(events.end(call, call.started + call.duration, None))
    with bench.database.write() as connection:
        accept(connection, [Arrival("sipsim", end, time.time(), time.time())])
    first, second = bench.due()
    tag(bench.worker, [first, second])
    assert bench.messages.calls == [second]
    assert bench.requests() == 0, "the first is at work on its own platform, which is away"
    tag(bench.worker, bench.messages.calls)
    assert bench.tags(call) == ["Long Call"]


class Elsewhere(Places):
    """The place of one account is another process's."""

    @contextmanager
    def taken(self, account: str) -> Iterator[bool]:
        yield account != "sipsim"


LYON = {"sipsim_lyon_platform": "sipsim", "sipsim_lyon_access_token": "a-token"}


def test_calls_of_an_account_that_another_process_is_at_are_left_to_it(make_bench: Make) -> None:
    bench = make_bench(accounts="sipsim,sipsim-lyon", **LYON)
    own, bench.worker.places = bench.worker.places, Elsewhere(bench.settings.accounts)
    call = bench.call()
    bench.end(call)
    due = bench.due()
    tag(bench.worker, due)
    assert (bench.state(call.reference).state, bench.messages.calls) == ("due", [])
    bench.worker.places.close()
    bench.worker.places = own
    tag(bench.worker, due)
    assert bench.tags(call) == ["Long Call"]


class Sought(Places):
    """Another process always comes in vain."""

    def turned_away(self, account: str) -> bool:
        return account == "sipsim"


def test_who_leaves_an_account_sends_on_what_others_left_to_him(make_bench: Make) -> None:
    bench = make_bench(accounts="sipsim,sipsim-lyon", **LYON)
    bench.worker.places.close()
    bench.worker.places = Sought(bench.settings.accounts)
    for number in (1, 2):
        bench.end(bench.call(number, caller=f"+3361234567{number}"))
    first, second = bench.due()
    tag(bench.worker, [first])
    assert bench.messages.calls == [second]
    tag(bench.worker, bench.messages.calls)
    assert bench.messages.calls == [second], "nothing is left"


def test_a_call_that_matches_no_rule_costs_no_request(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call(duration=20)
    bench.end(call)
    bench.settle()
    assert bench.state(call.reference).state == "done"
    assert bench.requests() == 0


def test_a_call_that_has_not_ended_waits(make_bench: Make) -> None:
    bench = make_bench(rules=LONG.replace("field: duration, gt: 30m", "field: direction, eq: inbound"))
    call = bench.call()
    bench.receive(events.step(call, "start", call.started))
    bench.settle()
    assert bench.requests() == 0
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Long Call"]


def test_the_same_event_again_sends_nothing(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.settle()
    before = bench.requests()
    bench.end(call)
    bench.settle()
    bench.receive(
        events.step(call, "end", time.time()) | {"duration": 1901, "audio_path": None, "status": "ANSWER"}
    )
    bench.settle()
    bench.later()
    assert bench.requests() == before


def test_a_tag_is_made_with_its_colour_and_description(make_bench: Make) -> None:
    bench = make_bench()
    bench.end(bench.call())
    bench.settle()
    made = bench.simulator.tags.named("Long Call")
    assert made
    assert (made.color, made.description) == ("#EF4444", "Calls over 30 minutes")
    assert (bench.answers(LIST_TAGS), bench.answers(CREATE_TAG)) == ({"200": 1}, {"201": 1})


def test_without_rules_calls_wait_for_them(make_bench: Make) -> None:
    bench = make_bench()
    with bench.database.write() as connection:
        connection.execute(update(schema.rulesets).values(active=False))
    call = bench.call()
    bench.end(call)
    bench.settle()
    assert (bench.state(call.reference).state, bench.state(call.reference).reason) == (
        "due",
        "no rule set is in force",
    )
    bench.rules(LONG)
    bench.later()
    assert bench.tags(call) == ["Long Call"]


def test_a_call_of_an_account_that_is_no_longer_configured_is_parked(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    due = bench.due()
    with open_worker(bench.settings.model_copy(update={"accounts": {}}), Sent()) as worker:
        tag(worker, due)
    found = bench.state(call.reference)
    assert (found.state, found.reason) == ("parked", "the account 'sipsim' is not configured")
    bench.later()
    assert bench.tags(call) == ["Long Call"]


def test_a_tag_goes_when_its_rule_no_longer_matches(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call(segments=REFUND)
    bench.end(call)
    bench.receive(events.speech(call.id, []) | {"pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Long Call", "Quiet"]
    bench.receive(events.speech(call.id, call.segments) | {"pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Long Call", "Long Refund", "Refund"]
    assert bench.ours(call.reference).keys() == {"Long Call", "Long Refund", "Refund"}


def test_a_tag_that_is_unknown_now_stays(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.receive({"event": "rating", "overall_score": 2, "pbx_id": call.reference})
    bench.settle()
    assert "Bad" in bench.tags(call)
    bench.rules(LONG)  # the rule is gone from the set
    bench.receive({"event": "rating", "overall_score": 9, "pbx_id": call.reference})
    bench.settle()
    assert "Bad" in bench.tags(call)


def test_rules_that_change_touch_no_past_call_until_it_gets_new_facts(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.settle()
    bench.rules(LONG.replace("Long Call", "Endless").replace("long-call", "endless"))
    bench.later()
    assert bench.tags(call) == ["Long Call"]
    bench.receive({"event": "rating", "overall_score": 2, "pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Endless", "Long Call"], "the rule that gave the other is gone: it stays"


# What stands on the call already


def test_a_tag_that_somebody_else_put_before_is_not_ours(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.simulator.edit(call.reference, add=["Quiet"])
    bench.end(call)
    bench.receive(events.speech(call.id, []) | {"pbx_id": call.reference})
    bench.settle()
    assert bench.ours(call.reference) == {"Long Call": "ours"}
    assert bench.state(call.reference).others == ["Quiet"]
    bench.receive(events.speech(call.id, REFUND) | {"pbx_id": call.reference})
    bench.settle()
    assert "Quiet" in bench.tags(call), "it is not ours to take off"


def test_a_tag_that_an_event_showed_on_the_call_costs_no_request(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.simulator.edit(call.reference, add=["Long Call"])
    bench.receive(events.tags(call, time.time(), ["Long Call"]))
    bench.end(call)
    bench.settle()
    assert bench.requests() == 0
    assert bench.ours(call.reference) == {}


def test_an_intent_that_was_not_finished_makes_a_tag_ours(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="drop_after", route=PUT, count=1))
    bench.settle()
    assert bench.ours(call.reference) == {"Long Call": "intended"}
    bench.later()
    assert bench.answers(PUT) == {"dropped": 1, "204": 1}
    assert bench.ours(call.reference) == {"Long Call": "ours"}
    assert bench.state(call.reference).others is None


def test_a_removal_that_was_not_finished_is_repeated(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.receive(events.speech(call.id, []) | {"pbx_id": call.reference})
    bench.settle()
    bench.simulator.plan(
        PlannedFault(kind="drop_after", route="DELETE /api/v2/calls/{call}/tags/{tag}", count=1)
    )
    bench.receive(events.speech(call.id, REFUND) | {"pbx_id": call.reference})
    bench.settle()
    bench.later()
    assert bench.tags(call) == ["Long Call", "Long Refund", "Refund"]
    assert bench.ours(call.reference).keys() == {"Long Call", "Long Refund", "Refund"}


def test_our_own_writes_that_come_back_cause_nothing(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.settle()
    before = bench.state(call.reference)
    bench.receive(events.tags(call, time.time(), ["Long Call"]))
    assert bench.due() == []
    assert bench.state(call.reference).others is before.others is None


def test_a_list_of_tags_with_others_in_it_wakes_the_call(make_bench: Make) -> None:
    rules = LONG + "  - {id: vip, when: {field: tags, includes: VIP}, tag: Very Important}\n"
    bench = make_bench(rules=rules)
    call = bench.call()
    bench.end(call)
    bench.settle()
    bench.receive(events.tags(call, time.time(), bench.simulator.edit(call.reference, add=["VIP"])))
    bench.settle()
    assert bench.tags(call) == ["Long Call", "VIP", "Very Important"]
    bench.receive(events.tags(call, time.time() + 5, bench.simulator.edit(call.reference, remove=["VIP"])))
    bench.settle()
    assert bench.tags(call) == ["Long Call"], "the other's tag has gone, and with it ours"


def test_a_late_echo_of_a_tag_that_we_took_off_makes_it_nobody_elses(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.receive(events.speech(call.id, []) | {"pbx_id": call.reference})
    bench.settle()
    on = events.tags(call, time.time(), ["Long Call", "Quiet"])
    bench.receive(events.speech(call.id, REFUND) | {"pbx_id": call.reference})
    bench.settle()
    assert "Quiet" not in bench.tags(call)
    bench.receive(on, received_at=time.time() - 60)
    bench.settle()
    bench.receive(
        events.speech(call.id, [Segment("all is well", 0.0, 2.0, "left")]) | {"pbx_id": call.reference},
        received_at=time.time() + 5,
    )
    bench.settle()
    assert "Quiet" in bench.tags(call), "it is ours to put back"
    assert not bench.state(call.reference).others


def test_a_tag_of_ours_is_never_one_of_the_others(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.simulator.edit(call.reference, add=["Quiet"])
    bench.end(call)
    bench.receive(events.speech(call.id, []) | {"pbx_id": call.reference})
    bench.settle()
    assert bench.state(call.reference).others == ["Quiet"]
    bench.simulator.edit(call.reference, remove=["Quiet"])
    bench.receive(events.tags(call, time.time() + 5, ["Long Call"]))
    bench.settle()
    assert bench.ours(call.reference) == {"Long Call": "ours", "Quiet": "ours"}
    bench.receive(events.speech(call.id, REFUND) | {"pbx_id": call.reference})
    bench.settle()
    assert "Quiet" not in bench.tags(call)


# What the platform answers


def test_too_many_requests_pauses_for_as_long_as_asked(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="429", count=1, retry_after="2"))
    began = time.monotonic()
    bench.settle()
    found = bench.state(call.reference)
    assert (found.state, found.reason) == ("parked", "GET was answered 429")
    bench.later()
    assert bench.tags(call) == ["Long Call"]
    assert time.monotonic() - began >= 2.0
    assert bench.simulator.counters.rate_limited == 1


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "drop_before", "drop_after"])
def test_what_passes_is_tried_again(make_bench: Make, kind: str) -> None:
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 6)]
    for call in calls:
        bench.end(call)
    bench.simulator.plan(PlannedFault(kind=kind, route=PUT, count=3))
    bench.settle()
    states = sorted(bench.state(call.reference).state for call in calls)
    assert states.count("parked") + sum(bool(bench.tags(call)) for call in calls) >= 5
    for _ in range(3):
        bench.later()
    assert [bench.tags(call) for call in calls] == [["Long Call"]] * 5
    assert bench.simulator.counters.put_201 == 5
    assert all(bench.ours(call.reference) == {"Long Call": "ours"} for call in calls)


def close_breaker(bench: Bench) -> None:
    """The time of its pause is over."""
    with bench.database.write() as connection:
        connection.execute(update(schema.breakers).values(open_until=0.0))


def test_a_platform_that_is_away_leaves_calls_parked_with_the_reason(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="503", seconds=60))
    bench.settle()
    assert bench.state(call.reference).reason == "GET was answered 503"
    for _ in range(4):
        bench.later()
    assert (bench.state(call.reference).state, bench.state(call.reference).reason) == (
        "parked",
        "the platform does not answer",
    )
    bench.simulator.gate.clear()
    close_breaker(bench)
    bench.later()
    assert bench.tags(call) == ["Long Call"]


def test_a_token_that_expires_on_the_way_is_replaced_once(make_bench: Make) -> None:
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 41)]
    bench.end(bench.call(99))
    bench.settle()
    bench.simulator.tokens.revoke_all()
    for call in calls:
        bench.end(call)
    bench.settle()
    assert all(bench.tags(call) == ["Long Call"] for call in calls)
    assert bench.answers(TOKEN) == {"200": 2}


def test_what_is_not_allowed_is_a_dead_letter_at_once(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="403", route=PUT))
    bench.settle()
    found = bench.state(call.reference)
    assert (found.state, found.reason) == ("dead", "PUT was answered 403")
    assert bench.answers(PUT) == {"403": 1}


def test_a_token_that_is_never_taken_ends_as_a_dead_letter(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="401"))
    bench.settle()
    assert bench.state(call.reference).state == "dead"
    assert bench.answers(TOKEN) == {"200": 2}, "a new one was tried"


def test_a_dead_letter_that_gets_new_facts_is_tried_again(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="403", route=PUT, count=1))
    bench.settle()
    bench.receive({"event": "rating", "overall_score": 2, "pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Long Call"]


def test_a_tag_that_was_deleted_on_the_platform_is_made_again(make_bench: Make) -> None:
    bench = make_bench()
    bench.end(bench.call())
    bench.settle()
    old = bench.simulator.tags.named("Long Call")
    assert old
    bench.simulator.tags.delete(old.id)
    call = bench.call(2)
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    assert bench.answers(LIST_CALLS) == {}, "it was the tag, not the call"
    assert bench.answers(PUT) == {"201": 2, "404": 1}


def test_a_call_without_faults_does_not_wait_for_a_tag_that_cannot_be_made(make_bench: Make) -> None:
    rules = LONG + "  - {id: vip, when: {field: caller, eq: '+33612345678'}, tag: VIP}\n"
    bench = make_bench(rules=rules)
    bench.simulator.tags.create("Long Call")
    bench.simulator.plan(PlannedFault(kind="403", route=CREATE_TAG))
    vip, other = bench.call(1), bench.call(2, caller="+33600000001")
    bench.end(vip)
    bench.end(other)
    bench.settle()
    assert (bench.tags(vip), bench.tags(other)) == (["Long Call"], ["Long Call"])
    assert [bench.state(call.reference).state for call in (vip, other)] == ["dead", "done"]


# Killed, lost, and at once


KILLED = """
import os, sys, time
from pathlib import Path
from worker.context import Worker
from worker.settings import load_settings
from worker.tagging import tag
import httpx

class DiesAfterACall(httpx.HTTPTransport):
    def handle_request(self, request):
        response = super().handle_request(request)
        response.read()
        if "/calls/" in request.url.path:
            os._exit(9)
        return response

class Nobody:
    def send(self, calls): pass
    def wake(self): pass

worker = Worker(load_settings(), Nobody())
worker.http = httpx.Client(transport=DiesAfterACall())
tag(worker, [int(call) for call in sys.argv[1:]])
"""


def killed_after_its_put(bench: Bench, due: list[int]) -> None:
    """Another process takes these calls, and dies once the platform has answered its first
    request about a call, which is a PUT where nothing is unsure."""
    settings = bench.settings
    given = {
        "CALLTAG_DATA_DIR": str(settings.data_dir),
        "CALLTAG_REDIS_URL": settings.redis_url,
        "CALLTAG_ACCOUNTS": "sipsim",
        "CALLTAG_SIPSIM_BASE_URL": bench.account.settings.base_url,
        "CALLTAG_SIPSIM_CLIENT_ID": bench.simulator.config.client_id,
        "CALLTAG_SIPSIM_CLIENT_SECRET": bench.simulator.config.client_secret,
    }
    ids = [str(call) for call in due]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent), **given}
    done = subprocess.run(
        tied([sys.executable, "-c", KILLED, *ids]), env=environ, cwd=settings.data_dir, check=False
    )
    assert done.returncode == 9


def expire_leases(bench: Bench) -> None:
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(lease_until=time.time() - 1, queued_until=0.0))


def test_killed_between_the_put_and_its_record_the_tag_is_ours_all_the_same(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    killed_after_its_put(bench, bench.due())
    assert bench.tags(call) == ["Long Call"]
    assert bench.ours(call.reference) == {"Long Call": "intended"}
    assert bench.state(call.reference).state == "running"
    bench.settle()
    assert bench.answers(PUT) == {"201": 1}, "the lease still holds"
    expire_leases(bench)
    bench.settle()
    assert bench.answers(PUT) == {"201": 1}, "what is on the call was read, not written again"
    assert bench.ours(call.reference) == {"Long Call": "ours"}


def test_a_call_that_kills_its_worker_takes_no_neighbours_along(make_bench: Make) -> None:
    """The platform's answer to one call's PUT kills; the others are tagged, and it ends as a dead letter."""
    bench = make_bench(sipsim_call_lookup="direct")
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 65)]
    for call in calls:
        bench.end(call)
    poison = bench.find("pbx_id", calls[30].reference) if bench.due() else 0

    class Poisonous(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PUT" and calls[30].reference in request.url.path:
                raise MemoryError("stands for the death of the process")
            return super().handle_request(request)

    bench.worker.http = httpx.Client(transport=Poisonous())
    for _ in range(8):
        bench.later()
    bench.worker.http.close()
    assert [bench.state(call.reference).state for call in calls].count("done") == 63
    assert bench.state(calls[30].reference).state == "dead"
    assert poison
    assert sum(bench.tags(call) == ["Long Call"] for call in calls) == 63


def test_a_call_whose_worker_dies_each_time_ends_as_a_dead_letter_after_lone_attempts(
    make_bench: Make,
) -> None:
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 4)]
    for call in calls:
        bench.end(call)
    killed_after_its_put(bench, bench.due())
    expire_leases(bench)
    for _ in range(5):
        killed_after_its_put(bench, [bench.find("pbx_id", calls[0].reference)])
        expire_leases(bench)
    bench.settle()
    assert [bench.state(call.reference).state for call in calls] == ["dead", "done", "done"]
    assert "died" in str(bench.state(calls[0].reference).reason)


def test_two_workers_never_have_one_call(make_bench: Make) -> None:
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 41)]
    for call in calls:
        bench.end(call)
    due = bench.due()
    with open_worker(bench.settings, Sent()) as second:
        threads = [threading.Thread(target=tag, args=[worker, due]) for worker in (bench.worker, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bench.answers(PUT) == {"201": 40}
    assert all(bench.ours(call.reference) == {"Long Call": "ours"} for call in calls)


@contextmanager
def during_the_first_put(bench: Bench, happen: Callable[[], None]) -> Iterator[None]:
    """Something happens while the worker waits for the platform's answer to its first PUT."""
    happened = threading.Event()

    class Meanwhile(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if request.method == "PUT" and not happened.is_set():
                happened.set()
                happen()
            return response

    before, bench.worker.http = bench.worker.http, httpx.Client(transport=Meanwhile())
    try:
        yield
    finally:
        bench.worker.http.close()
        bench.worker.http = before


def test_facts_that_move_during_the_work_are_worked_on_next(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)

    def speak() -> None:
        bench.receive(events.speech(call.id, REFUND) | {"pbx_id": call.reference})
        bench.due()

    with during_the_first_put(bench, speak):
        tag(bench.worker, bench.due())
    messages = bench.worker.messages
    assert isinstance(messages, Sent)
    assert messages.calls == [bench.find("pbx_id", call.reference)], "told at once, not by the sweeper"
    bench.settle()
    assert bench.tags(call) == ["Long Call", "Long Refund", "Refund"]


def test_a_lease_that_was_lost_records_nothing_and_nothing_is_lost(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    with open_worker(bench.settings, Sent()) as second:

        def lose() -> None:
            expire_leases(bench)
            tag(second, [bench.find("pbx_id", call.reference)])

        with during_the_first_put(bench, lose):
            tag(bench.worker, bench.due())
    assert bench.answers(PUT) == {"201": 1}
    assert bench.ours(call.reference) == {"Long Call": "ours"}
    assert bench.state(call.reference).others == []
    bench.settle()
    assert bench.requests(PUT) == 1


def test_no_request_is_begun_that_could_outlast_the_lease(make_bench: Make) -> None:
    bench = make_bench()
    bench.end(bench.call())
    client = bench.worker.client(bench.account, time.monotonic() - 40.0)
    from platforms.errors import OutOfTime

    with pytest.raises(OutOfTime):
        client.list_tags()
    assert bench.requests() == 0


def test_calls_for_which_the_rate_leaves_no_time_within_the_lease_are_handed_on(make_bench: Make) -> None:
    bench = make_bench(sipsim_rate="0.5")
    for number in range(8):
        bench.end(bench.call(number, caller=f"+336{number:08d}"))
    due = bench.due()
    tag(bench.worker, due)
    assert bench.messages.calls == due[5:], "of two requests each, five calls fit into 22 s"
    assert bench.requests(PUT) == 5


def test_a_call_whose_turn_did_not_come_within_the_lease_is_due_again(make_bench: Make) -> None:
    bench = make_bench(sipsim_rate="0.01")
    call = bench.call()
    bench.end(call)
    bench.settle()
    found = bench.state(call.reference)
    assert (found.state, found.reason) == ("due", "no slot of the rate was free in time")


# How many requests


@pytest.mark.parametrize(
    ("config", "lookup", "most"),
    [(Config(), "direct", 1.02), (INTEGERS, "search", 1.1)],
    ids=["direct", "search"],
)
def test_hardly_more_than_one_request_for_each_tag(
    make_bench: Make, config: Config, lookup: str, most: float
) -> None:
    bench = make_bench(config)
    calls: list[Record] = []
    for n in range(1, 501):
        duration = 1801 + n % 900
        started = time.time() - 3600 + n * 2 - duration
        calls.append(bench.call(n, caller=f"+336{n:08d}", duration=duration, started=started))
    now = time.time()
    arrivals = []
    import orjson

    for call in calls:
        body = orjson.dumps(events.end(call, call.started + call.duration, None))
        arrivals.append(Arrival("sipsim", body, now, now))
    with bench.database.write() as connection:
        accept(connection, arrivals)
    while due := bench.due():
        for start in range(0, len(due), 64):
            tag(bench.worker, due[start : start + 64])
    assert all(bench.tags(call) == ["Long Call"] for call in calls)
    assert bench.lookup() == lookup
    assert bench.simulator.counters.put_201 == 500
    everything = bench.requests() + bench.requests(TOKEN)
    assert everything / 500 <= most
