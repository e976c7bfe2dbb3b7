"""Driving again what stands still: calls, events, dead letters, tags that a person took off."""

import pytest
from sqlalchemy import insert, select, update

from store import driving, inbox, linking
from store.calls import LeasedCall, Outcome, due, lease, record
from store.database import Database
from store.driving import Busy, Replayed
from store.schema import applied_tags, events
from tests.rows import NOW, change, column, ended_call, event, ref, told

LATER = NOW + 3600


def leased(database: Database, call: int, owner: str = "worker", now: float = NOW) -> LeasedCall:
    with database.write() as connection:
        (found,), _ = lease(connection, [call], owner, now)
    return found


def killed(database: Database, call: int) -> None:
    """Five workers died while they had the call alone, and it was buried."""
    for n in range(6):
        with database.write() as connection:
            lease(connection, [call], "worker", NOW + n * 100)


def retry(database: Database, *ids: int, now: float = LATER) -> list[int]:
    with database.write() as connection:
        return driving.retry(connection, ids, now)


def sent(database: Database, now: float = LATER) -> list[int]:
    """What the sweeper would send to the workers."""
    with database.write() as connection:
        return due(connection, now, 100, now + 30)


def test_a_dead_call_is_due_again_as_if_it_had_never_been_tried(database: Database) -> None:
    call = ended_call(database, "one")
    killed(database, call)
    assert column(database, call, "state") == "dead"
    assert retry(database, call) == [call]
    assert [column(database, call, name) for name in ("state", "reason", "attempts", "waits")] == [
        "due",
        None,
        0,
        0,
    ]
    assert sent(database) == [call]


def test_a_call_that_killed_its_workers_is_tried_alone_again(database: Database) -> None:
    poison, other = ended_call(database, "poison"), ended_call(database, "other")
    killed(database, poison)
    retry(database, poison)
    with database.write() as connection:
        taken, alone = lease(connection, [poison, other], "worker", LATER)
    assert ([one.id for one in taken], alone) == ([other], [poison])


def test_a_parked_call_no_longer_waits(database: Database) -> None:
    call = ended_call(database, "one")
    found = leased(database, call)
    with database.write() as connection:
        record(connection, "worker", [Outcome(found, "parked", "PUT had no answer", LATER + 600)], NOW)
    assert sent(database) == []
    assert retry(database, call) == [call]
    assert sent(database) == [call]


def test_a_call_that_is_done_may_be_tried_again(database: Database) -> None:
    call = ended_call(database, "one")
    with database.write() as connection:
        change(connection, call, state="done")
    assert retry(database, call) == [call]


def test_a_call_that_a_worker_has_is_left_to_it(database: Database) -> None:
    call = ended_call(database, "one")
    leased(database, call, now=NOW)
    assert retry(database, call, now=NOW + 10) == []
    with database.read() as connection:
        assert driving.refusal(connection, call, NOW + 10) == "a worker has it now"


def test_a_worker_that_lost_its_lease_records_nothing_over_a_retry(database: Database) -> None:
    call = ended_call(database, "one")
    found = leased(database, call)
    assert retry(database, call) == [call]
    with database.write() as connection:
        record(connection, "worker", [Outcome(found, "dead", "late")], LATER)
    assert column(database, call, "state") == "due"


def test_a_call_that_has_not_ended_is_not_tried(database: Database) -> None:
    with database.write() as connection:
        linking.serialise(connection)
        linking.link(connection, [told(connection, "start", ref("one"), ends=False)], NOW, 0.0)
        call = linking.find(connection, [ref("one")])[ref("one")]
    assert retry(database, call) == []
    with database.read() as connection:
        assert driving.refusal(connection, call, NOW) == "it has not ended yet"
        assert driving.refusal(connection, call + 1, NOW) == "there is no such call"


def replay(database: Database, *ids: int, now: float = LATER) -> Replayed:
    with database.write() as connection:
        return driving.replay(connection, ids, now)


@pytest.mark.parametrize("state", ["dead", "ignored"])
def test_an_event_that_was_set_aside_is_read_anew(database: Database, state: str) -> None:
    with database.write() as connection:
        row = event(connection, "body")
        inbox.set_aside(connection, row, state, "unreadable", "the body is no JSON")
    assert replay(database, row) == Replayed(events=[row])
    with database.read() as connection:
        assert [one.id for one in inbox.unread(connection, ["sipsim"], 10)] == [row]
        assert connection.execute(select(events.c.reason)).scalar() is None


def test_a_linked_event_makes_its_call_due_once(database: Database) -> None:
    call = ended_call(database, "one")
    with database.write() as connection:
        linking.serialise(connection)
        linking.link(connection, [told(connection, "more", ref("one"))], NOW, 0.0)
        change(connection, call, state="done")
        ids = list(connection.execute(select(events.c.id)).scalars())
    assert replay(database, *ids) == Replayed(calls=[call])
    assert sent(database) == [call]


def test_what_cannot_be_replayed_is_told_with_the_reason(database: Database) -> None:
    call = ended_call(database, "one")
    leased(database, call, now=LATER)
    with database.write() as connection:
        linked = connection.execute(select(events.c.id)).scalar_one()
        new, dropped = event(connection, "new"), event(connection, "old")
        inbox.set_aside(connection, dropped, "dead", "unreadable", "the body is no JSON")
        emptied = update(events).where(events.c.id == dropped)
        connection.execute(emptied.values(emptied_at=NOW, body=b""))
    assert replay(database, linked, new, dropped, 999).refused == {
        linked: "its call: a worker has it now",
        new: "it waits to be read already",
        dropped: "its body was dropped",
        999: "there is no such event",
    }


def blocked(database: Database, tag: str = "Long Call") -> int:
    call = ended_call(database, "one")
    row = {"call_id": call, "tag": tag, "state": "blocked", "rule": "long-call", "ruleset": "h", "at": NOW}
    with database.write() as connection:
        change(connection, call, state="done")
        connection.execute(insert(applied_tags).values(row))
    return call


def test_a_tag_that_a_person_took_off_may_be_given_again(database: Database) -> None:
    call = blocked(database)
    with database.write() as connection:
        assert driving.blocked_tags(connection, call) == ["Long Call"]
        assert driving.unblock(connection, call, "Long Call", LATER)
        assert driving.blocked_tags(connection, call) == []
    assert sent(database) == [call]


def test_a_tag_that_is_not_blocked_stays_as_it_is(database: Database) -> None:
    call = blocked(database)
    with database.write() as connection:
        connection.execute(update(applied_tags).values(state="ours"))
        assert not driving.unblock(connection, call, "Long Call", LATER)
        assert not driving.unblock(connection, call, "Another", LATER)
        assert connection.execute(select(applied_tags.c.state)).scalar() == "ours"
    assert sent(database) == []


def test_no_tag_is_unblocked_while_a_worker_has_the_call(database: Database) -> None:
    call = blocked(database)
    retry(database, call, now=NOW)
    leased(database, call, now=LATER)
    with database.write() as connection:
        with pytest.raises(Busy):
            driving.unblock(connection, call, "Long Call", LATER + 1)
        assert driving.blocked_tags(connection, call) == ["Long Call"]
