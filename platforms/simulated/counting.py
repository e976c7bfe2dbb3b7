"""What simulators count."""

from collections import Counter, deque
from dataclasses import dataclass, field

from platforms.simulated.sender import Sender


class Window:
    """How many were noted in the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: deque[float] = deque()

    def size(self, now: float) -> int:
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return len(self._times)

    def note(self, now: float) -> int:
        self._times.append(now)
        return self.size(now)


@dataclass
class Counters:
    """As `platforms.simulated.Simulated` tells them."""

    requests: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    added: int = 0
    removed: int = 0


class Counted:
    """The part of a `platforms.simulated.Simulated` that tells what was counted."""

    def __init__(self, counters: Counters, sender: Sender) -> None:
        self._counters = counters
        self._sender = sender

    @property
    def requests(self) -> Counter[str]:
        return Counter(self._counters.requests)

    @property
    def busiest(self) -> int:
        return self._counters.busiest

    @property
    def added(self) -> int:
        return self._counters.added

    @property
    def removed(self) -> int:
        return self._counters.removed

    @property
    def waiting(self) -> int:
        return self._sender.waiting()
