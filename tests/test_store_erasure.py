"""Forgetting: a person's data goes and does not come back, and calltag knows that it did."""

from pathlib import Path

import pytest
from sqlalchemy import insert, select

from store import driving, erasure, inbox, linking
from store.calls import Outcome, lease, record
from store.database import Database, checkpoint, migrate
from store.erasure import Erased
from store.schema import applied_tags, call_refs, decisions, events, metadata
from tests.rows import NOW, arrival, change, column, ended_call, event, ref, told

LATER = NOW + 100.0
NUMBER = "+33612345678"
TAG = {"tag": "Wants To Cancel", "state": "ours", "rule": "cancel", "ruleset": "h", "at": NOW}


@pytest.fixture
def call(database: Database) -> int:
    return decided_call(database)


def decided_call(database: Database) -> int:
    """A call that was decided, with facts, numbers, tags of ours and of others."""
    made = ended_call(database, f"{NUMBER} says")
    with database.write() as connection:
        (found,), _ = lease(connection, [made], "worker", NOW)
        decision = {"ruleset": "h", "received_at": NOW, "outcomes": {"cancel": "true"},
                    "tags": ["Wants To Cancel"], "added": ["Wants To Cancel"], "removed": []}  # fmt: skip
        outcome = Outcome(found, "done", facts={"caller": NUMBER, "receiver": "101"}, others=["VIP"],
                          platform_id="77", decision=decision)  # fmt: skip
        record(connection, "worker", [outcome], NOW)
        connection.execute(insert(applied_tags).values(call_id=made, **TAG))
    return made


def forget(database: Database, *calls: int, now: float = LATER) -> Erased:
    with database.write() as connection:
        return erasure.forget(connection, calls, now)


def everything(database: Database) -> str:
    """All that the tables hold."""
    with database.read() as connection:
        return repr([connection.execute(select(table)).all() for table in metadata.sorted_tables])


def test_nothing_of_the_person_remains_but_that_the_call_was_forgotten(database: Database, call: int) -> None:
    assert NUMBER in everything(database)
    assert "Wants To Cancel" in everything(database)
    with database.write() as connection:  # by which the call is found; another test's name for it would do
        connection.execute(call_refs.update().values(reference="call_1"))
    assert forget(database, call) == Erased([call], 1)
    for secret in (NUMBER, "Wants To Cancel", "cancel", "VIP", "101"):
        assert secret not in everything(database)
    names = ("state", "reason", "forgotten_at", "facts", "others", "caller")
    assert [column(database, call, name) for name in names] == ["done", "forgotten", LATER, {}, None, None]
    with database.read() as connection:
        assert linking.find(connection, [ref("call_1")]) == {ref("call_1"): call}


def test_a_repeated_event_of_a_forgotten_call_is_known_and_its_body_does_not_come_back(
    database: Database, call: int
) -> None:
    forget(database, call)
    with database.write() as connection:
        assert inbox.accept(connection, [arrival(f"{NUMBER} says ended")]) == [False]
        assert connection.execute(select(events.c.body)).scalars().all() == [b""]


def test_a_new_event_of_a_forgotten_call_is_dropped_with_its_body(database: Database, call: int) -> None:
    forget(database, call)
    with database.write() as connection:
        linking.serialise(connection)
        more = told(connection, f"transcript of {NUMBER}", ref(f"{NUMBER} says"), at=LATER)
        assert linking.link(connection, [more], LATER, 0.0) == []
        row = connection.execute(select(events).where(events.c.id == more.event)).one()
        assert (row.state, row.body, row.emptied_at) == ("ignored", b"", LATER)
        assert row.reason == "its call was forgotten"
    assert column(database, call, "state") == "done"
    assert column(database, call, "facts") == {}


@pytest.mark.parametrize("forgotten_first", [True, False])
def test_a_row_that_proves_to_be_of_a_forgotten_call_is_forgotten_with_it(
    database: Database, call: int, forgotten_first: bool
) -> None:
    other = ended_call(database, "its other name")
    with database.write() as connection:
        change(connection, other, caller=NUMBER, facts={"caller": NUMBER})
    forget(database, call)
    pair = (call, other) if forgotten_first else (other, call)
    with database.write() as connection:
        assert linking.merge(connection, *pair, LATER)
        assert set(connection.execute(select(events.c.body)).scalars()) == {b""}
    assert column(database, pair[0], "state") == "done"
    assert column(database, pair[0], "caller") is None
    assert column(database, pair[0], "forgotten_at") == LATER


def test_a_forgotten_call_is_never_worked_on_again(database: Database, call: int) -> None:
    forget(database, call)
    with database.write() as connection:
        assert driving.retry(connection, [call], LATER) == []
        assert driving.refusal(connection, call, LATER) == "it was forgotten"
        assert lease(connection, [call], "worker", LATER) == ([], [])


def test_a_call_that_a_worker_has_is_not_forgotten_until_the_lease_ends(
    database: Database, call: int
) -> None:
    with database.write() as connection:
        driving.retry(connection, [call], NOW)
        (found,), _ = lease(connection, [call], "worker", NOW)
    assert forget(database, call, now=NOW + 30) == Erased([], 0)
    assert column(database, call, "caller") == NUMBER
    assert forget(database, call, now=NOW + 61) == Erased([call], 1)
    with database.write() as connection:  # the worker that lost the call comes with its result
        record(connection, "worker", [Outcome(found, "done", facts={"caller": NUMBER})], NOW + 62)
    assert column(database, call, "caller") is None
    assert column(database, call, "facts") == {}


def test_events_of_no_call_are_emptied_and_stay_known(database: Database) -> None:
    with database.write() as connection:
        dead, new = event(connection, f"no JSON of {NUMBER}"), event(connection, f"SMS to {NUMBER}")
        inbox.set_aside(connection, dead, "dead", "unreadable", "the body is no JSON")
        assert erasure.forget_events(connection, [dead, new], LATER) == 2
        assert erasure.forget_events(connection, [dead, new], LATER) == 0
        assert inbox.unread(connection, ["sipsim"], 10) == []
        assert inbox.accept(connection, [arrival(f"SMS to {NUMBER}")]) == [False]
    assert NUMBER not in everything(database)


def test_an_event_that_was_linked_meanwhile_is_left_to_its_call(database: Database, call: int) -> None:
    with database.write() as connection:
        (row,) = connection.execute(select(events.c.id)).scalars()
        assert erasure.forget_events(connection, [row], LATER) == 0
        assert inbox.of_calls(connection, [call])


def test_decisions_keep_when_and_by_which_rule_set(database: Database, call: int) -> None:
    forget(database, call)
    with database.read() as connection:
        (row,) = connection.execute(select(decisions))
    assert (row.at, row.ruleset, row.outcomes, row.added) == (NOW, "h", {}, [])


def test_forgetting_twice_changes_nothing_more(database: Database, call: int) -> None:
    forget(database, call)
    assert forget(database, call, now=LATER + 1).events == 0


def test_sqlite_overwrites_what_was_erased(tmp_path: Path) -> None:
    """Without that, the file's free pages would go on holding it."""
    path = tmp_path / "calltag.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    call = decided_call(database)
    large = f"the words of {NUMBER} " * 2000
    with database.write() as connection:
        linking.serialise(connection)
        linking.link(connection, [told(connection, large, ref(f"{NUMBER} says"))], NOW, 0.0)
        connection.execute(call_refs.update().values(reference="call_1"))
    checkpoint(database)
    assert NUMBER.encode() in path.read_bytes()
    forget(database, call)
    checkpoint(database)
    assert NUMBER.encode() not in path.read_bytes()
    database.close()
