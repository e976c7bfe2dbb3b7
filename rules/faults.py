"""What is wrong with a rule set, each with its place, all of them at once."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Place(NamedTuple):
    """Where something is written; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Placed(Protocol):
    """Whatever was written somewhere."""

    @property
    def place(self) -> Place: ...


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault, or one warning; `file` is relative to the rule set's folder."""

    file: str
    line: int
    column: int
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {'warning: ' * self.warning}{self.message}"


class RuleSetFaults(Exception):
    """A rule set that cannot be used, with everything that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(
            f"{len(faults)} faults, the first: {faults[0]}" if len(faults) > 1 else str(faults[0])
        )
        self.faults = faults


class Faults:
    """Where the loader's parts put what they find."""

    def __init__(self) -> None:
        self.found: list[Fault] = []
        self.warnings: list[Fault] = []

    def add(self, at: Placed, message: str) -> None:
        self.at(*at.place, message)

    def at(self, file: str, line: int, column: int, message: str) -> None:
        self.found.append(Fault(file, line, column, _one_line(message)))

    def warn(self, at: Placed, message: str) -> None:
        self.warnings.append(Fault(*at.place, _one_line(message), warning=True))

    def __bool__(self) -> bool:
        return bool(self.found)


def _one_line(message: str) -> str:
    """What an author wrote may go over several lines; what is said of it does not."""
    return " ".join(message.splitlines())
