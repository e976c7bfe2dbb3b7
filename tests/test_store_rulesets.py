"""Versions of the rules, and the latest calls that they are asked about."""

import pytest

from store import past, rulesets
from store.database import Database
from store.past import latest_calls
from tests.rows import NOW, change, ended_calls

FIRST, SECOND = "a" * 64, "b" * 64


def test_versions_come_newest_first_with_how_they_came(database: Database) -> None:
    with database.write() as connection:
        rulesets.activate(connection, FIRST, {"a.yaml": b"1"}, NOW, shadow=["trial"])
        rulesets.activate(connection, SECOND, {"a.yaml": b"2"}, NOW + 1, by=rulesets.PAGE)
        newest, older = rulesets.versions(connection, 5)
        assert (newest.hash, newest.active, newest.loaded_by) == (SECOND, True, "page")
        assert (older.hash, older.active, older.loaded_by) == (FIRST, False, "sweeper")
        assert rulesets.versions(connection, 5, before=NOW + 1) == [older]
        assert rulesets.versions(connection, 1) == [newest]
        assert rulesets.version(connection, FIRST) == older
        assert rulesets.version(connection, "c") is None


def test_a_version_that_is_in_force_again_keeps_how_it_came_first(database: Database) -> None:
    with database.write() as connection:
        rulesets.activate(connection, FIRST, {"a.yaml": b"1"}, NOW)
        rulesets.activate(connection, SECOND, {"a.yaml": b"2"}, NOW + 1)
        rulesets.activate(connection, FIRST, {"a.yaml": b"1"}, NOW + 2, by=rulesets.PAGE)
        newest = rulesets.versions(connection, 1)[0]
    assert (newest.hash, newest.loaded_at, newest.loaded_by) == (FIRST, NOW, "sweeper")
    assert newest.activated_at == NOW + 2


def test_the_latest_calls_are_those_that_ended_and_are_not_forgotten(database: Database) -> None:
    ids = ended_calls(database, 5)
    with database.write() as connection:
        change(connection, ids[0], facts={"duration": 1}, others=["VIP"])
        change(connection, ids[1], ended=False)
        change(connection, ids[2], forgotten_at=NOW)
    found = latest_calls(database, 10)
    assert [call.id for call in found] == [ids[4], ids[3], ids[0]]
    assert found[-1].facts == {"duration": 1, "tags": ["VIP"]}
    assert [call.id for call in latest_calls(database, 2)] == [ids[4], ids[3]]


def test_the_latest_calls_are_read_page_by_page(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "PAGE", 2)
    *ids, past_call = ended_calls(database, 6)
    with database.write() as connection:
        change(connection, past_call, first_at=NOW - 9e6)
    assert [call.id for call in latest_calls(database, 4)] == ids[:0:-1]
    assert [call.id for call in latest_calls(database, 9)] == [*ids[::-1], past_call]
