"""Forgetting a person: every call from and to a number, and what was not linked or never evaluated."""

import threading
import time
from collections.abc import Mapping

import orjson
from sqlalchemy import select

from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from store import inbox
from store.calls import Outcome, lease, record
from store.database import Database
from store.inbox import Arrival
from store.schema import call_refs, events
from tests.rows import change, column
from worker import forgetting
from worker.forgetting import Person
from worker.intake import take_in
from worker.settings import Account, Settings

ACCOUNT = Account("sipsim", PLATFORMS["sipsim"], SipsimSettings(default_region="FR"))
SETTINGS = Settings.model_validate({"default_region": "FR"}).model_copy(
    update={"accounts": {"sipsim": ACCOUNT}}
)
PERSON, OTHER, OURS = "+33612345678", "+33698765432", "+33184800000"
NOW = 1_790_000_000.0


def receive(database: Database, payload: Mapping[str, object] | bytes, linked: bool = True) -> int:
    """The event's id."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    one = Arrival("sipsim", body, NOW, NOW)
    with database.write() as connection:
        inbox.accept(connection, [one])
        row = select(events.c.id).where(events.c.dedup_key == one.dedup_key)
        event = int(connection.execute(row).scalar_one())
    if linked:
        take_in(database, {"sipsim": ACCOUNT}, NOW)
    return event


def call(database: Database, name: str, caller: str, receiver: str = OURS, evaluated: bool = True) -> int:
    """An ended call, or one that has only begun; numbers get into its row when it is evaluated."""
    event = "incoming_call_end" if evaluated else "incoming_call_start"
    receive(database, {"event": event, "pbx_id": name, "caller": caller, "receiver": receiver})
    with database.write() as connection:
        found = select(call_refs.c.call_id).where(call_refs.c.reference == name)
        made = int(connection.execute(found).scalar_one())
        if evaluated:
            change(connection, made, state="done", caller=caller, receiver=receiver)
    return made


def bodies(database: Database) -> dict[int, bytes]:
    with database.read() as connection:
        rows = connection.execute(select(events.c.id, events.c.body))
        return {row.id: bytes(row.body) for row in rows}


def test_a_person_is_found_by_number_wherever_it_stands(database: Database) -> None:
    calls = [
        call(database, "from", PERSON),
        call(database, "to", OURS, PERSON),
        call(database, "begun", "06 12 34 56 78", evaluated=False),
    ]
    call(database, "another", OTHER)
    call(database, "another begun", OTHER, evaluated=False)
    receive(database, {"event": "sms", "to": OTHER})
    loose = [
        receive(database, {"event": "sms", "to": "06 12 34 56 78", "text": "hello"}),
        receive(database, f'{{"caller": "{PERSON}"'.encode()),
        receive(database, {"event": "incoming_call_start", "caller": PERSON, "pbx_id": "new"}, linked=False),
    ]
    found = forgetting.find(database, SETTINGS, None, "06 12 34 56 78")
    assert found == Person(sorted(calls), loose)
    assert forgetting.number_of_events(database, found) == 6
    erased = forgetting.forget(database, SETTINGS, found)
    assert (sorted(erased.calls), erased.events) == (sorted(calls), 6)
    left = bodies(database)
    assert not any(b"612345678" in body or b"12 34 56 78" in body for body in left.values())
    assert sum(OTHER.encode() in body for body in left.values()) == 3
    assert forgetting.find(database, SETTINGS, None, PERSON) == Person([], [])


def test_a_person_is_found_in_one_account_only_where_that_is_asked(database: Database) -> None:
    made = call(database, "from", PERSON)
    assert forgetting.find(database, SETTINGS, "sipsim", PERSON).calls == [made]
    assert forgetting.find(database, SETTINGS, "another", PERSON) == Person([], [])


def test_a_call_that_a_worker_has_is_forgotten_when_it_lets_go(database: Database) -> None:
    made = call(database, "from", PERSON)
    with database.write() as connection:
        change(connection, made, state="due")
        (leased,), _ = lease(connection, [made], "worker", time.time())

    def finish() -> None:
        with database.write() as connection:
            outcome = Outcome(leased, "done", facts={"caller": PERSON})
            record(connection, "worker", [outcome], time.time())

    timer = threading.Timer(0.5, finish)
    timer.start()
    erased = forgetting.forget(database, SETTINGS, Person([made], []), patience=20)
    timer.join()
    assert erased.calls == [made]
    assert column(database, made, "caller") is None


def test_a_call_that_no_worker_lets_go_of_is_told(database: Database) -> None:
    made = call(database, "from", PERSON)
    with database.write() as connection:
        change(connection, made, state="due")
        lease(connection, [made], "worker", time.time())
    assert forgetting.forget(database, SETTINGS, Person([made], []), patience=0.3).calls == []
    assert column(database, made, "caller") == PERSON


def test_what_the_platforms_list_tells_of_a_forgotten_call_is_dropped(database: Database) -> None:
    made = call(database, "from", PERSON)
    with database.write() as connection:
        change(connection, made, platform_id="77")
    forgetting.forget(database, SETTINGS, Person([made], []))
    record_ = orjson.dumps({"id": "77", "caller_number": PERSON, "duration_sec": 9})
    with database.write() as connection:
        inbox.accept(connection, [Arrival("sipsim", record_, NOW, NOW, "record")])
    assert take_in(database, {"sipsim": ACCOUNT}, NOW).due == []
    assert not any(PERSON.encode() in body for body in bodies(database).values())
