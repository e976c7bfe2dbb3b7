"""The simulator as `platforms.simulated` describes them all."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic

from platforms.callrail.simulator.api import make_app
from platforms.callrail.simulator.calls import CALL_EVENTS, MODIFIED, Kept
from platforms.callrail.simulator.state import Config, Simulator
from platforms.simulated import Call, Fact, Fault
from platforms.simulated.counting import Counted
from platforms.simulated.day import plan_day
from platforms.simulated.serving import serve
from platforms.simulated.talk import Line, conversation

MANY = 10**9
"""Requests an hour and a day, where none is to be refused."""
RATES = {True: 15, False: 2000}
"""Requests a second that an account is set to, at a platform with its limits and at one without."""
LATER = 0.5
"""The first of what comes after the end, in seconds of the play."""
STATUSES = {"answered": "answered", "missed": "missed", "busy": "missed", "no_answer": "missed"}
"""How an inbound call ended, in the words of rules; CallRail does not tell busy from missed."""

SAID = (Line("caller", "I would like a refund.", 0.0, 2.0), Line("receiver", "Certainly.", 2.0, 3.0))


class Shown(Counted):
    """One simulated CallRail at an address; see `platforms.simulated.Simulated`."""

    events: Sequence[str] = (*CALL_EVENTS, MODIFIED)
    ends = "post_call"
    signs = True
    stamps = False
    page = 250
    tokens = None

    def __init__(self, simulator: Simulator, url: str, limited: bool) -> None:
        super().__init__(simulator.counters, simulator.sender)
        config = simulator.config
        self._simulator = simulator
        self.settings: Mapping[str, str] = {
            "base_url": url,
            "api_key": config.api_key,
            "account_id": config.account_id,
            "webhook_secrets": config.signing_key,
            "rate": str(RATES[limited]),
            "requests_per_hour": str(config.per_hour or MANY),
            "requests_per_day": str(config.per_day or MANY),
        }
        held = "held" if limited else "lifted on both sides"
        self.unlike = (
            f"Our rate is {RATES[limited]} requests a second, and CallRail's limits of 1,000 an hour "
            f"and 10,000 a day are {held}."
        )
        self.fail: Callable[[Fault], None] = simulator.fail
        self.mend = simulator.mend

    @property
    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        return self._simulator.facts

    def send_to(self, url: str) -> None:
        self._simulator.config.webhook_url = url

    def add(self, call: Call) -> str:
        return self._simulator.add(call, lines=SAID, summary="A refund was asked for.").id

    def emit(self, reference: str, *names: str) -> None:
        for name in names or (self.ends,):
            changes = ("note",) if name == MODIFIED else ()
            self._simulator.emit(self._simulator.calls[reference], name, changes)

    def edit(self, reference: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        with self._simulator.lock:
            kept = self._simulator.calls[reference]
            self._simulator.set_tags(kept, [name for name in [*kept.tags, *add] if name not in remove])

    def define(self, name: str) -> None:
        self._simulator.define(name)

    def defined(self) -> list[str]:
        with self._simulator.lock:
            return sorted(tag.name for tag in self._simulator.tags.values())

    def call_tags(self) -> Mapping[str, list[str]]:
        with self._simulator.lock:
            return {kept.id: sorted(kept.tags) for kept in self._simulator.calls.values()}

    def revoke(self) -> None:
        """There are no tokens: the key is good until a person takes it back."""

    def play(self, calls: int, calls_per_second: float) -> None:
        chance = random.Random(1)  # noqa: S311 - chance for a simulation
        began = monotonic()
        acts = [
            (place / calls_per_second + delay, act)
            for place, call in enumerate(plan_day(chance, calls))
            for delay, act in self._acts(chance, call)
        ]
        for due, act in sorted(acts, key=lambda each: each[0]):
            if self._simulator.closed.wait(max(began + due - monotonic(), 0)):
                return
            act()

    def _acts(self, chance: random.Random, call: Call) -> list[tuple[float, Callable[[], None]]]:
        """What happens to a call, with its delay: its webhooks, of some in disorder or twice; and for some
        transcript and summary come later, as a change."""
        kept = _make(self._simulator, chance, call)
        self._simulator.facts[kept.id] = facts(kept)
        late = bool(kept.lines) and chance.random() < 0.5
        kept.attached = not late
        sent = list(CALL_EVENTS) if call.direction == "inbound" else ["post_call"]
        if chance.random() < 0.1:
            sent.reverse()
        if chance.random() < 0.1:
            sent.append(sent[-1])
        acts: list[tuple[float, Callable[[], None]]] = [(0.0, partial(self._simulator.keep, kept))]
        acts += [(0.03 * place, partial(self._simulator.emit, kept, name)) for place, name in enumerate(sent)]
        if late:
            acts.append((LATER + chance.random(), partial(self._attach, kept)))
        return acts

    def _attach(self, kept: Kept) -> None:
        with self._simulator.lock:
            kept.attached = True
            self._simulator.emit(kept, MODIFIED, ("transcription_text", "call_summary"))


def _make(simulator: Simulator, chance: random.Random, call: Call) -> Kept:
    answered, inbound = call.status == "answered", call.direction == "inbound"
    more: dict[str, object] = {
        "voicemail": inbound and not answered and chance.random() < 0.4,
        "recorded": chance.random() < 0.85,
    }
    if answered and call.duration >= 20 and chance.random() < 0.4:
        topic, lines = conversation(chance, call.duration, "receiver" if inbound else "caller")
        more |= {"lines": lines, "summary": topic.summary}
    return simulator.make(call, **more)


def facts(kept: Kept) -> dict[str, Fact]:
    """A call's facts as rules see them once all its webhooks came, written from what was planned."""
    call = kept.call
    outbound = "answered" if kept.answered else "no_answer"
    inbound = "voicemail" if kept.voicemail else STATUSES[call.status]
    known: dict[str, Fact] = {
        "platform": "callrail",
        "direction": call.direction,
        "status": outbound if call.direction == "outbound" else inbound,
        "duration": call.duration if kept.answered else 0,
        "caller": call.caller,
        "receiver": call.receiver,
        "started_at": kept.start_time,
        "has_recording": kept.recorded and (kept.answered or kept.voicemail),
        "has_voicemail": kept.voicemail,
        "source": "Google Ads",
        "campaign": "Summer",
    }
    if kept.lines:
        ours, theirs = ("receiver", "caller") if call.direction == "inbound" else ("caller", "receiver")
        known["transcript"] = kept.said()
        known["transcript_agent"], known["transcript_caller"] = kept.said(ours), kept.said(theirs)
    if kept.summary:
        known["summary"] = kept.summary
    return known


@contextmanager
def simulate(*, limited: bool = True, host: str = "127.0.0.1", port: int = 0) -> Iterator[Shown]:
    """See `platforms.simulated.Simulate`."""
    simulator = Simulator(Config() if limited else Config(per_hour=None, per_day=None))
    with serve(make_app(simulator), simulator.connections, host, port) as url:
        try:
            yield Shown(simulator, url, limited)
        finally:
            simulator.close()
