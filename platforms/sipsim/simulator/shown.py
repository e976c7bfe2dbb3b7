"""The simulator as `platforms.simulated` describes them all."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from platforms.simulated import Call, Fact, Fault
from platforms.simulated.sender import Payload
from platforms.sipsim.simulator import events
from platforms.sipsim.simulator.config import Config
from platforms.sipsim.simulator.day import STATUSES, make_day
from platforms.sipsim.simulator.gate import TOKEN_ROUTE, PlannedFault
from platforms.sipsim.simulator.playing import play
from platforms.sipsim.simulator.records import Record, Segment
from platforms.sipsim.simulator.serving import serve
from platforms.sipsim.simulator.state import Simulator

LIMIT = 20
"""Requests in a second; SIPSIM documents none."""
RATES = {True: 15, False: 2000}
"""Requests a second that an account is set to, at a platform with that limit and at one without."""
ON_A_CALL = "/api/v2/calls/{call}/tags/{tag}"
ROUTES = {"api": None, "write": (f"PUT {ON_A_CALL}", f"DELETE {ON_A_CALL}"), "token": TOKEN_ROUTE}
SAID = (Segment("I would like a refund.", 0.0, 2.0, "left"), Segment("Certainly.", 2.0, 3.0, "right"))

INBOUND: Mapping[str, Callable[[Record], Payload]] = {
    "incoming_call_start": lambda call: events.step(call, "start", call.started),
    "incoming_call_start_chain_member_call": (
        lambda call: events.step(call, "start_chain_member_call", call.started, "101")
    ),
    "incoming_call_end_chain_member_call": (
        lambda call: events.step(call, "end_chain_member_call", call.started, "101")
    ),
    "incoming_call_answer": lambda call: events.step(call, "answer", call.started),
    "incoming_call_end": lambda call: events.end(call, call.started + call.duration, None),
    "voicemail": lambda call: events.voicemail(
        call, call.started + call.duration, 12, "https://a.test/a.mp3"
    ),
    "speech": lambda call: events.speech(call.id, SAID),
    "summary": lambda call: events.summary(call.id, call.id, "A refund was asked for."),
    "rating": lambda call: events.rating(call.id, 80),
}
"""Every webhook of an inbound call but the list of its tags."""


class Shown:
    """One simulated SIPSIM at an address; see `platforms.simulated.Simulated`."""

    events: Sequence[str] = tuple(INBOUND)
    ends = "incoming_call_end"
    signs = True
    stamps = True
    page = 1000

    def __init__(self, simulator: Simulator, url: str, limited: bool) -> None:
        config = simulator.config
        self._simulator = simulator
        self.settings: Mapping[str, str] = {
            "base_url": url,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
            "webhook_secrets": config.webhook_secret,
            "rate": str(RATES[limited]),
        }
        self.unlike = (
            f"Our rate is {RATES[limited]} requests a second, and the simulated SIPSIM takes as many as come."
        )
        self.revoke = simulator.tokens.revoke_all
        self.mend = simulator.gate.clear
        self.call_tags = simulator.call_tags

    @property
    def tokens(self) -> int:
        return self._simulator.counters.tokens_issued

    @property
    def requests(self) -> Counter[str]:
        counts = self._simulator.counters.requests
        return sum((counts[route] for route in list(counts) if route != TOKEN_ROUTE), Counter())

    @property
    def busiest(self) -> int:
        return self._simulator.counters.max_in_one_second

    @property
    def added(self) -> int:
        return self._simulator.counters.put_201

    @property
    def removed(self) -> int:
        return self._simulator.counters.deleted

    @property
    def waiting(self) -> int:
        return self._simulator.sender.waiting()

    @property
    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        return self._simulator.facts

    def send_to(self, url: str) -> None:
        self._simulator.config.change({"webhook_url": url})

    def add(self, call: Call) -> str:
        with self._simulator.lock:
            call_id = self._simulator.book.next_id()
            record = Record(
                id=call_id,
                reference=f"call_{call_id:012x}",
                direction=call.direction,
                caller=call.caller,
                receiver=call.receiver,
                started=call.started + call.ring,
                duration=call.duration,
                status=STATUSES[call.status],
            )
            self._simulator.add(record)
        return record.reference

    def emit(self, reference: str, *names: str) -> None:
        record = self._simulator.book.find(reference)
        if record is None:
            raise KeyError(reference)
        for name in names or (self.ends,):
            self._simulator.emit(INBOUND[name](record), call_id=record.id)

    def edit(self, reference: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self._simulator.edit(reference, add, remove)

    def define(self, name: str) -> None:
        with self._simulator.lock:
            self._simulator.tags.create(name)

    def defined(self) -> list[str]:
        with self._simulator.lock:
            return sorted(tag.name for tag in self._simulator.tags.tags.values())

    def fail(self, fault: Fault) -> None:
        self._simulator.plan(
            PlannedFault(
                kind=fault.kind, count=fault.count, route=ROUTES[fault.on], retry_after=fault.retry_after
            )
        )

    def play(self, calls: int, calls_per_second: float) -> None:
        play(self._simulator, make_day(calls), calls_per_second=calls_per_second)


@contextmanager
def simulate(*, limited: bool = True, host: str = "127.0.0.1", port: int = 0) -> Iterator[Shown]:
    """See `platforms.simulated.Simulate`."""
    simulator = Simulator(Config(rate_limit=LIMIT if limited else None))
    with serve(simulator, host, port) as url:
        yield Shown(simulator, url, limited)
