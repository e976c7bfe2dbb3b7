"""A simulator on a socket, in a thread of this process, and connections that break."""

import asyncio
import socket
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Address = tuple[str, int]
Connections = MutableMapping[Address, HttpToolsProtocol]
"""The open connections of the server by the client's address, so that one can be cut."""


class Dropped(Response):
    """No answer: the connection is cut. Works under `serve`, which knows the connections."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        host, port = scope["client"]
        self._connections[(host, port)].transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


@contextmanager
def serve(app: ASGIApp, connections: Connections, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Gives the URL at which the app answers until the block ends. OSError if the port cannot be had."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(2048)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=_protocol(connections),
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _protocol(connections: Connections) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, which notes its connection so that a fault can cut it."""

    class Noted(HttpToolsProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
            super().connection_made(transport)
            if self.client:
                connections[self.client] = self

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    return Noted
