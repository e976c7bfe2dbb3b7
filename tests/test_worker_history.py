"""The platform's past in the store: which call a listed one is, and what is kept of it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from platforms.adapter import Record
from platforms.sipsim.records import read_record
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.simulator import Config
from rules.facts import facts_to_json
from store import calls, erasure, fleet, inbox, linking, schema
from store.calls import Intent, Outcome, TagState
from store.database import Database
from store.inbox import Arrival
from store.keeping import PAST
from store.linking import NOT_ENDED
from tests.commands import ACCOUNTS
from tests.rows import change, column
from tests.worker_bench import Bench
from worker.fold import fold
from worker.history import PART, Matched, keep, match, tidy
from worker.intake import take_in

Make = Callable[..., Bench]
ACCOUNT = ACCOUNTS["sipsim"]
NOON = 1_800_000_000.0
HOUR = 3600.0
CALLER, RECEIVER = "+33612345678", "+33184800000"


def listed(call: int = 1, **more: Any) -> Record:
    """A call as the platform's list has it."""
    item = {"id": call, "direction": "inbound", "caller_number": CALLER, "receiver_number": RECEIVER,
            "duration_sec": 1900, "tags": []}  # fmt: skip
    body = orjson.dumps(item | more)
    event = read_record(SipsimSettings(), body)
    return Record(event.references[0].value, body, event)


def tags(*names: str) -> list[dict[str, Any]]:
    return [{"id": n, "name": name, "color": "#6B7280"} for n, name in enumerate(names)]


def receive(database: Database, at: float, **said: object) -> None:
    with database.write() as connection:
        inbox.accept(connection, [Arrival("sipsim", orjson.dumps(said), at, at)])
    take_in(database, ACCOUNTS, at)


def told(database: Database, name: str = "call_1", at: float = NOON, **more: object) -> int:
    """The row of a call of which a webhook told that it ended, decided meanwhile."""
    said = {"event": "incoming_call_end", "pbx_id": name, "caller": CALLER, "receiver": RECEIVER,
            "duration": 1900, "status": "ANSWER"}  # fmt: skip
    receive(database, at, **(said | more))
    with database.write() as connection:
        row = row_of(database, "pbx_id", name)
        facts = fold(ACCOUNT, inbox.of_calls(connection, [row])[row]).facts
        sides = {side: facts.get(side) for side in ("caller", "receiver")}
        change(connection, row, state="done", decided_version=1, facts=facts_to_json(facts), **sides)
    return row


def row_of(database: Database, kind: str, value: str) -> int:
    ref = ("sipsim", kind, value)
    with database.read() as connection:
        return linking.find(connection, [ref])[ref]


def look(database: Database, *records: Record, until: float = NOON) -> list[Matched]:
    with database.read() as connection:
        return match(connection, ACCOUNT, records, until - HOUR, until)


def found(database: Database, *records: Record) -> list[int | str | None]:
    """The row of each, or that it is ambiguous."""
    return ["ambiguous" if one.ambiguous else one.call for one in look(database, *records)]


def kept(
    database: Database, *records: Record, at: float = NOON + 60, until: float = NOON, part: int = PART
) -> dict[str, int]:
    """What is kept of a page that was asked for at that time."""
    matched = look(database, *records, until=until)
    rows: dict[str, int] = {}
    for first in range(0, len(matched), part):
        with database.write() as connection:
            rows |= keep(connection, ACCOUNT, matched[first : first + part], at, until)
    return rows


def refs(database: Database, row: int) -> set[tuple[str, str]]:
    with database.read() as connection:
        return {(kind, value) for _account, kind, value in linking.refs_of(connection, [row])[row]}


def events(database: Database) -> list[Any]:
    e = schema.events.c
    with database.read() as connection:
        rows = select(e.source, e.state, e.name, e.call_id, e.version, e.signed_at, e.received_at)
        return [tuple(row) for row in connection.execute(rows.order_by(e.id))]


def folds_to_what_is_noted(database: Database, row: int) -> bool:
    with database.read() as connection:
        folded = fold(ACCOUNT, inbox.of_calls(connection, [row])[row])
    return column(database, row, "facts") == facts_to_json(folded.facts)


def number_of_rows(database: Database) -> int:
    with database.read() as connection:
        return len(connection.execute(select(schema.calls.c.id)).all())


def test_a_call_that_nothing_was_told_of_has_no_row(database: Database) -> None:
    told(database, caller="+33600000000")
    assert look(database, listed()) == [Matched(listed(), None)]


def test_the_platforms_id_leads_to_the_call(database: Database) -> None:
    row = kept(database, listed(7))["7"]
    assert found(database, listed(7, duration_sec=5), listed(8)) == [row, None]


def test_a_call_that_its_id_leads_to_is_not_taken_for_one_that_is_like_it(database: Database) -> None:
    row = kept(database, listed(7))["7"]
    told(database)
    assert found(database, listed(7)) == [row]


def test_a_reference_that_the_list_carries_leads_to_the_call(database: Database) -> None:
    row = told(database, duration=5)
    assert found(database, listed(pbx_id="call_1"), listed(2, pbx_id="call_2")) == [row, None]


def test_a_call_that_webhooks_named_otherwise_is_the_one_that_fits(database: Database) -> None:
    told(database, "call_1", duration=60)
    row = told(database, "call_2")
    assert found(database, listed()) == [row]
    assert kept(database, listed()) == {"1": row}
    assert refs(database, row) == {("pbx_id", "call_2"), ("call_id", "1")}


def test_a_record_that_several_calls_fit_is_ambiguous(database: Database) -> None:
    told(database, "call_1")
    told(database, "call_2")
    assert found(database, listed(1), listed(2, caller_number="+33600000000")) == ["ambiguous", None]


def test_of_several_records_that_fit_one_call_none_is_guessed(database: Database) -> None:
    told(database)
    assert found(database, listed(1), listed(2)) == ["ambiguous"] * 2
    assert kept(database, listed(1), listed(2), listed(3, duration_sec=60)).keys() == {"3"}


def test_a_call_that_is_listed_twice_is_no_rival_of_itself(database: Database) -> None:
    row = told(database)
    assert found(database, listed(1), listed(1, tags=tags("VIP"))) == [row, row]


def test_a_call_that_another_record_of_the_page_names_is_not_up_for_guessing(database: Database) -> None:
    row = told(database)
    assert found(database, listed(1), listed(2, pbx_id="call_1")) == [None, row]


def test_a_call_that_an_id_names_already_is_no_other_records(database: Database) -> None:
    told(database)
    kept(database, listed(1))
    assert found(database, listed(2)) == [None]


def test_a_record_that_carries_another_reference_is_another_call(database: Database) -> None:
    told(database)
    assert found(database, listed(pbx_id="call_2")) == [None]


@pytest.mark.parametrize(("hours", "is_it"), [(-24, True), (23, True), (-25.5, False), (24.5, False)])
def test_a_call_of_another_time_is_another_call(database: Database, hours: float, is_it: bool) -> None:
    row = told(database, at=NOON + hours * HOUR)
    assert found(database, listed()) == [row if is_it else None]


def test_a_listed_call_becomes_a_row_that_nobody_works_on(database: Database) -> None:
    row = kept(database, listed(7, tags=tags("VIP")))["7"]
    columns = ("state", "reason", "ended", "version", "decided_version", "others", "caller", "receiver")
    values = ["done", PAST, True, 1, None, ["VIP"], CALLER, RECEIVER]
    assert [column(database, row, name) for name in columns] == values
    assert events(database) == [("record", "linked", "record", row, 1, NOON + 60, NOON + 60)]
    with database.write() as connection:
        assert calls.lease(connection, [row], "worker", NOON + 120) == ([], [])
        assert calls.due(connection, NOON + 120, 10, 0.0) == []


def test_the_facts_that_are_noted_are_those_that_the_events_fold_to(database: Database) -> None:
    row = told(database)
    kept(database, listed(7, duration_sec=60, start_time="2026-11-20T09:00:00Z"), listed(8, queue="support"))
    assert number_of_rows(database) == 2
    assert folds_to_what_is_noted(database, row)
    assert folds_to_what_is_noted(database, row_of(database, "call_id", "7"))
    assert dict(column(database, row, "facts"))["custom.queue"] == "support"  # type: ignore[call-overload]


def test_a_call_that_goes_on_is_not_kept(database: Database) -> None:
    assert kept(database, listed(duration_sec=None)) == {}
    assert number_of_rows(database) == 0


def test_what_is_there_already_changes_nothing(database: Database) -> None:
    told(database)
    page = [listed(1), listed(2, duration_sec=60), listed(3, duration_sec=61)]
    first = kept(database, *page)
    before = events(database)
    assert kept(database, *page, at=NOON + 9000) == first
    assert events(database) == before
    assert number_of_rows(database) == 3


def test_a_record_that_says_something_else_now_is_added(database: Database) -> None:
    row = kept(database, listed(tags=tags("VIP")))["1"]
    kept(database, listed(tags=tags("VIP", "Sales")), at=NOON + 90)
    assert (column(database, row, "version"), column(database, row, "others")) == (2, ["VIP", "Sales"])


def test_an_older_page_does_not_undo_a_newer_one(database: Database) -> None:
    row = kept(database, listed(tags=tags("Sales")), at=NOON + 90)["1"]
    kept(database, listed(tags=tags("VIP")), at=NOON + 60)
    assert column(database, row, "others") == ["Sales"]


def test_which_tags_of_a_call_are_ours_is_not_read_from_a_list(database: Database) -> None:
    row = told(database)
    with database.write() as connection:
        calls.intend(connection, [Intent(row, "Long Call", TagState.OURS, "long-call", "hash")], NOON)
        change(connection, row, others=["VIP"])
    kept(database, listed(tags=tags("Long Call", "Sales")))
    assert column(database, row, "others") == ["VIP"]


def test_a_list_does_not_undo_what_was_read_of_the_call_since(database: Database) -> None:
    row = kept(database, listed(tags=tags("VIP")))["1"]
    with database.write() as connection:
        change(connection, row, others=["Sales"], tags_version=5)
    kept(database, listed(tags=tags("VIP"), queue="support"), at=NOON + 90)
    assert column(database, row, "others") == ["Sales"]


@pytest.mark.parametrize("state", ["due", "parked", "dead"])
def test_a_live_call_stays_as_it_is(database: Database, state: str) -> None:
    row = told(database)
    with database.write() as connection:
        change(connection, row, state=state, reason="why", next_at=NOON - 5, queued_until=NOON + 9)
    kept(database, listed())
    columns = ("state", "reason", "next_at", "queued_until", "version")
    assert [column(database, row, name) for name in columns] == [state, "why", NOON - 5, NOON + 9, 2]


def test_a_worker_that_has_the_call_meanwhile_is_asked_for_it_again(database: Database) -> None:
    row = told(database)
    with database.write() as connection:
        change(connection, row, state="due", next_at=NOON)
        (leased,), _ = calls.lease(connection, [row], "worker", NOON)
    kept(database, listed())
    with database.write() as connection:
        assert calls.record(connection, "worker", [Outcome(leased, "done")], NOON + 60).due == [row]


def test_a_call_whose_end_no_webhook_told_has_ended(database: Database) -> None:
    receive(database, NOON, event="incoming_call_start", pbx_id="call_1", caller=CALLER, receiver=RECEIVER)
    row = row_of(database, "pbx_id", "call_1")
    assert (column(database, row, "ended"), column(database, row, "reason")) == (False, NOT_ENDED)
    assert kept(database, listed(pbx_id="call_1")) == {"1": row}
    assert [column(database, row, name) for name in ("ended", "state", "reason")] == [True, "done", PAST]


def test_a_forgotten_call_stays_forgotten(database: Database) -> None:
    row = kept(database, listed(7))["7"]
    with database.write() as connection:
        erasure.forget(connection, [row], NOON)
    assert kept(database, listed(7, tags=tags("VIP"))) == {}
    assert column(database, row, "facts") == {}
    assert column(database, row, "caller") is None
    assert len(events(database)) == 1


def test_two_rows_that_prove_to_be_one_call_become_one(database: Database) -> None:
    told(database, duration=60)
    row = kept(database, listed(7))["7"]
    assert number_of_rows(database) == 2
    assert kept(database, listed(7, pbx_id="call_1"), listed(8, duration_sec=61)).get("7") == row
    assert number_of_rows(database) == 2
    assert refs(database, row) == {("call_id", "7"), ("pbx_id", "call_1")}
    assert column(database, row, "state") == "done"
    assert folds_to_what_is_noted(database, row)


def test_rows_that_a_worker_has_are_united_another_time(database: Database) -> None:
    live = told(database, duration=60)
    row = kept(database, listed(7))["7"]
    with database.write() as connection:
        change(connection, live, state="due", next_at=NOON)
        calls.lease(connection, [live], "worker", NOON + 60)
    record = listed(7, pbx_id="call_1", duration_sec=None, status="ANSWER")
    assert kept(database, record) == {"7": row}
    assert column(database, live, "lease_owner") == "worker"
    with database.write() as connection:
        change(connection, live, state="done", lease_owner=None, lease_until=None)
    assert kept(database, record) == {"7": row}
    assert number_of_rows(database) == 1
    assert folds_to_what_is_noted(database, row)


def test_a_call_that_was_named_since_it_was_matched_is_left_to_that_name(database: Database) -> None:
    row = told(database)
    matched = look(database, listed(1))
    assert matched[0].call == row
    with database.write() as connection:
        linking.add_ref(connection, ("sipsim", "call_id", "2"), row)
        assert keep(connection, ACCOUNT, matched, NOON, NOON)["1"] != row


def test_a_call_that_came_since_it_was_matched_is_found_by_its_name(database: Database) -> None:
    matched = look(database, listed(pbx_id="call_1"))
    row = told(database)
    with database.write() as connection:
        assert keep(connection, ACCOUNT, matched, NOON, NOON) == {"1": row}
    assert number_of_rows(database) == 1


@pytest.mark.parametrize(
    ("times", "at"),
    [
        ({}, NOON),
        ({"start_time": "2027-01-15T06:00:00Z"}, NOON - 2 * HOUR),
        ({"start_time": "2027-01-15T06:00:00Z", "end_time": "2027-01-15T07:00:00Z"}, NOON - HOUR),
        ({"end_time": "2027-01-15T09:00:00Z"}, NOON + 60),
    ],
)
def test_the_time_of_a_call_is_its_own_or_the_ranges_end_and_never_to_come(
    database: Database, times: dict[str, Any], at: float
) -> None:
    row = kept(database, listed(**times))["1"]
    assert column(database, row, "first_at") == at


def test_a_webhook_that_comes_later_joins_the_call_and_wakes_it(database: Database) -> None:
    row = kept(database, listed(pbx_id="call_1"))["1"]
    receive(database, NOON + 90, event="incoming_call_end", pbx_id="call_1", caller=CALLER, receiver=RECEIVER,
            duration=1900, status="ANSWER")  # fmt: skip
    assert row_of(database, "pbx_id", "call_1") == row
    assert column(database, row, "state") == "due"


def test_a_number_that_no_column_takes_is_no_fault(database: Database) -> None:
    odd = listed(caller_number="+33\0" + "1" * 100)
    row = kept(database, odd)["1"]
    assert len(str(column(database, row, "caller"))) == 64
    assert kept(database, odd) == {"1": row}


def test_the_write_ahead_log_is_looked_after_where_no_sweeper_does(
    empty_database: Path, tmp_path: Path
) -> None:
    file = tmp_path / "calltag.db"
    shutil.copy(empty_database, file)
    database = Database(f"sqlite:///{file}")
    with database.write() as connection:
        fleet.hold(connection, "sweeper", "another", time.time(), 60.0)
    kept(database, *(listed(n, duration_sec=n) for n in range(300)))
    before = file.stat().st_size
    tidy(database)
    assert file.stat().st_size == before
    with database.write() as connection:
        fleet.release(connection, "sweeper", "another")
    tidy(database)
    assert file.stat().st_size > before
    database.close()


Page = list[dict[str, Any]]
ITEM = st.fixed_dictionaries(
    {"id": st.integers(1, 5), "duration_sec": st.sampled_from([0, 60, 1900])},
    optional={"pbx_id": st.sampled_from(["call_1", "call_2", "call_3"])},
)
PAGES = st.lists(
    ITEM, max_size=5, unique_by=(lambda item: item["id"], lambda item: item.get("pbx_id", item["id"]))
)
TOLD = st.lists(
    st.tuples(st.sampled_from(["call_1", "call_2", "call_3"]), st.sampled_from([0, 60, 1900])),
    max_size=3,
    unique_by=lambda one: one[0],
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=TOLD, page=PAGES, choice=st.data())
def test_the_same_calls_in_any_order_and_repeated_give_the_same_rows(
    empty_database: Path, calls: Sequence[tuple[str, int]], page: Page, choice: st.DataObject
) -> None:
    shuffled = choice.draw(st.permutations(page + page[:2]))
    once = stored(empty_database, calls, page, PART, 1)
    assert stored(empty_database, calls, shuffled, choice.draw(st.integers(1, 4)), 2) == once


def stored(
    empty_database: Path, calls: Sequence[tuple[str, int]], page: Page, part: int, times: int
) -> list[Any]:
    """What is in the store after these calls were told and the page was kept so many times."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(empty_database, Path(folder) / "calltag.db")
        database = Database(f"sqlite:///{folder}/calltag.db")
        for name, duration in calls:
            told(database, name, duration=duration)
        for _ in range(times):
            kept(database, *(listed(item["id"], **item) for item in page), part=part)
        with database.read() as connection:
            rows = connection.execute(select(schema.calls)).all()
            ids = [row.id for row in rows]
            bodies = {
                row: {event.body for event in of} for row, of in inbox.of_calls(connection, ids).items()
            }
            names = {row: set(found) for row, found in linking.refs_of(connection, ids).items()}
        database.close()
    known = [(names[row.id], bodies[row.id], row.facts, row.state, row.ended, row.first_at) for row in rows]
    return sorted(known, key=lambda one: sorted(one[0]))


def keep_listed(bench: Bench) -> None:
    """What the platform lists of the last day is kept."""
    now = time.time()
    client = bench.worker.client(bench.account, time.monotonic())
    page = client.list_page(datetime.fromtimestamp(now - 24 * HOUR, UTC), datetime.fromtimestamp(now, UTC))
    with bench.database.write() as connection:
        matched = match(connection, bench.account, page.records, now - 24 * HOUR, now)
        keep(connection, bench.account, matched, now, now)


@pytest.mark.parametrize("ids", ["reference", "integer"])
def test_a_live_call_neither_wakes_nor_waits_for_a_kept_one_that_is_like_it(
    make_bench: Make, ids: Literal["reference", "integer"]
) -> None:
    bench = make_bench(Config(ids=ids))
    past = bench.call(1, started=time.time() - 5 * HOUR)
    keep_listed(bench)
    live = bench.call(2)
    bench.end(live)
    bench.settle()
    assert bench.tags(live) == ["Long Call"]
    bench.later()
    assert bench.tags(past) == []
    assert (bench.rows(), bench.state(str(past.id)).reason) == (2, PAST)


def test_a_call_that_was_kept_before_its_webhooks_came_is_united_when_its_id_is_found(
    make_bench: Make,
) -> None:
    bench = make_bench(Config(ids="integer"))
    call = bench.call()
    keep_listed(bench)
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    assert bench.references(call.reference) == {"pbx_id": call.reference, "call_id": str(call.id)}
    assert bench.rows() == 1
