"""One call as people see it."""

import pytest

from store import history, linking
from store.calls import Intent, Outcome, TagState, intend, lease, record
from store.database import Database
from tests.rows import ACCOUNT, NOW, change, ended_call, ref, told

ODD = ["a/b", "a%2Fb", "été", "a b", "?x=1#y", "';--", "x" * 200, "📞"]


def decide(database: Database, call: int, at: float, *added: str) -> None:
    decision = {
        "ruleset": "f" * 64,
        "received_at": at - 0.5,
        "outcomes": {"long-call": "true", "vip": "unknown"},
        "tags": ["Long Call"],
        "added": list(added),
        "removed": [],
    }
    with database.write() as connection:
        change(connection, call, state="due", next_at=at)
        leased, _ = lease(connection, [call], "worker", at)
        record(connection, "worker", [Outcome(leased[0], "done", decision=decision)], at)


def test_a_call_is_found_by_any_of_its_references(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        linking.add_ref(connection, ref("77", "call_id"), call)
        change(connection, call, facts={"duration": 3}, others=["VIP"], reason="a word")
    with database.read() as connection:
        one = history.call_by_reference(connection, ACCOUNT, "1", NOW)
        assert one == history.call_by_reference(connection, ACCOUNT, "77", NOW)
    assert one is not None
    assert (one.id, one.account, one.state, one.reason, one.version) == (call, ACCOUNT, "due", "a word", 1)
    assert (one.facts, one.others) == ({"duration": 3}, ["VIP"])
    assert one.references == {"pbx_id": "1", "call_id": "77"}


@pytest.mark.parametrize("reference", ODD)
def test_a_reference_of_odd_characters_is_found(database: Database, reference: str) -> None:
    call = ended_call(database, reference)
    with database.read() as connection:
        one = history.call_by_reference(connection, ACCOUNT, reference, NOW)
    assert one is not None
    assert one.id == call


@pytest.mark.parametrize(
    ("account", "reference"), [(ACCOUNT, "2"), ("other", "1"), (ACCOUNT, "1\0"), ("\0", "1")]
)
def test_what_is_not_there_is_not_found(database: Database, account: str, reference: str) -> None:
    ended_call(database, "1")
    with database.read() as connection:
        assert history.call_by_reference(connection, account, reference, NOW) is None


def test_a_call_runs_while_its_lease_lasts(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        lease(connection, [call], "worker", NOW)
    with database.read() as connection:
        states = [history.call_by_reference(connection, ACCOUNT, "1", NOW + after) for after in (59, 60)]
    assert [one.state for one in states if one] == ["running", "due"]


def test_of_two_calls_of_one_reference_in_two_kinds_the_older_is_shown(database: Database) -> None:
    with database.write() as connection:
        linking.serialise(connection)
        links = [told(connection, kind, ref("1", kind)) for kind in ("pbx_id", "call_id")]
        first, _second = linking.link(connection, links, NOW, 0.0)
    with database.read() as connection:
        one = history.call_by_reference(connection, ACCOUNT, "1", NOW)
    assert one is not None
    assert one.id == first


def test_decisions_come_newest_first(database: Database) -> None:
    call, other = ended_call(database, "1"), ended_call(database, "2")
    for at in (NOW, NOW + 1, NOW + 2):
        decide(database, call, at, "Long Call")
    decide(database, other, NOW)
    with database.read() as connection:
        found = history.decisions_of(connection, call)
    assert [one.at for one in found] == [NOW + 2, NOW + 1, NOW]
    newest = found[0]
    assert (newest.version, newest.ruleset) == (1, "f" * 64)
    assert newest.outcomes == {"long-call": "true", "vip": "unknown"}
    assert (newest.tags, newest.added, newest.removed) == (["Long Call"], ["Long Call"], [])


def test_our_tags_are_told_with_rule_and_time(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        intend(connection, [Intent(call, "VIP", TagState.OURS, "vip", "f" * 64)], NOW + 1)
        intend(connection, [Intent(call, "Long Call", TagState.INTENDED, "long-call", "f" * 64)], NOW)
        assert history.our_tags(connection, call) == [
            {"name": "Long Call", "state": "intended", "rule": "long-call", "at": NOW, "job": None},
            {"name": "VIP", "state": "ours", "rule": "vip", "at": NOW + 1, "job": None},
        ]


def test_latencies_are_of_decisions_that_put_a_tag(database: Database) -> None:
    call = ended_call(database, "1")
    decide(database, call, NOW, "Long Call")
    decide(database, call, NOW + 5)
    with database.read() as connection:
        assert list(history.latencies(connection)) == [0.5]
