"""Waiting in tests: for a condition, with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(condition: Callable[[], Found], what: str, seconds: float = 20.0) -> Found:
    """Asks until the condition holds and gives what it gave; fails with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return found
