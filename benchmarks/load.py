"""A load generator: signed webhooks of 2 KB over 64 connections, from a process of its own.

    python -m benchmarks.load

reads orders from its standard input and answers each in a line, both JSON: `{"port": 8000, "path": "/x",
"first": 0, "number": 10000, "seconds": 60}` sends the webhooks of the calls from `first` on, until that many
are answered or the time is over. With `"since"`, Unix seconds, the calls ended then, three seconds apart, not
now; another `"filler"` makes other events of the same calls.
"""

import asyncio
import hashlib
import hmac
import json
import sys
import time
from dataclasses import dataclass
from typing import Any, cast

import uvloop

CONNECTIONS = 64
SECRET = b"benchmark-webhook-secret"
SIZE = 2048
"""Bytes of a body."""
STEP = 3
DURATION = 1860
RECEIVER = "+33184800000"


def reference(number: int) -> str:
    """The reference of a call."""
    return f"bench-{number:010}"


def caller(number: int) -> str:
    """Who calls."""
    return f"+336{number % 10**8:08}"


def body(number: int, since: float | None = None, filler: str = "x") -> bytes:
    """The webhook of that call's end."""
    ended = time.time() if since is None else since + number * STEP
    known = {
        "event": "incoming_call_end",
        "pbx_id": reference(number),
        "caller": caller(number),
        "receiver": RECEIVER,
        "duration": DURATION,
        "audio_path": "https://app.sipsim.example/recordings/1.mp3",
        "status": "ANSWER",
        "time": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ended)),
    }
    start = json.dumps({**known, "note": ""})[:-2].encode()
    return start + filler.encode() * (SIZE - len(start) - 2) + b'"}'


def request(path: bytes, content: bytes) -> bytes:
    """The POST of that body, signed now."""
    stamp = str(int(time.time())).encode()
    signature = hmac.digest(SECRET, stamp + b"." + content, hashlib.sha256).hex().encode()
    return (
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"X-Webhook-Signature: %b\r\nX-Webhook-Timestamp: %b\r\n\r\n%b"
        % (path, len(content), signature, stamp, content)
    )


@dataclass
class Order:
    """What is to be sent; see above."""

    port: int
    path: str
    first: int
    number: int
    seconds: float
    since: float | None = None
    filler: str = "x"


class Sending:
    """One order: what is still to be sent, and what was answered."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.path, self.next, self.end = order.path.encode(), order.first, order.first + order.number
        self.until = time.perf_counter() + order.seconds
        self.open = 0
        self.again: list[int] = []
        """Calls whose webhook was answered 503: it is sent again, as platforms do."""
        self.accepted = 0
        self.refused = 0
        self.over = asyncio.get_running_loop().create_future()

    def take(self) -> int | None:
        """The next call."""
        if self.again:
            return self.again.pop()
        if self.next >= self.end or time.perf_counter() >= self.until:
            return None
        self.next += 1
        return self.next - 1

    def data(self, number: int) -> bytes:
        return request(self.path, body(number, self._order.since, self._order.filler))

    def answered(self, number: int, head: bytes) -> None:
        accepted = head.startswith(b"HTTP/1.1 202 ")
        self.accepted += accepted
        self.refused += not accepted
        if head.startswith(b"HTTP/1.1 503 "):
            self.again.append(number)

    def closed(self) -> None:
        self.open -= 1
        if not self.open and not self.over.done():
            self.over.set_result(None)


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # of uvloop's own kind
        self._sending.open += 1
        self._go_on()

    def _go_on(self) -> None:
        number = self._sending.take()
        if number is None:
            self._transport.close()
        else:
            self._number = number
            self._transport.write(self._sending.data(number))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, rest = self._answer.partition(b"\r\n\r\n")
        if not found or len(rest) < _length(head):
            return
        self._answer = b""
        self._sending.answered(self._number, head)
        self._go_on()

    def connection_lost(self, _fault: Exception | None) -> None:
        self._sending.closed()


def _length(head: bytes) -> int:
    """Of the body, by the head of an answer."""
    _, found, after = head.lower().partition(b"content-length:")
    return int(after.split(b"\r\n", 1)[0]) if found else 0


async def send(order: Order) -> dict[str, Any]:
    """Carries out an order: the answers by kind, the first call that was not sent, the seconds it took."""
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    sending = Sending(order)
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Connection(sending), "127.0.0.1", order.port)
    await sending.over
    took = time.perf_counter() - began
    return {"accepted": sending.accepted, "refused": sending.refused, "next": sending.next, "took": took}


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            print(json.dumps(runner.run(send(Order(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main()
