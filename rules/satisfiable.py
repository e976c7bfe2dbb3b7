"""Whether a condition can be true at all, as far as its own comparisons tell.

The condition becomes alternatives, each a set of comparisons that must be true or false together. For a
field's comparisons a few values stand for all: every literal, what lies between two, below and above. What
cannot be told this way (patterns, schedules, too many alternatives) counts as possible.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from rules.conditions import Comparison, Condition
from rules.conjunctions import Conjunction, TooManyError, conjunctions
from rules.fields import FIELDS, Type
from rules.literals import MIDNIGHT, seconds_of
from rules.reference import holds
from rules.schedules import Schedule
from rules.text import fold

MOST = 32
"""Literals of an alternative, literals of a field that are looked at; beyond, all counts as possible."""


def contradiction(condition: Condition, wanted: bool, named: Mapping[str, Condition]) -> str | None:
    """The field that keeps the condition from ever being `wanted`, or None where nothing does."""
    try:
        found = [_conflict(leaves) for leaves in conjunctions(condition, wanted, named)]
    except TooManyError:
        return None
    return found[0] if found and all(found) else None


def _conflict(leaves: Conjunction) -> str | None:
    """The first field for which no value does."""
    if len(leaves) > MOST:
        raise TooManyError
    fields = dict.fromkeys(leaf[0].field for leaf in leaves)
    return next(
        (field for field in fields if not _possible([leaf for leaf in leaves if leaf[0].field == field])),
        None,
    )


def _possible(leaves: Conjunction) -> bool:
    condition = leaves[0][0]
    if any(
        wanted and isinstance(test.operand, Schedule) and not any(test.operand.days)
        for _, test, wanted in leaves
    ):
        return False
    if len(leaves) == 1 and condition.type not in BOUNDED and condition.field not in BOUNDED_FIELDS:
        return True
    values = _values(condition, leaves)
    return values is None or any(_passes(value, leaves) for value in values)


def _passes(value: Any, leaves: Conjunction) -> bool:
    return all(holds(condition, test, value) is wanted for condition, test, wanted in leaves)


ALWAYS = frozenset(field.name for field in FIELDS.values() if field.always)
"""Fields that every call has."""
BOUNDED = frozenset({Type.DURATION, Type.TIME_OF_DAY, Type.BOOLEAN})
BOUNDED_FIELDS = ALWAYS | {field.name for field in FIELDS.values() if field.values}
"""Where one comparison alone can ask for what no call has."""


def _values(condition: Comparison, leaves: Conjunction) -> list[Any] | None:
    """Values that stand for all that the field can have; None where a few cannot."""
    missing = [] if condition.field in ALWAYS else [None]
    field = FIELDS.get(condition.field)
    asked = [test for _, test, _ in leaves if test.operator != "exists"]
    if condition.type is Type.BOOLEAN:
        return [*missing, True, False]
    if field is not None and field.values:
        return [*missing, *field.values]
    if any(test.operator in OPEN for test in asked):
        return None
    literals = [literal for test in asked for literal in _literals(test.operand)]
    if len(literals) > MOST:
        raise TooManyError
    return [*missing, *STAND_INS.get(condition.type, _texts)(literals)]


OPEN = frozenset(
    {"during", "matches", "contains", "starts_with", "ends_with", "mentions", "includes", "includes_all"}
)
"""Operators on which no few values stand for all."""


def _literals(operand: Any) -> Iterable[Any]:
    return operand if isinstance(operand, tuple) else (operand,)


def _texts(literals: list[Any]) -> list[Any]:
    """Each literal in both cases, one text that none of them is, and for `custom` fields other kinds too."""
    texts = [text for text in literals if isinstance(text, str)]
    numbers = [
        number for number in literals if isinstance(number, int | float) and not isinstance(number, bool)
    ]
    other = "".join(texts) + "?"
    return [
        *texts,
        *map(fold, texts),
        *(text.upper() for text in texts),
        other,
        *_numbers(numbers),
        True,
        False,
    ]


def _numbers(literals: list[Any]) -> list[Any]:
    ordered = sorted(set(literals))
    between = [(low + high) / 2 for low, high in pairwise(ordered)]
    ends = [ordered[0] - 1, ordered[-1] + 1] if ordered else [0]
    return [*ordered, *between, *ends]


def _durations(literals: list[Any]) -> list[Any]:
    return [0, *(value for value in _numbers(literals) if value >= 0)]


def _hours(literals: list[Any]) -> list[time]:
    marks = [value if isinstance(value, int) else seconds_of(value) for value in literals]
    seconds = {second % MIDNIGHT for mark in marks for second in (mark - 1, mark, mark + 1)} | {
        0,
        MIDNIGHT - 1,
    }
    return [time(second // 3600, second // 60 % 60, second % 60) for second in sorted(seconds)]


def _moments(step: timedelta) -> Any:
    def values(literals: list[Any]) -> list[date | datetime]:
        return [value + step * by for value in literals for by in (-1, 0, 1)]

    return values


STAND_INS: Mapping[Type, Any] = {
    Type.NUMBER: _numbers,
    Type.DURATION: _durations,
    Type.TIME_OF_DAY: _hours,
    Type.DATE: _moments(timedelta(days=1)),
    Type.TIME: _moments(timedelta(microseconds=1)),
}
