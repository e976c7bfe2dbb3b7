"""Group commit: webhooks that arrive together are committed together, in one transaction of one thread."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from store import inbox
from store.database import Database, Unavailable
from store.inbox import Arrival

GROUP = 128
"""Webhooks in one transaction."""
MOST = 4096
"""Webhooks that may wait for it; more are answered 503."""

CLOSING = 10.0
"""Seconds that a commit under way has at the end."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Waiting:
    """A webhook whose sender waits for the answer; without its body as soon as nobody waits any more."""

    arrival: Arrival | None
    answer: asyncio.Future[bool]


class GroupCommit:
    """The one way into the inbox for a web process."""

    def __init__(self, database: Database, committed: Callable[[], None]) -> None:
        self._database = database
        self._committed = committed
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Commits what is waiting, and ends; a database that hangs does not hold it up for ever."""
        self._queue.put(None)
        self._thread.join(CLOSING)

    async def keep(self, arrival: Arrival) -> bool:
        """Commits the event; True when it is new, False for a duplicate. Raises `Unavailable`."""
        if self._queue.qsize() >= MOST:
            raise Unavailable("too many webhooks are waiting for the database")
        waiting = Waiting(arrival, asyncio.get_running_loop().create_future())
        self._queue.put(waiting)
        try:
            return await waiting.answer
        finally:
            waiting.arrival = None

    def _run(self) -> None:
        ended = False
        while not ended:
            group = self._group()
            ended = None in group
            self._commit([waiting for waiting in group if waiting is not None])

    def _group(self) -> list[Waiting | None]:
        group = [self._queue.get()]
        while len(group) < GROUP:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, waiting: list[Waiting]) -> None:
        pairs = [(one, arrival) for one in waiting if (arrival := one.arrival) is not None]
        if not pairs:
            return
        group = [one for one, _ in pairs]
        try:
            with self._database.write() as connection:
                arrivals = [arrival for _, arrival in pairs]
                answers: list[bool | Exception] = list(inbox.accept(connection, arrivals))
        except Exception as fault:  # noqa: BLE001 whatever it is, nothing was committed: each sender must hear so
            log.warning("webhooks could not be committed", number=len(group), fault=type(fault).__name__)
            answers = [Unavailable(type(fault).__name__)] * len(group)
        if any(answer is True for answer in answers):
            self._committed()
        _tell(group, answers)


def _tell(group: list[Waiting], answers: list[bool | Exception]) -> None:
    """Hands the answers to the event loop, all in one step."""

    def tell() -> None:
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():  # its sender has gone
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)

    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        group[0].answer.get_loop().call_soon_threadsafe(tell)


class Waker:
    """Tells the workers of new events, at once, and then no oftener than they can use."""

    SPACING = 0.02

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._news = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="waker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._news.set()
        self._thread.join(timeout=10.0)

    def tell(self) -> None:
        """There are new events."""
        self._news.set()

    def _run(self) -> None:
        while True:
            self._news.wait()
            if self._ended.is_set():
                return
            self._news.clear()
            try:
                self._wake()
            except Exception as fault:  # noqa: BLE001 whatever it is, the next news must be told
                log.error("the workers could not be told of new events", fault=type(fault).__name__)
            self._ended.wait(self.SPACING)
