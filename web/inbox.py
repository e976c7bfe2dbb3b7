"""Group commit: webhooks that arrive together are committed together, in one transaction of one thread."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import structlog

from store import inbox
from store.database import Database, Unavailable
from store.inbox import Arrival

GROUP = 128
"""Webhooks in one transaction."""
SIZE = 8 * 1024 * 1024
"""Bytes of bodies after which no more go into one: it would hold the write lock for long."""
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
        self._arrived: list[Waiting] = []
        self._at_work = False
        """A group is being gathered or committed; the next one waits for it, and grows."""
        self._groups: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def close(self) -> None:
        """Commits what is waiting, and ends; a database that hangs does not hold it up for ever."""
        while self._arrived:
            self._hand_over()
        self._groups.put(None)
        await asyncio.to_thread(self._thread.join, CLOSING)

    async def keep(self, arrival: Arrival) -> bool:
        """Commits the event; True when it is new, False for a duplicate. Raises `Unavailable`."""
        if len(self._arrived) >= MOST:
            raise Unavailable("too many webhooks are waiting for the database")
        loop = asyncio.get_running_loop()
        waiting = Waiting(arrival, loop.create_future())
        self._arrived.append(waiting)
        if not self._at_work:
            self._at_work = True
            loop.call_soon(self._gather, 1)
        try:
            return await waiting.answer
        finally:
            waiting.arrival = None

    def _gather(self, before: int) -> None:
        """Hands over what has arrived, as soon as a turn of the event loop brings no more: many small commits
        would take the interpreter from the loop many times."""
        if before < len(self._arrived) < GROUP:
            asyncio.get_running_loop().call_soon(self._gather, len(self._arrived))
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        """The oldest of those that have arrived."""
        sizes = [len(one.arrival.body) if one.arrival else 0 for one in self._arrived[:GROUP]]
        before = accumulate(sizes, initial=0)
        number = sum(bytes_ < SIZE for bytes_, _ in zip(before, sizes, strict=False))
        group, self._arrived = self._arrived[:number], self._arrived[number:]
        self._groups.put(group)

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            self._keep_group(group)
            del group  # it has bodies

    def _keep_group(self, group: list[Waiting]) -> None:
        pairs = [(one, arrival) for one in group if (arrival := one.arrival) is not None]
        answers = self._commit([arrival for _, arrival in pairs]) if pairs else []
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            group[0].answer.get_loop().call_soon_threadsafe(self._tell, [one for one, _ in pairs], answers)

    def _commit(self, arrivals: list[Arrival]) -> list[bool | Exception]:
        try:
            with self._database.write() as connection:
                answers: list[bool | Exception] = list(inbox.accept(connection, arrivals))
        except Exception as fault:  # noqa: BLE001 whatever it is, nothing was committed: each sender must hear so
            log.warning("webhooks could not be committed", number=len(arrivals), fault=type(fault).__name__)
            return [Unavailable(type(fault).__name__)] * len(arrivals)
        if any(answer is True for answer in answers):
            self._committed()
        return answers

    def _tell(self, group: list[Waiting], answers: list[bool | Exception]) -> None:
        """Hands the answers to the event loop, all in one step."""
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.answer.done():  # its sender has gone
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
        self._at_work = bool(self._arrived)
        if self._at_work:
            self._gather(0)


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
