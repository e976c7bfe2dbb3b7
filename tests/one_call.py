"""One call, its platform in memory, its workers in the test's own process, and a clock that is moved by hand.

Every commit and every request is a step; something can be made to happen at any of them: the process dies, a
person edits the call's tags, an event arrives.
"""

import shutil
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import orjson
import time_machine
from sqlalchemy import Connection, select

from platforms.adapter import Changed, Check, Client, Page, Record, Tag
from platforms.errors import Conflict, Limited, NotFound, PlatformError, Unreachable
from platforms.rest import one_by_one
from platforms.sipsim import SIPSIM
from platforms.sipsim.simulator import Record as Call
from platforms.sipsim.simulator import events
from rules.loader import parse
from rules.ruleset import CatalogueTag
from store import calls, inbox, rulesets, schema
from store.database import Database
from store.inbox import Arrival
from tests.worker_bench import CALLER, RECEIVER, Sent, make_settings
from worker.context import RulesInForce, Tally, Worker
from worker.intake import take_in
from worker.settings import Account, Settings
from worker.tagging import tag

BEGIN = 1_800_000_000.0
SETTINGS = SIPSIM.settings(base_url="http://127.0.0.1:9")
Answer = TypeVar("Answer")


class Died(BaseException):
    """The process was killed: nothing after it is done, nothing catches it."""


class Steps:
    """Lets something happen at the step of that number."""

    def __init__(self) -> None:
        self._left = 0
        self._happen: Callable[[], None] = lambda: None

    def at(self, number: int, happen: Callable[[], None]) -> None:
        self._left, self._happen = number, happen

    def never(self) -> None:
        self._left = 0

    def step(self) -> None:
        if self._left:
            self._left -= 1
            if not self._left:
                self._happen()


class SteppedDatabase(Database):
    """A database of which each commit has a step before and one after it, and which may lose its power."""

    steps = Steps()
    lasting: sqlite3.Connection | None = None
    """What is on the disk; None where that is all."""

    @contextmanager
    def write(self, repeatable: bool = False) -> Iterator[Connection]:
        self.steps.step()
        if repeatable and self.lasting is None:
            self.lasting = sqlite3.connect(":memory:")
            with self.file() as file:
                file.backup(self.lasting)
        with super().write(repeatable) as connection:
            yield connection
        if not repeatable:
            self.lasting = None
        self.steps.step()

    def lose_power(self) -> None:
        """What was committed without waiting for the disk is undone."""
        if self.lasting is not None:
            with self.file() as file:
                self.lasting.backup(file)
            self.lasting = None

    @contextmanager
    def file(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.engine.url.database or "")) as file:
            yield file


@dataclass
class FakePlatform:
    """The platform, which has one call. Its events are in `outbox`, until a test lets them arrive."""

    call: Call
    steps: Steps
    definitions: dict[str, str] = field(default_factory=dict)
    """Name by id."""
    ids: Iterator[int] = field(default_factory=lambda: count(1))
    on_call: list[str] = field(default_factory=list)
    """Ids, in the order in which they came."""
    faults: deque[str] = field(default_factory=deque)
    """What goes wrong with the next requests."""
    outage: str | None = None
    """What goes wrong with all requests."""
    echoes: bool = True
    outbox: list[Arrival] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    taken_off: list[str] = field(default_factory=list)
    """Names of tags that the API was asked to take off, whether or not they were on the call."""

    @property
    def names(self) -> list[str]:
        return [self.definitions[tag_id] for tag_id in self.on_call]

    def emit(self, payload: Any) -> None:
        now = time.time()
        self.outbox.append(Arrival("sipsim", orjson.dumps(payload), float(int(now)), now))

    def defined(self, name: str) -> str:
        """The id of the tag, which is made if there is none."""
        for tag_id, known in self.definitions.items():
            if known == name:
                return tag_id
        tag_id = str(next(self.ids))
        self.definitions[tag_id] = name
        return tag_id

    def edit(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """A person adds and removes tags."""
        before = list(self.on_call)
        self.on_call += [tag_id for tag_id in map(self.defined, add) if tag_id not in self.on_call]
        gone = {self.defined(name) for name in remove}
        self.on_call = [tag_id for tag_id in self.on_call if tag_id not in gone]
        if self.on_call != before:
            self.tell()

    def tell(self) -> None:
        self.emit(events.tags(self.call, time.time(), self.names))

    def shown(self) -> dict[str, object]:
        tags: list[dict[str, object]] = [{"id": i, "name": self.definitions[i]} for i in self.on_call]
        return self.call.shown(tags, with_reference=False)


@dataclass
class Requests:
    """The platform's interface as one lease has it."""

    platform: FakePlatform
    tally: Tally

    def _ask(self, route: str, effect: Callable[[], Answer]) -> Answer:
        platform = self.platform
        platform.steps.step()
        platform.requests[route] += 1
        fault = platform.outage or (platform.faults.popleft() if platform.faults else None)
        if fault == "drop_after":
            effect()
        if fault is not None:
            self._fail(fault, route)
        found = effect()
        self.tally.note("200")
        platform.steps.step()
        return found

    def _fail(self, fault: str, route: str) -> None:
        if fault == "404" and not route.startswith("call"):
            return
        self.tally.note(fault if fault.isdigit() else "no answer")
        if fault == "404":
            raise NotFound("404")
        if fault == "429":
            raise Limited("429", 2.0)
        raise Unreachable(fault)

    def _known(self, call_id: str) -> None:
        if call_id not in (self.platform.call.reference, str(self.platform.call.id)):
            raise NotFound("no such call")

    def list_tags(self) -> list[Tag]:
        return self._ask("tags", lambda: [Tag(*item) for item in self.platform.definitions.items()])

    def create_tag(self, name: str, color: str | None, description: str | None) -> Tag:  # noqa: ARG002
        def create() -> Tag:
            if name in self.platform.definitions.values():
                raise Conflict("409")
            return Tag(self.platform.defined(name), name)

        return self._ask("create", create)

    def create_tags(self, wanted: Sequence[CatalogueTag]) -> Mapping[str, Tag | PlatformError]:
        return one_by_one(self.create_tag, wanted)

    def update_tag(self, *_: object, **__: object) -> Tag:
        raise NotImplementedError

    def delete_tag(self, tag_id: str) -> None:
        raise NotImplementedError

    def change_tags(
        self, call_id: str, add: Mapping[str, str], remove: Mapping[str, str], changed: Changed
    ) -> None:
        for name, tag_id in add.items():
            (changed.added if self._add_tag(call_id, tag_id) else changed.already).append(name)
        for name, tag_id in remove.items():
            self._remove_tag(call_id, tag_id)
            changed.removed.append(name)

    def _add_tag(self, call_id: str, tag_id: str) -> bool:
        def put() -> bool:
            self._known(call_id)
            if tag_id not in self.platform.definitions:
                raise NotFound("no such tag")
            if tag_id in self.platform.on_call:
                return False
            self.platform.on_call.append(tag_id)
            if self.platform.echoes:
                self.platform.tell()
            return True

        return self._ask("call put", put)

    def _remove_tag(self, call_id: str, tag_id: str) -> None:
        def take() -> None:
            self._known(call_id)
            self.platform.taken_off.append(self.platform.definitions.get(tag_id, tag_id))
            if tag_id in self.platform.on_call:
                self.platform.on_call.remove(tag_id)
                if self.platform.echoes:
                    self.platform.tell()

        self._ask("call take", take)

    def call_tags(self, call_id: str) -> list[str]:
        self._known(call_id)
        return self._ask("call tags", lambda: self.platform.names)

    def get_call(self, call_id: str) -> Record:
        self._known(call_id)
        return self._ask("call", self._record)

    def transcribed(self, record: Record) -> Record:
        return record

    def list_page(self, *_: object, **__: object) -> Page:
        return Page([self._ask("list", self._record)], None)

    def list_calls(self, *_: object) -> Iterator[Record]:
        yield from self.list_page().records

    def _record(self) -> Record:
        body = orjson.dumps(self.platform.shown())
        return Record(str(self.platform.call.id), body, SIPSIM.read_record(SETTINGS, body))

    def check(self) -> list[Check]:
        return []

    def enable_events(self) -> list[str]:
        return []


class Inline(ThreadPoolExecutor):
    """Does everything at once, in the caller's thread."""

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], **_: Any) -> Iterator[Any]:
        return iter([fn(*values) for values in zip(*iterables, strict=True)])


class InProcess(Worker):
    """A worker that asks the platform in memory."""

    def __init__(self, settings: Settings, database: Database, platform: FakePlatform, name: str) -> None:
        self.settings, self.database, self.platform, self.name = settings, database, platform, name
        self.messages = Sent()
        self.rules = RulesInForce(database)
        self.pool = Inline()
        self.read = {}
        self._counts, self._counting = Counter(), Lock()

    def client(
        self,
        _account: Account,
        _leased_at: float,
        tally: Tally | None = None,
        behind_live: bool = False,  # noqa: ARG002
    ) -> Client:
        return Requests(self.platform, tally or Tally())


class OneCall:
    """The world of one call. Close it at the end."""

    def __init__(self, folder: Path, empty: Path, rules: str) -> None:
        self._travel = time_machine.travel(BEGIN, tick=False)
        self.clock = self._travel.start()
        shutil.copy(empty, folder / "calltag.db")
        self.settings = make_settings(folder, "redis://127.0.0.1:1", "http://127.0.0.1:9")
        self.database = SteppedDatabase(self.settings.database)
        self.steps = self.database.steps = Steps()
        started = BEGIN - 3600
        self.call = Call(4711, "call_4711", "inbound", CALLER, RECEIVER, started, 1900)
        self.platform = FakePlatform(self.call, self.steps)
        self.delivered: list[Arrival] = []
        self._processes = 0
        self.worker = self.restart()
        self.rules(rules)

    def close(self) -> None:
        self.steps.never()
        self.database.close()
        self._travel.stop()

    def restart(self) -> InProcess:
        """Another process takes the place of the worker."""
        self._processes += 1
        name = f"worker-{self._processes}"
        self.worker = InProcess(self.settings, self.database, self.platform, name)
        return self.worker

    def rules(self, text: str) -> None:
        ruleset = parse({"rules.yaml": text.encode()})
        with self.database.write() as connection:
            rulesets.activate(connection, ruleset.hash, ruleset.files, time.time())

    def pass_time(self, seconds: float) -> None:
        self.clock.shift(seconds)

    def person(self, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """A person edits the call's tags, not within the second of anything else."""
        self.pass_time(1.5)
        self.platform.edit(add, remove)
        self.pass_time(1.5)

    def ends(self) -> None:
        self.platform.emit(events.end(self.call, self.call.started + self.call.duration, None))

    def deliver(self, *numbers: int) -> None:
        """Those of the outbox arrive, all of it when none is named."""
        outbox = self.platform.outbox
        for number in sorted(numbers or range(len(outbox)), reverse=True):
            self.arrive(outbox.pop(number))

    def arrive(self, arrival: Arrival) -> None:
        self.delivered.append(arrival)
        with self.database.write() as connection:
            inbox.accept(connection, [replace(arrival, received_at=time.time())])

    def link(self) -> None:
        """New events are linked to their call."""
        take_in(self.database, self.settings.accounts, time.time())

    def work(self) -> bool:
        """What the workers and the sweeper do once; False where there was nothing to do."""
        intake = take_in(self.database, self.settings.accounts, time.time())
        with self.database.write(repeatable=True) as connection:
            due = calls.due(connection, time.time(), 100, 0.0)
        ids = sorted({*intake.due, *due})
        if ids:
            tag(self.worker, ids)
        return bool(ids)

    def settle(self) -> None:
        """Until nothing is due now."""
        for _ in range(60):
            if not self.work():
                return
        raise AssertionError("it does not come to rest")

    def rest(self) -> None:
        """All that was emitted arrives, and time passes, until nothing waits for anything."""
        for _ in range(60):
            self.deliver()
            self.settle()
            waits = self.waits_until()
            if waits is None and not self.platform.outbox:
                return
            if waits is not None:
                self.pass_time(max(waits - time.time(), 0.0) + 0.1)
        raise AssertionError("it does not come to rest")

    def waits_until(self) -> float | None:
        """When the next thing is to be done about the call; None where nothing is."""
        c = schema.calls.c
        with self.database.read() as connection:
            rows = connection.execute(select(c.state, c.next_at, c.queued_until, c.lease_until)).all()
        ends = [row.lease_until for row in rows if row.lease_until is not None]
        starts = [max(row.next_at, row.queued_until) for row in rows if row.state in ("due", "parked")]
        return max([*ends, min(starts)]) if starts else None

    def ours(self) -> dict[str, str]:
        """Our tags on the call, and their states."""
        t = schema.applied_tags.c
        with self.database.read() as connection:
            return {row.tag: row.state for row in connection.execute(select(t.tag, t.state).order_by(t.tag))}

    def rows(self) -> Sequence[Any]:
        with self.database.read() as connection:
            return connection.execute(select(schema.calls)).all()
