"""Access tokens against a real Valkey: one renewal for the whole fleet."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from cli.valkey import Valkey
from platforms.errors import Unreachable
from store.database import Database
from tests.waiting import eventually
from worker.context import redis_client
from worker.process import tied
from worker.settings import load_settings
from worker.tokens import FleetTokens

NO_DATABASE = Database("sqlite:///unused.db")
"""Never opened: these tokens are not kept."""
MANY = """
import sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from store.database import Database
from worker.context import redis_client
from worker.settings import load_settings
from worker.tokens import FleetTokens

client = redis_client(load_settings(environ={"CALLTAG_REDIS_URL": sys.argv[1]}))
tokens = FleetTokens(client, "sipsim", Database("sqlite:///unused.db"))
def renew():
    number = client.incr("renewals")
    time.sleep(0.3)
    return f"token-{number}", 7200.0
client.incr("ready")
while int(client.get("ready")) < 2:
    time.sleep(0.005)
with ThreadPoolExecutor(50) as pool:
    found = set(pool.map(lambda _: tokens.token(renew, sys.argv[2] or None), range(50)))
print(*sorted(found))
"""


class Platform:
    """Gives tokens, and counts how often it was asked."""

    def __init__(self, life: float = 7200.0) -> None:
        self.life = life
        self.given: list[str] = []

    def renew(self) -> tuple[str, float]:
        self.given.append(f"token-{len(self.given) + 1}")
        return self.given[-1], self.life


def make(url: str, account: str = "sipsim") -> FleetTokens:
    client = redis_client(load_settings(environ={"CALLTAG_REDIS_URL": url}))
    return FleetTokens(client, account, NO_DATABASE)


def two_processes(url: str, rejected: str = "") -> list[str]:
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                subprocess.Popen(
                    tied([sys.executable, "-c", MANY, url, rejected]), stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(2)
        ]
        return [process.communicate()[0].strip() for process in both]


def test_fifty_threads_of_each_of_two_processes_renew_once(valkey: Valkey) -> None:
    assert two_processes(valkey.url) == ["token-1", "token-1"]
    assert redis.Redis.from_url(valkey.url).get("renewals") == b"1"


def test_a_token_that_is_rejected_everywhere_at_once_is_replaced_once(valkey: Valkey) -> None:
    make(valkey.url).token(lambda: ("old", 7200.0))
    assert two_processes(valkey.url, rejected="old") == ["token-1", "token-1"]
    assert redis.Redis.from_url(valkey.url).get("renewals") == b"1"


def test_another_process_takes_the_token_that_is_there(valkey: Valkey) -> None:
    platform = Platform()
    assert make(valkey.url).token(platform.renew) == make(valkey.url).token(platform.renew) == "token-1"
    assert len(platform.given) == 1


def test_a_rejection_of_an_old_token_does_not_replace_the_new_one(valkey: Valkey) -> None:
    platform, tokens = Platform(), make(valkey.url)
    first = tokens.token(platform.renew)
    second = tokens.token(platform.renew, rejected=first)
    assert tokens.token(platform.renew, rejected=first) == second
    assert make(valkey.url).token(platform.renew, rejected=first) == second
    assert len(platform.given) == 2


def test_a_token_is_renewed_before_it_ends(valkey: Valkey) -> None:
    platform, tokens = Platform(life=4.0), make(valkey.url)
    began = time.monotonic()
    tokens.token(platform.renew)
    eventually(lambda: tokens.token(platform.renew) == "token-2", "a new token")
    assert 3.0 < time.monotonic() - began < 4.0
    assert make(valkey.url).token(platform.renew) == "token-2"


def test_a_long_token_is_renewed_a_minute_before_its_end(valkey: Valkey) -> None:
    make(valkey.url).token(Platform().renew)
    assert 7138.0 < redis.Redis.from_url(valkey.url).pttl("calltag:token:sipsim") / 1000 <= 7140.0


def test_a_token_for_another_purpose_is_kept_apart_and_shared_alike(valkey: Valkey) -> None:
    usual, apart = Platform(), Platform()
    tokens = make(valkey.url)
    tokens.token(usual.renew)
    assert tokens.apart("transcripts").token(apart.renew) == "token-1"
    assert make(valkey.url).apart("transcripts").token(apart.renew) == "token-1"
    tokens.apart("transcripts").token(apart.renew, rejected="token-1")
    tokens.token(usual.renew)
    assert (len(usual.given), len(apart.given)) == (1, 2)


def test_accounts_have_their_own_tokens(valkey: Valkey) -> None:
    one, two = Platform(), Platform()
    make(valkey.url, "one").token(one.renew)
    make(valkey.url, "two").token(two.renew)
    assert (len(one.given), len(two.given)) == (1, 1)


def test_without_redis_a_process_keeps_its_own_token(tmp_path: Path) -> None:
    platform, tokens = Platform(), make(f"unix://{tmp_path}/nobody.sock")
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: tokens.token(platform.renew), range(50))) == {"token-1"}
    assert tokens.token(platform.renew, rejected="token-1") == "token-2"


def test_redis_that_goes_away_in_between_changes_nothing(
    start_valkey: Callable[[Path], Valkey], tmp_path: Path
) -> None:
    server, platform = start_valkey(tmp_path), Platform()
    tokens = make(server.url)
    tokens.token(platform.renew)
    redis.Redis.from_url(server.url).shutdown(nosave=True)
    assert tokens.token(platform.renew) == "token-1"
    assert tokens.token(platform.renew, rejected="token-1") == "token-2"


def test_who_waited_for_a_renewal_that_failed_does_not_try_in_turn(valkey: Valkey) -> None:
    tokens, asked, barrier = make(valkey.url), [], threading.Barrier(30)

    def renew() -> tuple[str, float]:
        asked.append(time.monotonic())
        time.sleep(0.3)
        raise Unreachable("POST had no answer")

    def ask(_: int) -> None:
        barrier.wait()
        with pytest.raises(Unreachable):
            tokens.token(renew)

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(ask, range(30)))
    assert len(asked) == 1
    with pytest.raises(Unreachable):
        tokens.token(renew)
    assert len(asked) == 2, "who comes later tries again"


def test_a_renewal_that_failed_leaves_the_way_to_the_next_process(valkey: Valkey) -> None:
    def fail() -> tuple[str, float]:
        raise Unreachable("POST had no answer")

    with pytest.raises(Unreachable):
        make(valkey.url).token(fail)
    began = time.monotonic()
    assert make(valkey.url).token(Platform().renew) == "token-1"
    assert time.monotonic() - began < 2.0
