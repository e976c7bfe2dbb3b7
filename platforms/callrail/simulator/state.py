"""The simulated platform as one object: calls, tags, limits, counters, and the webhooks it sends."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any

from platforms.callrail.simulator.calls import MODIFIED, Kept
from platforms.simulated import Call, Fact, Fault
from platforms.simulated.counting import Counters, Window
from platforms.simulated.sender import Sender
from platforms.simulated.serving import Connections

HOUR, DAY = 3600.0, 86_400.0


@dataclass
class Config:
    """How it behaves, with what is documented as defaults; lengths of time in seconds."""

    api_key: str = "simulated-api-key"
    account_id: str = "ACC8154748ae6bd4e278a7cddd38a662f4f"
    signing_key: str = "simulated-signing-key"
    per_hour: int | None = 1000
    per_day: int | None = 10_000
    tag_objects: bool = False
    """The API shows a call's tags as objects; the documents do not say."""
    webhook_url: str | None = None
    webhook_timeout: float = 5.0
    retries: Sequence[float] = ()  # what was not taken is lost
    duplicate_rate: float = 0.0
    reorder_rate: float = 0.0
    reorder_seconds: float = 1.0


@dataclass(slots=True)
class Tag:
    id: int
    name: str
    color: str = "gray1"


class Simulator:
    """CallRail as far as its documents tell, in memory. Every method may be called from any thread."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.lock = threading.RLock()
        self.calls: dict[str, Kept] = {}
        self.tags: dict[int, Tag] = {}
        self.counters = Counters()
        self.faults: list[Fault] = []
        self._left: list[int | None] = []
        self.facts: dict[str, dict[str, Fact]] = {}
        """By reference, the facts of the calls that were played."""
        self.connections: Connections = {}
        self.closed = threading.Event()
        self.sender = Sender(self.config, self._signed, seed=1)
        self._numbers = count(7_886_001)
        self._second, self._hour, self._day = Window(1.0), Window(HOUR), Window(DAY)

    def add(self, call: Call, **more: Any) -> Kept:
        """A call that has ended; `more` are further fields of it."""
        kept = self.make(call, **more)
        self.keep(kept)
        return kept

    def make(self, call: Call, **more: Any) -> Kept:
        """A call that the platform is to have later."""
        digest = hashlib.sha256(f"{next(self._numbers)} {call}".encode()).hexdigest()
        return Kept(f"CAL{digest[:32]}", call, **more)

    def keep(self, kept: Kept) -> None:
        with self.lock:
            self.calls[kept.id] = kept

    def emit(self, kept: Kept, event: str, changes: tuple[str, ...] = ()) -> None:
        """Sends this webhook, as the call is now."""
        with self.lock:
            self.sender.send(kept.webhook(event, changes))

    def set_tags(self, kept: Kept, names: Iterable[str]) -> tuple[set[str], set[str]]:
        """The call has these tags from now on, in this order; gives those that came and those that went.

        What does not exist is made, and a change is told.
        """
        with self.lock:
            wanted = list(dict.fromkeys(names))
            came, went = set(wanted) - set(kept.tags), set(kept.tags) - set(wanted)
            for name in wanted:
                if self.named(name) is None:
                    self.define(name)
            kept.tags = wanted
            if came or went:
                self.emit(kept, MODIFIED, ("tags",))
            return came, went

    def named(self, name: str) -> Tag | None:
        return next((tag for tag in self.tags.values() if tag.name == name), None)

    def define(self, name: str, color: str = "gray1") -> Tag:
        with self.lock:
            tag = Tag(next(self._numbers), name, color)
            self.tags[tag.id] = tag
            return tag

    def rename(self, tag: Tag, name: str) -> None:
        with self.lock:
            for kept in self.calls.values():
                kept.tags = [name if each == tag.name else each for each in kept.tags]
            tag.name = name

    def delete(self, tag: Tag) -> None:
        """Its definition, which takes it off every call."""
        with self.lock:
            del self.tags[tag.id]
            for kept in self.calls.values():
                kept.tags = [each for each in kept.tags if each != tag.name]

    def fail(self, fault: Fault) -> None:
        with self.lock:
            self.faults.append(fault)
            self._left.append(fault.count)

    def mend(self) -> None:
        with self.lock:
            self.faults.clear()
            self._left.clear()

    def arrive(self, writes: bool) -> Fault | None:
        """Notes a request and says what goes wrong with it; one that is refused counts towards no limit."""
        now = monotonic()
        with self.lock:
            self.counters.busiest = max(self.counters.busiest, self._second.note(now))
            if (planned := self._planned(writes)) is not None:
                return planned
            hour, day = self.config.per_hour, self.config.per_day
            over = hour is not None and self._hour.size(now) >= hour
            if over or (day is not None and self._day.size(now) >= day):
                return Fault("429")
            self._hour.note(now)
            self._day.note(now)
            return None

    def _planned(self, writes: bool) -> Fault | None:
        for place, fault in enumerate(self.faults):
            left = self._left[place]
            if left == 0 or fault.on not in (("api", "write") if writes else ("api",)):
                continue
            if left is not None:
                self._left[place] = left - 1
            return fault
        return None

    def _signed(self, body: bytes, _now: float) -> Mapping[str, str]:
        digest = hmac.new(self.config.signing_key.encode(), body, hashlib.sha1).digest()
        return {"Content-Type": "application/json", "Signature": base64.b64encode(digest).decode()}

    def close(self) -> None:
        """Stops playing and sending webhooks, for good."""
        self.closed.set()
        self.sender.close()
