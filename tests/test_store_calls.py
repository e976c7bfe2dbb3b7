"""Leases and results: who works on a call, what came of it, and when it is due again."""

import threading

import pytest
from sqlalchemy import Connection, select

from store import calls as store
from store import linking
from store.calls import LEASE, LONE_ATTEMPTS, Intent, LeasedCall, Outcome, TagState, lease, record
from store.database import Database
from store.schema import decisions
from tests.rows import NOW, change, column, done, ended_call, ended_calls, ref, told

DECISION = {
    "ruleset": "f" * 64,
    "received_at": NOW,
    "outcomes": {"long-call": "true"},
    "tags": ["Long Call"],
    "added": ["Long Call"],
    "removed": [],
}


def intent(call: int, tag: str, state: TagState = TagState.INTENDED) -> Intent:
    return Intent(call, tag, state, "r", "f" * 64)


def take(database: Database, ids: list[int], owner: str = "worker", now: float = NOW) -> list[LeasedCall]:
    with database.write() as connection:
        leased, _lonely = lease(connection, ids, owner, now)
    return leased


def ids_of(leased: list[LeasedCall]) -> list[int]:
    return sorted(call.id for call in leased)


def end(database: Database, outcomes: list[Outcome], owner: str = "worker", now: float = NOW) -> list[int]:
    with database.write() as connection:
        return record(connection, owner, outcomes, now).due


def new_facts(connection: Connection, name: str) -> None:
    linking.serialise(connection)
    linking.link(connection, [told(connection, f"more of {name}", ref(name))], NOW, 0.0)


def test_a_lease_is_one_workers_until_it_ends(database: Database) -> None:
    ids = ended_calls(database, 3)
    assert ids_of(take(database, ids, "worker 1")) == ids
    assert take(database, ids, "worker 2") == []
    assert take(database, ids, "worker 2", NOW + LEASE - 0.1) == []
    assert take(database, ids[:1], "worker 2", NOW + LEASE) != []


def test_of_many_that_want_a_call_at_once_one_gets_it(database_url: str, database: Database) -> None:
    ids = ended_calls(database, 20)
    start = threading.Barrier(4)
    taken: dict[str, list[int]] = {}

    def work(owner: str, order: list[int]) -> None:
        process = Database(database_url, busy=20.0)
        start.wait()
        taken[owner] = ids_of([call for chunk in order for call in take(process, [chunk], owner)])
        process.close()

    orders = [ids, ids[::-1], ids[10:] + ids[:10], ids[::2] + ids[1::2]]
    threads = [threading.Thread(target=work, args=[f"worker {n}", order]) for n, order in enumerate(orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(call for calls in taken.values() for call in calls) == ids


def test_a_lease_tells_what_the_work_needs(database: Database) -> None:
    call = ended_call(database, "1", NOW - 7)
    with database.write() as connection:
        change(connection, call, others=["VIP"], platform_id="77", waits=2)
    (leased,) = take(database, [call])
    assert leased == LeasedCall(call, "sipsim", 1, ("VIP",), "77", NOW - 7, 2)


@pytest.mark.parametrize("not_due", [{"state": "done"}, {"state": "dead"}, {"next_at": NOW + 1}])
def test_only_what_is_due_is_leased(database: Database, not_due: dict[str, object]) -> None:
    due, parked, other = ended_calls(database, 3)
    with database.write() as connection:
        change(connection, parked, state="parked")
        change(connection, other, **not_due)
    assert ids_of(take(database, [due, parked, other, 999])) == [due, parked]


def test_a_result_ends_the_lease_and_the_attempts(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    for _ in range(2):
        take(database, [call], now=NOW)
        with database.write() as connection:
            change(connection, call, lease_until=NOW - 1)
    leased = take(database, [call])
    assert column(database, call, "attempts") == 3
    assert end(database, done(leased, reason="a word")) == []
    row = {name: column(database, call, name) for name in ("state", "reason", "lease_owner", "lease_until")}
    assert row == {"state": "done", "reason": "a word", "lease_owner": None, "lease_until": None}
    assert (column(database, call, "attempts"), column(database, call, "alone")) == (0, False)


def test_a_result_records_what_was_learnt_and_decided(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    leased = take(database, [call])
    facts = {"caller": "+331", "receiver": "+332", "duration": 1900}
    end(database, done(leased, facts=facts, others=["VIP"], platform_id="77", decision=DECISION))
    names = ("facts", "caller", "receiver", "others", "platform_id", "decided_version")
    assert [column(database, call, name) for name in names] == [facts, "+331", "+332", ["VIP"], "77", 1]
    with database.read() as connection:
        row = connection.execute(select(decisions)).one()
    assert (row.call_id, row.at, row.version, row.outcomes) == (call, NOW, 1, {"long-call": "true"})
    assert (row.tags, row.added, row.removed) == (["Long Call"], ["Long Call"], [])


def test_a_result_without_news_leaves_what_was_known(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    end(database, done(take(database, [call]), facts={"caller": "+331"}, others=["VIP"], platform_id="77"))
    with database.write() as connection:
        new_facts(connection, "call_0")
    end(database, done(take(database, [call])))
    names = ("facts", "caller", "others", "platform_id")
    assert [column(database, call, name) for name in names] == [{"caller": "+331"}, "+331", ["VIP"], "77"]


def test_a_result_over_facts_that_moved_makes_the_call_due_again(database: Database) -> None:
    moved, still = ended_calls(database, 2)
    leased = take(database, [moved, still])
    with database.write() as connection:
        new_facts(connection, "call_0")
    assert end(database, done(leased, decision=DECISION, next_at=NOW + 500), now=NOW + 3) == [moved]
    assert (column(database, moved, "state"), column(database, moved, "next_at")) == ("due", NOW)
    assert column(database, still, "state") == "done"
    assert [call.version for call in take(database, [moved], now=NOW + 3)] == [2]


def test_the_result_of_a_lost_lease_is_not_recorded(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    lost = take(database, [call], "worker 1")
    held = take(database, [call], "worker 2", NOW + LEASE)
    with database.write() as connection:
        store.intend(connection, [intent(call, "Long Call")], NOW)
    assert (
        end(
            database,
            done(
                lost,
                facts={"caller": "+331"},
                changed=[intent(call, "Long Call", TagState.OURS)],
                decision=DECISION,
            ),
            "worker 1",
        )
        == []
    )
    assert (column(database, call, "state"), column(database, call, "facts")) == ("due", {})
    with database.read() as connection:
        assert connection.execute(select(decisions)).all() == []
        assert store.tags_of(connection, [call])[call][0].state == "intended"
    end(database, done(held), "worker 2")
    assert column(database, call, "state") == "done"


def test_the_result_of_a_call_that_was_merged_away_is_not_recorded(database: Database) -> None:
    kept, gone = ended_calls(database, 2)
    leased = take(database, [gone])
    with database.write() as connection:
        assert linking.merge(connection, kept, gone, NOW, "worker")
    assert end(database, done(leased, decision=DECISION)) == []


def test_a_lease_that_ended_without_a_result_is_followed_by_one_alone(database: Database) -> None:
    ids = ended_calls(database, 3)
    take(database, ids)
    later = NOW + LEASE + 1
    with database.write() as connection:
        leased, lonely = lease(connection, [*ids, fresh := ended_call_in(connection)], "worker", later)
    assert ids_of(leased) == [fresh]
    assert lonely == ids
    assert column(database, fresh, "attempts") == 0
    assert ids_of(take(database, ids[:1], now=later)) == ids[:1]


def ended_call_in(connection: Connection) -> int:
    (call,) = linking.link(connection, [told(connection, "fresh", ref("fresh"))], NOW, 0.0)
    return call


def test_only_lone_attempts_count_and_the_last_one_leaves_a_dead_letter(database: Database) -> None:
    ids = ended_calls(database, 2)
    now = NOW
    take(database, ids, now=now)
    assert [column(database, call, "attempts") for call in ids] == [0, 0]
    for attempt in range(1, LONE_ATTEMPTS + 1):
        now += LEASE + 1
        assert ids_of(take(database, ids[:1], now=now)) == ids[:1]
        assert column(database, ids[0], "attempts") == attempt
    now += LEASE + 1
    with database.write() as connection:
        leased, lonely = lease(connection, ids, "worker", now)
    assert leased == []
    assert lonely == [ids[1]], "the other one goes on, alone"
    assert column(database, ids[0], "state") == "dead"
    assert str(LONE_ATTEMPTS) in str(column(database, ids[0], "reason"))
    assert column(database, ids[0], "lease_owner") is None


def test_a_dead_letter_that_is_driven_again_has_all_its_attempts(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    with database.write() as connection:
        change(connection, call, attempts=LONE_ATTEMPTS, alone=True)
    assert take(database, [call]) == []
    with database.write() as connection:
        new_facts(connection, "call_0")
    assert ids_of(take(database, [call])) == [call]


def test_a_lease_given_back_is_free_at_its_time_and_next_taken_alone(database: Database) -> None:
    one, other = ended_calls(database, 2)
    take(database, [one, other])
    with database.write() as connection:
        store.give_back(connection, "another worker", [one, other], NOW, "not mine")
        store.give_back(connection, "worker", [one], NOW + 5, "a fault")
    assert (column(database, one, "reason"), column(database, one, "alone")) == ("a fault", True)
    assert column(database, other, "lease_owner") == "worker"
    assert take(database, [one], now=NOW + 4) == []
    assert ids_of(take(database, [one], now=NOW + 5)) == [one]


def test_parking_counts_the_waits_and_any_other_result_ends_the_count(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    for waits in (1, 2):
        leased = take(database, [call])
        end(database, [Outcome(leased[0], "parked", "429", NOW)])
        assert (column(database, call, "state"), column(database, call, "waits")) == ("parked", waits)
    end(database, done(take(database, [call])))
    assert column(database, call, "waits") == 0


def test_due_gives_what_is_due_the_oldest_first_and_marks_it_as_sent(database: Database) -> None:
    ids = ended_calls(database, 6)
    with database.write() as connection:
        change(connection, ids[0], next_at=NOW - 1)
        change(connection, ids[1], next_at=NOW - 3)
        change(connection, ids[2], state="parked", next_at=NOW - 2)
        change(connection, ids[3], next_at=NOW + 1)
        change(connection, ids[4], state="done")
        change(connection, ids[5], state="dead")
        assert store.due(connection, NOW, 2, NOW + 30) == [ids[1], ids[2]]
        assert store.due(connection, NOW, 10, NOW + 30) == [ids[0]]
        assert store.due(connection, NOW, 10, NOW + 30) == []
        assert store.due(connection, NOW + 30, 10, NOW + 60) == [ids[1], ids[2], ids[0], ids[3]]


def test_a_leased_call_is_not_due_until_the_lease_has_ended(database: Database) -> None:
    (call,) = ended_calls(database, 1)
    take(database, [call])
    with database.write() as connection:
        assert store.due(connection, NOW + LEASE - 1, 10, NOW) == []
        assert store.due(connection, NOW + LEASE, 10, NOW) == [call]


def test_intents_are_noted_changed_settled_and_removed(database: Database) -> None:
    one, other = ended_calls(database, 2)
    leased = take(database, [one, other])
    with database.write() as connection:
        store.intend(connection, [intent(one, tag) for tag in "abc"], NOW)
        store.intend(connection, [intent(other, "a")], NOW)
        store.intend(connection, [Intent(one, "a", TagState.REMOVING, "r2", "e" * 64)], NOW + 1)
        found = store.tags_of(connection, [one, other])
    assert [(i.tag, i.state, i.rule) for i in found[one]] == [
        ("b", "intended", "r"),
        ("c", "intended", "r"),
        ("a", "removing", "r2"),
    ]
    mine = next(call for call in leased if call.id == one)
    end(database, done([mine], changed=[intent(one, "b", TagState.OURS)], gone=["a"]))
    with database.read() as connection:
        found = store.tags_of(connection, [one, other])
        assert {i.tag: i.state for i in found[one]} == {"b": "ours", "c": "intended"}
        assert {i.tag: i.state for i in found[other]} == {"a": "intended"}
        assert store.tags_of(connection, []) == {}


def test_tags_of_others_are_none_until_they_were_seen(database: Database) -> None:
    one, other = ended_calls(database, 2)
    end(database, done(take(database, [one]), others=[]))
    with database.read() as connection:
        assert store.others_of(connection, [one, other]) == {one: [], other: None}


def test_calls_are_counted_by_state_and_a_leased_one_is_running(database: Database) -> None:
    ids = ended_calls(database, 6)
    with database.write() as connection:
        for call, state in zip(ids, ("done", "parked", "dead", "due", "due", "due"), strict=True):
            change(connection, call, state=state)
        change(connection, ids[3], next_at=NOW - 40)
        lease(connection, [ids[4]], "worker", NOW)
        lease(connection, [ids[5]], "worker", NOW - LEASE)
    with database.read() as connection:
        states = store.by_state(connection, NOW)
        assert states == {"due": 2, "running": 1, "done": 1, "decided": 0, "parked": 1, "dead": 1}
        assert store.oldest_due(connection, NOW) == 40.0


def test_nothing_is_due_in_an_empty_store(database: Database) -> None:
    with database.read() as connection:
        assert store.oldest_due(connection, NOW) == 0.0
        assert set(store.by_state(connection, NOW).values()) == {0}
