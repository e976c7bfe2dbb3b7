"""How a reference leads to a call's id, found out by writing; and the search in the platform's list."""

import time
from collections.abc import Callable
from itertools import count

import httpx
import pytest
from sqlalchemy import update

from platforms.sipsim.simulator import Config, PlannedFault, Record, Segment, events
from store import linking, schema
from tests.worker_bench import (
    CALLER,
    DAY,
    FOLLOWING,
    GET_CALL,
    LIST_CALLS,
    LIST_TAGS,
    LONG,
    PUT,
    RECEIVER,
    TOKEN,
    Bench,
    Sent,
)
from worker.context import open_worker
from worker.tagging import tag

Make = Callable[..., Bench]
INTEGERS = Config(ids="integer")
REFUND = (Segment("I want a refund", 0.0, 2.0, "left"),)
SEVERAL = "several calls on the platform fit by numbers, direction and duration"


def many(bench: Bench, number: int, first: int = 1) -> list[Record]:
    """Calls that ended, each from a number of its own."""
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(first, first + number)]
    for call in calls:
        bench.end(call)
    return calls


def tagged(bench: Bench, calls: list[Record]) -> bool:
    return all(bench.tags(call) == ["Long Call"] for call in calls)


# auto, where the reference is an id


def test_a_reference_that_serves_as_an_id_is_remembered(make_bench: Make) -> None:
    bench = make_bench()
    calls = many(bench, 30)
    bench.settle()
    assert tagged(bench, calls)
    assert bench.lookup() == "direct"
    assert bench.answers(PUT) == {"201": 30}
    assert bench.requests(LIST_CALLS) == 0


def test_a_platform_that_is_away_teaches_nothing_about_references(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="503", route=PUT, count=1))
    calls = many(bench, 30)
    bench.settle()
    assert bench.answers(PUT) == {"503": 1}, "the others wait for what is found out"
    assert bench.lookup() is None
    bench.later()
    bench.later()
    assert tagged(bench, calls)
    assert bench.lookup() == "direct"


def test_taking_a_tag_off_teaches_nothing_about_references(make_bench: Make) -> None:
    """A removal is answered 204 for a call that nobody knows."""
    bench = make_bench(INTEGERS, rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="503", route=PUT))
    bench.settle()
    assert bench.ours(call.reference) == {"Long Call": "intended"}
    bench.simulator.gate.clear()
    bench.rules(LONG.replace("30m", "2h"))
    bench.later()
    assert bench.lookup() is None
    assert bench.ours(call.reference) == {}
    bench.rules(LONG)
    bench.receive({"event": "rating", "overall_score": 9, "pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    assert bench.lookup() == "search"


# auto, where ids are integers


def test_integer_ids_are_found_with_one_probe_and_one_list(make_bench: Make) -> None:
    bench = make_bench(INTEGERS)
    calls = many(bench, 30)
    bench.settle()
    assert tagged(bench, calls)
    assert bench.lookup() == "search"
    assert bench.answers(PUT) == {"404": 1, "201": 30}
    assert bench.requests(LIST_CALLS) == 1
    assert [bench.references(call.reference)["call_id"] for call in calls] == [str(call.id) for call in calls]


def test_once_known_a_search_needs_no_probe(make_bench: Make) -> None:
    bench = make_bench(INTEGERS)
    many(bench, 1)
    bench.settle()
    before = bench.requests()
    calls = many(bench, 30, first=100)
    bench.settle()
    assert tagged(bench, calls)
    assert bench.requests() - before == 31


def test_a_call_whose_id_was_found_is_written_by_it_from_then_on(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.settle()
    before = bench.requests(LIST_CALLS)
    bench.receive({"event": "rating", "overall_score": 2, "pbx_id": call.reference})
    bench.receive(events.speech(call.id, REFUND))
    bench.settle()
    assert bench.tags(call) == ["Bad", "Long Call", "Long Refund", "Refund"]
    assert (bench.requests(LIST_CALLS), bench.requests(GET_CALL)) == (before, 0)


def test_search_is_remembered_only_after_a_call_that_failed_directly_was_found(make_bench: Make) -> None:
    bench = make_bench(INTEGERS)
    nowhere = Record(77, "call_nowhere", "inbound", "+33611111111", RECEIVER, time.time() - 2000, 1900)
    bench.end(nowhere)
    bench.settle()
    assert bench.lookup() is None
    assert bench.state("call_nowhere").state == "parked"
    calls = many(bench, 3)
    bench.settle()
    assert tagged(bench, calls)
    assert bench.lookup() == "search"


def test_a_call_that_is_listed_before_it_can_be_tagged_does_not_turn_direct_into_search(
    make_bench: Make,
) -> None:
    bench = make_bench()
    many(bench, 1)
    bench.settle()
    assert bench.lookup() == "direct"
    bench.simulator.plan(PlannedFault(kind="404", route=PUT, count=1))
    calls = many(bench, 1, first=10)
    bench.settle()
    assert tagged(bench, calls), "found by a search"
    assert bench.lookup() == "direct"


# direct and search by setting


def test_direct_never_searches(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="direct")
    call = bench.call()
    bench.end(call)
    bench.settle()
    found = bench.state(call.reference)
    assert (found.state, found.reason) == ("parked", "PUT was answered 404")
    assert bench.requests(LIST_CALLS) == 0
    assert bench.lookup() is None


def test_search_never_probes(make_bench: Make) -> None:
    bench = make_bench(sipsim_call_lookup="search")
    calls = many(bench, 10)
    bench.settle()
    assert tagged(bench, calls)
    assert bench.answers(PUT) == {"201": 10}
    assert bench.requests(LIST_CALLS) == 1


# What the list says


def test_a_call_that_is_listed_late_is_found_later(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    call = Record(77, "call_late", "inbound", CALLER, RECEIVER, time.time() - 2000, 1900)
    bench.end(call)
    bench.settle()
    found = bench.state("call_late")
    assert (found.state, found.reason) == ("parked", "the platform does not list the call yet")
    bench.later()
    assert bench.state("call_late").state == "parked"
    bench.simulator.add(call)
    bench.later()
    assert bench.tags(call) == ["Long Call"]


def test_several_that_fit_are_a_dead_letter_with_the_reason(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    call = bench.call(1)
    bench.call(2)
    bench.end(call)
    bench.settle()
    assert (bench.state(call.reference).state, bench.state(call.reference).reason) == ("dead", SEVERAL)
    assert bench.requests(PUT) == 0, "never a guess"


def test_a_call_that_is_never_listed_is_a_dead_letter_after_a_day(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    young = Record(77, "call_young", "inbound", CALLER, RECEIVER, time.time() - DAY, 1900)
    old = Record(78, "call_old", "inbound", "+33600000000", RECEIVER, time.time() - DAY - 2000, 1900)
    bench.end(young, received_at=time.time() - DAY + 60)
    bench.end(old, received_at=time.time() - DAY - 60)
    bench.settle()
    assert bench.state("call_young").state == "parked"
    found = bench.state("call_old")
    assert (found.state, found.reason) == ("dead", "the platform does not list the call yet")


def test_two_calls_that_fit_one_record_both_wait(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    first = bench.call(1)
    second = Record(77, "call_twin", "inbound", CALLER, RECEIVER, first.started + 10, 1900)
    bench.end(first)
    bench.end(second)
    bench.settle()
    assert {bench.state(c.reference).state for c in (first, second)} == {"parked"}
    bench.later()
    assert bench.requests(PUT) == 0


def test_two_calls_that_fit_one_record_both_wait_also_when_worked_on_apart(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    first = Record(76, "call_first", "inbound", CALLER, RECEIVER, time.time() - 2000, 1900)
    second = Record(77, "call_twin", "inbound", CALLER, RECEIVER, first.started + 10, 1900)
    bench.end(first)
    bench.end(second)
    for call in bench.due():
        tag(bench.worker, [call])
    bench.simulator.add(first)
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(next_at=0.0))
    for call in bench.due():
        tag(bench.worker, [call])
    assert bench.requests(PUT) == 0


def while_listing(bench: Bench, happen: Callable[[], None]) -> None:
    """Works on what is due; something happens before the platform's list of calls is answered."""

    class Meanwhile(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/calls"):
                happen()
            return super().handle_request(request)

    due = bench.due()
    before, bench.worker.http = bench.worker.http, httpx.Client(transport=Meanwhile())
    tag(bench.worker, due)
    bench.worker.http.close()
    bench.worker.http = before


def test_of_two_workers_that_look_for_the_same_one_at_least_sees_the_other(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    first = bench.call(1)
    second = Record(77, "call_twin", "inbound", CALLER, RECEIVER, first.started + 10, 1900)
    bench.end(first)
    with open_worker(bench.settings, Sent()) as another:

        def come_between() -> None:
            bench.end(second)
            bench.settle(another)

        while_listing(bench, come_between)
    assert bench.rows() == 2
    assert bench.state("call_twin").state == "parked"
    assert bench.tags(first) == ["Long Call"]


@pytest.mark.parametrize("at", [1, 2], ids=["before the list is read", "after"])
def test_a_record_that_was_taken_meanwhile_is_not_taken_twice(make_bench: Make, at: int) -> None:
    """While one worker reads the list, and once more for two calls that are alike, another takes a record."""
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    now = time.time()
    call, other = bench.call(1), bench.call(2, caller="+33600000000")
    alike = [bench.call(n, caller="+33611111111", started=now - 2500 + 200 * n) for n in (3, 6)]
    bench.end(other)
    bench.settle()
    for one in (call, *alike):
        bench.end(one)
    taken, looks = ("sipsim", "call_id", str(call.id)), count(1)

    def take() -> None:
        if next(looks) == at:
            with bench.database.write() as connection:
                linking.add_ref(connection, taken, bench.find("pbx_id", other.reference))

    while_listing(bench, take)
    assert next(looks) == 4, "one list, and a narrower look for each of the two"
    assert bench.rows() == 4, "two calls are two"
    bench.later()
    assert bench.state(call.reference).state == "parked"
    assert bench.tags(call) == []


def test_a_call_back_to_back_with_another_one_is_told_apart_by_time(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    now = time.time()
    first, second = bench.call(1, started=now - 4800), bench.call(2, started=now - 2400)
    bench.end(first)
    bench.end(second)
    bench.settle()
    assert tagged(bench, [first, second])
    assert bench.references(first.reference)["call_id"] == str(first.id)


def test_unanswered_calls_are_found_too(make_bench: Make) -> None:
    rules = LONG + "  - {id: missed, when: {field: status, eq: missed}, tag: Missed}\n"
    bench = make_bench(INTEGERS, rules=rules)
    call = bench.call(duration=0, status="MISSED")
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Missed"]


def test_a_tag_that_the_list_shows_on_the_call_costs_no_request(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    call = bench.call()
    bench.simulator.edit(call.reference, add=["Long Call"])
    bench.end(call)
    bench.settle()
    assert bench.requests(PUT) == 0
    assert bench.ours(call.reference) == {}
    assert bench.state(call.reference).others == ["Long Call"]


def test_a_list_that_cannot_be_had_parks_the_calls(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, sipsim_call_lookup="search")
    bench.simulator.plan(PlannedFault(kind="503", route=LIST_CALLS, count=1))
    calls = many(bench, 5)
    bench.settle()
    assert {bench.state(call.reference).reason for call in calls} == {"GET was answered 503"}
    bench.later()
    assert tagged(bench, calls)


def test_an_id_that_is_known_by_speech_alone_becomes_the_calls(make_bench: Make) -> None:
    bench = make_bench(INTEGERS, rules=FOLLOWING)
    call = bench.call()
    bench.receive(events.speech(call.id, REFUND))
    bench.settle()
    bench.end(call)
    bench.settle()
    assert bench.rows() == 1
    assert bench.tags(call) == ["Long Call", "Long Refund", "Refund"]


# Tags that are gone or cannot be had


def test_a_call_that_the_platform_does_not_know_costs_one_look_at_the_tags(make_bench: Make) -> None:
    bench = make_bench(sipsim_call_lookup="direct")
    many(bench, 1)
    bench.settle()
    tags = bench.requests(LIST_TAGS)
    nowhere = [
        Record(n, f"call_no{n}", "inbound", f"+3361111{n:04d}", RECEIVER, time.time() - 2000, 1900)
        for n in range(20)
    ]
    for call in nowhere:
        bench.end(call)
    bench.settle()
    assert bench.requests(LIST_TAGS) == tags + 1
    assert {bench.state(call.reference).state for call in nowhere} == {"parked"}


@pytest.mark.parametrize("route", [LIST_TAGS, TOKEN])
def test_without_the_tags_nothing_is_written_and_nothing_intended(make_bench: Make, route: str) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="503", route=route, count=1))
    calls = many(bench, 3)
    bench.settle()
    assert bench.requests(PUT) == 0
    assert all(bench.ours(call.reference) == {} for call in calls)
    bench.later()
    assert tagged(bench, calls)
