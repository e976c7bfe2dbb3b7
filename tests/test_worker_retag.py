"""Re-tagging jobs, from a plan to what is on the platform's calls afterwards."""

import importlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from platforms.sipsim.simulator import Config, PlannedFault, Record, Series, events
from platforms.sipsim.simulator.book import Book
from platforms.sipsim.simulator.records import Segment
from store import calls as store_calls
from store import schema
from tests.retag_job import DAY, made, plan, undo
from tests.worker_bench import CREATE_TAG, DELETE, LIST_CALLS, LIST_TAGS, PUT, Bench
from worker.context import open_worker
from worker.retag import orders
from worker.retag.judge import Judge
from worker.retag.orders import Refused
from worker.retag.spec import JobRules, Spec
from worker.retag.walk import walk

Make = Callable[..., Bench]
TWO = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long}
"""
LONGER = TWO.replace("5m", "10m")
NO_LONG = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
"""
SAID = """
version: 1
rules:
  - {id: refund, when: {field: transcript, contains: refund}, tag: Refund}
"""


def past(bench: Bench, *durations: int) -> list[Record]:
    """Incoming calls that ended before calltag was there."""
    return [
        bench.call(number, duration=duration, receiver=f"+3318480{number:04d}")
        for number, duration in enumerate(durations, start=1)
    ]


def done_before(bench: Bench, record: Record) -> int:
    """The call's end was worked on when no rule gave it anything; gives its row."""
    bench.rules(TWO.replace("inbound", "internal").replace("5m", "5h"))
    bench.end(record)
    bench.settle()
    bench.rules(TWO)
    return bench.state(record.reference).id


def on_platform(bench: Bench) -> dict[str, list[str]]:
    return {reference: tags for reference, tags in bench.simulator.call_tags().items() if tags}


def test_a_plan_says_what_would_change_and_writes_nothing(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 100, 400, 700)
    job = plan(bench)
    assert job.state == "planned"
    counts = job.row.plan
    assert (counts["listed"], counts["change"], counts["add"]) == (3, 3, 5)
    assert counts["tags"] == {"Inbound": {"gain": 3}, "Long": {"gain": 2}}
    assert counts["rules"]["long"] == {"match": 2, "add": 2}
    assert counts["samples"]["Long"] == {"gain": ["10002", "10003"]}
    assert on_platform(bench) == {}
    assert bench.rows() == 0, "calls that are only looked at need no rows"
    assert bench.requests() == bench.requests(LIST_CALLS)


def test_a_run_does_what_the_plan_says_at_a_request_for_each_change(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    first, second, third = past(bench, 100, 400, 700)
    job = plan(bench)
    listing = bench.requests(LIST_CALLS)
    job.run()
    assert job.state == "done"
    assert on_platform(bench) == {
        first.reference: ["Inbound"],
        second.reference: ["Inbound", "Long"],
        third.reference: ["Inbound", "Long"],
    }
    run = job.row.run
    assert (run["done"], run["added"]) == (3, 5)
    assert {name: run[name] for name in ("listed", "change", "add", "tags")} == {
        name: job.row.plan[name] for name in ("listed", "change", "add", "tags")
    }
    assert bench.answers(PUT) == {"201": 5}
    assert bench.requests(LIST_CALLS) == 2 * listing
    assert bench.requests() == 2 * listing + 5 + bench.requests(LIST_TAGS) + bench.requests(CREATE_TAG)
    assert job.changes["10003"].added == ("Inbound", "Long")
    assert bench.ours("10001") == {"Inbound": "ours"}
    assert bench.state("10001").reason is None


def test_a_second_job_over_the_same_calls_asks_for_the_list_and_nothing_else(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 100, 400)
    plan(bench).run()
    before, listing = bench.requests(), bench.requests(LIST_CALLS)
    job = plan(bench)
    assert (job.row.plan["same"], job.row.plan.get("change")) == (2, None)
    assert bench.requests() - before == bench.requests(LIST_CALLS) - listing
    with pytest.raises(Refused, match="nothing to change"):
        orders.run(bench.database, job.number)


def test_a_rule_that_no_longer_matches_takes_its_tag_off(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    _, second, third = past(bench, 100, 400, 700)
    plan(bench).run()
    bench.rules(LONGER)
    job = plan(bench)
    assert job.row.plan["tags"] == {"Long": {"lose": 1}}
    job.run()
    assert (bench.tags(second), bench.tags(third)) == (["Inbound"], ["Inbound", "Long"])
    assert job.changes["10002"].removed == ("Long",)
    assert bench.answers(DELETE) == {"204": 1}


def test_only_the_changes_by_the_chosen_rules_and_of_the_chosen_tags_are_made(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (call,) = past(bench, 400)
    plan(bench, rules=("long",)).run()
    assert bench.tags(call) == ["Long"]
    plan(bench, tags=("Inbound",)).run()
    assert bench.tags(call) == ["Inbound", "Long"]


def test_only_the_calls_for_which_the_condition_is_true_are_changed(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    short, long = past(bench, 100, 400)
    job = plan(bench, where="{field: duration, lt: 2m}")
    assert (job.row.plan["change"], job.row.plan["outside"]) == (1, 1)
    job.run()
    assert (bench.tags(short), bench.tags(long)) == (["Inbound"], [])


def test_only_the_calls_that_bear_the_tag_are_listed(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    first, second = past(bench, 100, 100)
    bench.simulator.edit(first.reference, add=["VIP"])
    job = plan(bench, having="VIP")
    assert job.row.plan["listed"] == 1
    job.run()
    assert (bench.tags(first), bench.tags(second)) == (["Inbound", "VIP"], [])


def test_a_tag_that_the_platform_does_not_have_ends_the_plan_with_its_name(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 100)
    job = plan(bench, having="Nobody")
    assert (job.state, job.row.reason) == ("failed", "the platform has no tag 'Nobody'")


def test_tags_whose_rule_is_gone_stay_unless_they_are_to_be_removed(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (call,) = past(bench, 400)
    plan(bench).run()
    bench.rules(NO_LONG)
    assert plan(bench).row.plan.get("change") is None
    job = plan(bench, orphaned="remove")
    assert job.row.plan["tags"] == {"Long": {"lose": 1}}
    job.run()
    assert bench.tags(call) == ["Inbound"]


def test_what_a_person_put_is_left_and_what_a_person_took_off_is_not_put_back(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    taken, put = past(bench, 400, 100)
    plan(bench).run()
    bench.simulator.edit(taken.reference, remove=["Long"])
    bench.simulator.edit(put.reference, add=["Long"])
    job = plan(bench)
    assert (job.row.plan["blocked"], job.row.plan["same"]) == (1, 2)
    bench.rules(TWO.replace("5m", "1h"))
    plan(bench, orphaned="remove")
    assert (bench.tags(taken), bench.tags(put)) == (["Inbound"], ["Inbound", "Long"])


def test_the_pages_of_every_window_are_walked_and_each_call_counts_once(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    start = int(time.time() - 4 * DAY)
    bench.simulator.book = Book(Series(3000, start, step=40))
    job = plan(bench, since=4 * DAY + 60)
    assert job.row.plan["listed"] == 3000
    assert job.row.plan["pages"] >= 4


def test_an_expired_page_token_lists_its_window_again_and_counts_no_call_twice(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    bench.simulator.book = Book(Series(2500, int(time.time() - 2 * DAY), step=1))
    job = made(bench, since=2 * DAY + 60)
    ruleset = bench.worker.rules.now()
    assert ruleset
    assert walk(bench.worker, bench.account, job.row, JobRules(ruleset, Spec.from_json(job.row.spec)))
    bench.simulator.plan(PlannedFault(kind="400", route=LIST_CALLS, count=1))
    job.drive()
    assert (job.state, job.row.plan["listed"]) == ("planned", 2500)
    assert bench.answers(LIST_CALLS) == {"200": 6, "400": 1}  # its first page twice, and two empty windows


def test_tokens_that_always_expire_end_the_plan(make_bench: Make) -> None:
    bench = make_bench(Config(page_seconds=0), rules=TWO)
    bench.simulator.book = Book(Series(1500, int(time.time() - 3000), step=2))
    job = plan(bench, since=2 * DAY + 60)
    assert job.state == "failed"
    assert "page tokens expire" in (job.row.reason or "")


class Killed(BaseException):
    """Stands for the end of the process at that moment."""


def killed_at(monkeypatch: pytest.MonkeyPatch, target: str, after: int = 0) -> None:
    """The next process that comes to this function ends there, once it has come `after` times before."""
    module, _, name = target.rpartition(".")
    owner = importlib.import_module(module)
    function = getattr(owner, name)
    left = [after]

    def dies(*given: Any, **named: Any) -> Any:
        if left[0] == 0:
            monkeypatch.undo()
            raise Killed
        left[0] -= 1
        return function(*given, **named)

    monkeypatch.setattr(owner, name, dies)


@pytest.mark.parametrize(
    "place", ["job_meeting.note_planned", "job_windows.leave_window", "job_windows.note_page"]
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_plan_that_is_killed_anywhere_goes_on_and_counts_each_call_once(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch, place: str, after: int
) -> None:
    bench = make_bench(rules=TWO)
    bench.simulator.book = Book(Series(2500, int(time.time() - 2 * DAY), step=1))
    job = made(bench, since=2 * DAY + 60)
    killed_at(monkeypatch, f"store.{place}", after)
    with pytest.raises(Killed):
        job.drive()
    with open_worker(bench.settings, bench.messages) as worker:
        job.later(worker)
    assert (job.state, job.row.plan["listed"]) == ("planned", 2500)
    counts = job.row.plan
    assert counts["change"] + counts["same"] == 2500


@pytest.mark.parametrize(
    ("place", "after"),
    [
        ("store.job_meeting.note_met", 0),
        ("store.job_windows.leave_window", 0),
        ("worker.attempt.write", 0),
        ("store.calls.intend", 0),
        ("store.calls.record", 0),
        ("store.job_changes.settle", 2),  # with the calls' results, in their transaction
        ("worker.retag.carry.note_answers", 0),
    ],
)
def test_a_run_that_is_killed_anywhere_goes_on_and_adds_every_tag_once(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch, place: str, after: int
) -> None:
    bench = make_bench(rules=TWO)
    past(bench, *range(200, 500, 10))
    job = plan(bench).start()
    killed_at(monkeypatch, place, after)
    with pytest.raises(Killed):
        job.drive()
    with open_worker(bench.settings, bench.messages) as worker:
        job.later(worker)
    assert job.state == "done"
    tags = sum(map(len, on_platform(bench).values()))
    assert tags == job.row.plan["add"] == bench.simulator.counters.put_201
    run = job.row.run
    assert run["done"] == job.row.plan["change"]
    assert run["added"] == tags
    assert sum(len(one.added) for one in job.changes.values()) == tags


def test_a_call_that_another_worker_has_is_changed_after_it(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    row = done_before(bench, record)
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(state="due", next_at=0.0))
        assert store_calls.lease(connection, [row], "another", time.time())[0]
    job = plan(bench).run()
    assert job.state == "running"
    assert job.states() == {"10001": "todo"}
    job.later()
    assert (job.state, bench.tags(record)) == ("done", ["Inbound", "Long"])


def test_a_call_that_is_due_stays_due_and_the_live_rules_have_the_last_word(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    done_before(bench, record)
    bench.simulator.edit(record.reference, add=["VIP"])
    bench.receive(events.tags(record, time.time(), ["VIP"]))
    bench.due()
    plan(bench, rules=("long",)).run()
    assert bench.tags(record) == ["Long", "VIP"]
    assert bench.state(record.reference).state == "due"
    bench.later()
    assert bench.tags(record) == ["Inbound", "Long", "VIP"]
    assert bench.answers(PUT) == {"201": 2}


def test_a_call_known_by_another_reference_is_the_same_call(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    bench.end(record)
    bench.settle()
    assert bench.tags(record) == ["Inbound", "Long"]
    bench.rules(LONGER)
    job = plan(bench).run()
    assert bench.tags(record) == ["Inbound"]
    assert job.changes["10001"].removed == ("Long",)
    assert bench.rows() == 1


def test_a_call_that_newer_rules_have_decided_is_skipped(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    bench.end(record)
    job = plan(bench).start()
    bench.rules(NO_LONG)
    bench.settle()
    job.drive()
    assert bench.tags(record) == ["Inbound"]
    assert job.state == "done"
    (change,) = job.changes.values()
    assert change.state.value == "skipped"
    assert "rules that came into force after" in (change.reason or "")


def test_a_run_is_refused_once_other_rules_are_in_force(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench)
    bench.rules(LONGER)
    with pytest.raises(Refused, match="rules have changed"):
        orders.run(bench.database, job.number)


def test_a_run_that_strays_from_its_plan_stops_and_says_so(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400, 400)
    job = plan(bench).start()
    for number in range(100, 120):
        bench.call(number, receiver=f"+3318490{number:04d}")
    job.drive()
    assert job.state == "stopped"
    assert "20 calls need another change than planned (2 were planned to change)" in (job.row.reason or "")
    orders.resume(bench.database, job.number)
    job.drive()
    assert job.state == "done"
    assert len(on_platform(bench)) == 22


def test_what_is_done_already_by_live_calls_is_no_straying(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    records = past(bench, *[400] * 15)
    job = plan(bench)
    for record in records:
        bench.end(record)
    bench.settle()
    job.run()
    assert (job.state, job.row.run.get("strays", 0)) == ("done", 0)
    assert bench.simulator.counters.put_201 == 30


def test_planned_calls_that_are_no_longer_listed_are_skipped(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    first, second = past(bench, 400, 400)
    bench.simulator.edit(first.reference, add=["VIP"])
    bench.simulator.edit(second.reference, add=["VIP"])
    job = plan(bench, having="VIP")
    bench.simulator.edit(second.reference, remove=["VIP"])
    job.run()
    assert job.states() == {"10001": "done", "10002": "skipped"}
    assert job.row.run["skipped"] == 1


def test_a_paused_job_does_nothing_until_it_goes_on(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench).start()
    orders.pause(bench.database, job.number)
    job.drive()
    assert on_platform(bench) == {}
    orders.resume(bench.database, job.number)
    assert job.drive().state == "done"
    assert len(on_platform(bench)) == 1


def test_a_cancelled_job_stays_cancelled(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench).start()
    orders.cancel(bench.database, job.number)
    assert job.later().state == "cancelled"
    assert on_platform(bench) == {}
    with pytest.raises(Refused):
        orders.resume(bench.database, job.number)


def test_a_page_that_comes_after_its_job_was_cancelled_counts_no_more(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = made(bench)
    judge = Judge.judge

    def cancelling(*given: Any) -> Any:
        orders.cancel(bench.database, job.number)
        return judge(*given)

    monkeypatch.setattr(Judge, "judge", cancelling)
    job.drive()
    assert (job.state, job.row.plan.get("listed"), job.changes) == ("cancelled", None, {})


def test_a_platform_that_is_down_is_waited_for(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = made(bench)
    bench.simulator.plan(PlannedFault(kind="503", route=LIST_CALLS, count=1))
    job.drive()
    assert job.state == "planning"
    assert "it waits and goes on by itself" in (job.row.reason or "")
    assert job.later().state == "planned"
    bench.simulator.plan(PlannedFault(kind="503", route=PUT, count=1))
    job.run()
    assert job.states() == {"10001": "todo"}
    assert job.later().state == "done"
    assert job.row.run["added"] == 2


def test_a_platform_that_forbids_it_stops_the_run(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    job = plan(bench).start()
    bench.simulator.plan(PlannedFault(kind="403", route=LIST_CALLS, count=1))
    job.drive()
    assert job.state == "stopped"
    assert "403" in (job.row.reason or "")
    orders.resume(bench.database, job.number)
    assert job.drive().state == "done"


def test_a_call_that_fails_for_good_is_told_and_can_be_tried_again(make_bench: Make) -> None:
    bench = make_bench(rules=NO_LONG)
    first, second = past(bench, 400, 400)
    job = plan(bench).start()
    bench.simulator.plan(PlannedFault(kind="403", route=PUT, count=1))
    job.drive()
    assert job.state == "done"
    assert sorted(job.states().values()) == ["done", "failed"]
    assert job.row.run["failed"] == 1
    assert orders.retry_failed(bench.database, job.number) == 1
    job.drive()
    assert (job.state, set(job.states().values()), job.row.run["failed"]) == ("done", {"done"}, 0)
    assert (bench.tags(first), bench.tags(second)) == (["Inbound"], ["Inbound"])


def test_an_undo_leaves_the_platform_as_it_was_before(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    records = past(bench, 100, 400, 700)
    bench.simulator.edit(records[0].reference, add=["VIP"])
    plan(bench, rules=("long",)).run()
    before = on_platform(bench)
    bench.rules(LONGER)
    job = plan(bench).run()
    assert on_platform(bench) != before
    back = undo(job)
    assert back.row.plan["change"] == job.row.run["done"]
    back.run()
    assert back.state == "done"
    assert on_platform(bench) == before
    assert bench.ours("10002") == {"Long": "ours"}


def test_an_undo_leaves_what_a_person_or_a_live_call_has_touched_since(make_bench: Make) -> None:
    bench = make_bench(Config(list_reference=True), rules=TWO)  # so that webhooks lead to what was listed
    taken, again, _ = past(bench, 400, 400, 400)
    job = plan(bench).run()
    bench.simulator.edit(taken.reference, remove=["Long"])
    told = events.tags(taken, time.time() + 10, ["Inbound"])  # long after our own writes
    bench.receive(told, received_at=time.time() - 10)
    bench.settle()
    bench.later()
    assert bench.ours("10001")["Long"] == "blocked"
    back = undo(job)
    assert back.row.plan["touched"] == 1
    back.run()
    assert on_platform(bench) == {}
    assert bench.ours("10001")["Long"] == "blocked"
    assert bench.ours("10003") == {}
    bench.end(again)
    bench.settle()
    assert bench.tags(again) == ["Inbound", "Long"], "an undo blocks nothing"


def test_an_undo_leaves_a_tag_that_live_rules_took_off_and_put_again_since(make_bench: Make) -> None:
    bench = make_bench(Config(list_reference=True), rules=TWO)
    (record,) = past(bench, 400)
    job = plan(bench).run()
    bench.rules(LONGER)
    bench.end(record)
    bench.settle()
    assert bench.tags(record) == ["Inbound"]
    bench.rules(TWO)
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(state="due"))
    bench.later()
    assert bench.tags(record) == ["Inbound", "Long"]
    undo(job).run()
    assert bench.tags(record) == ["Long"], "the job put Inbound, and live rules put this one"


def test_an_undo_that_is_killed_goes_on_and_ends_right(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(rules=TWO)
    past(bench, *[400] * 5)
    back = undo(plan(bench).run()).start()
    killed_at(monkeypatch, "store.calls.record")
    with pytest.raises(Killed):
        back.drive()
    with open_worker(bench.settings, bench.messages) as worker:
        back.later(worker)
    assert on_platform(bench) == {}
    assert (back.state, back.row.run["removed"]) == ("done", 10)


def test_two_jobs_over_the_same_calls_add_each_tag_once(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, *[400] * 10)
    one, other = plan(bench), plan(bench)
    one.start()
    other.start()
    one.drive()
    other.drive()
    assert (one.state, other.state) == ("done", "done")
    assert bench.simulator.counters.put_201 == 20
    assert bench.simulator.counters.put_204 == 0
    with pytest.raises(Refused, match="has changed nothing"):
        undo(other)


def test_calls_of_the_store_are_judged_by_all_that_is_known_of_them(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    records = past(bench, 100, 400)
    for record in records:
        bench.end(record)
    bench.settle()
    bench.rules(LONGER)
    before = bench.requests()
    job = plan(bench, source="store")
    assert bench.requests() == before, "a plan by the store asks nobody"
    assert job.row.plan["tags"] == {"Long": {"lose": 1}}
    job.run()
    assert [bench.tags(record) for record in records] == [["Inbound"], ["Inbound"]]


def test_calls_that_lack_a_transcript_are_counted_and_fetched_where_it_is_asked_for(make_bench: Make) -> None:
    bench = make_bench(rules=SAID)
    spoken, silent = speaking(bench, 1, "I want a refund"), bench.call(2, receiver="+33184800002")
    assert plan(bench).row.plan["lacking"] == 2
    job = plan(bench, fetch=True)
    assert job.row.plan["change"] == 1
    assert bench.answers("GET /api/v2/calls/{call}/transcription") == {"200": 1, "404": 1}
    job.run()
    assert (bench.tags(spoken), bench.tags(silent)) == (["Refund"], [])
    assert bench.requests("GET /api/v2/calls/{call}/transcription") == 2, "the run finds it kept"


def speaking(bench: Bench, number: int, text: str) -> Record:
    """A call of the past in which the caller said this."""
    return bench.call(number, segments=(Segment(channel="left", start=0.0, end=2.0, text=text),))


def test_a_call_that_was_forgotten_is_left_alone(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    bench.end(record)
    bench.settle()
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(forgotten_at=time.time()))
    bench.rules(LONGER)
    job = plan(bench, source="store")
    assert job.row.plan.get("listed") is None
    assert plan(bench).row.plan["skipped"] == 1


def test_a_job_of_an_account_that_is_not_configured_waits_and_says_so(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    job = made(bench)
    with bench.database.write() as connection:
        connection.execute(update(schema.jobs).values(account="other"))
    job.drive()
    assert job.state == "planning"
    assert "'other' is not configured" in (job.row.reason or "")
