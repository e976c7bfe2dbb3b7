"""`calltag events` and `calltag deadletters`, on a real store."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from store.database import Database
from store.schema import events
from tests.commands import Operator, ended, operator, receive
from tests.rows import column

BROKEN = "the body is no JSON: unexpected end of data at character 11"


@pytest.fixture
def at(tmp_path: Path, database: Database) -> Operator:
    return operator(tmp_path, database)


def broken(database: Database, at: float, n: int = 0) -> int:
    """An event that cannot be read."""
    return receive(database, b'{"event": %d' % n, at)


def states(database: Database) -> dict[int, str]:
    with database.read() as connection:
        return {row.id: row.state for row in connection.execute(select(events.c.id, events.c.state))}


def test_events_are_listed_filtered_and_counted(at: Operator, database: Database) -> None:
    now = time.time()
    dead = broken(database, now - 3 * 3600)
    text = receive(database, {"event": "sms", "text": "hello"}, now - 60)
    ended(database, "call_1", now)
    rows = at.run("events", "list").rows
    assert [(row[3], row[5]) for row in rows] == [
        ("incoming_call_end", "linked"),
        ("sms", "ignored"),
        ("unreadable", "dead"),
    ]
    assert [row[0] for row in at.run("events", "list", "--state", "dead").rows] == [str(dead)]
    assert len(at.run("events", "list", "--since", "2h").rows) == 2
    assert [row[3] for row in at.run("events", "list", "--ref", "call_1").rows] == ["incoming_call_end"]
    assert ["1", "ignored", "a text message is no call"] in at.run("events", "list", "--count").rows
    page = at.run("events", "list", "--limit", "2", "--format", "json").json
    assert page["next"] == text
    assert at.run("events", "list", "--reason", "nothing").status == 1


def test_one_event_is_shown_with_its_body_and_what_it_says(at: Operator, database: Database) -> None:
    event = receive(database, {"event": "incoming_call_end", "pbx_id": "call_1", "duration": 7}, time.time())
    found = at.run("events", "show", str(event), "--format", "json").json
    assert found["body"]["duration"] == 7
    assert found["says"] == {"direction": "inbound", "duration": 7}
    said = at.run("events", "show", str(event))
    assert "name\tincoming_call_end" in said.out
    assert '"duration": 7' in said.out
    assert at.run("events", "show", "999").err == "calltag: there is no event 999\n"


def test_an_event_that_cannot_be_read_is_shown_as_it_came(at: Operator, database: Database) -> None:
    event = receive(database, b'{"event": \x1b[31m7', time.time())
    said = at.run("events", "show", str(event))
    assert said.status == 0
    assert "\x1b" not in said.out
    assert '{"event":  [31m7' in said.out
    assert "says:\nthe body is no JSON" in said.out


def test_an_event_whose_body_was_dropped_says_so(at: Operator, database: Database) -> None:
    event = broken(database, time.time())
    with database.write() as connection:
        connection.execute(update(events).values(body=b"", emptied_at=time.time()))
    assert "says:\nits body was dropped" in at.run("events", "show", str(event)).out
    said = at.process("events", "replay", str(event))
    assert (said.status, said.err) == (
        1,
        f"calltag: event {event} is not replayed: its body was dropped\n",
    )


def test_a_replay_says_what_it_did_and_what_it_did_not(at: Operator, database: Database) -> None:
    now = time.time()
    dead, linked = broken(database, now), receive(database, {"event": "summary", "pbx_id": "a"}, now)
    call = ended(database, "b", now, state="done")
    (of_call,) = (row for row in states(database) if row not in (dead, linked))
    found = at.process("events", "replay", *map(str, (dead, of_call, 999)), "--format", "json")
    assert found.status == 1
    assert found.json["events"] == [dead]
    assert found.json["calls"] == [call]
    assert found.json["refused"] == {"999": "there is no such event"}
    assert states(database)[dead] == "new"
    assert column(database, call, "state") == "due"


def test_dead_letters_are_counted_by_reason(at: Operator, database: Database) -> None:
    now = time.time()
    for n in range(2):
        broken(database, now, n)
    ended(database, "call_1", now - 7200, state="dead", reason="PUT was answered 403")
    said = at.run("deadletters", "list")
    assert sorted(said.rows) == [["1", "calls", "PUT was answered 403"], ["2", "events", BROKEN]]
    assert at.run("deadletters", "list", "--since", "1h", "--format", "json").json == [
        {"of": "events", "reason": BROKEN, "number": 2}
    ]
    assert at.run("deadletters", "list", "--reason", "nothing").status == 1


def test_dead_letters_are_driven_again_by_reason_and_time_after_being_asked(
    at: Operator, database: Database
) -> None:
    now = time.time()
    refused = [ended(database, f"a{n}", now, state="dead", reason="PUT was answered 403") for n in range(3)]
    unknown = ended(database, "b", now, state="dead", reason="the platform does not list the call yet")
    old = ended(database, "c", now - 2 * 86400, state="dead", reason="PUT was answered 403")
    dead = broken(database, now)
    wanted = ("deadletters", "retry", "--reason", "403", "--since", "1d")
    said = at.run(*wanted, answer="n\n")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("Drive 3 calls and 0 events again? [y/N] ")
    assert {column(database, call, "state") for call in refused} == {"dead"}
    said = at.process(*wanted, answer="y\n")
    assert said.status == 0
    assert said.out.startswith("3 calls are due again, 0 events will be read again; the broker cannot be")
    assert {column(database, call, "state") for call in refused} == {"due"}
    assert [column(database, call, "state") for call in (unknown, old)] == ["dead", "dead"]
    found = at.process("deadletters", "retry", "--yes", "--format", "json").json
    assert (found["calls"], found["events"]) == (2, 1)
    assert states(database)[dead] == "new"
    assert at.run("deadletters", "retry", "--yes").status == 1


def test_many_dead_letters_are_driven_again_in_steps(at: Operator, database: Database) -> None:
    for n in range(450):
        broken(database, time.time(), n)
    assert at.process("deadletters", "retry", "--yes", "--format", "json").json["events"] == 450
    assert set(states(database).values()) == {"new"}
