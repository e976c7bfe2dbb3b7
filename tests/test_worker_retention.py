"""Retention: bodies go after their days and facts stay; whole calls go much later; nobody waits for it."""

import threading
import time
from collections.abc import Mapping

import orjson
import pytest
from sqlalchemy import ForeignKey, func, select, update

from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from store import inbox, retention
from store.calls import lease
from store.database import Database
from store.inbox import Arrival
from store.schema import calls, events, metadata
from tests.rows import change, column
from tests.waiting import eventually
from worker import fold
from worker.intake import take_in
from worker.retention import BYTES, CALLS, DAY, EVENTS, Retention
from worker.settings import Account, Settings
from worker.sweeper import Sweeper

ACCOUNT = Account("sipsim", PLATFORMS["sipsim"], SipsimSettings())
NOW = 1_800_000_000.0
SUMMARY = "the caller wants to cancel"


def settings(**more: object) -> Settings:
    return Settings.model_validate({**more}).model_copy(update={"accounts": {"sipsim": ACCOUNT}})


def receive(database: Database, payload: Mapping[str, object], at: float) -> None:
    with database.write() as connection:
        inbox.accept(connection, [Arrival("sipsim", orjson.dumps(payload), at, at)])
    take_in(database, {"sipsim": ACCOUNT}, at)


def end(name: str, **more: object) -> Mapping[str, object]:
    return {"event": "incoming_call_end", "pbx_id": name, "caller": "+33612345678", "receiver": "101",
            "duration": 60, "status": "ANSWER", **more}  # fmt: skip


def told(database: Database, name: str, at: float) -> int:
    """A call of two events, done."""
    receive(database, end(name), at)
    receive(database, {"event": "summary", "pbx_id": name, "summary": SUMMARY}, at + 1)
    with database.write() as connection:
        call = int(connection.execute(select(func.max(calls.c.id))).scalar_one())
        change(connection, call, state="done", reason=None)
    return call


def facts(database: Database, call: int) -> Mapping[str, object]:
    with database.read() as connection:
        return fold.fold(ACCOUNT, inbox.of_calls(connection, [call]).get(call, [])).facts


def tidy(database: Database, now: float, **more: object) -> dict[str, int]:
    """Steps until nothing is left; what was dropped."""
    worker = Retention(database, settings(**more))
    dropped: dict[str, int] = {}
    while step := worker.step(now):
        dropped = {what: dropped.get(what, 0) + step[what] for what in {*dropped, *step}}
    return dropped


def bodies(database: Database) -> list[bytes]:
    """The bodies of all events that came from outside."""
    with database.read() as connection:
        rows = select(events.c.body).where(events.c.source != "snapshot").order_by(events.c.id)
        return [bytes(body) for body in connection.execute(rows).scalars()]


def number(database: Database, table: str) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one()


def test_bodies_go_after_their_days_and_the_facts_stay(database: Database) -> None:
    call = told(database, "one", NOW)
    before = facts(database, call)
    assert tidy(database, NOW + 30 * DAY - 1) == {}
    assert tidy(database, NOW + 30 * DAY + 2) == {"bodies": 2}
    assert bodies(database) == [b"", b""]
    assert facts(database, call) == before
    assert before["summary"] == SUMMARY
    assert column(database, call, "version") == 2
    assert column(database, call, "state") == "done"


def test_nothing_is_dropped_where_it_is_to_be_kept_for_ever(database: Database) -> None:
    told(database, "one", NOW)
    assert tidy(database, NOW + 4000 * DAY, keep_bodies=0, keep_calls=0) == {}


def test_a_young_event_of_an_old_call_keeps_its_body(database: Database) -> None:
    call = told(database, "one", NOW)
    receive(database, end("one", duration=61), NOW + 29 * DAY)
    with database.write() as connection:
        change(connection, call, state="done")
    before = facts(database, call)
    assert tidy(database, NOW + 31 * DAY) == {"bodies": 2}
    assert [bool(body) for body in bodies(database)] == [False, False, True]
    assert facts(database, call) == before
    assert tidy(database, NOW + 60 * DAY) == {"bodies": 1}
    assert facts(database, call) == before
    assert number(database, "events") == 3 + 1, "one snapshot stands for all"


def test_a_late_event_changes_the_facts_as_if_the_bodies_were_there(database: Database) -> None:
    call = told(database, "one", NOW)
    tidy(database, NOW + 31 * DAY)
    late = {"event": "incoming_call_start", "pbx_id": "one", "caller": "+33699999999", "queue": "sales"}
    receive(database, late, NOW + 32 * DAY)
    found = facts(database, call)
    assert (found["caller"], found["custom.queue"], found["summary"]) == ("+33612345678", "sales", SUMMARY)
    assert column(database, call, "state") == "due"


def test_a_repeated_event_whose_body_was_dropped_is_still_known(database: Database) -> None:
    told(database, "one", NOW)
    tidy(database, NOW + 31 * DAY)
    with database.write() as connection:
        again = Arrival("sipsim", orjson.dumps(end("one")), NOW + 32 * DAY, NOW + 32 * DAY)
        assert inbox.accept(connection, [again]) == [False]
    assert bodies(database) == [b"", b""]


@pytest.mark.parametrize("state", ["due", "parked"])
def test_a_call_that_waits_keeps_its_bodies(database: Database, state: str) -> None:
    call = told(database, "one", NOW)
    with database.write() as connection:
        change(connection, call, state=state)
    assert tidy(database, NOW + 31 * DAY) == {}
    assert all(bodies(database))


def test_a_call_that_a_worker_has_loses_nothing(database: Database) -> None:
    call = told(database, "one", NOW)
    with database.write() as connection:
        change(connection, call, state="due")
        lease(connection, [call], "worker", NOW + 500 * DAY)
    assert tidy(database, NOW + 500 * DAY + 1) == {}
    assert column(database, call, "id") == call


def test_a_call_that_gets_an_event_while_it_is_folded_keeps_its_bodies(database: Database) -> None:
    told(database, "one", NOW)
    with database.read() as connection:
        (old,) = retention.old_bodies(connection, ["sipsim"], NOW + 9, NOW + 9, EVENTS, BYTES).calls
    receive(database, {"event": "rating", "pbx_id": "one", "overall_score": 3}, NOW + 2)
    with database.write() as connection:
        connection.execute(update(calls).values(state="done"))
        assert retention.replace_bodies(connection, [(old, b"{}")], NOW + 9) == 0
    assert all(bodies(database))


def test_calls_of_an_account_that_is_not_configured_keep_their_bodies(database: Database) -> None:
    told(database, "one", NOW)
    with database.read() as connection:
        assert not retention.old_bodies(connection, [], NOW + 9, NOW + 9, EVENTS, BYTES).calls


def test_events_of_no_call_lose_their_bodies_too_unless_they_wait(database: Database) -> None:
    receive(database, {"event": "sms", "text": "hello"}, NOW)
    receive(database, {"event": 7}, NOW)
    with database.write() as connection:
        inbox.accept(connection, [Arrival("unconfigured", b"waits", NOW, NOW)])
    assert tidy(database, NOW + 31 * DAY) == {"bodies": 2}
    assert bodies(database) == [b"", b"", b"waits"]
    with database.read() as connection:
        states = connection.execute(select(events.c.state).order_by(events.c.id)).scalars().all()
    assert states == ["ignored", "dead", "new"]


def test_events_that_cannot_be_read_any_more_leave_nothing_behind(database: Database) -> None:
    """As after a change of the adapter: two calls, of which the same is left."""
    for name in ("one", "two"):
        told(database, name, NOW)
    with database.write() as connection:
        connection.execute(update(events).values(body=b"unreadable"))
    assert tidy(database, NOW + 31 * DAY) == {"bodies": 4}


def test_a_large_body_is_dropped_alone(database: Database) -> None:
    for n in range(3):
        receive(database, {"event": "sms", "text": "x" * 300_000, "n": n}, NOW + n)
    assert Retention(database, settings()).step(NOW + 31 * DAY) == {"bodies": 1}


def test_a_step_drops_no_more_than_its_measure(database: Database) -> None:
    for n in range(EVENTS + 1):
        receive(database, {"event": "sms", "n": n}, NOW)
    worker = Retention(database, settings())
    assert worker.step(NOW + 31 * DAY) == {"bodies": EVENTS}
    assert worker.step(NOW + 31 * DAY) == {"bodies": 1}
    assert worker.step(NOW + 31 * DAY) == {}


def test_old_calls_go_with_all_that_belongs_to_them(database: Database) -> None:
    old, young = told(database, "old", NOW), told(database, "young", NOW + 300 * DAY)
    counted = number(database, "counters")
    assert tidy(database, NOW + 401 * DAY) == {"bodies": 4, "calls": 1}
    assert column(database, old, "id") is None
    assert column(database, young, "id") == young
    assert number(database, "call_refs") == 1
    assert number(database, "events") == 2 + 1
    assert number(database, "counters") == counted


def test_old_events_of_no_call_go(database: Database) -> None:
    receive(database, {"event": "sms", "text": "hello"}, NOW)
    told(database, "young", NOW + 300 * DAY)
    assert tidy(database, NOW + 401 * DAY, keep_bodies=0) == {"events": 1}
    assert number(database, "events") == 2


def test_a_step_deletes_no_more_calls_than_its_measure(database: Database) -> None:
    for n in range(CALLS + 1):
        told(database, f"call_{n}", NOW)
    assert Retention(database, settings(keep_bodies=0)).step(NOW + 401 * DAY) == {"calls": CALLS}


def test_every_table_that_belongs_to_calls_goes_with_them() -> None:
    def belongs(key: ForeignKey) -> bool:
        return key.column.table is calls and key.ondelete is None

    theirs = {table for table in metadata.sorted_tables if any(map(belongs, table.foreign_keys))}
    assert theirs == set(retention.OF_CALLS)


def test_a_trace_of_what_was_dropped_is_lost_and_that_of_what_is_left_is_not(database: Database) -> None:
    call = told(database, "one", NOW)
    tidy(database, NOW + 31 * DAY)
    receive(database, end("one", duration=61), NOW + 32 * DAY)
    with database.read() as connection:
        lost = [inbox.lost(connection, call, version) for version in (1, 2, 3)]
        then = [fold.fold(ACCOUNT, inbox.up_to_version(connection, call, v)).facts for v in (2, 3)]
    assert lost == [True, False, False]
    assert [found.get("duration") for found in then] == [60, 61]


def test_no_step_does_more_than_a_bounded_number_of_rows(database: Database) -> None:
    for n in range(2 * CALLS + 1):
        told(database, f"call_{n}", NOW)
    worker = Retention(database, settings())
    steps = []
    while step := worker.step(NOW + 500 * DAY):
        steps.append(step)
    assert len(steps) > 2
    assert all(
        step["calls"] <= CALLS and step["bodies"] <= EVENTS and step["events"] <= EVENTS for step in steps
    )


def test_the_sweeper_does_it(database: Database) -> None:
    told(database, "one", time.time() - 31 * DAY)
    sweeper = Sweeper(
        settings(database_url=database.engine.url.render_as_string(hide_password=False)), Silence()
    )
    ended = threading.Event()
    thread = threading.Thread(target=sweeper.run, args=[ended])
    thread.start()
    try:
        eventually(lambda: not any(bodies(database)), "the bodies are dropped")
    finally:
        ended.set()
        thread.join()


class Silence:
    """Messages that reach nobody."""

    def send(self, calls: object) -> None:
        pass

    def wake(self) -> None:
        pass

    def drive(self, _place: object, /) -> bool:
        return True
