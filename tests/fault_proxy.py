"""A TCP proxy that does harm: answers late, cuts connections, resets them, swallows everything, refuses.

It stands in front of any server on a loopback port, in a thread of its own. What a test sets holds at once,
for connections that are open too.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing sends RST instead of FIN."""


@dataclass
class FaultProxy:
    """The way to one server, which listens on a port of this machine or on a unix socket."""

    server: int | Path
    port: int = 0
    """Its own."""
    latency: float = 0.0
    """Seconds by which everything comes later, each way."""
    refuses: bool = False
    """New connections are reset at once."""
    passed: int = 0
    """Connections that were let through."""
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self._flows = asyncio.Event()
        self._flows.set()

    @property
    def url(self) -> str:
        """Its address, where the server speaks HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def black_hole(self, on: bool = True) -> None:
        """Nothing comes through any more, and nobody is told; or again, with what was held up."""
        self._loop.call_soon_threadsafe(self._flows.clear if on else self._flows.set)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody is there, while the block runs: new connections are reset, and those that were."""
        self.refuses = True
        self.cut()
        try:
            yield
        finally:
            self.refuses = False

    @contextmanager
    def swallowing(self) -> Iterator[None]:
        """A black hole, while the block runs."""
        self.black_hole()
        try:
            yield
        finally:
            self.black_hole(False)

    def cut(self) -> None:
        """Every open connection is reset, in the middle of whatever it does."""
        asyncio.run_coroutine_threadsafe(self._reset_all(), self._loop).result(5)

    async def _reset_all(self) -> None:
        for writer in list(self._open):
            _reset(writer)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            _reset(writer)
            return
        await self._flows.wait()
        try:
            there, back = await self._connect()
        except OSError:
            _reset(writer)
            return
        self.passed += 1
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._open -= {writer, back}
            for one in (writer, back):
                one.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.server, Path):
            return await asyncio.open_unix_connection(self.server)
        return await asyncio.open_connection("127.0.0.1", self.server)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _serve(self, ready: threading.Event, ended: asyncio.Event) -> None:
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await ended.wait()
        server.close()
        self._flows.set()
        await self._reset_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


@contextmanager
def fault_proxy(server: int | Path) -> Iterator[FaultProxy]:
    """A proxy in front of this server, for the length of the block."""
    proxy = FaultProxy(server)
    ready, ended = threading.Event(), asyncio.Event()
    loop = proxy._loop
    thread = threading.Thread(target=loop.run_until_complete, args=(proxy._serve(ready, ended),))
    thread.start()
    try:
        assert ready.wait(5)
        yield proxy
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
