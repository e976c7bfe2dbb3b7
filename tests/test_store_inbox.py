"""The inbox: every event once, whoever brings it and however often."""

import threading

import pytest
from sqlalchemy import text

from store import inbox
from store.counters import counts
from store.database import Database, migrate
from store.inbox import Arrival
from tests.rows import ACCOUNT, NOW, arrival, event
from tests.waiting import eventually


def accept(database: Database, *arrivals: Arrival) -> list[bool]:
    with database.write() as connection:
        return inbox.accept(connection, arrivals)


def rows(database: Database, *accounts: str) -> list[bytes]:
    with database.read() as connection:
        return [row.body for row in inbox.unread(connection, accounts or (ACCOUNT,), 1000)]


def test_an_event_is_kept_as_it_came(database: Database) -> None:
    body = bytes(range(256))
    accept(database, Arrival(ACCOUNT, body, NOW - 1.5, NOW, "record"))
    with database.read() as connection:
        (row,) = inbox.unread(connection, [ACCOUNT], 10)
    assert (row.account, row.body, row.signed_at, row.received_at, row.source) == (
        ACCOUNT,
        body,
        NOW - 1.5,
        NOW,
        "record",
    )


def test_a_repeated_event_of_one_group_is_kept_once_and_told_as_a_duplicate(database: Database) -> None:
    answers = accept(database, *map(arrival, ["a", "b", "a", "a", "c"]))
    assert answers == [True, True, False, False, True]
    assert sorted(rows(database)) == [b"a", b"b", b"c"]


def test_the_first_of_several_equal_arrivals_is_the_one_that_is_kept(database: Database) -> None:
    accept(database, arrival("a", received_at=NOW), arrival("a", received_at=NOW + 5))
    with database.read() as connection:
        assert [row.received_at for row in inbox.unread(connection, [ACCOUNT], 10)] == [NOW]


def test_an_event_that_comes_again_days_later_is_a_duplicate(database: Database) -> None:
    accept(database, arrival("a"))
    assert accept(database, arrival("a", received_at=NOW + 3 * 86400), arrival("b")) == [False, True]
    assert sorted(rows(database)) == [b"a", b"b"]


def test_the_same_body_for_two_accounts_is_two_events(database: Database) -> None:
    assert accept(database, arrival("a"), arrival("a", "sipsim-lyon")) == [True, True]
    assert rows(database) == [b"a"]
    assert rows(database, ACCOUNT, "sipsim-lyon") == [b"a", b"a"]


def test_webhooks_are_counted_by_their_answer_and_fetched_records_are_not(database: Database) -> None:
    accept(database, *map(arrival, ["a", "b", "a"]))
    accept(database, arrival("a"))
    accept(database, Arrival(ACCOUNT, b"a record", NOW, NOW, "record"))
    with database.read() as connection:
        assert counts(connection) == {"events.accepted": 2, "events.duplicate": 2}


def test_a_group_that_fails_half_way_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            inbox.accept(connection, [arrival("a")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert rows(database) == []


def test_groups_with_the_same_events_in_other_orders_do_not_lock_each_other_out(postgres_url: str) -> None:
    """A third one holds the middle row, so that both groups stand in the middle of theirs."""
    database = Database(postgres_url, busy=10.0)
    migrate(database)
    first, middle, last = sorted(map(arrival, "abc"), key=lambda one: one.dedup_key)
    answers: list[list[bool]] = []
    groups = ([first, middle, last], [last, first])
    threads = [
        threading.Thread(target=lambda g=group: answers.append(accept(database, *g))) for group in groups
    ]
    with database.engine.connect() as holder, holder.begin() as transaction:
        inbox.accept(holder, [middle])
        for waiting, thread in enumerate(threads, 1):
            thread.start()
            eventually(lambda n=waiting: waiters(database) == n, "the group waits for a row")  # type: ignore[misc]
        transaction.rollback()
    for thread in threads:
        thread.join()
    database.close()
    assert sum(answer.count(True) for answer in answers) == 3
    assert sum(map(len, answers)) == 5


def waiters(database: Database) -> int:
    """How many connections to this database wait for a lock."""
    query = """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    with database.read() as connection:
        return int(connection.execute(text(query)).scalar_one())


def test_the_oldest_new_events_come_first_and_only_as_many_as_asked(database: Database) -> None:
    for name in "abc":
        accept(database, arrival(name))
    with database.read() as connection:
        assert [row.body for row in inbox.unread(connection, [ACCOUNT], 2)] == [b"a", b"b"]


@pytest.mark.parametrize(("size", "read"), [(1, 1), (3, 1), (4, 2), (7, 3), (100, 3)])
def test_no_more_events_are_read_once_their_bodies_are_large(
    database: Database, size: int, read: int
) -> None:
    for name in ("aaa", "bbb", "c"):
        accept(database, arrival(name))
    with database.read() as connection:
        found = [row.body for row in inbox.unread(connection, [ACCOUNT], 10, size)]
    assert found == [b"aaa", b"bbb", b"c"][:read]


def test_an_event_set_aside_is_counted_and_no_longer_new(database: Database) -> None:
    with database.write() as connection:
        dead, ignored = event(connection, "{"), event(connection, "sms")
        inbox.set_aside(connection, dead, "dead", "unreadable", "it is no JSON")
        inbox.set_aside(connection, ignored, "ignored", "sms", "it is no call")
    assert rows(database) == []
    with database.read() as connection:
        numbers = {state: inbox.number(connection, state) for state in ("new", "dead", "ignored")}
        assert numbers == {"new": 0, "dead": 1, "ignored": 1}
        assert counts(connection)["events.dead"] == counts(connection)["events.ignored"] == 1


def test_an_event_waits_when_it_was_received_before_a_time_and_is_still_new(database: Database) -> None:
    with database.write() as connection:
        assert not inbox.waiting(connection, NOW)
        one = event(connection, "a", NOW)
        assert not inbox.waiting(connection, NOW - 1)
        assert inbox.waiting(connection, NOW)
        inbox.set_aside(connection, one, "ignored", "sms", "it is no call")
        assert not inbox.waiting(connection, NOW)
