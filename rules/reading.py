"""Many calls read at once: each value of a field is read and checked once, however many calls have it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rules.block import Block, Column
from rules.calls import Raw
from rules.facts import FactError, facts_from_json, reader_of
from rules.fields import find


class Calls(NamedTuple):
    """Calls with the names that they have in samples, and what is wrong with what could not be read, by name.

    `about` is when each was (Unix seconds), as far as that is known where its facts do not tell.
    """

    block: Block
    names: Sequence[str]
    bad: Sequence[tuple[str, str]]
    about: Sequence[float] | None = None

    def within(self, since: float | None, until: float | None) -> "Calls":
        """Those of that time; what is of no known time is of none that is asked for."""
        if since is None and until is None:
            return self
        moments, codes = self.block.moments
        times = np.asarray([np.nan, *(moment.timestamp() for moment in moments[1:])])[codes]
        if self.about is not None:
            times = np.where(np.isnan(times), self.about, times)
        later = np.ones(len(times), dtype=bool) if since is None else times >= since
        earlier = np.ones(len(times), dtype=bool) if until is None else times <= until
        rows = np.flatnonzero(later & earlier)
        return Calls(self.block.take(rows), [self.names[row] for row in rows.tolist()], self.bad)


def read_calls(raw: Sequence[Raw], about: Sequence[float] | None = None) -> Calls:
    """The calls, their facts checked."""
    given = {at: call for at, (_, call) in enumerate(raw) if not isinstance(call, str)}
    faults = {at: call for at, (_, call) in enumerate(raw) if isinstance(call, str)}
    block, wrong = read(list(given.values()))
    places = list(given)
    faults |= {places[at]: fault for at, fault in wrong.items()}
    kept = [at for at in range(len(raw)) if at not in faults]
    bad = [(raw[at][0], faults[at]) for at in sorted(faults)]
    return Calls(block, [raw[at][0] for at in kept], bad, about and [about[at] for at in kept])


def read(objects: Sequence[Mapping[str, Any]]) -> tuple[Block, dict[int, str]]:
    """Calls whose facts are written as JSON values, as `facts_from_json` reads them one by one; and by its
    place what is wrong with each that is left out.
    """
    columns, wrong = {}, set[int]()
    for field in set[str]().union(*objects):
        if find(field):
            columns[field] = column = _read(field, [call.get(field) for call in objects])
            wrong.update(np.flatnonzero(column.codes < 0).tolist())
        else:
            wrong.update(at for at, call in enumerate(objects) if field in call)
    if wrong:
        block, _ = read([call for at, call in enumerate(objects) if at not in wrong])
        return block, {at: _fault(objects[at]) for at in sorted(wrong)}
    absent = Column([None], np.zeros(len(objects), dtype=np.intp))
    block = Block(
        len(objects), lambda row: facts_from_json(objects[row]), lambda field: columns.get(field, absent)
    )
    return block, {}


def _read(field: str, raw: Sequence[Any]) -> Column:
    """The place of what is no such fact is -1."""
    keys, reader = _keys(raw), reader_of(field)
    values: list[Any] = [None]
    places: dict[Any, int] = {}
    for key, value in dict(zip(keys, raw, strict=True)).items():
        if value is None:
            places[key] = 0
            continue
        try:
            fact = reader(value)
        except FactError:
            places[key] = -1
        else:
            places[key] = len(values)
            values.append(tuple(fact) if isinstance(fact, list) else fact)
    return Column(values, np.fromiter(map(places.__getitem__, keys), np.intp, len(raw)))


def _keys(raw: Sequence[Any]) -> Sequence[Any]:
    """What is equal where the values are the same: True and 1 are not, and lists have no hash."""
    kinds = set(map(type, raw))
    if not kinds.isdisjoint((list, dict)):
        return list(map(repr, raw))
    if bool in kinds and not kinds.isdisjoint((int, float)):
        return list(zip(map(type, raw), raw, strict=True))
    return raw


def _fault(call: Mapping[str, Any]) -> str:
    try:
        facts_from_json(call)
    except FactError as fault:
        return str(fault)
    raise AssertionError("its columns have a fault")
