"""The simulated platform as one object: tokens, calls, tags, counters, and the webhooks it sends."""

import hashlib
import hmac
import secrets
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from time import monotonic, time
from typing import Any

import orjson

from platforms.simulated import Call, Fact, Fault
from platforms.simulated.counting import Counters, Window
from platforms.simulated.sender import Sender
from platforms.simulated.serving import Connections

WEEK, HOUR, DAY = 7 * 86_400.0, 3600.0, 86_400.0
DISPOSITIONS = {"answered": "ANSWERED", "missed": "ABANDONED", "busy": "BUSY", "no_answer": "NO ANSWER"}
Shape = dict[str, object]


@dataclass
class Config:
    """How it behaves, with what is documented as defaults; lengths of time in seconds."""

    email: str = "simulated@example.com"
    password: str = "simulated-password"  # noqa: S105
    client_id: str = "simulated-v2-client"
    client_secret: str = "simulated-v2-secret"  # noqa: S105
    org_unit_id: int = 4711
    secret: str = "simulated-subscription-secret"  # noqa: S105
    """Of the event subscription, and the call webhook's static parameter `token`."""
    access_seconds: float = WEEK
    rate_limit: int | None = 20
    """Requests let through in any one second, logins apart: none is documented."""
    logins_a_minute: int = 10
    replaces: bool = False
    """Whether the old API's tags take the place of those on the call: not documented."""
    loses: bool = False
    """Whether it takes tags without a fault and puts none on."""
    counts: bool = True
    """Whether a list tells how many calls there are in all."""
    prose: bool = False
    """Whether a made tag is answered as the documents' text has it, and not as their example."""
    webhook_url: str | None = None
    webhook_timeout: float = 5.0
    retries: Sequence[float] = ()  # none are documented
    duplicate_rate: float = 0.0
    reorder_rate: float = 0.0
    reorder_seconds: float = 1.0


@dataclass
class Kept:
    """A call on the platform."""

    id: int
    call: Call
    transcript: tuple[str, ...] = ()
    recorded: bool = True
    campaign: str = "Spring"
    tags: list[str] = field(default_factory=list)

    def shown(self, blocks: Sequence[str], tag_ids: Mapping[str, int]) -> Shape:
        """The call's fields, with these blocks of `include`."""
        call = self.call
        answered = call.status == "answered"
        more: Shape = {
            "tags": [{"tag_id": tag_ids[name], "tag_name": name} for name in self.tags],
            "recordings": [{"url": f"https://a.test/{self.id}.mp3"}] if self.recorded and answered else [],
            "transcription": {"segments": [{"text": part} for part in self.transcript]},
        }
        return {
            "call_id": self.id,
            "caller_id": call.caller,
            "phone_number": call.receiver,
            "direction": call.direction,
            "disposition": DISPOSITIONS[call.status],
            "duration": call.duration,
            "start_time": iso(call.started),
            "end_time": iso(call.ended),
            "campaign": self.campaign,
            **{name: value for name, value in more.items() if name in blocks},
        }


@dataclass
class TokenCounters(Counters):
    token_requests: Counter[str] = field(default_factory=Counter)
    """By way: `login`, `refresh`, `v2 login`, `v2 refresh`."""
    tokens: int = 0


class Simulator:
    """Convirza as far as its documents tell, in memory. Every method may be called from any thread."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.lock = threading.RLock()
        self.calls: dict[int, Kept] = {}
        self.tags: dict[str, int] = {}
        """Ids by name."""
        self.access: dict[str, float] = {}
        """Access tokens with their end (Unix seconds); those of the old API begin with `v2-`."""
        self.refresh: set[str] = set()
        """Refresh tokens that were not used yet."""
        self.counters = TokenCounters()
        self.facts: dict[str, dict[str, Fact]] = {}
        """By reference, the facts of the calls that were played."""
        self.answers: dict[str, bytes] = {}
        """By path, what is answered in place of what is documented."""
        self.connections: Connections = {}
        self.closed = threading.Event()
        self.sender = Sender(self.config, self._headers, seed=1)
        self._faults: list[tuple[Fault, int | None]] = []
        self._numbers = count(880_001)
        self._second, self._passed, self._logins = Window(1.0), Window(1.0), Window(60.0)

    def add(self, call: Call, **more: Any) -> Kept:
        """A call that has ended; `more` are further fields of it."""
        with self.lock:
            kept = Kept(next(self._numbers), call, **more)
            self.calls[kept.id] = kept
            return kept

    def define(self, name: str) -> int:
        with self.lock:
            return self.tags.setdefault(name, next(self._numbers))

    def rename(self, tag_id: int, name: str) -> None:
        with self.lock:
            old = next(each for each, found in self.tags.items() if found == tag_id)
            self.tags = {name if each == old else each: found for each, found in self.tags.items()}
            for kept in self.calls.values():
                kept.tags = [name if each == old else each for each in kept.tags]

    def delete(self, tag_id: int) -> None:
        """Its definition, which takes it off every call."""
        with self.lock:
            self.tags = {name: found for name, found in self.tags.items() if found != tag_id}
            for kept in self.calls.values():
                kept.tags = [name for name in kept.tags if name in self.tags]

    def edit(self, kept: Kept, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """A person's edit, of which no webhook tells."""
        with self.lock:
            for name in add:
                self.define(name)
            kept.tags = [name for name in dict.fromkeys([*kept.tags, *add]) if name not in remove]

    def emit(self, kept: Kept, event: str) -> None:
        """Sends this webhook, as the call is now."""
        with self.lock:
            self.sender.send(self.webhook(kept, event))

    def webhook(self, kept: Kept, event: str) -> Shape:
        """The body of a call webhook (`pre_call`, `post_call`) or a subscription (`add`, `update`)."""
        call = kept.shown((), self.tags)
        if event in ("pre_call", "post_call"):
            over = ("disposition", "duration", "end_time") if event == "pre_call" else ()
            known = {name: value for name, value in call.items() if name not in over}
            return {**known, "static_parameters": {"token": self.config.secret, "desk": "west"}}
        return {
            "event_type": event,
            "entity_type": "Calls",
            "entity_id": kept.id,
            "data": kept.shown(("transcription",), self.tags) if event == "update" else call,
            "delivery_timestamp": iso(time()),
            "idempotency_key": f"{kept.id}-{event}-{next(self._numbers)}",
        }

    def grant(self, way: str, v2: bool = False) -> Shape:
        """New tokens, with what the documents answer about them."""
        with self.lock:
            self.counters.tokens += 1
            self.counters.token_requests[way] += 1
            now, prefix = time(), "v2-" if v2 else ""
            access, refresh = (f"{prefix}{secrets.token_hex(12)}" for _ in range(2))
            self.access[access] = now + (HOUR if v2 else self.config.access_seconds)
            self.refresh.add(refresh)
            tokens: Shape = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
            if v2:
                return {**tokens, "expires_in": int(HOUR)}
            user = {
                "user_id": 7,
                "email": self.config.email,
                "role_id": 1,
                "org_unit_id": self.config.org_unit_id,
            }
            until = {"expires_in": iso(self.access[access]), "refresh_expires_in": iso(now + 180 * DAY)}
            return {**tokens, **until, "frontend_token": "x", "user": user}

    def revoke(self) -> None:
        """No access token that was given out is taken any more."""
        with self.lock:
            self.access.clear()

    def login_allowed(self) -> bool:
        with self.lock:
            return self._logins.note(monotonic()) <= self.config.logins_a_minute

    def fail(self, fault: Fault) -> None:
        with self.lock:
            self._faults.append((fault, fault.count))

    def mend(self) -> None:
        with self.lock:
            self._faults.clear()

    def arrive(self, on: str) -> Fault | None:
        """Notes a request (`api`, `write`, `token`) and says what goes wrong with it."""
        now = monotonic()
        with self.lock:
            if on != "token":
                self.counters.busiest = max(self.counters.busiest, self._second.note(now))
            if (planned := self._planned(on)) is not None:
                return planned
            limit = self.config.rate_limit
            if on == "token" or limit is None:
                return None
            if self._passed.size(now) >= limit:
                return Fault("429", retry_after="1")
            self._passed.note(now)
            return None

    def _planned(self, on: str) -> Fault | None:
        hit = {"token": ("token",), "api": ("api",), "write": ("api", "write")}[on]
        for place, (fault, left) in enumerate(self._faults):
            if left != 0 and fault.on in hit:
                self._faults[place] = (fault, None if left is None else left - 1)
                return fault
        return None

    def _headers(self, body: bytes, _now: float) -> Mapping[str, str]:
        """A subscription's event is signed, a call webhook is not."""
        headers = {"Content-Type": "application/json"}
        if "static_parameters" in orjson.loads(body):
            return headers
        digest = hmac.new(self.config.secret.encode(), body, hashlib.sha256)
        return {**headers, "X-Webhook-Signature": digest.hexdigest()}

    def close(self) -> None:
        """Stops playing and sending webhooks, for good."""
        self.closed.set()
        self.sender.close()


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
