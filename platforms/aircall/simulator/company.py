"""One simulated company on Aircall: its calls, its tags, its webhook, and what goes wrong."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from platforms.aircall.simulator.records import Record, Shown, Stage, Tag, in_webhook
from platforms.simulated import Fault
from platforms.simulated.sender import Sender

CALL_EVENTS: dict[str, Stage] = {
    "call.created": "initial",
    "call.ringing_on_agent": "initial",
    "call.agent_declined": "initial",
    "call.ivr_option_selected": "initial",
    "call.answered": "answered",
    "call.transferred": "answered",
    "call.external_transferred": "answered",
    "call.unsuccessful_transfer": "answered",
    "call.hold": "answered",
    "call.unhold": "answered",
    "call.hungup": "done",
    "call.ended": "done",
    "call.voicemail_left": "done",
    "call.comm_assets_generated": "done",
    "call.assigned": "done",
    "call.archived": "done",
    "call.commented": "done",
}
"""Every event about a call but those about its tags, and how far the call has come by then."""
BEFORE_ASSETS = ("call.hungup", "call.ended")
TAGGED, UNTAGGED = "call.tagged", "call.untagged"
TRANSCRIBED, SUMMARIZED = "transcription.created", "summary.created"
MINUTE = 60.0


@dataclass(slots=True)
class Delivery:
    """How Aircall delivers: within 5 s, again up to 50 times in 12 hours; the pauses are not documented."""

    webhook_url: str | None = None
    webhook_timeout: float = 5.0
    retries: Sequence[float] = tuple(min(2.0**tried, 1000.0) for tried in range(50))
    duplicate_rate: float = 0.0
    reorder_rate: float = 0.0
    reorder_seconds: float = 0.0


@dataclass(slots=True)
class Planned:
    fault: Fault
    left: int | None


@dataclass
class Company:
    """Every method may be called from any thread. `a_minute` is the limit of requests, None for none."""

    a_minute: int | None = 60
    api_id: str = "simulated-api-id"
    api_token: str = "simulated-api-token"  # noqa: S105 - nobody else's
    hook_token: str = "simulated-webhook-token"  # noqa: S105
    delivery: Delivery = field(default_factory=Delivery)
    bare: bool = False
    """The events about what was said name the call and nothing more."""
    calls: dict[int, Record] = field(default_factory=dict)
    tags: dict[int, Tag] = field(default_factory=dict)
    hook: Shown = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    added: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.sender = Sender(self.delivery, lambda _body, _now: {"Content-Type": "application/json"}, seed=1)
        every = [*CALL_EVENTS, TAGGED, UNTAGGED, TRANSCRIBED, SUMMARIZED]
        self.hook = {"webhook_id": "7a3f", "token": self.hook_token, "url": None, "active": True}
        self.hook["events"] = every
        self._planned: list[Planned] = []
        self._arrived: deque[float] = deque()
        self._granted: deque[float] = deque()
        self._ids = 1000

    def next_id(self) -> int:
        with self.lock:
            self._ids += 1
            return self._ids

    def add(self, record: Record) -> Record:
        with self.lock:
            self.calls[record.id] = record
        return record

    def define(self, name: str, color: str = "#00B388", description: str | None = None) -> Tag | None:
        """A new tag; None where the name is taken. What no plain letter or sign is goes out of the name."""
        with self.lock:
            plain = "".join(letter for letter in name if ord(letter) < 0x2190).strip()
            if not plain or any(tag.name == plain for tag in self.tags.values()):
                return None
            tag = Tag(self.next_id(), plain, color, description)
            self.tags[tag.id] = tag
            return tag

    def delete(self, tag: Tag) -> None:
        with self.lock:
            del self.tags[tag.id]
            for record in self.calls.values():
                record.tags = [other for other in record.tags if other is not tag]

    def put(self, record: Record, tags: Iterable[Tag]) -> int:
        """Adds the tags to the call, tells of it, and gives how many it did not have."""
        with self.lock:
            new = [tag for tag in tags if tag not in record.tags]
            record.tags += new
            if new:
                self.tell(record, TAGGED)
            return len(new)

    def edit(self, record: Record, add: Sequence[str], remove: Sequence[str]) -> None:
        """What a person does in the app."""
        with self.lock:
            for name in add:
                self.define(name)
            self.put(record, [tag for tag in self.tags.values() if tag.name in add])
            kept = [tag for tag in record.tags if tag.name not in remove]
            if len(kept) < len(record.tags):
                record.tags = kept
                self.tell(record, UNTAGGED)

    def tell(self, record: Record, event: str, delays: Sequence[float] = (0.0,)) -> None:
        """The webhook's event about the call as it stands, sent once for each of these delays (seconds)."""
        with self.lock:
            if not self.hook["active"] or event not in self.hook["events"]:
                return
            payload: dict[str, Any] = {
                "resource": event.partition(".")[0],
                "event": event,
                "timestamp": int(time()),
                "token": self.hook_token,
                "data": _data(record, event, self.bare),
            }
        for delay in delays:
            self.sender.send(payload, delay)

    def plan(self, fault: Fault) -> None:
        with self.lock:
            self._planned.append(Planned(fault, fault.count))

    def mend(self) -> None:
        with self.lock:
            self._planned.clear()

    def arrive(self, write: bool) -> Fault | None:
        """Notes a request; what goes wrong with it, or None. Refused ones do not count towards the limit."""
        now = monotonic()
        self._arrived.append(now)
        self.busiest = max(self.busiest, _within(self._arrived, now - 1.0))
        self._planned = [each for each in self._planned if each.left != 0]
        for each in self._planned:
            if each.fault.on == "api" or (each.fault.on == "write" and write):
                each.left = None if each.left is None else each.left - 1
                return each.fault
        if self.a_minute is not None and _within(self._granted, now - MINUTE) >= self.a_minute:
            return Fault("429")
        self._granted.append(now)
        return None


def _within(times: deque[float], since: float) -> int:
    """How many are left once older ones are dropped."""
    while times and times[0] <= since:
        times.popleft()
    return len(times)


def _data(record: Record, event: str, bare: bool) -> Shown:
    if bare and event in (TRANSCRIBED, SUMMARIZED):
        return {"id": record.id + 1, "call_id": record.id}
    if event == TRANSCRIBED:
        return {"id": record.id + 1, "call_id": record.id, "content": record.transcription()}
    if event == SUMMARIZED:
        return {"id": record.id + 2, "call_id": record.id, "content": record.summary}
    stage = CALL_EVENTS.get(event, "done")
    return in_webhook(record.shown(stage, assets=event not in BEFORE_ASSETS))
