"""Sends webhooks as platforms do: with a time limit, again after a failure or not at all."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from time import monotonic, time
from typing import Protocol

import httpx
import orjson

Payload = dict[str, object]
Sign = Callable[[bytes, float], Mapping[str, str]]
"""(raw body, Unix seconds) -> the headers of a webhook that is sent then."""
CONNECTIONS = 8


class Deliveries(Protocol):
    """How webhooks are delivered, read anew for each; lengths of time in seconds."""

    @property
    def webhook_url(self) -> str | None: ...

    @property
    def webhook_timeout(self) -> float: ...

    @property
    def retries(self) -> Sequence[float]:
        """The pauses before each further try of a webhook that failed; after the last it is given up."""

    @property
    def duplicate_rate(self) -> float: ...

    @property
    def reorder_rate(self) -> float: ...

    @property
    def reorder_seconds(self) -> float: ...


@dataclass(order=True, slots=True)
class _Delivery:
    due: float
    number: int
    body: bytes = field(compare=False)
    on_first: Callable[[], None] | None = field(compare=False)
    tried: int = field(default=0, compare=False)


@dataclass(slots=True)
class SenderCounts:
    """`answers` by status, or `failed` where no answer came; `delivered` had a 2xx, `given_up` never."""

    queued: int = 0
    delivered: int = 0
    given_up: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def shown(self) -> dict[str, object]:
        return {
            "queued": self.queued,
            "delivered": self.delivered,
            "given_up": self.given_up,
            "answers": dict(self.answers),
        }


class Sender:
    """A queue by time, and a few threads that post what is due. Without a URL nothing is sent or kept."""

    def __init__(self, config: Deliveries, sign: Sign, seed: int) -> None:
        self._config = config
        self._sign = sign
        self._random = random.Random(seed)  # noqa: S311 - chance for a simulation
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        self._idle = threading.Condition(lock)
        self._queue: list[_Delivery] = []
        self._numbers = 0
        self._open = 0
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._client: httpx.Client | None = None
        self.counts = SenderCounts()

    def send(self, payload: Payload, delay: float = 0, on_first: Callable[[], None] | None = None) -> None:
        """Sends this event in `delay` seconds; `on_first` is called just before the first try."""
        config = self._config
        if config.webhook_url is None:
            return
        body = orjson.dumps(payload)
        with self._changed:
            self._start()
            self._put(body, delay + self._disorder(), on_first)
            if self._random.random() < config.duplicate_rate:
                self._put(body, delay + self._disorder(), None)
            self._changed.notify()

    def wait_idle(self, timeout: float) -> bool:
        """Whether everything is delivered or given up before the time is out (seconds)."""
        with self._idle:
            return self._idle.wait_for(lambda: self._open == 0, timeout)

    def waiting(self) -> int:
        """Deliveries that are neither delivered nor given up."""
        return self._open

    def close(self) -> None:
        """Drops what waits and ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        if self._client:
            self._client.close()

    def _start(self) -> None:
        if self._threads or self._closed:
            return
        self._client = httpx.Client(
            trust_env=False,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        )
        arguments = (self._client,)
        self._threads = [
            threading.Thread(target=self._run, args=arguments, daemon=True) for _ in range(CONNECTIONS)
        ]
        for thread in self._threads:
            thread.start()

    def _disorder(self) -> float:
        if self._random.random() >= self._config.reorder_rate:
            return 0.0
        return self._random.uniform(0, self._config.reorder_seconds)

    def _put(self, body: bytes, delay: float, on_first: Callable[[], None] | None) -> None:
        self._numbers += 1
        self._open += 1
        self.counts.queued += 1
        heappush(self._queue, _Delivery(monotonic() + delay, self._numbers, body, on_first))

    def _run(self, client: httpx.Client) -> None:
        while (delivery := self._next()) is not None:
            if delivery.on_first and not delivery.tried:
                delivery.on_first()
            answer = self._post(client, delivery.body)
            with self._changed:
                self._settle(delivery, answer)

    def _next(self) -> _Delivery | None:
        with self._changed:
            while not self._closed:
                wait = self._queue[0].due - monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    delivery = heappop(self._queue)
                    if self._queue:
                        self._changed.notify()
                    return delivery
                self._changed.wait(wait)
            return None

    def _post(self, client: httpx.Client, body: bytes) -> str:
        config = self._config
        if config.webhook_url is None:
            return "failed"
        headers = dict(self._sign(body, time()))
        limit = config.webhook_timeout
        try:
            return str(
                client.post(config.webhook_url, content=body, headers=headers, timeout=limit).status_code
            )
        except httpx.HTTPError:
            return "failed"

    def _settle(self, delivery: _Delivery, answer: str) -> None:
        self.counts.answers[answer] += 1
        retries = self._config.retries
        if answer.startswith("2"):
            self.counts.delivered += 1
        elif delivery.tried < len(retries):
            delivery.due = monotonic() + retries[delivery.tried]
            delivery.tried += 1
            heappush(self._queue, delivery)
            self._changed.notify()
            return
        else:
            self.counts.given_up += 1
        self._open -= 1
        if not self._open:
            self._idle.notify_all()
