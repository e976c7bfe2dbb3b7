"""Group commit and the waker: what waits together is committed together, and nothing waits for ever."""

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from store.database import Database, Unavailable, migrate
from store.schema import events
from tests.rows import arrival
from tests.waiting import eventually
from tests.web_part import locked
from web.inbox import MOST, SIZE, GroupCommit, Waker

MIB = 1024 * 1024


@contextmanager
def committing(tmp_path: Path, busy: float) -> Iterator[tuple[GroupCommit, list[float]]]:
    """A group commit into a new SQLite; notes when it told of new events."""
    told: list[float] = []
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}", busy=busy)
    migrate(database)
    inbox = GroupCommit(database, lambda: told.append(time.monotonic()))
    inbox.start()
    try:
        yield inbox, told
    finally:
        asyncio.run(inbox.close())
        database.close()


def rows(tmp_path: Path) -> int:
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}")
    with database.read() as connection:
        number = connection.execute(select(func.count()).select_from(events)).scalar_one()
    database.close()
    return number


def test_what_comes_together_is_committed_together_and_told_once(tmp_path: Path) -> None:
    async def run(inbox: GroupCommit) -> list[bool]:
        return await asyncio.gather(*(inbox.keep(arrival(str(n % 50))) for n in range(100)))

    with committing(tmp_path, 5.0) as (inbox, told):
        answers = asyncio.run(run(inbox))
        assert answers == [True] * 50 + [False] * 50
        assert len(told) == 1
        asyncio.run(run(inbox))
        assert len(told) == 1, "duplicates alone are no news"
    assert rows(tmp_path) == 50


def test_large_bodies_are_committed_a_few_at_a_time(tmp_path: Path) -> None:
    async def run(inbox: GroupCommit) -> list[bool]:
        return await asyncio.gather(*(inbox.keep(arrival(str(n) * (SIZE // 2))) for n in range(5)))

    with committing(tmp_path, 5.0) as (inbox, told):
        assert asyncio.run(run(inbox)) == [True] * 5
        assert len(told) == 3
    assert rows(tmp_path) == 5


def test_a_group_that_cannot_be_committed_is_unavailable_to_each_of_its_senders(tmp_path: Path) -> None:
    async def run(inbox: GroupCommit) -> list[bool | BaseException]:
        waiting = (inbox.keep(arrival(str(n))) for n in range(10))
        return await asyncio.gather(*waiting, return_exceptions=True)

    with committing(tmp_path, 0.2) as (inbox, told):
        with locked(tmp_path / "calltag.db"):
            assert {type(answer) for answer in asyncio.run(run(inbox))} == {Unavailable}
        assert told == []
        assert asyncio.run(run(inbox)) == [True] * 10


def test_bodies_that_nobody_waits_for_are_neither_kept_in_memory_nor_committed(tmp_path: Path) -> None:
    async def give_up(inbox: GroupCommit, n: int) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.keep(arrival(f"{n}" * MIB)), 0.3)

    async def run(inbox: GroupCommit) -> int:
        with locked(tmp_path / "calltag.db"):
            first = asyncio.create_task(inbox.keep(arrival("the first")))
            await asyncio.sleep(0.1)  # it is on its way, and waits for the lock
            tracemalloc.start()
            for n in range(10, 20):
                await give_up(inbox, n)
            held, _peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            first.cancel()
        assert await inbox.keep(arrival("the last"))
        return held

    with committing(tmp_path, 20.0) as (inbox, _told):
        assert asyncio.run(run(inbox)) < 4 * MIB
    assert rows(tmp_path) == 2


def test_more_than_the_queue_holds_is_unavailable_at_once(tmp_path: Path) -> None:
    async def run(inbox: GroupCommit) -> None:
        waiting = [asyncio.create_task(inbox.keep(arrival(str(n)))) for n in range(MOST + 300)]
        done, _ = await asyncio.wait(waiting, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        assert {type(one.exception()) for one in done} == {Unavailable}
        for one in waiting:
            one.cancel()

    with committing(tmp_path, 20.0) as (inbox, _told), locked(tmp_path / "calltag.db"):
        asyncio.run(run(inbox))


def test_closing_commits_what_waits_and_ends_the_thread(tmp_path: Path) -> None:
    async def run(inbox: GroupCommit) -> list[bool]:
        waiting = [asyncio.create_task(inbox.keep(arrival(str(n)))) for n in range(300)]
        await asyncio.sleep(0)
        await inbox.close()
        return await asyncio.gather(*waiting)

    with committing(tmp_path, 5.0) as (inbox, _told):
        assert asyncio.run(run(inbox)) == [True] * 300
        assert not [thread for thread in threading.enumerate() if thread.name == "inbox"]
    assert rows(tmp_path) == 300


def test_the_waker_tells_at_once_and_gathers_news_that_come_meanwhile() -> None:
    told: list[float] = []
    waker = Waker(lambda: told.append(time.monotonic()))
    waker.start()
    began = time.monotonic()
    while time.monotonic() - began < 0.3:
        waker.tell()
    eventually(lambda: told, "the waker tells")
    waker.close()
    assert told[0] - began < 0.3, "it does not wait until no more come"
    assert 2 <= len(told) <= 18
    assert not [thread for thread in threading.enumerate() if thread.name == "waker"]


def test_a_waker_whose_message_failed_tells_the_next_news() -> None:
    told: list[str] = []

    def wake() -> None:
        told.append("once more")
        raise ZeroDivisionError

    waker = Waker(wake)
    waker.start()
    for number in (1, 2):
        waker.tell()
        eventually(lambda n=number: len(told) >= n, "the waker tells")  # type: ignore[misc]
    waker.close()
