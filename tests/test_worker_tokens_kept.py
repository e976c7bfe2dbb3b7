"""Tokens renewed by a refresh token that is good once: one renewal for the fleet, kept before it is used."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
import time_machine

from platforms.adapter import Grant
from platforms.errors import Unauthorized, Unreachable
from store import credentials
from store.database import Database
from worker.tokens import LOGIN_EVERY, RENEWAL, FleetTokens

WEEK = 7 * 86_400.0


class Platform:
    """Gives tokens by a login or by its newest refresh token, which it takes once."""

    def __init__(self, life: float = WEEK, takes: float = 0.0) -> None:
        self.life = life
        self.takes = takes
        self.asked_with: list[str | None] = []
        self.newest: str | None = None
        self._lock = threading.Lock()

    def renew(self, refresh: str | None) -> Grant:
        time.sleep(self.takes)
        with self._lock:
            self.asked_with.append(refresh)
            if refresh is not None and refresh != self.newest:
                raise Unauthorized("POST was answered 401")
            self.newest = f"refresh-{len(self.asked_with)}"
            now = time.time()
            return Grant(f"token-{len(self.asked_with)}", now + self.life, self.newest, now + 25 * WEEK)


def make(database: Database, account: str = "convirza") -> FleetTokens:
    """A process's tokens; no Redis has anything to do with them."""
    return FleetTokens(redis.Redis(port=1), account, database)


def test_the_first_token_is_had_by_a_login_and_serves_every_process(database: Database) -> None:
    platform = Platform()
    assert make(database).rotating(platform.renew) == "token-1"
    assert make(database).rotating(platform.renew) == "token-1"
    assert platform.asked_with == [None]


def test_fifty_threads_of_each_of_two_processes_renew_once(database: Database) -> None:
    platform, both = Platform(takes=0.3), [make(database), make(database)]
    with ThreadPoolExecutor(100) as pool:
        found = set(pool.map(lambda n: both[n % 2].rotating(platform.renew), range(100)))
    assert found == {"token-1"}
    assert platform.asked_with == [None]


def test_a_rejected_token_is_renewed_once_by_the_refresh_token_that_is_kept(database: Database) -> None:
    platform, both = Platform(takes=0.1), [make(database), make(database)]
    both[0].rotating(platform.renew)
    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(lambda n: both[n % 2].rotating(platform.renew, rejected="token-1"), range(20)))
    assert found == {"token-2"}
    assert platform.asked_with == [None, "refresh-1"]


def test_every_renewal_takes_the_newest_refresh_token(database: Database) -> None:
    platform, now = Platform(), time.time()
    for day in (0, 7, 14):
        with time_machine.travel(now + day * 86_400):
            make(database).rotating(platform.renew)
    assert platform.asked_with == [None, "refresh-1", "refresh-2"]


def test_the_new_refresh_token_is_kept_before_the_token_is_used(database: Database) -> None:
    used = make(database).rotating(Platform().renew)
    with database.read() as connection:
        kept = credentials.read(connection, "convirza").kept
    assert kept is not None
    assert (used, kept.access_token, kept.refresh_token) == ("token-1", "token-1", "refresh-1")


def test_a_token_is_renewed_a_minute_before_its_end(database: Database) -> None:
    platform, now = Platform(), time.time()
    with time_machine.travel(now, tick=False):
        make(database).rotating(platform.renew)
    with time_machine.travel(now + WEEK - 61, tick=False):
        assert make(database).rotating(platform.renew) == "token-1"
    with time_machine.travel(now + WEEK - 59, tick=False):
        assert make(database).rotating(platform.renew) == "token-2"


def test_a_refresh_token_that_has_ended_is_not_sent(database: Database) -> None:
    platform, now = Platform(), time.time()
    make(database).rotating(platform.renew)
    with time_machine.travel(now + 26 * WEEK):
        make(database).rotating(platform.renew)
    assert platform.asked_with == [None, None]


def test_a_refresh_token_that_the_platform_does_not_take_leads_to_a_login(database: Database) -> None:
    platform = Platform()
    make(database).rotating(platform.renew)
    platform.newest = "used up by a process that died"
    assert make(database).rotating(platform.renew, rejected="token-1") == "token-3"
    assert platform.asked_with == [None, "refresh-1", None]


def test_the_same_refresh_token_is_tried_again_where_there_was_no_answer(database: Database) -> None:
    def silent(refresh: str | None) -> Grant:
        asked.append(refresh)
        raise Unreachable("POST had no answer")

    platform, asked = Platform(), list[str | None]()
    make(database).rotating(platform.renew)
    with pytest.raises(Unreachable):
        make(database).rotating(silent, rejected="token-1")
    assert make(database).rotating(platform.renew, rejected="token-1") == "token-2"
    assert (asked, platform.asked_with) == (["refresh-1"], [None, "refresh-1"])


def test_no_more_logins_begin_in_a_minute_than_platforms_take_whatever_comes_of_them(
    database: Database,
) -> None:
    def fail(_refresh: str | None) -> Grant:
        asked.append(time.time())
        raise Unauthorized("the e-mail and password brought no token")

    asked: list[float] = []
    began = time.time()
    for second in range(90):
        with time_machine.travel(began + second, tick=False), pytest.raises((Unauthorized, Unreachable)):
            make(database).rotating(fail)
    in_a_minute = [sum(at <= other < at + 60 for other in asked) for at in asked]
    assert (in_a_minute[0], max(in_a_minute)) == (7, 7)
    with time_machine.travel(asked[-1], tick=False), pytest.raises(Unreachable) as refused:
        make(database).rotating(fail)
    assert refused.value.retry_after is not None
    assert 0 < refused.value.retry_after <= LOGIN_EVERY


def test_a_renewal_whose_process_died_is_taken_over_with_the_same_refresh_token(database: Database) -> None:
    platform, now = Platform(), time.time()
    with time_machine.travel(now - 2 * RENEWAL):
        make(database).rotating(platform.renew)
    with database.write() as connection:
        assert credentials.take(connection, "convirza", "died", now - RENEWAL - 1, RENEWAL)
    assert make(database).rotating(platform.renew, rejected="token-1") == "token-2"
    assert platform.asked_with == [None, "refresh-1"]


def test_what_came_after_another_process_took_over_is_not_kept(database: Database) -> None:
    kept = credentials.Kept("late", 1.0, "late refresh", 2.0)
    now = time.time()
    with database.write() as connection:
        assert credentials.take(connection, "convirza", "slow", now - RENEWAL - 1, RENEWAL)
        assert credentials.take(connection, "convirza", "next", now, RENEWAL)
        assert not credentials.renewed(connection, "convirza", "slow", kept, now)
        assert credentials.read(connection, "convirza").kept is None


def test_accounts_and_purposes_have_tokens_of_their_own(database: Database) -> None:
    platform = Platform()
    found = [
        make(database).rotating(platform.renew),
        make(database, "convirza-lyon").rotating(platform.renew),
        make(database).apart("v2").rotating(platform.renew),
    ]
    assert found == ["token-1", "token-2", "token-3"]


def test_without_the_database_there_is_no_token(tmp_path: Path) -> None:
    (tmp_path / "calltag.db").mkdir()
    with pytest.raises(Unreachable, match="kept in the database"):
        make(Database(f"sqlite:///{tmp_path}/calltag.db")).rotating(Platform().renew)
