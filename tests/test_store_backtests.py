"""Backtests as rows: one at a time, and none that seems to run for ever."""

import pytest

from store import backtests
from store.backtests import ALIVE, INTERRUPTED, KEPT, Busy
from store.database import Database
from tests.rows import NOW

FILES = {"rules.yaml": "version: 1\n"}


def begun(database: Database, at: float = NOW) -> str:
    with database.write() as connection:
        return backtests.begin(connection, FILES, None, {"since": None}, at)


def test_one_runs_at_a_time_and_the_next_when_it_has_ended(database: Database) -> None:
    first = begun(database)
    with pytest.raises(Busy, match=first):
        begun(database, NOW + 1)
    with database.write() as connection:
        assert backtests.show_life(connection, first, NOW + 1, 10, 100)
        backtests.end(connection, first, "done", result={"calls": 100})
    second = begun(database, NOW + 1)
    with database.read() as connection:
        one = backtests.find(connection, first, NOW + 2)
        assert [row[0] for row in backtests.newest(connection, 5)] == [second, first]
    assert one is not None
    assert (one.state, one.looked, one.total, one.result) == ("done", 10, 100, {"calls": 100})
    assert (one.files, one.ruleset, one.against, one.asked) == (FILES, None, None, {"since": None})


def test_a_set_that_was_in_force_is_named_by_its_hash(database: Database) -> None:
    with database.write() as connection:
        id_ = backtests.begin(connection, "a" * 64, "b" * 64, {}, NOW)
        found = backtests.find(connection, id_, NOW)
    assert found is not None
    assert (found.files, found.ruleset, found.against) == (None, "a" * 64, "b" * 64)


def test_one_without_a_sign_of_life_was_interrupted_and_keeps_nobody_waiting(database: Database) -> None:
    first = begun(database)
    with database.read() as connection:
        found = backtests.find(connection, first, NOW + ALIVE + 1)
    assert found is not None
    assert (found.state, found.reason) == ("failed", INTERRUPTED)
    assert begun(database, NOW + ALIVE + 1)


def test_one_that_was_stopped_is_told_so_and_stays_stopped(database: Database) -> None:
    first = begun(database)
    with database.write() as connection:
        backtests.end(connection, first, "stopped")
        assert not backtests.show_life(connection, first, NOW + 1, 10)
        backtests.end(connection, first, "done", result={})
        found = backtests.find(connection, first, NOW + 2)
    assert found is not None
    assert (found.state, found.result) == ("stopped", None)


def test_those_of_yesterday_are_dropped(database: Database) -> None:
    first = begun(database)
    begun(database, NOW + KEPT + 1)
    with database.read() as connection:
        assert backtests.find(connection, first, NOW) is None
        assert backtests.find(connection, "\0", NOW) is None
