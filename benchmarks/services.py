"""Processes for a measurement: started, watched until they are ready, and ended with it."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load import SECRET
from cli.valkey import Valkey, embedded
from tests.service import free_port
from tests.waiting import eventually
from worker.process import tied

PATIENCE = 60.0


@contextmanager
def running(
    argv: Sequence[str], folder: Path, ready: Callable[[], bool], **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, once it is ready, until the block ends; what it says is kept in the folder."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    paths = {"PYTHONPATH": str(Path.cwd())}
    with (folder / "processes.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 our own command lines
            tied(argv), env={**others, **paths, **environment}, cwd=folder, stdout=log, stderr=log
        )
    try:
        eventually(lambda: process.poll() is not None or ready(), f"{argv} is ready", PATIENCE)
        assert process.poll() is None, (folder / "processes.log").read_text(errors="replace")[-3000:]
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> Callable[[], bool]:
    """Whether there is a good answer at this address."""

    def ask() -> bool:
        try:
            return httpx.get(url, timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    return ask


@contextmanager
def valkey(folder: Path) -> Iterator[Valkey]:
    server = embedded(folder)
    with running(server.argv(), folder, server.answers):
        yield server


@contextmanager
def platform(folder: Path) -> Iterator[int]:
    """The platform that costs little; gives its port."""
    port = free_port()
    argv = [sys.executable, "-m", "benchmarks.platform", str(port)]
    with running(argv, folder, answers(f"http://127.0.0.1:{port}/counts")):
        yield port


@contextmanager
def simulator(folder: Path, *options: str) -> Iterator[int]:
    """The simulated platform that counts every request; gives its port."""
    port = free_port()
    argv = [sys.executable, "-P", "-m", "cli", "simulate", "sipsim", "--port", str(port), *options]
    with running(argv, folder, answers(f"http://127.0.0.1:{port}/_control/state")):
        yield port


@contextmanager
def rival_web(folder: Path, server: Valkey) -> Iterator[int]:
    """The rivals' receivers in one process; gives their port."""
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "benchmarks.rivals:app", "--port", str(port), "--no-access-log"]
    there = f"http://127.0.0.1:{port}/"  # 404 by the router: it runs
    with running(argv, folder, lambda: _listens(there), BENCH_REDIS=server.url):
        yield port


def _listens(url: str) -> bool:
    try:
        httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def settings(folder: Path, redis: str, port: int, platform: str, **more: str) -> dict[str, str]:
    """The environment of calltag with one account of the simulated platform."""
    return {
        "CALLTAG_DATA_DIR": str(folder / "data"),
        "CALLTAG_REDIS_URL": redis,
        "CALLTAG_PORT": str(port),
        "CALLTAG_LOG_LEVEL": "warning",
        "CALLTAG_RECONCILE_EVERY": "0",
        "CALLTAG_SIPSIM_BASE_URL": platform,
        "CALLTAG_SIPSIM_CLIENT_ID": "simulated-client",
        "CALLTAG_SIPSIM_CLIENT_SECRET": "simulated-client-secret",
        "CALLTAG_SIPSIM_WEBHOOK_SECRETS": SECRET.decode(),
        "CALLTAG_SIPSIM_RATE": "100000",
        **more,
    }


@contextmanager
def part(name: str, folder: Path, given: Mapping[str, str], ready: Callable[[], bool]) -> Iterator[int]:
    """A part of calltag; gives its process id."""
    with running([sys.executable, "-P", "-m", "cli", name], folder, ready, **given) as process:
        yield process.pid


class Load:
    """The load generator."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._next = 0
        self.refused = 0
        """Webhooks that were not accepted at first."""

    def send(
        self, port: int, path: str, number: int = 10**9, seconds: float = 600.0, **more: Any
    ) -> dict[str, Any]:
        """Sends webhooks of calls that were not sent before: so many, or for so long."""
        answer = self.order(port=port, path=path, first=self._next, number=number, seconds=seconds, **more)
        self._next = answer["next"]
        return answer

    def order(self, **order: Any) -> dict[str, Any]:
        """Has an order carried out; see `benchmarks.load`."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.refused += answer["refused"]
        return answer


@contextmanager
def load() -> Iterator[Load]:
    argv = tied([sys.executable, "-m", "benchmarks.load"])
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        yield Load(process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def postgres(server: str) -> Iterator[str]:
    """A new database on that server, dropped at the end; gives its address."""
    import psycopg
    from sqlalchemy import make_url

    url = make_url(server).set(drivername="postgresql")
    name = f"calltag_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            made = url.set(drivername="postgresql+psycopg", database=name)
            yield made.render_as_string(hide_password=False)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
