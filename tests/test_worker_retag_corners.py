"""Corners of re-tagging jobs: what is under way when something else happens to the job or its calls."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, update

from platforms.sipsim.simulator import PlannedFault, Record
from store import erasure, jobs, schema
from store.jobs import Place
from tests.retag_job import DAY, BenchJob, made, plan, undo
from tests.test_worker_retag import NO_LONG, TWO, Killed, killed_at, on_platform, past
from tests.worker_bench import CREATE_TAG, LIST_TAGS, Bench
from worker.context import open_worker
from worker.history import keep, match
from worker.retag import orders
from worker.retag.drive import drive
from worker.retag.spec import JobRules, Spec
from worker.retag.walk import walk
from worker.retention import Retention
from worker.sweeper import sweep

Make = Callable[..., Bench]
UNLESS_VIP = """
version: 1
rules:
  - id: in
    when: {all: [{field: direction, eq: inbound}, {not: {field: tags, includes: VIP}}]}
    tag: Inbound
"""
RENAMED = """
version: 1
rules:
  - id: in-new
    when: {all: [{field: direction, eq: inbound}, {field: transcript, contains: hello}]}
    tag: Inbound
"""


def met(job: BenchJob) -> None:
    """The run has met its calls, and changed none."""
    rules = JobRules(job.bench.worker.rules.by_hash(job.row.ruleset), Spec.from_json(job.row.spec))
    while walk(job.bench.worker, job.bench.account, job.row, rules):
        pass


def test_retention_goes_on_beside_a_job_that_could_not_be_planned(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 100)
    assert plan(bench, having="Nobody").state == "failed"
    Retention(bench.database, bench.settings).tidy()


def test_a_call_that_is_forgotten_before_it_is_changed_is_skipped(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench).start()
    met(job)
    row = bench.state("10001").id
    with bench.database.write() as connection:
        erasure.forget(connection, [row], time.time())
    job.later()
    assert (job.state, job.states()) == ("done", {"10001": "skipped"})


def test_every_page_of_the_store_is_looked_through_for_a_tag(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    now = time.time()
    rows = [
        {"id": n, "account": "sipsim", "state": "done", "ended": True, "facts": {"direction": "inbound"},
         "others": ["VIP"] if n in (5, 650) else [], "first_at": now - 3600 + n, "next_at": 0.0}
        for n in range(1, 701)
    ]  # fmt: skip
    names = [
        {"account": "sipsim", "kind": "call_id", "reference": str(n), "call_id": n} for n in range(1, 701)
    ]
    with bench.database.write() as connection:
        connection.execute(insert(schema.calls), rows)
        connection.execute(insert(schema.call_refs), names)
    assert plan(bench, source="store", having="VIP", since=7200).row.plan["listed"] == 2


def test_the_platforms_tags_are_not_listed_for_every_page(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    bench.simulator.edit(record.reference, add=["VIP"])
    plan(bench, since=20 * DAY, having="VIP")
    assert bench.requests(LIST_TAGS) == 1


def test_an_older_job_that_goes_on_leaves_what_a_newer_one_did(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    old = plan(bench).start()
    orders.pause(bench.database, old.number)
    bench.rules(NO_LONG)
    plan(bench).run()
    orders.resume(bench.database, old.number)
    old.drive()
    assert bench.tags(record) == ["Inbound"]


def test_an_undo_takes_back_what_a_cancelled_job_had_under_way(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench).start()
    bench.simulator.plan(PlannedFault(kind="503", route=CREATE_TAG, count=1))
    job.drive()
    assert len(on_platform(bench)) == 1, "one of two tags was put"
    orders.cancel(bench.database, job.number)
    undo(job).run()
    assert on_platform(bench) == {}


def test_an_undo_takes_back_writes_of_which_nobody_lived_to_tell(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    job = plan(bench).start()
    killed_at(monkeypatch, "store.calls.record")
    with pytest.raises(Killed):
        job.drive()
    assert bench.tags(record) == ["Inbound", "Long"]
    orders.cancel(bench.database, job.number)
    with open_worker(bench.settings, bench.messages) as worker:
        job.later(worker)
        undo(job).run()
    assert on_platform(bench) == {}


def test_tags_are_counted_as_the_platform_counts_them_when_failed_calls_are_tried_again(
    make_bench: Make,
) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench).start()
    bench.simulator.plan(PlannedFault(kind="403", route=CREATE_TAG, count=1))
    job.drive()
    assert job.row.run["failed"] == 1
    orders.retry_failed(bench.database, job.number)
    job.drive()
    assert job.row.run["added"] == bench.simulator.counters.put_201 == 2


def test_a_call_that_bears_again_what_it_bore_before_is_judged_by_it(make_bench: Make) -> None:
    bench = make_bench(rules=UNLESS_VIP)
    (record,) = past(bench, 400)
    fetched(bench)
    bench.simulator.edit(record.reference, add=["VIP"])
    fetched(bench)
    bench.simulator.edit(record.reference, remove=["VIP"])
    plan(bench).run()
    assert bench.tags(record) == ["Inbound"]


def fetched(bench: Bench) -> None:
    """The platform's list is kept as it is now."""
    now = time.time()
    client = bench.worker.client(bench.account, time.monotonic())
    page = client.list_page(datetime.fromtimestamp(now - DAY, UTC), datetime.fromtimestamp(now, UTC))
    with bench.database.write() as connection:
        keep(
            connection,
            bench.account,
            match(connection, bench.account, page.records, now - DAY, now),
            now,
            now,
        )


def test_transcripts_that_cannot_be_had_in_time_are_had_later_and_none_twice(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(rules=RENAMED)
    records = past(bench, *[30] * 6)
    monkeypatch.setattr("worker.context.LONGEST_REQUEST", 59.0)  # a lease leaves one second
    bench.worker._rates["sipsim"]._cells[0] = 0.3
    job = made(bench, fetch=True)
    for _ in range(10):
        if job.later().state == "planned":
            break
    assert job.row.plan["listed"] == len(records)
    assert sum(bench.answers("GET /api/v2/calls/{call}/transcription").values()) == len(records)


def test_a_tag_that_a_rule_may_give_which_is_unknown_is_not_orphaned(make_bench: Make) -> None:
    bench = make_bench(rules=NO_LONG)
    (record,) = past(bench, 400)
    plan(bench).run()
    bench.rules(RENAMED)
    assert plan(bench, orphaned="remove").row.plan.get("change") is None
    assert bench.tags(record) == ["Inbound"]


def test_a_rule_set_that_cannot_be_read_any_more_ends_the_job_with_the_reason(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = made(bench)
    with bench.database.write() as connection:
        connection.execute(update(schema.rulesets).values(files={"rules.yaml": "version: 9\n"}))
    with open_worker(bench.settings, bench.messages) as worker:
        job.drive(worker)
    assert job.state == "failed"
    assert "a fault in calltag" in (job.row.reason or "")


def test_a_place_is_given_away_once_and_who_comes_for_it_late_finds_it_taken(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = made(bench)
    now = time.time()
    with bench.database.write() as connection:
        first = jobs.free_places(connection, now)
        assert len(first) == jobs.TOGETHER
        assert jobs.free_places(connection, now + 60) == [], "somebody was sent there"
        again = jobs.free_places(connection, now + 2 * jobs.QUEUED)
        assert [place.name for place in again] == [place.name for place in first]
    drive(bench.worker, first[0])
    assert job.state == "planning", "it was given to another one"
    drive(bench.worker, again[0])
    assert job.state == "planned"


def test_a_turn_that_is_over_hands_its_place_on(make_bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    made(bench, since=3 * DAY)
    monkeypatch.setattr("worker.retag.drive.TURN", 0.0)
    with bench.database.write() as connection:
        place = jobs.free_places(connection, time.time())[0]
    drive(bench.worker, place)
    assert bench.messages.jobs == [place]
    bench.messages.jobs.clear()
    drive(bench.worker, Place(place.job, place.name, "another token"))
    assert bench.messages.jobs == []


def test_a_place_to_which_nobody_could_be_sent_is_given_away_again_soon(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    made(bench, since=3 * DAY)
    monkeypatch.setattr("worker.retag.drive.TURN", 0.0)
    monkeypatch.setattr(bench.messages, "drive", lambda _place: False)

    def free_at(moment: float) -> list[str]:
        with bench.database.write() as connection:
            return [place.name for place in jobs.free_places(connection, moment)]

    with bench.database.write() as connection:
        first, second = jobs.free_places(connection, time.time())
    drive(bench.worker, first)
    assert free_at(time.time() + jobs.TELL_EVERY + 1) == [first.name], (
        "another one's message may be on its way"
    )
    later = time.time() + 2 * jobs.QUEUED
    sweep(bench.database, bench.messages, later)
    assert free_at(later + jobs.TELL_EVERY + 1) == [first.name, second.name]


@pytest.mark.usefixtures("valkey")
def test_on_postgresql_a_page_and_the_change_of_its_calls_do_not_lock_each_other_out(
    make_bench: Make, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(rules=TWO, database_url=postgres_url)
    records: list[Record] = past(bench, *[400] * 20)
    job = plan(bench, since=DAY / 2).start()
    killed_at(
        monkeypatch, "store.job_windows.leave_window"
    )  # the page was noted and is listed again by another worker
    with pytest.raises(Killed):
        job.drive()
    with bench.database.write() as connection:
        connection.execute(update(schema.job_windows).values(lease_until=0.0))
    with (
        open_worker(bench.settings, bench.messages) as one,
        open_worker(bench.settings, bench.messages) as other,
    ):
        places = [Place(job.number, f"job:{job.number}:{name}", name) for name in ("one", "other")]
        both = [threading.Thread(target=drive, args=pair) for pair in zip((one, other), places, strict=True)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(60)
    job.later()
    assert (job.state, len(on_platform(bench))) == ("done", len(records))
