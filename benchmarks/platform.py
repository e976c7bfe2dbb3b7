"""A platform that costs little, as it shares the machine with what is measured: it takes tags, counts them.

    python -m benchmarks.platform PORT

It answers as SIPSIM does to what a tagger of new calls asks of it. `/counts` tells how many calls were tagged
and how many requests that took, `/times` when each call was.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

TAGS = {"data": [{"id": 7, "name": "Long Call", "color": "#EF4444", "description": ""}]}
TOKEN = {"access_token": "benchmark-token", "token_type": "Bearer", "expires_in": 7200}


class Counts:
    """What came in."""

    def __init__(self) -> None:
        self.put: dict[bytes, float] = {}
        """By call, when it was tagged (Unix seconds)."""
        self.again = 0
        self.requests = 0

    def shown(self) -> dict[str, object]:
        return {"put": len(self.put), "again": self.again, "requests": self.requests}


class Connection(asyncio.Protocol):
    """One connection, its requests one after the other."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end]
            whole = end + 4 + _length(head)
            if len(self._data) < whole:
                return
            self._data = self._data[whole:]
            method, path, _ = head.split(b" ", 2)
            self._transport.write(self._answer(method, path))

    def _answer(self, method: bytes, path: bytes) -> bytes:
        if path == b"/counts":
            return _answer(200, self._counts.shown())
        if path == b"/times":
            return _answer(200, {call.decode(): at for call, at in self._counts.put.items()})
        self._counts.requests += 1
        if method == b"PUT":
            return self._put(path.split(b"/")[4])
        return _answer(200, TOKEN if path == b"/oauth/token" else TAGS)

    def _put(self, call: bytes) -> bytes:
        if call in self._counts.put:
            self._counts.again += 1
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        self._counts.put[call] = time.time()
        return PUT


def _answer(status: int, content: object) -> bytes:
    body = json.dumps(content).encode()
    head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


PUT = _answer(201, TAGS)


def _length(head: bytes) -> int:
    _, found, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.split(b"\r\n", 1)[0]) if found else 0


async def serve(port: int) -> None:
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(counts), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
