"""Work that is done in several processes, so that it takes all processors."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any, TypeVar

from cli.errors import UserError
from worker.process import die_with_parent

MOST = 8
"""Processes: one alone reads what they work on, and each takes memory."""

Part = TypeVar("Part")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """What comes of each part, in their order; no more parts are held at once than processes are at work.

    `work` goes to the processes by their being forked, so it may be anything; parts and results are pickled.
    One part alone is worked on here.
    """
    parts = iter(parts)
    first = list(islice(parts, 2))
    number = min(_processors(), MOST)
    if len(first) < 2 or number < 2:
        yield from map(work, chain(first, parts))
        return
    yield from _forked(work, chain(first, parts), number)


def _forked(work: Callable[[Part], Result], parts: Iterable[Part], number: int) -> Iterator[Result]:
    under_way: deque[Future[Any]] = deque()
    with ProcessPoolExecutor(number, get_context("fork"), _begin, (os.getpid(), work)) as pool:
        try:
            for part in parts:
                under_way.append(pool.submit(_do, part))
                if len(under_way) > number:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a process of this command was ended from outside, maybe for want of memory"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _processors() -> int:
    """How many this process may use; one where a fork is not to be had."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


_work: list[Callable[[Any], Any]] = []
"""What a process of the pool does; empty everywhere else."""


def _begin(parent: int, work: Callable[[Any], Any]) -> None:
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for who started it
    _work.append(work)


def _do(part: Any) -> Any:
    return _work[0](part)
