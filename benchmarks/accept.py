"""Webhooks accepted a second by one process, durable before the answer, beside what others would write."""

import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import func, select

from benchmarks import services
from benchmarks.measure import machine, rounded, side_by_side, table, tell, where
from store.database import Database
from store.schema import events
from tests.service import free_port

TURN = 2.0
"""Seconds."""
SQLITE, POSTGRESQL = "calltag, SQLite", "calltag, PostgreSQL"
BARE, DELAY, PUSH = "bare Starlette, 202", "Starlette, Celery .delay()", "Starlette, Redis push"
MARKS = {BARE: 0.65, DELAY: 15.0}
"""How many times as fast ours on SQLite is to be."""
PACKAGES = ("starlette", "uvicorn", "celery", "redis", "sqlalchemy")


@contextmanager
def our_web(folder: Path, broker: str, database: str) -> Iterator[int]:
    """Our web process with that database; gives its port."""
    port = free_port()
    folder.mkdir()
    given = services.settings(folder, broker, port, "http://127.0.0.1:9", CALLTAG_DATABASE_URL=database)
    with services.part("web", folder, given, services.answers(f"http://127.0.0.1:{port}/healthz")):
        yield port


class Receiver:
    """One contender: where it listens, and how many events it has been given and has kept."""

    def __init__(self, load: services.Load, port: int, path: str, kept: Callable[[], int] | None) -> None:
        self._load, self._port, self._path, self._kept = load, port, path, kept
        self.accepted = 0

    def turn(self) -> int:
        accepted: int = self._load.send(self._port, self._path, seconds=TURN)["accepted"]
        self.accepted += accepted
        return accepted

    def check(self, name: str) -> None:
        """Ends the run where something that was accepted is not kept."""
        if self._kept is not None and self._kept() != self.accepted:
            sys.exit(f"{name}: {self.accepted} webhooks accepted, {self._kept()} kept")


def rows(url: str) -> int:
    database = Database(url)
    with database.read() as connection:
        found = connection.execute(select(func.count()).select_from(events)).scalar_one()
    database.close()
    return found


def receivers(stack: ExitStack, folder: Path, load: services.Load) -> dict[str, Receiver]:
    server = stack.enter_context(services.valkey(folder))
    client = stack.enter_context(redis.Redis.from_url(server.url))
    databases = {SQLITE: f"sqlite:///{folder / 'ours.db'}"}
    if postgres := os.environ.get("CALLTAG_TEST_POSTGRES_URL"):
        databases[POSTGRESQL] = stack.enter_context(services.postgres(postgres))
    found = {}
    for number, (name, url) in enumerate(databases.items()):
        port = stack.enter_context(our_web(folder / f"web-{number}", server.url, url))
        found[name] = Receiver(load, port, "/webhooks/sipsim", partial(rows, url))
    port = stack.enter_context(services.rival_web(folder, server))
    found[BARE] = Receiver(load, port, "/bare", None)
    found[DELAY] = Receiver(load, port, "/delay", lambda: int(str(client.llen("rival"))))
    found[PUSH] = Receiver(load, port, "/push", lambda: int(str(client.llen("webhooks"))))
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltag-bench-")))
        load = stack.enter_context(services.load())
        found = receivers(stack, folder, load)
        for one in found.values():
            one.turn()
        rates = side_by_side({name: one.turn for name, one in found.items()}, rounds)
        for name, one in found.items():
            one.check(name)
        if load.refused:
            sys.exit(f"{load.refused} webhooks were refused")
    result = {"machine": machine(*PACKAGES), "rates": rates}
    tell("accept", result, _text(result))


def _text(result: dict[str, Any]) -> str:
    rates = result["rates"]
    ours = [name for name in (SQLITE, POSTGRESQL) if name in rates]
    header = ["receiver, one process", "webhooks/s", *(f"{name}, times this" for name in ours)]
    body = [
        [name, rounded(rate), *(f"{rates[one] / rate:.3g}" for one in ours)] for name, rate in rates.items()
    ]
    marks = [
        [f"{one}, times {name}", f">= {mark}", f"{rates[one] / rates[name]:.3g}"]
        for one, (name, mark) in itertools.product(ours, MARKS.items())
    ]
    return "\n\n".join(
        [table(header, body), table(["mark", "wanted", "measured"], marks), where(result["machine"])]
    )


if __name__ == "__main__":
    main()
