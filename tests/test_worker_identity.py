"""Events that name a call by the platform's id alone: which call it is, and two rows that become one."""

import threading
import time
from collections.abc import Callable
from typing import Literal

import pytest
from sqlalchemy import Connection, func, select, update

from platforms.sipsim.simulator import Config, PlannedFault, Record, Segment, events
from store import calls as store_calls
from store import schema
from tests.worker_bench import DAY, FOLLOWING, GET_CALL, LIST_CALLS, LONG, PUT, Bench, Sent
from worker.context import open_worker
from worker.tagging import tag

Make = Callable[..., Bench]
Ids = Literal["reference", "integer"]
MODES = pytest.mark.parametrize("ids", ["reference", "integer"])
REFUND = (Segment("I want a refund", 0.0, 2.0, "left"),)
ALL = ["Long Call", "Long Refund", "Refund"]


def speak(bench: Bench, call: Record, received_at: float | None = None) -> None:
    bench.receive(events.speech(call.id, REFUND), received_at=received_at)


def is_one(bench: Bench, call: Record) -> None:
    """The call is one row with both names, and its tags follow all its facts."""
    assert bench.tags(call) == ALL
    assert bench.ours(call.reference) == dict.fromkeys(ALL, "ours")
    assert bench.references(call.reference) == {"pbx_id": call.reference, "call_id": str(call.id)}
    assert bench.rows() == 1
    assert bench.state(call.reference).state == "done"


@MODES
def test_speech_after_the_end_joins_the_call(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids), rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    speak(bench, call)
    bench.settle()
    is_one(bench, call)


@MODES
def test_speech_before_the_end_joins_the_call(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids), rules=FOLLOWING)
    call = bench.call()
    speak(bench, call)
    bench.settle()
    bench.end(call)
    bench.settle()
    is_one(bench, call)


@MODES
def test_speech_together_with_the_end_joins_the_call(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids), rules=FOLLOWING)
    call = bench.call()
    bench.receive(events.speech(call.id, REFUND), events.end(call, call.started + call.duration, None))
    bench.settle()
    is_one(bench, call)


@MODES
def test_speech_whose_call_names_itself_needs_no_matching(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids, list_reference=True), rules=FOLLOWING)
    call, twin = bench.call(1), bench.call(2)
    bench.end(call)
    bench.end(twin)
    speak(bench, call)
    bench.settle()
    bench.later()
    assert bench.tags(call) == ALL
    assert bench.tags(twin) == ["Long Call"]


@MODES
def test_a_summary_and_a_rating_join_too(make_bench: Make, ids: Ids) -> None:
    bench = make_bench(Config(ids=ids), rules=FOLLOWING)
    call = bench.call()
    bench.receive(events.rating(call.id, 3), events.summary(1, call.id, "short"))
    bench.settle()
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Bad", "Long Call"]
    assert bench.state(call.reference).facts["summary"] == "short"
    assert bench.rows() == 1


def test_speech_alone_is_tagged_by_the_platforms_own_record(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    speak(bench, call)
    bench.settle()
    assert bench.tags(call) == ALL
    assert bench.requests(GET_CALL) == 1
    assert bench.references(str(call.id)) == {"call_id": str(call.id)}


def test_a_call_id_that_nobody_knows_costs_one_request(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.settle()
    speak(bench, call)
    bench.receive(events.rating(call.id, 3))
    bench.settle()
    assert (bench.requests(GET_CALL), bench.requests(LIST_CALLS)) == (1, 0)
    speak(bench, call, received_at=time.time() + 1)
    bench.receive(events.rating(call.id, 2))
    bench.settle()
    assert (bench.requests(GET_CALL), bench.requests(LIST_CALLS)) == (1, 0)


def test_many_call_ids_are_asked_for_side_by_side(make_bench: Make) -> None:
    bench = make_bench(Config(latency=0.2), rules=LONG)
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 31)]
    bench.receive(*[events.rating(call.id, 3) for call in calls])
    began = time.monotonic()
    tag(bench.worker, bench.due())
    assert time.monotonic() - began < 3.0, "one after the other would take six seconds"
    messages = bench.worker.messages
    assert isinstance(messages, Sent)
    assert messages.woken == 1
    bench.settle()
    assert all(bench.tags(call) == ["Long Call"] for call in calls)


def test_a_rating_of_a_call_that_nobody_answered_is_read_at_once(make_bench: Make) -> None:
    rules = LONG + "  - {id: rated, when: {field: rating, lt: 5}, tag: Bad}\n"
    bench = make_bench(rules=rules)
    call = bench.call(duration=0, status="MISSED")
    bench.receive(events.rating(call.id, 3))
    bench.settle()
    assert bench.tags(call) == ["Bad"]
    bench.end(call)
    bench.settle()
    assert bench.rows() == 1


def test_a_call_id_that_the_platform_does_not_know_waits_and_dies_after_a_day(make_bench: Make) -> None:
    bench = make_bench()
    bench.receive(events.rating(999, 3))
    bench.settle()
    assert (bench.state("999").state, bench.state("999").reason) == ("parked", "GET was answered 404")
    bench.receive(events.rating(998, 3), received_at=time.time() - DAY - 60)
    bench.settle()
    assert bench.state("998").state == "dead"


def test_a_platform_that_does_not_answer_leaves_the_row_parked(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.settle()
    bench.simulator.plan(PlannedFault(kind="503", route=GET_CALL, count=1))
    speak(bench, call)
    bench.settle()
    assert bench.state(str(call.id)).state == "parked"
    bench.later()
    is_one(bench, call)


def test_between_two_calls_that_fit_the_time_decides(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    now = time.time()
    first, second = bench.call(1, started=now - 20_000), bench.call(2, started=now - 4000)
    bench.end(first)
    bench.end(second)
    bench.settle()
    speak(bench, second)
    bench.settle()
    assert (bench.tags(first), bench.tags(second)) == (["Long Call"], ALL)
    assert bench.references(second.reference)["call_id"] == str(second.id)
    assert bench.rows() == 2


def test_speech_that_fits_two_calls_of_one_time_is_a_dead_letter(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    first, second = bench.call(1), bench.call(2)
    bench.end(first)
    bench.end(second)
    bench.settle()
    speak(bench, second)
    bench.settle()
    found = bench.state(str(second.id))
    assert (found.state, found.reason) == (
        "dead",
        "several calls on the platform fit by numbers, direction and duration",
    )
    assert (bench.tags(first), bench.tags(second)) == (["Long Call"], ["Long Call"])


def test_speech_is_never_held_against_a_call_of_another_day(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    now = time.time()
    old, new = bench.call(1, started=now - 3 * DAY), bench.call(2)
    bench.end(old, received_at=now - 3 * DAY)
    bench.settle()
    speak(bench, new)
    bench.settle()
    bench.end(new)
    bench.settle()
    assert (bench.tags(old), bench.tags(new)) == (["Long Call"], ALL)
    assert bench.references(new.reference)["call_id"] == str(new.id)


def test_two_rows_of_calls_that_fit_each_other_come_to_rest(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    first, second = bench.call(1), bench.call(2)
    bench.receive(events.rating(first.id, 3))
    bench.settle()
    bench.receive(events.rating(second.id, 3))
    bench.settle()
    assert bench.rows() == 2
    with bench.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(schema.decisions)).scalar_one() <= 4


def test_a_tag_that_both_rows_put_is_ours_and_goes_with_its_rule(make_bench: Make) -> None:
    bench = make_bench(Config(echoes=False), rules=FOLLOWING)
    call = bench.call()
    bench.receive(
        events.speech(call.id, (Segment("all is well", 0.0, 2.0, "left"),)), received_at=time.time() - 60
    )
    due = bench.due()
    tag(bench.worker, due)  # its record is asked for
    bench.end(call)
    bench.due()
    stranger, known = bench.find("call_id", str(call.id)), bench.find("pbx_id", call.reference)
    with bench.database.write() as connection:
        lease(connection, known, "another")
    tag(bench.worker, [stranger])
    assert bench.tags(call) == ["Long Call", "Quiet"]
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(lease_until=None, lease_owner=None, alone=False))
    bench.later()
    assert bench.rows() == 1
    assert bench.ours(call.reference) == {"Long Call": "ours", "Quiet": "ours"}
    speak(bench, call)
    bench.settle()
    assert bench.tags(call) == ALL


def lease(connection: Connection, call: int, owner: str) -> None:
    taken, _ = store_calls.lease(connection, [call], owner, time.time())
    assert [one.id for one in taken] == [call]


def test_a_call_that_another_worker_has_is_joined_when_it_is_free(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.settle()
    speak(bench, call)
    tag(bench.worker, bench.due())
    with bench.database.write() as connection:
        connection.execute(
            update(schema.calls).where(schema.calls.c.facts["caller"].is_not(None)).values(state="due")
        )
        lease(connection, bench.find("pbx_id", call.reference), "another")
    bench.settle()
    assert (bench.state(str(call.id)).state, bench.state(str(call.id)).reason) == (
        "due",
        "another worker has the call",
    )
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(lease_until=None, lease_owner=None))
    bench.later()
    is_one(bench, call)


def test_a_call_recorded_while_the_row_of_its_speech_is_worked_on_is_joined(make_bench: Make) -> None:
    """The two are evaluated at the same moment, and neither sees the other at first."""
    bench = make_bench(Config(latency=0.3), rules=FOLLOWING)
    call = bench.call()
    speak(bench, call)
    tag(bench.worker, bench.due())  # its record is asked for
    bench.end(call)
    due = bench.due()
    assert len(due) == 2
    with open_worker(bench.settings, Sent()) as second:
        first, last = sorted(due)
        threads = [
            threading.Thread(target=tag, args=[w, [c]]) for w, c in ((second, first), (bench.worker, last))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    bench.settle()
    is_one(bench, call)


def test_a_call_whose_speech_came_first_is_written_once(make_bench: Make) -> None:
    bench = make_bench(Config(echoes=False), rules=FOLLOWING)
    call = bench.call()
    speak(bench, call)
    bench.settle()
    bench.end(call)
    bench.settle()
    is_one(bench, call)
    assert bench.answers(PUT) == {"201": len(ALL)}


def test_speech_waits_for_a_call_that_is_just_being_read(make_bench: Make) -> None:
    bench = make_bench(Config(echoes=False), rules=FOLLOWING)
    call = bench.call()
    speak(bench, call)
    tag(bench.worker, bench.due())  # its record is asked for
    bench.end(call)
    bench.due()
    stranger, known = bench.find("call_id", str(call.id)), bench.find("pbx_id", call.reference)
    tag(bench.worker, [stranger])
    assert bench.tags(call) == []
    tag(bench.worker, [known])
    bench.settle()
    is_one(bench, call)
    assert bench.answers(PUT) == {"201": len(ALL)}


def test_both_rows_in_one_batch_become_one(make_bench: Make) -> None:
    bench = make_bench(rules=FOLLOWING)
    call = bench.call()
    bench.end(call)
    bench.settle()
    speak(bench, call)
    tag(bench.worker, bench.due())
    bench.receive({"event": "rating", "overall_score": 2, "pbx_id": call.reference})
    due = bench.due()
    assert len(due) == 2
    tag(bench.worker, due)
    bench.settle()
    assert bench.tags(call) == ["Bad", *ALL]
    assert bench.rows() == 1
    assert bench.answers(PUT).get("204") is None
