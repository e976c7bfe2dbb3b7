"""A job as people and programs see it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from platforms.sipsim.simulator import PlannedFault
from rules.loader import parse
from store import jobs
from store.jobs import Job, JobState
from tests.retag_job import BenchJob, plan, undo
from tests.worker_bench import PUT, Bench
from worker.context import RulesInForce
from worker.retag import orders
from worker.retag.orders import NoSuchJob
from worker.retag.spec import Spec
from worker.retag.telling import how_far, lacking, listed, requests, seconds, shown, told, works
from worker.why import State

Make = Callable[..., Bench]
RULES = """
version: 1
conditions:
  spoken: {field: transcript, contains: refund}
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: home, when: {field: remote_country, eq: FR}, tag: Home}
  - {id: late, when: {field: local_time, gte: "20:00"}, tag: Late}
  - {id: refund, when: {is: spoken}, tag: Refund}
  - {id: dark, when: {field: rating, lt: 5}, tag: Dark, mode: "off"}
"""
NOW = 1_000_000.0
JOB = Job(
    id=3,
    account="sipsim",
    kind="retag",
    undoes=None,
    state=JobState.PLANNED,
    paused=False,
    reason=None,
    spec=Spec(NOW - 7200, NOW - 3600, rules=("in",), fetch=True).to_json(),
    ruleset="f" * 64,
    created_at=NOW,
    planned_at=NOW + 1,
    started_at=None,
    ended_at=None,
    plan={"listed": 100, "pages": 2, "add": 30, "remove": 8, "change": 35},
    run={},
)


def state_of(bench: Bench) -> State:
    return State(bench.settings, bench.database, RulesInForce(bench.database))


def tell(job: BenchJob) -> dict[str, Any]:
    return told(state_of(job.bench), job.number)


def test_a_job_shows_what_was_asked_by_the_names_of_the_options() -> None:
    assert shown(JOB, None, NOW)["asked"] == {
        "since": "1970-01-12T11:46:40+00:00",
        "until": "1970-01-12T12:46:40+00:00",
        "rule": ["in"],
        "tag": [],
        "where": None,
        "having": None,
        "source": "platform",
        "orphaned": "keep",
        "fetch": "transcript",
    }


def test_a_run_needs_a_request_for_each_page_and_each_tag() -> None:
    assert requests(JOB) == 2 + 30 + 8
    store = replace(JOB, spec={**JOB.spec, "source": "store", "fetch": False})
    assert requests(store) == 30 + 8
    assert requests(replace(JOB, kind="undo", undoes=1)) == 30 + 8


def test_the_time_follows_from_the_account_s_rate(make_bench: Make) -> None:
    account = make_bench(sipsim_rate="10").account
    assert seconds(40, account) == 4
    assert seconds(41, account) == 5
    assert seconds(41, None) is None, "nobody knows the rate of an account that is not configured"
    run = {"pages": 1, "added": 15, "done": 15, "same": 20, "skipped": 2}
    running = replace(JOB, state=JobState.RUNNING, started_at=NOW, run=run)
    found = shown(running, account, NOW + 10)
    assert (found["takes"], found["left"], found["rate"]) == (4, 3, 3.7)
    assert found["progress"] == {
        "of": 100, "done": 37, "changed": 15, "unchanged": 20, "failed": 0, "skipped": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "paused", "seen", "at_work"),
    [
        (JobState.PLANNING, False, "planning", True),
        (JobState.RUNNING, False, "running", True),
        (JobState.RUNNING, True, "paused", False),
        (JobState.CANCELLED, True, "cancelled", False),
        (JobState.PLANNED, False, "planned", False),
    ],
)
def test_a_paused_job_is_seen_as_paused_until_it_ends(
    state: JobState, paused: bool, seen: str, at_work: bool
) -> None:
    found = shown(replace(JOB, state=state, paused=paused), None, NOW)
    assert (found["state"], works(found)) == (seen, at_work)


def test_rules_that_ask_for_more_than_the_list_tells_are_named_with_those_fields(make_bench: Make) -> None:
    account = make_bench().account
    assert lacking(parse({"r.yaml": RULES.encode()}), account) == {
        "late": ["local_time"],
        "refund": ["transcript"],
    }


def test_what_a_job_fetches_or_does_not_choose_is_not_lacking(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    assert tell(plan(bench))["lacking"] == {"late": ["local_time"], "refund": ["transcript"]}
    assert tell(plan(bench, fetch=True))["lacking"] == {"late": ["local_time"]}
    assert tell(plan(bench, rules=("refund",)))["lacking"] == {"refund": ["transcript"]}
    assert tell(plan(bench, tags=("Late",)))["lacking"] == {"late": ["local_time"]}
    assert tell(plan(bench, source="store"))["lacking"] == {}


def test_why_calls_failed_is_counted_by_reason(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    for number in range(1, 4):
        bench.call(number, duration=60, receiver=f"+3318480{number:04d}")
    job = plan(bench, rules=("in",)).start()
    bench.simulator.plan(PlannedFault(kind="403", route=PUT, count=2))
    job.drive()
    (reason,) = tell(job)["reasons"]
    assert (reason["state"], reason["calls"], "403" in reason["reason"]) == ("failed", 2, True)


def test_an_undo_names_what_it_takes_back(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    bench.call(1)
    job = plan(bench, rules=("in",)).run()
    found = tell(undo(job))
    assert (found["undoes"], found["kind"], found["lacking"]) == (job.number, "undo", {})
    assert found["plan"]["tags"] == {"Inbound": {"lose": 1}}


def test_how_far_a_plan_is_is_told_by_the_parts_of_its_range(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    since = time.time() - 3.5 * 86_400
    number = orders.plan(
        bench.database, bench.account, Spec(since, time.time()), parse({"r": RULES.encode()})
    )
    state = state_of(bench)
    assert how_far(state, number)["walked"] == {"done": 0, "of": 4}
    BenchJob(bench, number).drive()
    assert how_far(state, number)["walked"] == {"done": 4, "of": 4}


def test_jobs_are_listed_newest_first(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    numbers = [plan(bench).number for _ in range(3)]
    state = state_of(bench)
    assert [job["job"] for job in listed(state, 2)] == [numbers[2], numbers[1]]
    assert [job["job"] for job in listed(state, 2, before=numbers[1])] == [numbers[0]]


def test_a_job_of_an_account_that_is_not_configured_is_told_too(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    job = plan(bench)
    with bench.database.write() as connection:
        jobs.change(connection, job.number, account="gone")
    found = tell(job)
    assert (found["account"], found["takes"], found["lacking"]) == ("gone", None, {})
    with pytest.raises(NoSuchJob):
        told(state_of(bench), 99)
