"""The operator's commands for tests: run as a person runs them, on a store that a test fills."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select
from typer.testing import CliRunner

from cli.errors import UserError
from cli.main import app
from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from store import inbox
from store.database import Database
from store.inbox import Arrival
from store.schema import call_refs, events
from tests.rows import change
from worker.intake import take_in
from worker.settings import Account

ACCOUNTS = {"sipsim": Account("sipsim", PLATFORMS["sipsim"], SipsimSettings())}
NOWHERE = "redis://127.0.0.1:1/0"
"""A broker that nothing answers at."""


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, without its heads."""
        return [line.split("\t") for line in self.out.splitlines()[1:]]


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal, with the settings of a deployment."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, answer: str = "", **more: str) -> Said:
        """Runs `calltag` with the arguments in this process; `answer` is what is typed."""
        ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CALLTAG_")}
        with contextlib.chdir(self.folder):
            result = CliRunner().invoke(app, arguments, answer, {**ours, **self.environment, **more})
        if isinstance(result.exception, UserError):  # as `cli.main.main` tells it
            return Said(2, result.stdout, f"{result.stderr}calltag: {result.exception}\n")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def process(self, *arguments: str, answer: str = "") -> Said:
        """The same in a process of its own, which a command needs that sets up logs."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments],
            input=answer,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.folder,
            env={**kept, **self.environment},
        )
        assert "Traceback" not in done.stderr
        return Said(done.returncode, done.stdout, done.stderr)


def operator(folder: Path, database: Database, redis: str = NOWHERE) -> Operator:
    """At a store and a broker; one account is configured."""
    url = database.engine.url.render_as_string(hide_password=False)
    url = url.replace("postgresql+psycopg://", "postgresql://")
    given = {
        "CALLTAG_DATA_DIR": str(folder / "data"),
        "CALLTAG_DATABASE_URL": url,
        "CALLTAG_REDIS_URL": redis,
        "CALLTAG_SIPSIM_WEBHOOK_SECRETS": "a-secret",
    }
    return Operator(folder, given)


def receive(
    database: Database, payload: Mapping[str, object] | bytes, at: float, account: str = "sipsim"
) -> int:
    """The id of an event that came and was read."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    one = Arrival(account, body, at, at)
    with database.write() as connection:
        inbox.accept(connection, [one])
        row = select(events.c.id).where(events.c.account == account, events.c.dedup_key == one.dedup_key)
        event = int(connection.execute(row).scalar_one())
    take_in(database, {account: ACCOUNTS["sipsim"]}, at)
    return event


def ended(database: Database, name: str, at: float, account: str = "sipsim", **row: object) -> int:
    """The id of a call that ended, with what its row is to have."""
    said = {"event": "incoming_call_end", "pbx_id": name, "caller": "+33612345678", "receiver": "101",
            "duration": 1900, "status": "ANSWER"}  # fmt: skip
    receive(database, said, at, account)
    with database.write() as connection:
        named = select(call_refs.c.call_id).where(
            call_refs.c.account == account, call_refs.c.reference == name
        )
        call = int(connection.execute(named).scalar_one())
        if row:
            change(connection, call, **row)
    return call
