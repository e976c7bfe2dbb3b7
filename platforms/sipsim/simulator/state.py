"""The simulated platform as one object: calls, tags, tokens, counters, and the Starlette app over them."""

import asyncio
import threading
from collections.abc import Iterable
from time import monotonic, time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.simulated import Fact
from platforms.simulated.sender import Payload, Sender
from platforms.simulated.serving import Connections, Dropped
from platforms.sipsim.simulator import events
from platforms.sipsim.simulator.answers import AnswerError, error
from platforms.sipsim.simulator.api import API, Endpoint, Entry
from platforms.sipsim.simulator.book import Book
from platforms.sipsim.simulator.config import DROP_AFTER, DROP_BEFORE, EVENTS, Config
from platforms.sipsim.simulator.control import control_routes
from platforms.sipsim.simulator.gate import Counters, Fault, Gate, PlannedFault
from platforms.sipsim.simulator.records import Record
from platforms.sipsim.simulator.series import Series
from platforms.sipsim.simulator.signing import signed_headers
from platforms.sipsim.simulator.tagbook import Tag, TagBook
from platforms.sipsim.simulator.tokens import Tokens

FAULT_TEXTS = {"429": "Too many requests"}


class Simulator:
    """SIPSIM as far as its documents tell, in memory. Every public method may be called from any thread."""

    def __init__(self, config: Config | None = None, history: Series | None = None, seed: int = 1) -> None:
        self.config = config.model_copy() if config else Config()
        self.lock = threading.RLock()
        self.book = Book(history)
        self.tags = TagBook()
        self.tokens = Tokens(self.config)
        self.counters = Counters()
        self.gate = Gate(self.config, self.counters, seed)
        self.sender = Sender(self.config, self._signed, seed)
        self.enabled = set(EVENTS)
        """The webhook events that are switched on."""
        self.connections: Connections = {}
        self.sent_at: dict[int, float] = {}
        """By call id, when its latest event first went out (monotonic seconds)."""
        self.delays: list[float] = []
        """For each tag that the API added: seconds since the latest event of its call went out."""
        self.facts: dict[str, dict[str, Fact]] = {}
        """By reference, the facts of the calls that were played, once all their events arrived."""
        self.playing = 0
        """How many days are being played."""
        self.closed = threading.Event()
        self.app = _app(self)

    def add(self, record: Record) -> None:
        """A call that has ended. ValueError if its id or reference is taken."""
        with self.lock:
            self.book.add(record)

    def call(self, text: str) -> Record | None:
        """The call that a path names: by integer, or by `pbx_id` where the platform takes those."""
        if text.isascii() and text.isdigit():
            return self.book.get(int(text))
        return self.book.find(text) if self.config.ids == "reference" else None

    def edit(self, call: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> list[str]:
        """A person adds and removes tags of a call (by reference or id); gives the names that it has then.

        KeyError where there is no such call. Tags that do not exist yet are created.
        """
        with self.lock:
            record = self.book.find(call) or (self.book.get(int(call)) if call.isdigit() else None)
            if record is None:
                raise KeyError(call)
            wanted = [self.tags.named(name) or self.tags.create(name) for name in add]
            unwanted = [tag for tag in map(self.tags.named, remove) if tag]
            changes = [self.tags.put(record.id, tag.id) for tag in wanted]
            changes += [self.tags.take(record.id, tag.id) for tag in unwanted]
            if any(changes):
                self._tags_changed(record)
            return [tag.name for tag in self.tags.of(record.id)]

    def put_by_api(self, record: Record, tag: Tag) -> bool:
        """Whether the tag was added, not there already."""
        if not self.tags.put(record.id, tag.id):
            self.counters.put_204 += 1
            return False
        self.counters.put_201 += 1
        if record.id in self.sent_at:
            self.delays.append(monotonic() - self.sent_at[record.id])
        if self.config.echoes:
            self._tags_changed(record)
        return True

    def take_by_api(self, record: Record, tag_id: int) -> None:
        if self.tags.take(record.id, tag_id):
            self.counters.deleted += 1
            if self.config.echoes:
                self._tags_changed(record)

    def emit(self, payload: Payload, delay: float = 0, call_id: int | None = None) -> None:
        """Sends a webhook if its event is switched on; `call_id` notes when the call's event went out."""
        if events.name_of(payload) not in self.enabled:
            return
        self.sender.send(payload, delay, None if call_id is None else lambda: self._note_sent(call_id))

    def plan(self, fault: PlannedFault) -> None:
        """Orders a fault for the requests to come."""
        with self.lock:
            self.gate.plan(fault, monotonic())

    def call_tags(self) -> dict[str, list[str]]:
        """The sorted tag names of each call by reference: all added ones, and the history's tagged ones."""
        with self.lock:
            ids = {record.id for record in self.book.records()} | self.tags.on_call.keys()
            return {
                record.reference: sorted(tag.name for tag in self.tags.of(record.id))
                for record in filter(None, map(self.book.get, ids))
            }

    def _signed(self, body: bytes, now: float) -> dict[str, str]:
        return signed_headers(self.config.webhook_secret, body, now)

    def close(self) -> None:
        """Stops playing and sending webhooks, for good."""
        self.closed.set()
        self.sender.close()

    def _note_sent(self, call_id: int) -> None:
        self.sent_at[call_id] = monotonic()

    def _tags_changed(self, record: Record) -> None:
        self.emit(events.tags(record, time(), [tag.name for tag in self.tags.of(record.id)]))


def _app(simulator: Simulator) -> Starlette:
    routes = [Route(each.path, _endpoint(simulator, each), methods=[each.method]) for each in API]

    async def no_route(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        simulator.counters.requests["other"][str(status)] += 1
        return error(status, ["Not found" if status == 404 else "Not possible"], request.url.path)

    return Starlette(routes=routes + control_routes(simulator), exception_handlers={HTTPException: no_route})


def _endpoint(simulator: Simulator, entry: Entry) -> Endpoint:
    """The way of a request: arrival and faults, latency, token and scope, handler, counting."""
    route = entry.name
    counts = simulator.counters.requests

    async def endpoint(request: Request) -> Response:
        with simulator.lock:
            fault = simulator.gate.arrive(route, monotonic())
        if fault is None or fault.kind == DROP_AFTER:
            if simulator.config.latency:
                await asyncio.sleep(simulator.config.latency)
            body = await request.body() if entry.method in ("POST", "PATCH") else b""
            with simulator.lock:
                response = _answer(simulator, entry, request, body)
        if fault is not None:
            response = _faulty(simulator, fault, request)
        dropped = isinstance(response, Dropped)
        counts[route]["dropped" if dropped else str(response.status_code)] += 1
        return response

    return endpoint


def _answer(simulator: Simulator, entry: Entry, request: Request, body: bytes) -> Response:
    try:
        if entry.scope is not None:
            granted = simulator.tokens.scopes(request.headers.get("authorization", ""))
            if granted is None:
                raise AnswerError(401, "Invalid or expired access token")
            if entry.scope not in granted:
                raise AnswerError(403, f"Token lacks the scope {entry.scope}")
        return entry.handler(simulator, request, body)
    except AnswerError as refusal:
        return error(refusal.status, refusal.errors, request.url.path)


def _faulty(simulator: Simulator, fault: Fault, request: Request) -> Response:
    if fault.kind in (DROP_BEFORE, DROP_AFTER):
        return Dropped(simulator.connections)
    simulator.counters.rate_limited += fault.kind == "429"
    text = FAULT_TEXTS.get(fault.kind, "Simulated fault")
    return error(int(fault.kind), [text], request.url.path, fault.retry_after)
