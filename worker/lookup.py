"""From a reference to the platform's call id, where the platform does not say how they belong together.

Never a guess: a record of the platform's list is a call's only if it is the one that fits by numbers,
direction and duration within the call's time, and fits no other call of ours; a record that carries the
reference decides at once.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from platforms.adapter import Client, Record
from rules.facts import Facts

MARGIN = timedelta(seconds=60)
"""How far the platform's time of a call may lie outside what the event says."""
DURATION_SLACK = 2.0
"""Seconds that two reports of one call's duration may differ by."""
GAP = timedelta(minutes=10)
"""Waiting calls no further apart than this share one request for the platform's list."""


class Miss(Enum):
    """Why a reference leads to no call id."""

    NONE = "the platform does not list the call yet"
    SEVERAL = "several calls on the platform fit by numbers, direction and duration"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call whose id is wanted."""

    call: int
    references: frozenset[tuple[str, str]]
    facts: Facts
    since: datetime
    until: datetime
    rivals: bool = False
    """Another call of ours, not among those searched for, fits the same and at the same time."""

    @property
    def number(self) -> str | None:
        """The outside party's number, which the platform's list can be searched by."""
        side = {"inbound": "caller", "outbound": "receiver"}.get(str(self.facts.get("direction")))
        number = self.facts.get(side) if side else None
        return str(number) if number else None

    def is_rivalled_by(self, other: "Wanted") -> bool:
        """Whether the other call would fit the same records."""
        together = other.since < self.until and self.since < other.until
        return together and fits(self.facts, other.facts)


def span(facts: Facts, told_at: datetime | None) -> tuple[datetime, datetime] | None:
    """The time in which the platform's list must have the call, whether `told_at`, the time of its end event,
    is its start or its end; None when no time is known."""
    duration = timedelta(seconds=_length(facts) or 0.0)
    times = [at for at in (facts.get("started_at"), told_at) if isinstance(at, datetime)]
    if told_at is not None:
        times.append(told_at - duration)
    if not times:
        return None
    return min(times).astimezone(UTC) - MARGIN, max(times).astimezone(UTC) + MARGIN


def fits(one: Facts, other: Facts) -> bool:
    """Whether two sets of facts can be of one call: the same known numbers and direction, and duration."""
    for field in ("caller", "receiver", "direction"):
        if field not in one or one[field] != other.get(field):
            return False
    lengths = [length for facts in (one, other) if (length := _length(facts)) is not None]
    if len(lengths) < 2:  # a platform's list may leave the length of an unanswered call open
        return lengths == [0.0]
    return abs(lengths[0] - lengths[1]) <= DURATION_SLACK


def _length(facts: Facts) -> float | None:
    """The call's duration in seconds, where it is known."""
    length = facts.get("duration")
    return float(length) if isinstance(length, int | float) else None


def search(
    client: Client, wanted: Sequence[Wanted], taken: Callable[[Collection[str]], Collection[str]]
) -> dict[int, Record | Miss]:
    """Looks for the calls in the platform's list, with one request for those that ended together.

    `taken` tells which of some ids already belong to another call of ours. Raises `PlatformError`.
    """
    found: dict[int, Record | Miss] = {}
    for group in _together(wanted):
        since, until = min(w.since for w in group), max(w.until for w in group)
        number = group[0].number if len(group) == 1 else None
        found |= _decide(client, group, list(client.list_calls(since, until, number)), taken)
    return found


def _together(wanted: Sequence[Wanted]) -> Iterable[list[Wanted]]:
    group: list[Wanted] = []
    for one in sorted(wanted, key=lambda w: w.since):
        if group and one.since - max(w.until for w in group) > GAP:
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _decide(
    client: Client,
    group: Sequence[Wanted],
    records: Sequence[Record],
    taken: Callable[[Collection[str]], Collection[str]],
) -> dict[int, Record | Miss]:
    fitting = {w.call: _fitting(w, records, taken) for w in group}
    unclear = [w for w in group if not _clear(w, fitting)]
    if len(group) > 1:  # a narrower look separates calls that only the wide list mixes up
        for w in unclear:
            if fitting[w.call]:
                fitting[w.call] = _fitting(w, list(client.list_calls(w.since, w.until, w.number)), taken)
    return {w.call: _verdict(w, fitting) for w in group}


def _fitting(
    wanted: Wanted, records: Sequence[Record], taken: Callable[[Collection[str]], Collection[str]]
) -> list[Record]:
    for record in records:
        if wanted.references & set(record.event.references):
            return [record]
    kinds = {kind for kind, _value in wanted.references}
    alike = [
        record
        for record in records
        if fits(wanted.facts, record.event.facts)
        and kinds.isdisjoint(kind for kind, _value in record.event.references)  # else it is another's
    ]
    gone = set(taken([record.id for record in alike])) if alike else set()
    return [record for record in alike if record.id not in gone]


def _clear(wanted: Wanted, fitting: Mapping[int, Sequence[Record]]) -> bool:
    mine = fitting[wanted.call]
    if len(mine) != 1:
        return False
    if wanted.references & set(mine[0].event.references):
        return True
    shared = any(
        mine[0].id == r.id for call, others in fitting.items() if call != wanted.call for r in others
    )
    return not shared and not wanted.rivals


def _verdict(wanted: Wanted, fitting: Mapping[int, Sequence[Record]]) -> Record | Miss:
    mine = fitting[wanted.call]
    if _clear(wanted, fitting):
        return mine[0]
    return Miss.SEVERAL if len(mine) > 1 else Miss.NONE
