"""Celery as calltag uses it: its settings, a real worker, and a broker that is away."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from sqlalchemy import update
from structlog.testing import capture_logs

from cli.valkey import Valkey, embedded
from platforms.sipsim.simulator import PlannedFault
from store import calls as store_calls
from store import schema
from tests.processes import descendants
from tests.waiting import eventually
from tests.worker_bench import LIST_TAGS, PUT, Bench
from worker.celery import CHUNK, LIVE, UNHEARD, WOKEN, CeleryMessages, create_celery
from worker.process import tied
from worker.settings import Settings, load_settings

Make = Callable[..., Bench]
StartValkey = Callable[[Path], Valkey]
SETTINGS = {
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    "task_reject_on_worker_lost": False,
    "visibility_timeout": 600,
    "task_time_limit": 120,
    "task_soft_time_limit": 90,
    "broker_connection_max_retries": None,
    "broker_connection_retry_on_startup": True,
    "task_publish_retry": False,
    "task_ignore_result": True,
    "result_backend": None,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": LIVE,
}
REDIS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 3,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 10,
    "global_keyprefix": "calltag:",
    "max_retries": 0,
}


def settings_for(broker: str) -> Settings:
    return load_settings(environ={"CALLTAG_BROKER_URL": broker})


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_as_designed(name: str) -> None:
    conf = create_celery(settings_for("redis://127.0.0.1/0")).conf
    assert conf[name] == SETTINGS[name]


@pytest.mark.parametrize("url", ["redis://127.0.0.1/0", "rediss://127.0.0.1/0", "unix:///run/valkey.sock"])
def test_redis_is_waited_for_with_deadlines_and_shared_by_a_prefix(url: str) -> None:
    assert create_celery(settings_for(url)).conf.broker_transport_options == REDIS


def test_rabbitmq_keeps_its_queue_on_several_disks_and_confirms() -> None:
    conf = create_celery(settings_for("amqp://127.0.0.1//")).conf
    assert conf.task_default_queue_type == "quorum"
    assert conf.broker_transport_options["confirm_publish"] is True
    assert conf.broker_transport_options["read_timeout"] == 5


def test_a_message_names_calls_and_nothing_else(valkey: Valkey) -> None:
    messages = CeleryMessages(create_celery(settings_for(valkey.url)))
    messages.send(list(range(CHUNK + 1)))
    messages.wake()
    with redis.Redis.from_url(valkey.url) as client:
        sent = [line.decode() for line in client.lrange(f"calltag:{LIVE}", 0, -1)]
    assert len(sent) == 3
    assert not any("+33" in line for line in sent)
    assert [
        name for line in reversed(sent) for name in ("calltag.tag", "calltag.intake") if name in line
    ] == [
        "calltag.tag",
        "calltag.tag",
        "calltag.intake",
    ]


@contextmanager
def quickly(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_without_a_broker_messages_are_dropped_with_one_line(tmp_path: Path) -> None:
    messages = CeleryMessages(create_celery(settings_for(f"unix://{tmp_path}/nobody.sock")))
    with capture_logs() as lines, quickly(3.0):
        for _ in range(3):
            messages.send(list(range(1000)))
            messages.wake()
    assert [line["event"] for line in lines] == ["the broker cannot be reached"]
    assert not messages.reachable


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_a_broker_that_refuses_costs_no_wait(url: str) -> None:
    messages = CeleryMessages(create_celery(settings_for(url)))
    with quickly(3.0):
        messages.wake()
    assert not messages.reachable


def test_a_full_broker_is_a_broker_that_is_away(start_valkey: StartValkey, tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    messages = CeleryMessages(create_celery(settings_for(server.url)))
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1mb")
        messages.send([1])
        assert not messages.reachable
        client.config_set("maxmemory", "0")
    messages.send([1])
    assert messages.reachable


def test_a_frozen_broker_blocks_a_few_seconds_at_most(start_valkey: StartValkey, tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    messages = CeleryMessages(create_celery(settings_for(server.url)))
    messages.wake()
    with redis.Redis.from_url(server.url) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        with quickly(8.0):
            messages.send(list(range(1000)))
        assert not messages.reachable
    finally:
        os.kill(pid, signal.SIGCONT)
    messages.wake()
    assert messages.reachable


def environment(bench: Bench, **more: str) -> dict[str, str]:
    given = {
        "data_dir": str(bench.settings.data_dir),
        "redis_url": bench.settings.redis_url,
        "accounts": "sipsim",
        "sipsim_base_url": bench.account.settings.base_url,
        "sipsim_client_id": bench.simulator.config.client_id,
        "sipsim_client_secret": bench.simulator.config.client_secret,
        "sipsim_rate": "5000",
        "log_format": "json",
    }
    root = str(Path(__file__).parent.parent)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
    return environ | {f"CALLTAG_{name.upper()}": value for name, value in (given | more).items()}


@contextmanager
def running_worker(bench: Bench, **more: str) -> "Iterator[subprocess.Popen[bytes]]":
    """`calltag worker` as a process of its own; its log is in the data folder."""
    with (bench.settings.data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            tied([sys.executable, "-m", "cli", "worker"]),
            env=environment(bench, **more),
            cwd=bench.settings.data_dir,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def by_state(bench: Bench) -> dict[str, int]:
    with bench.database.read() as connection:
        return store_calls.by_state(connection, time.time())


def log_of(bench: Bench) -> str:
    return (bench.settings.data_dir / "worker.log").read_text()


def test_a_real_worker_links_events_and_tags_their_calls(make_bench: Make) -> None:
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 101)]
    messages = CeleryMessages(create_celery(bench.settings))
    with running_worker(bench) as process:
        for call in calls[:80]:
            bench.end(call)
        messages.wake()  # one message: what is too much for one task is handed on
        eventually(lambda: all(bench.tags(call) for call in calls[:80]), "the calls have tags", 30)
        for call in calls[80:]:
            bench.end(call)
        messages.send(bench.due())
        eventually(lambda: all(bench.tags(call) for call in calls), "all calls have tags")
        process.terminate()
        assert process.wait(10) == 0
    assert bench.answers(PUT) == {"201": 100}
    assert "Traceback" not in log_of(bench)
    assert not any(call.caller in log_of(bench) for call in calls)


def test_arguments_and_tasks_of_a_newer_version_do_no_harm(make_bench: Make) -> None:
    bench = make_bench()
    app = create_celery(bench.settings)
    call = bench.call()
    bench.end(call)
    due = bench.due()
    with running_worker(bench):
        app.send_task("calltag.unheard", kwargs={}, queue=LIVE)
        app.send_task("calltag.tag", kwargs={"calls": due, "colour": "red"}, queue=LIVE)
        app.send_task("calltag.intake", kwargs={"colour": "red"}, queue=LIVE)
        eventually(lambda: bench.tags(call) == ["Long Call"], "the call has its tag", 30)


def test_a_worker_comes_back_to_a_broker_that_was_away(
    make_bench: Make, start_valkey: StartValkey, tmp_path: Path
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    address = embedded(folder)
    bench = make_bench()
    first, second = bench.call(1), bench.call(2, caller="+33600000000")
    with running_worker(bench, broker_url=address.url):
        eventually(lambda: "Cannot connect" in log_of(bench), "it waits for the broker", 30)
        broker = start_valkey(folder)
        messages = CeleryMessages(create_celery(settings_for(broker.url)))
        bench.end(first)
        messages.wake()
        eventually(lambda: bench.tags(first) == ["Long Call"], "the first call has its tag", 30)
        with redis.Redis.from_url(broker.url) as client:
            client.shutdown(nosave=True)
        eventually(lambda: not broker.answers(), "the broker is gone")
        start_valkey(folder)
        bench.end(second)

        def tagged() -> bool:
            messages.wake()
            return bench.tags(second) == ["Long Call"]

        eventually(tagged, "the second call has its tag", 30)


@pytest.mark.parametrize("tasks", [1, 2], ids=["a process is idle", "nobody listens to the broker"])
def test_a_broker_lost_in_the_middle_of_a_task_ends_neither_the_task_nor_the_worker(
    make_bench: Make, start_valkey: StartValkey, tmp_path: Path, tasks: int
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = start_valkey(folder)
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 31)]
    messages = CeleryMessages(create_celery(settings_for(broker.url)))
    bench.end(calls[0])
    with running_worker(bench, broker_url=broker.url) as process:
        messages.wake()
        eventually(lambda: bench.tags(calls[0]), "the first call has its tag", 30)
        children = {child.pid for child in descendants(process.pid)}
        bench.simulator.config.change({"latency": 1.0})
        for call in calls[1:]:
            bench.end(call)
        due = bench.due()
        for number in range(tasks):
            messages.send(due[number::tasks])
        eventually(lambda: by_state(bench)["running"] > 20, "it works", 30)
        with redis.Redis.from_url(broker.url) as client:
            client.shutdown(nosave=True)
        eventually(lambda: all(bench.tags(call) for call in calls), "the task has ended its writes", 30)
        start_valkey(folder)
        last = bench.call(99, caller="+33600000000")
        bench.end(last)

        def tagged() -> bool:
            messages.wake()
            return bench.tags(last) == ["Long Call"]

        eventually(tagged, "the worker takes messages again", 30)
        assert {child.pid for child in descendants(process.pid)} == children
    assert bench.answers(PUT) == {"201": 31}


def test_sigterm_lets_the_writes_under_way_end(make_bench: Make) -> None:
    bench = make_bench()
    calls = [bench.call(n, caller=f"+336{n:08d}") for n in range(1, 31)]
    for call in calls:
        bench.end(call)
    bench.simulator.config.change({"latency": 0.3})
    with running_worker(bench) as process:
        CeleryMessages(create_celery(bench.settings)).wake()
        eventually(lambda: bench.requests(PUT) > 0, "it writes", 30)
        process.terminate()
        assert process.wait(20) == 0
    assert bench.answers(PUT) == {"201": 30}
    assert {bench.state(call.reference).state for call in calls} == {"done"}


def test_a_pool_process_that_is_killed_is_replaced_and_its_calls_are_tagged(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    due = bench.due()
    bench.simulator.plan(PlannedFault(kind="503", route=LIST_TAGS, count=1))
    messages = CeleryMessages(create_celery(bench.settings))
    with running_worker(bench) as process:
        messages.send(due)
        eventually(lambda: bench.requests(LIST_TAGS) == 1, "the call was tried", 30)
        killed = [child.pid for child in descendants(process.pid) if child.parent == process.pid]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

        def tagged() -> bool:
            with bench.database.write() as connection:
                connection.execute(update(schema.calls).values(next_at=0.0, lease_until=None))
            messages.send(due)
            return bench.tags(call) == ["Long Call"]

        eventually(tagged, "the call has its tag", 30)


def test_one_message_of_new_events_waits_at_a_time_until_a_worker_takes_it_up(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        web, worker = (CeleryMessages(create_celery(settings_for(valkey.url)), client) for _ in range(2))
        for _ in range(3):
            web.wake()
        worker.wake()
        assert client.llen(f"calltag:{LIVE}") == 1
        worker.heard()
        web.wake()
        assert client.llen(f"calltag:{LIVE}") == 2


def test_a_message_that_nobody_takes_up_counts_as_lost_after_a_second(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        messages = CeleryMessages(create_celery(settings_for(valkey.url)), client)
        messages.wake()
        client.delete(f"calltag:{LIVE}")
        left = client.pttl(WOKEN)
        assert 0 < left <= 1000 * UNHEARD or left == -2, "it ends by itself, or has"
        client.pexpire(WOKEN, 0)
        messages.wake()
        assert client.llen(f"calltag:{LIVE}") == 1


def test_without_the_redis_that_says_so_every_message_is_sent(valkey: Valkey, tmp_path: Path) -> None:
    away = redis.Redis.from_url(f"unix://{tmp_path}/nobody.sock")
    messages = CeleryMessages(create_celery(settings_for(valkey.url)), away)
    with redis.Redis.from_url(valkey.url) as client:
        for number in (1, 2):
            messages.heard()
            messages.wake()
            assert client.llen(f"calltag:{LIVE}") == number
