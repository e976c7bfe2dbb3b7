"""Calls read column by column are what they are when read one by one."""

import tracemalloc
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.facts import FactError, Facts, facts_from_json
from rules.reading import SELDOM, Calls, read, read_calls

MOMENTS = ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00+01:00", "2026-03-29", 5]
VALUES = st.sampled_from(
    [
        None,
        True,
        False,
        1,
        1.0,
        0,
        -1,
        2**70,
        "",
        "a",
        "inbound",
        "30s",
        "1e5",
        [],
        ["a"],
        ["a", 1],
        [["a"]],
        {},
    ]
) | st.sampled_from([*MOMENTS, "+33 1 23", "+33123", "09:00", "mon", "\ud800", float("inf")])
FIELDS = ["direction", "duration", "caller", "started_at", "ended_at", "has_recording", "tags", "rating"]
NAMES = st.sampled_from([*FIELDS, "weekday", "local_time", "transcript", "custom.x", "custom.", "nothing"])


def one_by_one(objects: list[dict[str, Any]]) -> tuple[list[Facts], dict[int, str]]:
    facts, wrong = [], {}
    for at, call in enumerate(objects):
        try:
            facts.append(facts_from_json(call))
        except FactError as fault:
            wrong[at] = str(fault)
    return facts, wrong


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=6), st.sampled_from([0, 6 * SELDOM]))
def test_facts_and_faults_are_those_of_each_call_alone(objects: list[dict[str, Any]], others: int) -> None:
    """However few of the calls have a field."""
    objects = [*objects, *[{}] * others]
    facts, wrong = one_by_one(objects)
    block, found = read(objects)
    assert found == wrong
    assert [block.facts(row) for row in range(block.calls)] == facts
    for field in {name for call in facts for name in call}:
        values, codes = block.given(field)
        told = [values[code] for code in codes]
        expected = [call.get(field) for call in facts]
        assert [list(value) if isinstance(value, tuple) else value for value in told] == expected
        assert [type(value) is bool for value in told] == [type(value) is bool for value in expected]


def test_any_number_of_fields_that_few_calls_have_takes_little_memory() -> None:
    objects = [{f"custom.{at}.{n}": n for n in range(5)} for at in range(2000)]
    tracemalloc.start()
    block, _ = read(objects)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000_000
    assert block.given("custom.7.3").values[block.given("custom.7.3").codes[7]] == 3


def test_lists_within_lists_however_deep_are_a_fault() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    _, wrong = read([{"tags": deep}, {"tags": ["a"]}])
    assert wrong == {0: "'tags' is a list of texts, and holds something else"}


def test_a_thing_that_is_no_call_is_told_by_its_name_among_the_others() -> None:
    found = read_calls(
        [
            ("one", {"duration": 1}),
            ("two", "not JSON"),
            ("three", {"duration": -1}),
            ("four", {"rating": 4}),
        ],
        [1.0, 2.0, 3.0, 4.0],
    )
    assert list(found.names) == ["one", "four"]
    assert list(found.bad) == [("two", "not JSON"), ("three", "'duration' is never negative")]
    assert found.about == [1.0, 4.0]
    assert [found.block.facts(row) for row in range(found.block.calls)] == [{"duration": 1}, {"rating": 4}]


def named(since: float | None, until: float | None, calls: Calls) -> list[str]:
    found = calls.within(since, until)
    assert len(found.names) == found.block.calls
    return list(found.names)


def test_calls_of_a_time_are_told_by_their_facts_else_by_when_they_became_known() -> None:
    raw: list[tuple[str, dict[str, Any]]] = [
        ("begun at 100", {"started_at": "1970-01-01T00:01:40Z", "ended_at": "1970-01-01T00:05:00Z"}),
        ("ended at 200", {"ended_at": "1970-01-01T00:03:20Z"}),
        ("neither", {"duration": 3}),
    ]
    known = read_calls(raw, [50.0, 50.0, 150.0])
    assert named(None, None, known) == ["begun at 100", "ended at 200", "neither"]
    assert named(100, 200, known) == ["begun at 100", "ended at 200", "neither"]
    assert named(101, 199, known) == ["neither"]
    assert named(None, 100, known) == ["begun at 100"]
    assert named(151, None, known) == ["ended at 200"]
    assert known.within(200, None).block.facts(0) == facts_from_json(raw[1][1])
    unknown = read_calls(raw)
    assert named(0, 1000, unknown) == ["begun at 100", "ended at 200"]
    assert np.array_equal(unknown.within(0, 1000).block.given("duration").codes, [0, 0])
