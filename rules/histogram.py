"""How the values of a field lie, as bars of one round width."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BINS = 60


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bar number `at` stands for the values from `start + at * width` on; of the last one up to `end`, or
    beyond it where there is `more`."""

    start: float
    width: float
    bars: tuple[int, ...]
    more: bool

    @property
    def end(self) -> float:
        return self.start + len(self.bars) * self.width

    def names(self) -> list[str]:
        """What each bar stands for, in words."""
        lows = [self.start + at * self.width for at in range(len(self.bars))]
        found = [f"{low:g} to {low + self.width:g}" for low in lows]
        return [*found[:-1], f"{lows[-1]:g} and more" if self.more else found[-1]]

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the start and 1 at the end."""
        return (value - self.start) / (self.end - self.start)


def histogram(values: Mapping[float, int], marks: Sequence[float]) -> Histogram:
    """Of value to calls: up to the value that 99 of 100 calls are below, or a little beyond the marks."""
    known = sorted(values.items())
    total, seen, top = sum(values.values()), 0, 0.0
    for value, calls in known:
        if seen < total * 0.99:
            top = value
        seen += calls
    low = min([value for value, _ in known] + [*marks, 0.0])
    top = max([top, *(mark * 1.2 for mark in marks), low + 1.0])
    width = bin_width(top - low, whole=all(float(value).is_integer() for value, _ in known))
    first, last = _bin(low, width), _bin(top, width)
    bins = Counter(dict.fromkeys(range(first, last + 1), 0))
    for value, calls in known:
        bins[min(_bin(value, width), last)] += calls
    end = (last + 1) * width
    return Histogram(first * width, width, tuple(bins.values()), bool(known) and known[-1][0] >= end)


def bin_width(span: float, whole: bool) -> float:
    """A round width, so that each bar stands for as many of the (rounded) values as its neighbours."""
    power = 10.0 ** math.floor(math.log10(span / BINS))
    width = next(step * power for step in (1, 2, 5, 10) if step * power * BINS >= span)
    return max(width, 1.0) if whole else width


def _bin(value: float, width: float) -> int:
    return math.floor(value / width + 1e-9)
