"""What people ask of jobs: what is done, and what is refused with which words."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete

from store import job_windows, jobs, schema
from store.database import Database
from store.jobs import JobState
from tests.retag_desk import alive
from tests.retag_job import BenchJob, plan
from tests.worker_bench import Bench
from worker.context import RulesInForce
from worker.retag import orders
from worker.retag.asked import Asked
from worker.retag.orders import NoSuchJob, Refused
from worker.retag.spec import BadSpec
from worker.why import State

Make = Callable[..., Bench]
IN = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
"""
LONG = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 5m}, tag: Long Call}
"""
ORDERS: dict[str, Callable[[Database, int], object]] = {
    "run": orders.run,
    "pause": orders.pause,
    "resume": orders.resume,
    "cancel": orders.cancel,
    "retry_failed": orders.retry_failed,
    "undo": orders.undo,
}
REFUSED = {
    "planning": {"run", "resume", "retry_failed", "undo"},
    "planned": {"pause", "resume", "retry_failed", "undo"},
    "running": {"run", "resume", "retry_failed", "undo"},
    "done": {"run", "pause", "resume", "cancel", "retry_failed"},
    "failed": set(ORDERS),
    "stopped": {"run", "pause", "retry_failed"},
    "cancelled": {"run", "pause", "resume", "cancel", "retry_failed"},
}
"""What cannot be asked of a job that has changed something and of which no call has failed, by its state."""


def state_of(bench: Bench) -> State:
    return State(bench.settings, bench.database, RulesInForce(bench.database))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("state", REFUSED)
def test_what_can_be_asked_of_a_job_follows_from_its_state(make_bench: Make, state: str, order: str) -> None:
    bench = make_bench(rules=IN)
    bench.call(1)
    job = plan(bench)
    with bench.database.write() as connection:
        jobs.change(connection, job.number, state=JobState(state), run={"added": 1})
    if order in REFUSED[state]:
        with pytest.raises(Refused, match=f"job {job.number}"):
            ORDERS[order](bench.database, job.number)
        assert job.state == state
    else:
        ORDERS[order](bench.database, job.number)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("number", [7, 0, -1, 2**63, 10**30])
def test_a_job_that_is_not_there_is_told_so(make_bench: Make, order: str, number: int) -> None:
    with pytest.raises(NoSuchJob, match=f"there is no job {number} in this data folder"):
        ORDERS[order](make_bench(rules=IN).database, number)


def test_a_job_that_would_change_nothing_is_not_run(make_bench: Make) -> None:
    bench = make_bench(rules=IN)
    job = plan(bench)
    with pytest.raises(Refused, match=f"job {job.number} has nothing to change"):
        orders.run(bench.database, job.number)


def test_a_job_that_changed_nothing_is_not_undone(make_bench: Make) -> None:
    bench = make_bench(rules=IN)
    job = plan(bench)
    orders.cancel(bench.database, job.number)
    with pytest.raises(Refused, match=f"job {job.number} has changed nothing that could be taken back"):
        orders.undo(bench.database, job.number)


def test_a_plan_that_somebody_waits_for_needs_workers_and_any_other_does_not(make_bench: Make) -> None:
    bench = make_bench(rules=IN)
    state = state_of(bench)
    with pytest.raises(Refused, match="no sweeper runs: start `calltag up`; nothing was done"):
        orders.plan_as_asked(state, Asked(since="2h"), attended=True)
    alive(bench)
    assert orders.plan_as_asked(state, Asked(since="2h"), attended=True) == 1
    with bench.database.write() as connection:
        connection.execute(delete(schema.processes))
    with pytest.raises(Refused, match="no worker of the queue batch runs"):
        orders.plan_as_asked(state, Asked(since="2h"), attended=True)
    assert orders.plan_as_asked(state, Asked(since="2h")) == 2


def test_what_is_asked_wrongly_is_told_before_whether_anybody_works(make_bench: Make) -> None:
    with pytest.raises(BadSpec, match="no rule 'inn', did you mean 'in'"):
        orders.plan_as_asked(state_of(make_bench(rules=IN)), Asked(since="2h", rule=["inn"]), attended=True)


def test_orphaned_tags_may_be_named_that_are_in_no_rule_set_any_more(make_bench: Make) -> None:
    bench = make_bench(rules=LONG)
    record = bench.call(1, duration=400)
    plan(bench).run()
    bench.rules(IN)
    asked = Asked(since="3d", orphaned="remove", rule=["long-call"], tag=["Long Call"])
    job = BenchJob(bench, orders.plan_as_asked(state_of(bench), asked)).drive()
    assert job.row.plan["tags"] == {"Long Call": {"lose": 1}}
    job.run()
    assert bench.tags(record) == []
    assert orders.plan_as_asked(state_of(bench), asked), "nor where none of them is left"


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"rule": ["long-cal"]}, "rule 'long-cal', and calltag has put no tag by it on calls of 'sipsim', "
         "did you mean 'long-call'?"),
        ({"tag": ["Long Call", "long call"]}, "tag 'long call', and calltag has put no tag of that name on "
         "calls of 'sipsim', did you mean 'Long Call'?"),
        ({"tag": ["inbound"]}, "tag 'inbound', and calltag has put no tag of that name on calls of 'sipsim', "
         "did you mean 'Inbound'?"),
        ({"rule": ["zzz\nzzz"]}, "rule 'zzz zzz', and calltag has put no tag by it on calls of 'sipsim'"),
        ({"rule": ["Long Call"]}, "rule 'Long Call', and calltag has put no tag by it on calls of 'sipsim', "
         "did you mean 'long-call'?"),
    ],
)  # fmt: skip
def test_orphaned_tags_are_not_named_by_what_was_never_known(
    make_bench: Make, asked: dict[str, list[str]], why: str
) -> None:
    bench = make_bench(rules=LONG)
    bench.call(1, duration=400)
    plan(bench).run()
    bench.rules(IN)
    with pytest.raises(BadSpec) as fault:
        orders.plan_as_asked(
            state_of(bench),
            Asked.model_validate({"since": "3d", "orphaned": "remove", **asked}),
            attended=True,
        )
    assert str(fault.value) == f"the rule set in force has no {why}"


def test_without_rules_in_force_there_is_nothing_to_plan_by(make_bench: Make) -> None:
    bench = make_bench(rules=IN)
    with bench.database.write() as connection:
        connection.execute(schema.rulesets.update().values(active=False))
    with pytest.raises(Refused, match="no rule set is in force yet"):
        orders.plan_as_asked(state_of(bench), Asked(since="2h"))


def test_a_range_of_which_calls_are_no_longer_kept_is_refused(make_bench: Make) -> None:
    bench = make_bench(rules=IN, keep_calls="30")
    with pytest.raises(BadSpec, match=r"calls are kept for 30 days .* must be 2[0-9-]+ or later"):
        orders.plan_as_asked(state_of(bench), Asked(since="31d"))
    assert orders.plan_as_asked(state_of(bench), Asked(since="29d"))
    assert orders.plan_as_asked(state_of(bench), Asked(since="31d", source="store"))


def test_a_range_of_many_years_makes_a_job_too(make_bench: Make) -> None:
    bench = make_bench(rules=IN, keep_calls="0")
    job = orders.plan_as_asked(state_of(bench), Asked(since="1970-01-01"))
    with bench.database.read() as connection:
        walked, windows = job_windows.windows_walked(connection, job)
    assert (walked, 900 < windows < 1100) == (0, True), "each is longer than a day"
