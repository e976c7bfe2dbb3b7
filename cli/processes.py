"""Work that is done in several processes, so that it takes all processors."""

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing import active_children, get_context
from typing import Any, TypeVar

from cli.errors import UserError
from worker.process import die_with_parent

MOST = 8
"""Processes: one alone reads what they work on, and each takes memory."""

Part = TypeVar("Part")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """What comes of each part, in their order; of the parts hardly more are held than processes are at work.

    `work` goes to the processes by their being forked, so it may be anything; parts and results are pickled.
    One part alone is worked on here.
    """
    parts = iter(parts)
    first = list(islice(parts, 2))
    several = len(first) > 1
    parts = chain(iter(first), parts)
    del first  # or they would be held to the end
    number = min(_processors(), MOST)
    yield from _forked(work, parts, number) if several and number > 1 else map(work, parts)


def _forked(work: Callable[[Part], Result], parts: Iterator[Part], number: int) -> Iterator[Result]:
    under_way: deque[Future[Any]] = deque()
    pool = ProcessPoolExecutor(number, get_context("fork"), _begin, (os.getpid(), work))
    try:
        try:
            under_way.append(pool.submit(_do, next(parts)))  # starts all of them
        except OSError as fault:
            raise UserError(f"no more processes can be started: {fault.strerror}") from None
        for part in parts:
            under_way.append(pool.submit(_do, part))
            if len(under_way) > number:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    except BaseException as fault:
        for process in active_children():  # what they still do is not wanted
            process.terminate()
        if isinstance(fault, BrokenProcessPool):
            reason = "a process of this command was ended from outside, maybe for want of memory"
            raise UserError(reason) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


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
