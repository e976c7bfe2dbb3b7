"""The database and the broker away in every way: refused, frozen, full, emptied."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
import redis
from sqlalchemy import make_url

from cli.valkey import Valkey
from platforms.sipsim.simulator.signing import signed_headers
from tests.fault_proxy import fault_proxy
from tests.processes import descendants
from tests.service import KILLS, WEBHOOK_SECRET, Run, a_day, calltag_up, part_of, platform
from tests.waiting import eventually

RETRIES = (0.5, *[1.0] * 60)
LARGEST = 4 * 1024 * 1024
"""Bytes of a file on the disk that counts as full: more than the log and the database have at first."""


def send(run: Run, number: int, size: int = 64 * 1024) -> httpx.Response:
    """A text message that nobody acts on, but which is kept."""
    body = orjson.dumps({"event": "sms", "number": number, "message": "x" * size})
    headers = signed_headers(WEBHOOK_SECRET, body, time.time())
    address = f"{run.address}/webhooks/sipsim"
    return httpx.post(address, content=body, headers=headers, timeout=5, trust_env=False)


def fill(run: Run) -> list[httpx.Response]:
    """Sends events until not even small ones find room; gives the answers of those that were refused."""
    refused: list[httpx.Response] = []
    for number in range(400):
        answer = send(run, number, size=64 * 1024 if not refused else 16)
        if answer.status_code != 202:
            refused.append(answer)
        if len(refused) == 20:
            return refused
    raise AssertionError("the disk is never full")


@contextmanager
def full_disk(run: Run) -> Iterator[None]:
    """No file of the service's processes grows beyond the limit; Valkey has a disk of its own."""
    own = [p.pid for p in descendants(run.process.pid) if part_of(p) != "valkey"]
    for pid in own:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in own:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files")
@pytest.mark.timeout(300)
def test_on_a_full_disk_webhooks_are_answered_503_and_all_is_well_once_there_is_room(tmp_path: Path) -> None:
    day = a_day(60)
    config = {"retries": RETRIES}
    with platform(config) as (simulator, url), calltag_up(tmp_path, simulator, url) as run:
        run.play(day[:20])
        run.settles(60)
        with full_disk(run):
            refused = fill(run)
            assert {answer.status_code for answer in refused} == {503}
            assert all("retry-after" in answer.headers for answer in refused)
            # the log may just have been moved into the database, and have room again
            eventually(lambda: fill(run) and run.get("/readyz").status_code == 503, "health says so", 60)
            run.play(day[20:])
            eventually(lambda: simulator.sender.counts.answers["503"] > 20, "calls are refused", 30)
        run.ends_right(KILLS, in_flight=64)


@pytest.mark.timeout(300)
def test_a_postgresql_that_is_refused_cut_and_frozen_costs_time_and_nothing_else(
    tmp_path: Path, postgres_url: str
) -> None:
    url = make_url(postgres_url)
    config = {"retries": RETRIES, "webhook_timeout": 5}
    with platform(config) as (simulator, address), fault_proxy(url.port or 5432) as proxy:
        behind = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        settings = {"CALLTAG_DATABASE_URL": behind}
        with calltag_up(tmp_path, simulator, address, settings=settings) as run:
            with run.playing(a_day(300), 20):
                run.has_put(20)
                with proxy.refusing():
                    time.sleep(4)
                run.has_put(60)
                proxy.cut()
                run.has_put(100)
                with proxy.swallowing():
                    time.sleep(6)
            assert simulator.sender.counts.answers["503"] > 0
            run.ends_right(KILLS, in_flight=200)


def harm_redis(harm: Callable[[redis.Redis], object], server: Valkey) -> None:
    with redis.Redis.from_url(server.url) as client:
        harm(client)


@pytest.mark.timeout(300)
def test_a_broker_that_is_refused_frozen_emptied_and_full_costs_no_webhook_and_no_tag(
    tmp_path: Path, start_valkey: Callable[[Path], Valkey]
) -> None:
    server = start_valkey(tmp_path / "own")
    taken = {"webhook_timeout": 1}
    with platform(taken) as (simulator, url), fault_proxy(server.socket) as proxy:
        settings = {"CALLTAG_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        with calltag_up(tmp_path, simulator, url, settings=settings) as run:
            with run.playing(a_day(500), 16):
                run.has_put(20)
                with proxy.refusing():
                    time.sleep(3)
                harm_redis(lambda client: client.flushall(), server)
                with proxy.swallowing():
                    time.sleep(8)
                harm_redis(lambda client: client.flushall(), server)
                proxy.cut()
                harm_redis(lambda client: client.config_set("maxmemory", "1"), server)
                time.sleep(4)
                harm_redis(lambda client: client.config_set("maxmemory", "0"), server)
            run.ends_right(KILLS, in_flight=64)
            run.took_all_at_once()
