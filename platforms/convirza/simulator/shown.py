"""The simulator as `platforms.simulated` describes them all."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic

from platforms.convirza.simulator.api import make_app
from platforms.convirza.simulator.state import Config, Kept, Simulator, iso
from platforms.simulated import Call, Fact, Fault
from platforms.simulated.counting import Counted
from platforms.simulated.day import plan_day
from platforms.simulated.serving import serve
from platforms.simulated.talk import Side, conversation

RATES = {True: 15, False: 2000}
"""Requests a second that an account is set to, at a platform with its limit and at one without."""
STATUSES = {"answered": "answered", "missed": "abandoned", "busy": "busy", "no_answer": "no_answer"}
"""How a call ended, in the words of rules."""


class Shown(Counted):
    """One simulated Convirza at an address; see `platforms.simulated.Simulated`."""

    events: Sequence[str] = ("pre_call", "post_call", "add", "update")
    ends = "add"
    signs = True
    stamps = False
    page = 200

    def __init__(self, simulator: Simulator, url: str, limited: bool) -> None:
        super().__init__(simulator.counters, simulator.sender)
        config = simulator.config
        self._simulator = simulator
        self.settings: Mapping[str, str] = {
            "base_url": url,
            "oauth_url": url,
            "apply_url": url,
            "email": config.email,
            "password": config.password,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
            "org_unit_id": str(config.org_unit_id),
            "webhook_secrets": config.secret,
            "apply": "v2",
            "apply_path": "call/{call_id}/tag",
            "rate": str(RATES[limited]),
        }
        self.unlike = (
            "Putting tags on calls is switched on, in a form that was made up: Convirza documents none. "
            f"Our rate is {RATES[limited]} requests a second."
        )
        self.fail: Callable[[Fault], None] = simulator.fail
        self.mend = simulator.mend
        self.revoke = simulator.revoke

    @property
    def tokens(self) -> int:
        return self._simulator.counters.tokens

    @property
    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        return self._simulator.facts

    def send_to(self, url: str) -> None:
        self._simulator.config.webhook_url = url

    def add(self, call: Call) -> str:
        return str(self._simulator.add(call, transcript=("I would like a refund.", "Certainly.")).id)

    def emit(self, reference: str, *events: str) -> None:
        for event in events or (self.ends,):
            self._simulator.emit(self._kept(reference), event)

    def edit(self, reference: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self._simulator.edit(self._kept(reference), add, remove)

    def define(self, name: str) -> None:
        self._simulator.define(name)

    def defined(self) -> list[str]:
        with self._simulator.lock:
            return sorted(self._simulator.tags)

    def call_tags(self) -> Mapping[str, list[str]]:
        with self._simulator.lock:
            return {str(kept.id): sorted(kept.tags) for kept in self._simulator.calls.values()}

    def play(self, calls: int, calls_per_second: float) -> None:
        chance = random.Random(1)  # noqa: S311 - chance for a simulation
        began = monotonic()
        for place, call in enumerate(plan_day(chance, calls)):
            if self._simulator.closed.wait(max(began + place / calls_per_second - monotonic(), 0)):
                return
            for event, delay in self._planned(chance, call):
                self._simulator.sender.send(event, delay)

    def _planned(self, chance: random.Random, call: Call) -> list[tuple[dict[str, object], float]]:
        """A call's webhooks and their delays: of some in disorder or twice, and a transcript comes later."""
        said: tuple[str, ...] = ()
        if call.status == "answered" and call.duration >= 20 and chance.random() < 0.4:
            speaker: Side = "receiver" if call.direction == "inbound" else "caller"
            said = tuple(line.text for line in conversation(chance, call.duration, speaker)[1])
        kept = self._simulator.add(call, transcript=said, recorded=chance.random() < 0.85)
        self._simulator.facts[str(kept.id)] = facts(kept)
        sent = ["pre_call", "post_call", "add"]
        if chance.random() < 0.1:
            sent.reverse()
        if chance.random() < 0.1:
            sent.append(sent[-1])
        bodies = [(self._simulator.webhook(kept, event), 0.03 * place) for place, event in enumerate(sent)]
        if said:
            bodies.append((self._simulator.webhook(kept, "update"), 0.5 + chance.random()))
        return bodies

    def _kept(self, reference: str) -> Kept:
        return self._simulator.calls[int(reference)]


def facts(kept: Kept) -> dict[str, Fact]:
    """A call's facts as rules see them once all its webhooks came, written from what was planned."""
    call = kept.call
    known: dict[str, Fact] = {
        "platform": "convirza",
        "direction": call.direction,
        "status": STATUSES[call.status],
        "duration": call.duration,
        "caller": call.caller,
        "receiver": call.receiver,
        "started_at": iso(call.started),
        "ended_at": iso(call.ended),
        "campaign": kept.campaign,
    }
    return {**known, "transcript": " ".join(kept.transcript)} if kept.transcript else known


@contextmanager
def simulate(*, limited: bool = True, host: str = "127.0.0.1", port: int = 0) -> Iterator[Shown]:
    """See `platforms.simulated.Simulate`."""
    simulator = Simulator(Config() if limited else Config(rate_limit=None))
    with serve(make_app(simulator), simulator.connections, host, port) as url:
        try:
            yield Shown(simulator, url, limited)
        finally:
            simulator.close()
