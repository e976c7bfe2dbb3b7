"""What happened lately, and what waits."""

from store import inbox, recent
from store.calls import Intent, TagState, intend
from store.database import Database
from store.inbox import Arrival
from tests.rows import NOW, arrival, change, ended_call, ended_calls
from tests.test_store_days import decide


def test_the_newest_decisions_come_first_with_their_call_and_the_rule_of_each_tag(database: Database) -> None:
    calls = ended_calls(database, 3)
    with database.write() as connection:
        intend(connection, [Intent(calls[1], "Long Call", TagState.INTENDED, "long", "a" * 64)], NOW)
    decide(database, calls[0], {})
    decide(database, calls[1], {"long": "true"}, tags=("Long Call", "By Nobody"))
    with database.read() as connection:
        newest, older = recent.latest_decisions(connection, 2)
        assert [one.id for one in recent.latest_decisions(connection, 1)] == [newest.id]
    assert (newest.account, newest.reference, newest.took) == ("sipsim", "call_1", 0.0)
    assert (newest.added, newest.rules) == (["Long Call", "By Nobody"], {"Long Call": "long"})
    assert (older.reference, older.tags, older.job) == ("call_0", [], None)


def test_calls_are_counted_by_the_minute_in_which_they_became_known(database: Database) -> None:
    begin = NOW - NOW % 60
    for n, at in enumerate((begin - 0.1, begin, begin + 30.5, begin + 59.9, begin + 60)):
        ended_call(database, f"call_{n}", at)
    with database.read() as connection:
        assert recent.calls_a_minute(connection, begin) == {begin: 3, begin + 60: 1}
        assert recent.calls_a_minute(connection, begin - 1) == {begin - 60: 1, begin: 3, begin + 60: 1}


def test_what_waits_is_counted_by_state(database: Database) -> None:
    made = ended_calls(database, 4)
    with database.write() as connection:
        for call, state in zip(made, ("due", "dead", "dead", "done"), strict=True):
            change(connection, call, state=state)
        assert recent.waiting(connection) == {"due": 1, "parked": 0, "dead": 2}


def test_an_event_is_found_again_however_often_it_came_and_the_newest_webhook_of_each_account(
    database: Database,
) -> None:
    with database.write() as connection:
        assert inbox.newest_webhooks(connection) == {}
        assert inbox.find(connection, arrival("a")) is None
        listed = Arrival("sipsim", b"c", NOW + 9, NOW + 9, source="record")
        inbox.accept(connection, [arrival("a"), arrival("b", "other", NOW + 1), listed])
        found = inbox.find(connection, arrival("a", received_at=NOW + 5))
        assert found is not None
        assert found[1] == NOW
        assert inbox.newest_webhooks(connection) == {"sipsim": NOW, "other": NOW + 1}
