"""A worker in the test's own process, a simulated platform on a real socket, webhooks put into the inbox."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select, text, update

from platforms.sipsim.simulator import Config, Record, Simulator, events, serve
from rules.loader import parse
from store import calls, history, inbox, linking, rulesets, schema
from store.database import Database, migrate
from store.inbox import Arrival
from store.jobs import Place
from worker.context import Worker, open_worker
from worker.intake import take_in
from worker.settings import Settings, load_settings
from worker.tagging import tag

CALLER, RECEIVER = "+33612345678", "+33184800000"
PUT = "PUT /api/v2/calls/{call}/tags/{tag}"
DELETE = "DELETE /api/v2/calls/{call}/tags/{tag}"
LIST_CALLS = "GET /api/v2/calls"
GET_CALL = "GET /api/v2/calls/{call}"
LIST_TAGS = "GET /api/v2/tags"
CREATE_TAG = "POST /api/v2/tags"
TOKEN = "POST /oauth/token"
DAY = 24 * 3600.0

LONG = """
version: 1
tags:
  Long Call: {color: "#EF4444", description: Calls over 30 minutes}
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
"""
FOLLOWING = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
  - id: quiet
    when: {all: [{field: duration, gt: 30m}, {not: {field: transcript, contains: refund}}]}
    tag: Quiet
  - {id: short, when: {field: duration, lt: 60}, tag: Short}
  - id: long-refund
    when: {all: [{field: transcript, contains: refund}, {field: duration, gt: 30m}]}
    tag: Long Refund
  - {id: refund, when: {field: transcript, contains: refund}, tag: Refund}
  - {id: bad, when: {field: rating, lt: 5}, tag: Bad}
"""


class Sent:
    """Messages that nobody carries: the bench itself asks what is due."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.jobs: list[Place] = []
        self.woken = 0

    def send(self, calls: Any) -> None:
        self.calls += calls

    def wake(self) -> None:
        self.woken += 1

    def drive(self, place: Place) -> bool:
        self.jobs.append(place)
        return True


def make_settings(folder: Path, redis: str, platform: str, **more: str) -> Settings:
    """The settings of one account at this platform; `more` are further ones, in lower case without prefix."""
    shipped = Config()
    given = {
        "data_dir": str(folder),
        "redis_url": redis,
        "rules": str(folder / "rules.yaml"),
        "accounts": "sipsim",
        "sipsim_base_url": platform,
        "sipsim_client_id": shipped.client_id,
        "sipsim_client_secret": shipped.client_secret,
        "sipsim_rate": "5000",
    }
    environ = {f"CALLTAG_{name.upper()}": value for name, value in (given | more).items()}
    return load_settings(environ=environ)


class Desk:
    """The first account of these settings, its database and a worker; whatever its platform."""

    def __init__(self, settings: Settings, worker: Worker, database: Database) -> None:
        self.settings = settings
        self.account = next(iter(settings.accounts.values()))
        self.worker = worker
        self.database = database

    @property
    def messages(self) -> Sent:
        """What the worker told others."""
        assert isinstance(self.worker.messages, Sent)
        return self.worker.messages

    def rules(self, text: str) -> None:
        """Puts a rule set in force."""
        ruleset = parse({"rules.yaml": text.encode()})
        with self.database.write() as connection:
            shadow = ruleset.shadow_rules
            rulesets.activate(connection, ruleset.hash, ruleset.files, time.time(), shadow)

    def accept(self, *bodies: bytes, at: float) -> None:
        """Webhooks are taken, all at once; their proofs were right."""
        arrivals = [Arrival(self.account.name, body, at, at) for body in bodies]
        with self.database.write() as connection:
            inbox.accept(connection, arrivals)

    def settle(self, worker: Worker | None = None) -> None:
        """What the workers and the sweeper do, until nothing is due."""
        for _ in range(60):
            due = self.due()
            if not due:
                return
            tag(worker or self.worker, due)
        raise AssertionError("it does not come to rest")

    def due(self) -> list[int]:
        """Links what is in the inbox, and gives the calls that are due now."""
        intake = take_in(self.database, self.settings.accounts, time.time())
        with self.database.write() as connection:
            due = calls.due(connection, time.time(), 1000, 0.0)
        more = self.due() if intake.more else []
        return sorted({*intake.due, *due, *more})

    def later(self, worker: Worker | None = None) -> None:
        """The time has come for every call that waits; then as `settle`."""
        with self.database.write() as connection:
            connection.execute(update(schema.calls).values(next_at=0.0, queued_until=0.0))
        self.settle(worker)

    def state(self, reference: str) -> history.Call:
        """What calltag knows of the call."""
        with self.database.read() as connection:
            found = history.call_by_reference(connection, self.account.name, reference, time.time())
        assert found is not None
        return found

    def ours(self, reference: str) -> dict[str, str]:
        """Our tags on the call, and their states."""
        with self.database.read() as connection:
            found = history.our_tags(connection, self.state(reference).id)
        return {tag["name"]: tag["state"] for tag in found}

    def rows(self) -> int:
        """How many calls there are."""
        with self.database.read() as connection:
            return len(connection.execute(select(schema.calls.c.id)).all())

    def references(self, reference: str) -> dict[str, str]:
        return self.state(reference).references

    def lookup(self) -> str | None:
        """What was found out about references."""
        with self.database.read() as connection:
            return connection.execute(select(schema.accounts.c.lookup)).scalar()

    def find(self, kind: str, reference: str) -> int:
        ref = (self.account.name, kind, reference)
        with self.database.read() as connection:
            return linking.find(connection, [ref])[ref]


class Bench(Desk):
    """SIPSIM, and the desk of its one account."""

    def __init__(self, settings: Settings, simulator: Simulator, worker: Worker, database: Database) -> None:
        super().__init__(settings, worker, database)
        self.simulator = simulator

    def call(self, number: int = 1, **values: Any) -> Record:
        """A call that ended a minute ago, of which the platform knows and nobody else yet."""
        told = {"direction": "inbound", "caller": CALLER, "receiver": RECEIVER, "duration": 1900, **values}
        started = time.time() - told["duration"] - 60
        record = Record(
            **{"id": 10_000 + number, "reference": f"call_{number:05d}", "started": started} | told
        )
        self.simulator.add(record)
        return record

    def end(self, record: Record, **receipt: float) -> None:
        """The call's end event arrives."""
        self.receive(events.end(record, record.started + record.duration, None), **receipt)

    def receive(self, *payloads: Mapping[str, object], received_at: float | None = None) -> None:
        """Webhooks arrive, all at once; their signatures were right."""
        at = time.time() if received_at is None else received_at
        self.accept(*map(orjson.dumps, payloads), at=at)

    def tags(self, record: Record) -> list[str]:
        """The tags on the call on the platform."""
        return self.simulator.call_tags()[record.reference]

    def requests(self, route: str | None = None) -> int:
        """How many requests the platform had, of one route or of all but the token's."""
        counts = self.simulator.counters.requests
        routes = [route] if route else [name for name in counts if name != TOKEN]
        return sum(sum(counts[name].values()) for name in routes)

    def answers(self, route: str) -> dict[str, int]:
        return dict(self.simulator.counters.requests[route])


def empty_database(folder: Path) -> Path:
    """A database of the newest form, to be copied: making the tables takes half a second."""
    database = Database(f"sqlite:///{folder / 'empty.db'}")
    migrate(database)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    database.close()
    return folder / "empty.db"


@contextmanager
def bench(
    folder: Path, redis: str, config: Config, rules: str = LONG, empty: Path | None = None, **settings: str
) -> Iterator[Bench]:
    """A bench with its own database and platform."""
    if empty:
        shutil.copy(empty, folder / "calltag.db")
    with ExitStack() as stack:
        simulator = Simulator(config)
        url = stack.enter_context(serve(simulator))
        made = make_settings(folder, redis, url, **settings)
        database = Database(made.database)
        stack.callback(database.close)
        migrate(database)
        worker = stack.enter_context(open_worker(made, Sent()))
        built = Bench(made, simulator, worker, database)
        built.rules(rules)
        yield built
