"""Counts by day: each call counts once, by its newest decision."""

import threading
from collections.abc import Mapping

from sqlalchemy import select

from store import days, linking, rulesets
from store.calls import lease, record
from store.database import Database
from store.days import ALL, DAY, Decided, Matches
from store.schema import decisions, rule_days
from tests.rows import NOW, change, done, ended_call, ended_calls, ref, told

TODAY = days.day_of(NOW)
OLD, NEW = "a" * 64, "b" * 64


def decide(
    database: Database, call: int, outcomes: Mapping[str, str], ruleset: str = OLD, tags: tuple[str, ...] = ()
) -> None:
    """A worker decides so on the call, whatever it waits for."""
    decision = {"ruleset": ruleset, "received_at": NOW, "outcomes": outcomes}
    decision |= {"tags": tags, "added": tags, "removed": ()}
    with database.write() as connection:
        change(connection, call, state="due", next_at=NOW)
        leased, _ = lease(connection, [call], "worker", NOW)
        found = record(connection, "worker", done(leased, decision=decision), NOW)
        days.count(connection, found.decided, NOW)


def matches(database: Database, rule: str) -> dict[int, Matches]:
    with database.read() as connection:
        return days.of_rules(connection, [rule], 0).get(rule, {})


def counts(database: Database) -> dict[tuple[str, str], tuple[int, int]]:
    """Matched and unknown by rule and set, where there are any."""
    t = rule_days.c
    with database.read() as connection:
        rows = connection.execute(select(t.rule, t.ruleset, t.matched, t.unknown)).all()
    return {(rule, ruleset): (true, unknown) for rule, ruleset, true, unknown in rows if true or unknown}


def test_calls_are_counted_by_rule_and_outcome(database: Database) -> None:
    one, two = ended_calls(database, 2)
    decide(database, one, {"long": "true", "rated": "unknown", "later": "skipped", "old": "off"})
    decide(database, two, {"long": "true"})
    assert counts(database) == {(ALL, OLD): (2, 0), ("long", OLD): (2, 0), ("rated", OLD): (0, 1)}


def test_a_call_that_is_decided_again_counts_by_its_newest_decision(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    decide(database, call, {"long": "true", "rated": "unknown"})
    decide(database, call, {"rated": "true"})
    assert counts(database) == {(ALL, OLD): (1, 0), ("rated", OLD): (1, 0)}
    decide(database, call, {"rated": "true"}, NEW)
    assert counts(database) == {(ALL, NEW): (1, 0), ("rated", NEW): (1, 0)}
    with database.read() as connection:
        assert days.of_calls(connection, 0) == {TODAY: 1}
        assert days.of_sets(connection)[NEW] == 1


def test_two_calls_that_prove_to_be_one_count_once_when_it_is_decided(database: Database) -> None:
    one, two = ended_calls(database, 2)
    for call in (one, two):
        decide(database, call, {"long": "true"})
    with database.write() as connection:
        linking.serialise(connection)
        both = told(connection, "both", ref("call_0"), ref("call_1"))
        assert linking.link(connection, [both], NOW, 0.0) == [one]
    decide(database, one, {"long": "true"})
    assert counts(database) == {(ALL, OLD): (1, 0), ("long", OLD): (1, 0)}
    with database.read() as connection:
        assert len(connection.execute(select(decisions.c.id).where(decisions.c.day.is_not(None))).all()) == 1


def test_a_call_counts_on_the_day_it_was_first_heard_of(database: Database) -> None:
    midnight = TODAY * DAY
    for name, at in (("before", midnight - 0.001), ("after", midnight)):
        decide(database, ended_call(database, name, at), {"long": "true"})
    assert matches(database, "long") == {TODAY - 1: Matches(1, 0, 0), TODAY: Matches(1, 0, 0)}


def test_what_a_rule_matched_as_a_shadow_stands_beside_what_it_matched_live(database: Database) -> None:
    with database.write() as connection:
        rulesets.activate(connection, OLD, {}, NOW, shadow=["long"])
        rulesets.activate(connection, NEW, {}, NOW)
    one, two, three = ended_calls(database, 3)
    for call in (one, two):
        decide(database, call, {"long": "true"}, OLD)
    decide(database, three, {"long": "true"}, NEW)
    assert matches(database, "long") == {TODAY: Matches(1, 2, 0)}


def test_the_last_day_of_a_rule_is_the_last_on_which_it_matched(database: Database) -> None:
    decide(database, ended_call(database, "1", NOW), {"long": "unknown"})
    decide(database, ended_call(database, "2", NOW - 3 * DAY), {"long": "true"})
    with database.read() as connection:
        assert days.last_days(connection, ["long", "never"]) == {"long": TODAY - 3}


def test_of_one_set_the_calls_that_it_decided_and_what_they_matched_are_told(database: Database) -> None:
    one, two, three = (ended_call(database, str(n), NOW - n * DAY) for n in range(3))
    for call in (one, two):
        decide(database, call, {"long": "true", "rated": "unknown"}, NEW)
    decide(database, three, {"long": "true"}, OLD)
    with database.read() as connection:
        assert days.of_set(connection, NEW, ["long", "rated", "never"], 0) == {ALL: 2, "long": 2, "rated": 0}
        assert days.of_set(connection, NEW, ["long"], TODAY) == {ALL: 1, "long": 1}


def test_the_rules_of_a_set_that_matched_lately_are_told(database: Database) -> None:
    decide(database, ended_call(database, "1", NOW), {"long": "true", "rated": "unknown"}, NEW)
    decide(database, ended_call(database, "2", NOW - 9 * DAY), {"short": "true"}, NEW)
    decide(database, ended_call(database, "3", NOW), {"other": "true"}, OLD)
    with database.read() as connection:
        assert days.matching(connection, NEW, TODAY - 8) == {ALL, "long"}
        assert days.matching(connection, NEW, TODAY - 9) == {ALL, "long", "short"}


def test_tags_are_counted_on_the_day_they_are_put(database: Database) -> None:
    one = ended_call(database, "1", NOW - 3 * DAY)
    decide(database, one, {}, tags=("Long", "VIP"))
    decide(database, ended_call(database, "2", NOW), {}, tags=("Long",))
    with database.read() as connection:
        assert days.of_tags(connection, TODAY) == {TODAY: {"Long": 2, "VIP": 1}}


def test_a_result_of_a_lost_lease_is_not_counted(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    decision = {"ruleset": OLD, "received_at": NOW, "outcomes": {"long": "true"}, "tags": [], "added": ["x"]}
    with database.write() as connection:
        leased, _ = lease(connection, [call], "worker", NOW)
        outcomes = done(leased, decision={**decision, "removed": []})
        assert record(connection, "somebody else", outcomes, NOW).decided == []


def test_old_counts_are_dropped_in_steps(database: Database) -> None:
    for day in range(4):
        decide(database, ended_call(database, str(day), NOW - day * DAY), {"long": "true"})
    with database.write() as connection:
        assert days.drop(connection, TODAY - 1, 3) == 3
        assert days.drop(connection, TODAY - 1, 3) == 1
        assert days.drop(connection, TODAY - 1, 3) == 0
    assert set(matches(database, "long")) == {TODAY, TODAY - 1}


def test_workers_that_count_the_same_rules_at_once_lose_nothing(
    database_url: str, database: Database
) -> None:
    rules = [f"rule-{n}" for n in range(20)]
    start = threading.Barrier(4)

    def work(order: list[str]) -> None:
        process = Database(database_url, busy=20.0)
        start.wait()
        for call in range(10):
            outcomes = dict.fromkeys(order, "true")
            with process.write() as connection:
                days.count(connection, [Decided(call, TODAY, OLD, outcomes, order)], NOW)
        process.close()

    threads = [
        threading.Thread(target=work, args=[order]) for order in (rules, rules[::-1], rules[7:], rules)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = counts(database)
    assert (found[ALL, OLD], found["rule-0", OLD], found["rule-19", OLD]) == ((40, 0), (30, 0), (40, 0))
    with database.read() as connection:
        assert days.of_tags(connection, TODAY)[TODAY]["rule-19"] == 40
