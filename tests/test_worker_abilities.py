"""What platforms cannot do: calls are decided all the same, and nothing is shown as done that was not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from platforms.adapter import Apply
from platforms.sipsim import SIPSIM
from tests.retag_job import plan
from tests.worker_bench import DELETE, PUT, Bench

Make = Callable[..., Bench]
GET_TAGS = "GET /api/v2/calls/{call}/tags"
SHORT = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 1h}, tag: Long Call}
"""


def limited(bench: Bench, **abilities: Any) -> Bench:
    """The same bench at a platform that can do less."""
    accounts = bench.settings.accounts
    assert isinstance(accounts, dict)
    accounts["sipsim"] = bench.account = replace(bench.account, platform=replace(SIPSIM, **abilities))
    return bench


def tagged(bench: Bench) -> Any:
    record = bench.call()
    bench.end(record)
    bench.settle()
    return record


def test_where_no_tags_can_be_put_calls_are_decided_and_never_done(make_bench: Make) -> None:
    bench = limited(make_bench(), apply=lambda _settings: Apply.NONE)
    record = tagged(bench)
    call = bench.state(record.reference)
    assert (call.state, call.reason) == (
        "decided",
        "not applied, as the platform takes no tags (would be put: Long Call)",
    )
    assert bench.requests() == 0
    assert bench.ours(record.reference) == {}


def test_a_decided_call_is_decided_anew_by_later_facts(make_bench: Make) -> None:
    bench = limited(make_bench(), apply=lambda _settings: Apply.NONE)
    record = tagged(bench)
    bench.rules(SHORT)
    bench.receive({"event": "tags", "pbx_id": record.reference, "caller": record.caller,
                   "receiver": record.receiver, "time": "2026-11-20T12:00:00Z", "tags": ["VIP"]})  # fmt: skip
    bench.settle()
    assert bench.state(record.reference).state == "done", "no rule gives it anything now"


def test_a_job_where_no_tags_can_be_put_plans_and_changes_nothing(make_bench: Make) -> None:
    bench = limited(make_bench(), apply=lambda _settings: Apply.NONE)
    bench.call()
    job = plan(bench)
    assert job.row.plan["change"] == 1
    job.run()
    assert set(job.states().values()) == {"skipped"}
    assert bench.requests(PUT) == 0


def test_a_tag_that_cannot_be_taken_off_stays_and_the_call_says_so(make_bench: Make) -> None:
    bench = limited(make_bench(), removes=False)
    record = tagged(bench)
    bench.rules(SHORT)
    plan(bench).run()
    call = bench.state("call_00001")
    assert bench.tags(record) == ["Long Call"]
    assert bench.requests(DELETE) == 0
    assert (call.state, bench.ours("call_00001")) == ("done", {"Long Call": "ours"})


@pytest.mark.parametrize(("echoes", "reads"), [(True, 0), (False, 1)])
def test_without_events_of_peoples_edits_a_call_is_read_before_a_tag_is_taken_off(
    make_bench: Make, echoes: bool, reads: int
) -> None:
    bench = limited(make_bench(), echoes=echoes)
    record = tagged(bench)
    bench.rules(SHORT)
    plan(bench, source="store").run()
    assert bench.tags(record) == []
    assert bench.requests(GET_TAGS) == reads


def test_where_tags_go_by_their_names_none_is_looked_up_or_made(make_bench: Make) -> None:
    bench = limited(make_bench(), tags_by_name=True)
    record = tagged(bench)
    call = bench.state(record.reference)
    assert (bench.requests("GET /api/v2/tags"), bench.requests("POST /api/v2/tags")) == (0, 0)
    assert call.state == "parked", "this platform knows no tag by that name as its id"


@pytest.mark.parametrize(("aliases", "asked"), [(True, 1), (False, 0)])
def test_where_calls_have_one_name_none_is_asked_for_what_its_other_name_is(
    make_bench: Make, aliases: bool, asked: int
) -> None:
    bench = limited(make_bench(), aliases=aliases)
    bench.rules("version: 1\nrules: [{id: bad, when: {field: rating, lt: 5}, tag: Bad}]\n")
    record = bench.call()
    for score in (3, 2):
        bench.receive({"event": "rating", "call_id": record.id, "overall_score": score})
        bench.settle()
    assert bench.tags(record) == ["Bad"]
    assert bench.requests("GET /api/v2/calls/{call}") == asked
