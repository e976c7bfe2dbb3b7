"""A condition as alternatives: sets of single tests, of which one set must hold altogether.

Negation goes down to the single tests, names are followed. In three-valued logic too the condition is true
where one of the alternatives is all true, and false where each has something false.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from rules.conditions import AllOf, Comparison, Condition, Is, Not, Test


class Literal(NamedTuple):
    """One operator of a comparison, and whether it must be true or false."""

    comparison: Comparison
    test: Test
    wanted: bool


Conjunction = list[Literal]
"""Literals that must hold together."""

MOST = 32
"""Alternatives of one condition."""
LOOKED_AT = 250
"""Conditions within one, named ones with their parts; this also bounds the recursion."""


class TooManyError(Exception):
    """More alternatives than are worth working out."""


def conjunctions(condition: Condition, wanted: bool, named: Mapping[str, Condition]) -> list[Conjunction]:
    """The alternatives under which the condition is `wanted`; raises `TooManyError`."""
    return _alternatives(condition, wanted, named, [0])


def _alternatives(
    condition: Condition, wanted: bool, named: Mapping[str, Condition], seen: list[int]
) -> list[Conjunction]:
    """`seen` counts the conditions looked at."""
    seen[0] += 1
    if seen[0] > LOOKED_AT:
        raise TooManyError
    match condition:
        case Comparison(tests=tests):
            literals = [Literal(condition, test, wanted) for test in tests]
            return [literals] if wanted else [[literal] for literal in literals]
        case Not(item=item):
            return _alternatives(item, not wanted, named, seen)
        case Is(name=name):
            return _alternatives(named[name], wanted, named, seen)
    parts = [_alternatives(item, wanted, named, seen) for item in condition.items]
    if isinstance(condition, AllOf) is wanted:
        return _together(parts)
    return [conjunction for part in parts for conjunction in part]


def _together(parts: Sequence[list[Conjunction]]) -> list[Conjunction]:
    found: list[Conjunction] = [[]]
    for part in parts:
        if len(found) * len(part) > MOST:
            raise TooManyError
        found = [left + right for left in found for right in part]
    return found


def certain(condition: Condition, named: Mapping[str, Condition]) -> Conjunction:
    """Of a condition with too many alternatives, what must hold in any case, as far as it is easily seen."""
    while isinstance(condition, Is):
        condition = named[condition.name]
    found: Conjunction = []
    for item in condition.items if isinstance(condition, AllOf) else ():
        with suppress(TooManyError):
            parts = conjunctions(item, True, named)
            found += parts[0] if len(parts) == 1 else []
    return found
