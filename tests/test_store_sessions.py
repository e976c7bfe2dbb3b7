"""Sessions and attempts to log in, as every web process sees them."""

import pytest

from store import sessions
from store.database import Database
from store.sessions import LIFE, MOST_FROM_ONE, MOST_IN_ALL, WINDOW
from tests.rows import NOW

KEY, OTHER = b"k" * 32, b"o" * 32
HERE = "2001:db8::1"


def opened(database: Database, key: bytes = KEY, now: float = NOW) -> None:
    with database.write() as connection:
        sessions.open_session(connection, key, "admin", "csrf", HERE, now)


def test_a_session_is_found_by_its_key_until_it_ends(database: Database) -> None:
    opened(database)
    with database.read() as connection:
        found = sessions.find(connection, [OTHER, KEY], NOW + LIFE - 1)
        assert found is not None
        assert (found.key, found.role, found.csrf, found.told) == (KEY, "admin", "csrf", None)
        assert sessions.find(connection, [KEY], NOW + LIFE) is None
        assert sessions.find(connection, [OTHER], NOW) is None
        assert sessions.find(connection, [], NOW) is None


def test_a_session_that_is_closed_is_gone_and_others_stay(database: Database) -> None:
    opened(database)
    opened(database, OTHER)
    with database.write() as connection:
        sessions.close(connection, KEY)
        assert sessions.find(connection, [KEY], NOW) is None
        assert sessions.find(connection, [OTHER], NOW) is not None


def test_ended_sessions_go_when_somebody_logs_in(database: Database) -> None:
    opened(database)
    opened(database, OTHER, NOW + LIFE)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sessions").scalar() == 1


def test_what_is_to_be_told_is_kept_for_the_session(database: Database) -> None:
    opened(database)
    with database.write() as connection:
        sessions.tell(connection, KEY, "done")
        found = sessions.find(connection, [KEY], NOW)
    assert found is not None
    assert found.told == "done"


@pytest.mark.parametrize(("most", "addresses"), [(MOST_FROM_ONE, 1), (MOST_IN_ALL, MOST_IN_ALL)])
def test_attempts_are_limited_within_the_window(database: Database, most: int, addresses: int) -> None:
    with database.write() as connection:
        for n in range(most):
            assert sessions.may_try(connection, f"address {n % addresses}", NOW)
        assert not sessions.may_try(connection, "address 0", NOW + WINDOW)
        assert sessions.may_try(connection, "address 0", NOW + WINDOW + 1)


def test_logging_in_forgives_the_attempts_of_its_address_alone(database: Database) -> None:
    with database.write() as connection:
        for address in (HERE, "other"):
            for _ in range(MOST_FROM_ONE):
                sessions.may_try(connection, address, NOW)
    opened(database)
    with database.write() as connection:
        assert sessions.may_try(connection, HERE, NOW)
        assert not sessions.may_try(connection, "other", NOW)
