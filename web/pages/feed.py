"""What is live on pages: one look at the database serves all who watch the same."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import anyio
import structlog
from sse_starlette import EventSourceResponse, ServerSentEvent

LIFE = 300.0
"""Seconds after which a stream ends; the browser opens another one, if its session still lasts."""
RETRY = 2000
"""Milliseconds after which it does so."""
GRACE = 2.0
"""Seconds that a stream has to end by itself when the process does."""
WAITING = 64
"""Messages that a slow listener may have waiting before older ones are dropped."""

log = structlog.get_logger()


class Item(NamedTuple):
    """Something that is shown; `key` is its own, and another one when it is to be shown anew."""

    key: str
    html: str


class Feed:
    """Looks every so often while anybody listens, and tells each what they have not been told."""

    def __init__(self, look: Callable[[], list[Item]], every: float = 1.0) -> None:
        self._look = look
        self._every = every
        self._listeners: set[asyncio.Queue[list[Item]]] = set()
        self._items: list[Item] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def stream(self) -> EventSourceResponse:
        """The answer to one listener."""
        ended = anyio.Event()
        told = self._told(ended)
        return EventSourceResponse(told, send_timeout=30, shutdown_event=ended, shutdown_grace_period=GRACE)

    async def _told(self, ended: anyio.Event) -> AsyncIterator[ServerSentEvent]:
        queue: asyncio.Queue[list[Item]] = asyncio.Queue(WAITING)
        if self._items:
            queue.put_nowait(self._items)
        self._listeners.add(queue)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            loop = asyncio.get_running_loop()
            ends = loop.time() + LIFE
            while items := await _next(queue, ended, ends - loop.time()):
                yield ServerSentEvent("".join(item.html for item in items), event="items", retry=RETRY)
        finally:
            self._listeners.discard(queue)

    async def _run(self) -> None:
        """Ends by itself when nobody listens any more."""
        while self._listeners:
            try:
                self._tell(await asyncio.to_thread(self._look))
            except Exception as fault:  # noqa: BLE001 whatever it is, those who watch are told of the next look
                log.warning("what is live on a page could not be looked at", fault=type(fault).__name__)
            await asyncio.sleep(self._every)
        self._items, self._task = [], None

    def _tell(self, items: list[Item]) -> None:
        known = {item.key for item in self._items}
        fresh = [item for item in items if item.key not in known]
        self._items = items
        for queue in self._listeners if fresh else ():
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(fresh)


async def _next(queue: asyncio.Queue[list[Item]], ended: anyio.Event, left: float) -> list[Item] | None:
    """What is to be told next; None when the time is over, or the process ends."""
    getting, ending = asyncio.ensure_future(queue.get()), asyncio.ensure_future(ended.wait())
    try:
        both: set[asyncio.Future[Any]] = {getting, ending}
        done, _ = await asyncio.wait(both, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting in done and not ended.is_set() else None
    finally:
        getting.cancel()
        ending.cancel()
