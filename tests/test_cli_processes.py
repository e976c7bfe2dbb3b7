"""Work side by side in several processes."""

import os
import signal
from collections.abc import Iterator

import pytest

from cli import processes
from cli.errors import UserError
from cli.processes import side_by_side


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
