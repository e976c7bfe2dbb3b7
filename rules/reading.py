"""Many calls read at once: each value of a field is read and checked once, however many calls have it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from rules.block import Block, Column
from rules.calls import Raw
from rules.facts import FactError, facts_from_json, reader_of
from rules.fields import find

PART = 4096
"""Calls that are best read at once: more of them take more memory, and no less time."""
SELDOM = 10
"""What fewer than one in so many calls have is checked call by call: there may be any number of fields."""


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
    faults = {at: call for at, (_, call) in enumerate(raw) if isinstance(call, str)}
    places = [at for at in range(len(raw)) if at not in faults]
    block, wrong = read([call for _, call in raw if not isinstance(call, str)])
    faults |= {places[at]: fault for at, fault in wrong.items()}
    kept = [at for at in places if at not in faults]
    names = [raw[at][0] for at in kept]
    bad = [(raw[at][0], faults[at]) for at in sorted(faults)]
    return Calls(block, names, bad, None if about is None else [about[at] for at in kept])


def read(objects: Sequence[Mapping[str, Any]]) -> tuple[Block, dict[int, str]]:
    """Calls whose facts are written as JSON values, as `facts_from_json` reads them one by one; and by its
    place what is wrong with each that is left out.
    """
    times = Counter(chain.from_iterable(objects))
    often = {field for field, calls in times.items() if calls * SELDOM >= len(objects) and find(field)}
    columns = {field: _read(field, objects) for field in often}
    wrong = {at for column in columns.values() for at in np.flatnonzero(column.codes < 0).tolist()}
    if len(often) < len(times):
        wrong |= {at for at, call in enumerate(objects) if _fault(call, leaving_out=often)}
    if wrong:
        block, _ = read([call for at, call in enumerate(objects) if at not in wrong])
        return block, {at: _fault(objects[at]) or "" for at in sorted(wrong)}
    block = Block(
        len(objects),
        lambda row: facts_from_json(objects[row]),
        lambda field: columns[field] if field in columns else _read(field, objects),
    )
    return block, {}


def _fault(call: Mapping[str, Any], leaving_out: Collection[str] = ()) -> str | None:
    """What is wrong with the facts of a call."""
    try:
        facts_from_json({name: value for name, value in call.items() if name not in leaving_out})
    except FactError as fault:
        return str(fault)
    return None


def _read(field: str, objects: Sequence[Mapping[str, Any]]) -> Column:
    """The place of what is no such fact is -1."""
    raw, reader = [call.get(field) for call in objects], reader_of(field)
    keys = _keys(raw)
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
    """For each value something that is equal where the values are the same: in most columns the value itself,
    but True equals 1, and lists have no hash."""
    kinds = set(map(type, raw))
    plain = kinds.isdisjoint((list, dict)) and (bool not in kinds or kinds.isdisjoint((int, float)))
    return raw if plain else list(map(_key, raw))


def _key(value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return type(value), id(value) if isinstance(value, list | dict) else value
