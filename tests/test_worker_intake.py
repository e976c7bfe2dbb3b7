"""Intake: each event becomes part of the call it tells of, or is set aside with the reason."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from platforms.adapter import Event
from platforms.sipsim.simulator import events
from store import counters, inbox, schema
from store.database import Database
from store.inbox import Arrival
from tests.worker_bench import DAY, Bench
from worker.intake import BATCH, QUEUED, SIZE, Intake, take_in

Make = Callable[..., Bench]


def arrive(bench: Bench, *bodies: bytes, account: str = "sipsim") -> None:
    now = time.time()
    with bench.database.write() as connection:
        inbox.accept(connection, [Arrival(account, body, now, now) for body in bodies])


def kept(bench: Bench) -> list[tuple[str, str | None, str | None]]:
    """State, name and reason of every event."""
    columns = (schema.events.c.state, schema.events.c.name, schema.events.c.reason)
    with bench.database.read() as connection:
        return [(s, n, r) for s, n, r in connection.execute(select(*columns).order_by(schema.events.c.id))]


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b'{"a": NaN}', b"\xff\xfe", b'{"event": "incoming_call_end"}']
)
def test_what_cannot_be_read_is_kept_as_a_dead_letter_with_the_reason(make_bench: Make, body: bytes) -> None:
    bench = make_bench()
    arrive(bench, body)
    assert bench.due() == []
    ((state, name, reason),) = kept(bench)
    assert (state, name) == ("dead", "unreadable")
    assert reason


@pytest.mark.parametrize("event", ["test", "sms", "unheard_of"])
def test_what_concerns_no_call_is_kept_and_ignored(make_bench: Make, event: str) -> None:
    bench = make_bench()
    bench.receive({"event": event, "pbx_id": "call_1"})
    assert bench.due() == []
    assert kept(bench)[0][0] == "ignored"
    assert bench.rows() == 0


def test_an_event_that_brings_calltag_down_holds_up_no_other(make_bench: Make) -> None:
    bench = make_bench()
    account = bench.account

    def read(settings: object, body: bytes) -> Event:
        if b"poison" in body:
            raise KeyError("the secret")
        return account.platform.read_event(settings, body)

    faulty = replace(account, platform=replace(account.platform, read_event=read))
    arrive(bench, b"poison")
    bench.end(bench.call())
    intake = take_in(bench.database, {"sipsim": faulty}, time.time())
    assert len(intake.due) == 1
    assert kept(bench)[0] == ("dead", "unreadable", "a fault in calltag: KeyError")


def test_events_of_an_account_that_is_not_configured_wait_and_hold_up_no_other(make_bench: Make) -> None:
    bench = make_bench()
    arrive(bench, *[b'{"event": "test", "n": %d}' % n for n in range(BATCH + 1)], account="sipsim-lyon")
    bench.end(bench.call())
    intake = take_in(bench.database, bench.settings.accounts, time.time())
    assert (len(intake.due), intake.more) == (1, False)
    assert [state for state, _, _ in kept(bench)].count("new") == BATCH + 1


def test_a_batch_is_taken_at_a_time_and_more_is_told(make_bench: Make) -> None:
    bench = make_bench()
    for number in range(BATCH + 6):
        bench.end(bench.call(number, caller=f"+336{number:08d}"))
    first = take_in(bench.database, bench.settings.accounts, time.time())
    assert (len(first.due), first.more) == (BATCH, True)
    second = take_in(bench.database, bench.settings.accounts, time.time())
    assert (len(second.due), second.more) == (6, False)
    third = take_in(bench.database, bench.settings.accounts, time.time())
    assert (third.due, third.more) == ([], False)


def test_large_events_are_taken_a_few_at_a_time(make_bench: Make) -> None:
    bench = make_bench()
    arrive(bench, *[b'{"event": "test", "n": "%s"}' % (b"%d" % n * (SIZE // 2)) for n in range(3)])
    for more, states in ((True, ["ignored", "ignored", "new"]), (False, ["ignored"] * 3)):
        assert take_in(bench.database, bench.settings.accounts, time.time()).more is more
        assert [state for state, _, _ in kept(bench)] == states


def test_events_that_another_worker_took_in_meanwhile_are_left_to_it(make_bench: Make) -> None:
    bench = make_bench()
    account = bench.account
    others: list[Intake] = []

    def read(settings: object, body: bytes) -> Event:
        if not others:  # nobody is kept from writing while bodies are read
            others.append(take_in(bench.database, bench.settings.accounts, time.time()))
        return account.platform.read_event(settings, body)

    arrive(bench, b"no json")
    bench.end(bench.call())
    slower = replace(account, platform=replace(account.platform, read_event=read))
    late = take_in(bench.database, {"sipsim": slower}, time.time())
    assert (late.due, late.read) == ([], {})
    assert len(others[0].due) == 1
    assert bench.rows() == 1
    with bench.database.read() as connection:
        assert counters.counts(connection)["events.dead"] == 1


def test_the_events_of_one_call_are_one_row_due_once(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.receive(
        events.step(call, "start", call.started),
        events.step(call, "answer", call.started + 5),
        events.end(call, call.started + call.duration, None),
        events.voicemail(call, call.started, 5, "x"),
    )
    now = time.time()
    intake = take_in(bench.database, bench.settings.accounts, now)
    assert len(intake.due) == 1
    assert bench.rows() == 1
    with bench.database.read() as connection:
        row = connection.execute(select(schema.calls)).one()
    assert (row.state, row.version, row.ended) == ("due", 4, True)
    assert row.queued_until == pytest.approx(now + QUEUED, abs=0.1), "who takes it in works on it"


def test_an_event_with_both_names_makes_two_rows_one(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.receive(events.rating(call.id, 3))
    bench.due()
    assert bench.rows() == 2
    bench.receive(events.rating(call.id, 4) | {"pbx_id": call.reference})
    assert len(bench.due()) == 1
    assert bench.rows() == 1
    assert bench.references(call.reference) == {"pbx_id": call.reference, "call_id": str(call.id)}


def test_ids_are_compared_as_text(make_bench: Make) -> None:
    bench = make_bench()
    bench.receive(
        events.rating(7, 3), events.rating(7, 4) | {"call_id": "7"}, events.rating(7, 4) | {"call_id": "07"}
    )
    bench.due()
    assert bench.rows() == 2


def test_the_day_for_which_a_call_is_looked_for_begins_with_its_first_event(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.receive(events.step(call, "start", call.started), received_at=time.time() - DAY)
    bench.end(call)
    bench.due()
    with bench.database.read() as connection:
        (first_at,) = connection.execute(select(schema.calls.c.first_at)).scalars()
    assert first_at == pytest.approx(time.time() - DAY, abs=5)


def test_an_intake_that_finds_nothing_new_waits_for_nobody(make_bench: Make) -> None:
    bench = make_bench()
    with bench.database.write():  # another worker is at it
        other = Database(bench.settings.database, busy=0.0)
        try:
            assert take_in(other, bench.settings.accounts, time.time()) == Intake([], False)
        finally:
            other.close()
