"""What the fleet's processes tell each other, the counters, and the rule set in force."""

import threading

import pytest

from store import counters, fleet, rulesets
from store.database import Database
from store.fleet import HEARTBEAT, Notice, PlatformTag
from tests.rows import NOW
from worker.settings import ACCOUNT_LIMIT

HASHES = ("a" * 64, "b" * 64)


def hold(database: Database, owner: str, now: float = NOW, duty: str = "sweeper") -> bool:
    with database.write() as connection:
        return fleet.hold(connection, duty, owner, now, 10.0)


def test_a_duty_is_one_processs_until_it_ends_or_is_given_back(database: Database) -> None:
    assert hold(database, "one")
    assert not hold(database, "two", NOW + 9.9)
    assert hold(database, "one", NOW + 9), "its holder keeps it"
    assert not hold(database, "two", NOW + 18.9)
    assert hold(database, "two", NOW + 19)
    with database.write() as connection:
        fleet.release(connection, "sweeper", "one")
    assert not hold(database, "one", NOW + 20)
    with database.write() as connection:
        fleet.release(connection, "sweeper", "two")
    assert hold(database, "one", NOW + 20)
    assert hold(database, "two", NOW + 20, "another duty")
    assert hold(database, "two", NOW + 20, f"reconcile:{'a' * ACCOUNT_LIMIT}"), "of the longest account"


def test_of_many_that_want_a_duty_at_once_one_gets_it(database_url: str, database: Database) -> None:
    start = threading.Barrier(5)
    got: list[bool] = []

    def want(owner: str) -> None:
        process = Database(database_url, busy=20.0)
        start.wait()
        got.append(hold(process, owner))
        process.close()

    threads = [threading.Thread(target=want, args=[f"process {n}"]) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 4 + [True]


def test_whether_a_duty_is_held_can_be_asked(database: Database) -> None:
    hold(database, "one")
    with database.read() as connection:
        assert fleet.held(connection, "sweeper", NOW + 9)
        assert not fleet.held(connection, "sweeper", NOW + 10)
        assert not fleet.held(connection, "another duty", NOW)


def test_a_process_lives_for_three_beats(database: Database) -> None:
    with database.write() as connection:
        fleet.beat(connection, "one", "worker", NOW)
        fleet.beat(connection, "two", "worker", NOW - 2 * HEARTBEAT)
        fleet.beat(connection, "three", "web", NOW)
        assert fleet.living(connection, "worker", NOW + HEARTBEAT) == 2
        assert fleet.living(connection, "worker", NOW + HEARTBEAT + 1) == 1
        fleet.beat(connection, "two", "worker", NOW + 3 * HEARTBEAT)
        assert fleet.living(connection, "worker", NOW + 3 * HEARTBEAT) == 2
        assert fleet.living(connection, "worker", NOW + 70 * HEARTBEAT) == 0


def test_processes_that_are_long_gone_are_forgotten(database: Database) -> None:
    with database.write() as connection:
        fleet.beat(connection, "one", "worker", NOW)
        fleet.beat(connection, "two", "worker", NOW + 61 * HEARTBEAT)
        assert fleet.living(connection, "worker", NOW) == 1, "only the second one's row is left"


def test_a_notice_keeps_the_time_since_when_and_takes_the_new_text(database: Database) -> None:
    with database.write() as connection:
        fleet.report(connection, "rules", "line 3", NOW)
        fleet.report(connection, "rules", "line 5", NOW + 60)
        fleet.report(connection, "platform:sipsim", "no answer", NOW + 7)
        assert fleet.amiss(connection) == [
            Notice("platform:sipsim", "no answer", NOW + 7),
            Notice("rules", "line 5", NOW),
        ]
        fleet.clear(connection, "rules")
        fleet.clear(connection, "rules")
        fleet.report(connection, "rules", "line 9", NOW + 90)
        assert fleet.amiss(connection)[1] == Notice("rules", "line 9", NOW + 90)


def test_what_was_found_out_of_an_accounts_references_is_remembered(database: Database) -> None:
    with database.write() as connection:
        assert fleet.found_lookup(connection, "sipsim") is None
        fleet.remember_lookup(connection, "sipsim", "direct")
        fleet.remember_lookup(connection, "sipsim", "search")
        assert fleet.found_lookup(connection, "sipsim") == "search"
        assert fleet.found_lookup(connection, "sipsim-lyon") is None


def test_the_tags_last_read_replace_those_before(database: Database) -> None:
    one, other = PlatformTag("1", "Long Call"), PlatformTag(None, "VIP")
    with database.write() as connection:
        fleet.keep_tags(connection, "sipsim", {"Long Call": one, "VIP": other})
        fleet.keep_tags(connection, "sipsim-lyon", {"Long Call": one})
        fleet.keep_tags(connection, "sipsim", {"VIP": other, "x" * 400: PlatformTag("4", "y" * 400)})
        assert fleet.tags_on_platform(connection, "sipsim") == {
            "VIP": other,
            "x" * 400: PlatformTag("4", "y" * 400),
        }
        assert fleet.tags_on_platform(connection, "sipsim-lyon") == {"Long Call": one}
        fleet.keep_tags(connection, "sipsim", {})
        assert fleet.tags_on_platform(connection, "sipsim") == {}


def test_counters_add_up_over_processes_that_count_at_once(database_url: str, database: Database) -> None:
    def add(names: list[str]) -> None:
        process = Database(database_url, busy=20.0)
        for _ in range(10):
            with process.write() as connection:
                counters.count(connection, dict.fromkeys(names, 2))
        process.close()

    threads = [threading.Thread(target=add, args=[names]) for names in (["a", "b"], ["b", "a"], ["a"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.write() as connection:
        counters.count(connection, {})
        assert counters.counts(connection) == {"a": 60, "b": 40}


def activate(database: Database, hash: str, text: bytes) -> None:
    with database.write() as connection:
        rulesets.activate(connection, hash, {"rules.yaml": text, "more/é.yaml": b""}, NOW)


def test_one_rule_set_is_in_force_and_all_that_were_can_be_read(database: Database) -> None:
    with database.read() as connection:
        assert rulesets.active(connection) is None
    activate(database, HASHES[0], "tags: [Très long]".encode())
    activate(database, HASHES[1], b"second")
    with database.read() as connection:
        assert rulesets.active(connection) == HASHES[1]
        files = rulesets.files(connection, HASHES[0])
        assert files == {"rules.yaml": "tags: [Très long]".encode(), "more/é.yaml": b""}
        with pytest.raises(KeyError):
            rulesets.files(connection, "c" * 64)


def test_an_earlier_rule_set_comes_into_force_again(database: Database) -> None:
    for hash in (*HASHES, HASHES[0]):
        activate(database, hash, b"text")
    with database.read() as connection:
        assert rulesets.active(connection) == HASHES[0]
