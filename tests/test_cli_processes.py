"""Work side by side in several processes."""

import errno
import os
import signal
from collections.abc import Iterator
from multiprocessing import active_children

import pytest

from cli import processes
from cli.errors import UserError
from cli.processes import side_by_side
from tests.waiting import eventually

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # pytest has threads, the command none


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_processors", lambda: 3)


def test_results_come_in_the_order_of_the_parts_from_other_processes() -> None:
    found = list(side_by_side(lambda part: (part, os.getpid()), range(50)))
    assert [part for part, _ in found] == list(range(50))
    assert os.getpid() not in {pid for _, pid in found}


def test_one_part_is_worked_on_here() -> None:
    assert list(side_by_side(lambda _part: os.getpid(), ["alone"])) == [os.getpid()]
    assert list(side_by_side(lambda _part: os.getpid(), [])) == []


def test_no_more_parts_are_held_than_processes_are_at_work() -> None:
    taken: list[int] = []

    def parts() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    for done in side_by_side(lambda part: part, parts()):
        assert len(taken) <= done + 5


def test_a_fault_in_the_work_is_raised_here() -> None:
    def work(part: int) -> float:
        return 1 / (part - 3)

    with pytest.raises(ZeroDivisionError):
        list(side_by_side(work, range(50)))


def test_a_process_that_is_killed_is_told_in_a_line() -> None:
    def work(part: int) -> int:
        if part == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    with pytest.raises(UserError, match="ended from outside"):
        list(side_by_side(work, range(50)))


def test_a_fault_where_the_parts_come_from_leaves_no_process() -> None:
    def parts() -> Iterator[int]:
        yield from range(5)
        raise UserError("the file ends in the middle")

    with pytest.raises(UserError, match="in the middle"):
        list(side_by_side(lambda part: part, parts()))
    eventually(lambda: not active_children(), "no process is left")


def test_processes_that_cannot_be_started_are_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, forks = os.fork, iter(range(9))

    def refusing() -> int:
        if next(forks) == 1:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    monkeypatch.setattr(os, "fork", refusing)
    with pytest.raises(UserError, match="no more processes can be started"):
        list(side_by_side(lambda part: part, range(50)))
    eventually(lambda: not active_children(), "no process is left")
