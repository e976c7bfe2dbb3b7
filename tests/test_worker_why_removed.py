"""Why a tag of ours was taken off, as the decision that took it off tells."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import update

from platforms.sipsim.simulator import Config, PlannedFault, Record, events
from store import schema
from tests.retag_job import plan, undo
from tests.worker_bench import DELETE, Bench
from worker import why
from worker.context import RulesInForce

Make = Callable[..., Bench]
HEAD = """
version: 1
tags:
  Long: {group: length}
  Longest: {group: length}
  Theirs: {group: length}
rules:
  - {id: talk, when: {field: duration, gt: 5m}, tag: Talk}
"""
LONG = "  - {id: long, when: {field: duration, gt: 30m}, tag: Long}\n"
LONGEST = "  - {id: longest, when: {field: duration, gt: 30m}, tag: Longest}\n"
STOPS = "  - {id: first, when: {field: direction, eq: inbound}, stop: true}\n"


def decided_again(bench: Bench, rules: str) -> None:
    """The call is evaluated by these rules."""
    bench.rules(rules)
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(state="due"))
    bench.later()


def tagged(bench: Bench, rules: str = HEAD + LONG) -> Record:
    """A call with the tag Long."""
    bench.rules(rules)
    record = bench.call(1)
    bench.end(record)
    bench.settle()
    assert "Long" in bench.tags(record)
    return record


def told(bench: Bench, reference: str = "call_00001") -> list[dict[str, str]]:
    """What the newest decision took off, as the API tells it."""
    state = why.State(bench.settings, bench.database, RulesInForce(bench.database))
    found = why.call(state, "sipsim", reference)
    assert found is not None
    removed: list[dict[str, str]] = found["decisions"][0]["removed"]
    return removed


WAYS = {
    "false": (HEAD + LONG.replace("30m", "2h"), "rule 'long' is false"),
    "another tag": (HEAD + LONG.replace("tag: Long", "tag: Other"), "rule 'long' no longer names it"),
    "skipped": (HEAD + STOPS + LONG, "rule 'long' was skipped by 'first'"),
    "lost": (HEAD + LONGEST + LONG, "'Longest' won the group 'length'"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_tag_that_the_rules_take_off_says_why(make_bench: Make, way: str) -> None:
    bench = make_bench()
    record = tagged(bench)
    rules, expected = WAYS[way]
    decided_again(bench, rules)
    assert "Long" not in bench.tags(record)
    assert told(bench) == [{"tag": "Long", "rule": "long", "why": expected}]


def test_each_of_several_tags_says_its_own_reason(make_bench: Make) -> None:
    bench = make_bench()
    tagged(bench)
    decided_again(bench, HEAD.replace("gt: 5m", "gt: 2h") + LONGEST + LONG)
    assert {one["tag"]: one["why"] for one in told(bench)} == {
        "Talk": "rule 'talk' is false",
        "Long": "'Longest' won the group 'length'",
    }


def test_a_tag_that_gives_way_to_a_person_s_says_so(make_bench: Make) -> None:
    bench = make_bench()
    record = tagged(bench)
    bench.simulator.edit(record.reference, add=["Theirs"])
    bench.receive(events.tags(record, time.time() + 2, ["Talk", "Long", "Theirs"]))
    bench.settle()
    bench.later()
    assert bench.tags(record) == ["Talk", "Theirs"]
    expected = "a tag of the group 'length' is on the call that is not ours"
    assert told(bench) == [{"tag": "Long", "rule": "long", "why": expected}]


def test_the_rule_that_gave_the_tag_last_is_named(make_bench: Make) -> None:
    bench = make_bench()
    tagged(bench)
    other = LONG.replace("id: long", "id: other")
    decided_again(bench, HEAD + other)
    assert told(bench) == []
    decided_again(bench, HEAD + other.replace("30m", "2h"))
    assert told(bench) == [{"tag": "Long", "rule": "other", "why": "rule 'other' is false"}]


ORPHANS = {
    "gone": (HEAD, "rule 'long' is no longer in the rules, and the job takes off orphaned tags"),
    "off": (
        HEAD + LONG.replace("{id: long", '{id: long, mode: "off"'),
        "rule 'long' is off, and the job takes off orphaned tags",
    ),
}


@pytest.mark.parametrize("way", ORPHANS)
def test_an_orphaned_tag_that_a_job_takes_off_says_why(make_bench: Make, way: str) -> None:
    bench = make_bench(Config(list_reference=True))
    record = tagged(bench)
    rules, expected = ORPHANS[way]
    decided_again(bench, rules)
    assert "Long" in bench.tags(record), "live rules leave it"
    plan(bench, orphaned="remove").run()
    assert told(bench) == [{"tag": "Long", "rule": "long", "why": expected}]


def test_a_tag_that_an_undo_takes_off_says_which_job_had_put_it(make_bench: Make) -> None:
    bench = make_bench(rules=HEAD + LONG)
    bench.call(1)
    job = plan(bench).run()
    back = undo(job).run()
    expected = f"job {back.number} undoes job {job.number}, which had put it"
    assert {one["tag"]: one["why"] for one in told(bench, "10001")} == {"Talk": expected, "Long": expected}


def test_what_could_not_be_taken_off_is_not_told_as_taken_off(make_bench: Make) -> None:
    bench = make_bench()
    tagged(bench)
    bench.simulator.plan(PlannedFault(kind="403", route=DELETE, count=1))
    decided_again(bench, WAYS["false"][0])
    assert bench.state("call_00001").state == "dead"
    assert told(bench) == []
