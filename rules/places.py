"""Where in the bitmaps a single test belongs: which field, which kind of table, which keys."""

from collections.abc import Callable
from datetime import time
from enum import Enum, auto
from typing import Any, NamedTuple

from rules.checks import kind
from rules.conditions import Comparison, Test
from rules.conjunctions import Literal
from rules.fields import Type
from rules.literals import MIDNIGHT
from rules.scan import sought
from rules.tables import TURNS
from rules.text import fold, nfc


class How(Enum):
    """What of a value a table goes by."""

    PRESENCE = auto()
    VALUE = auto()
    ORDER = auto()
    BEGINNING = auto()
    END = auto()
    ITEMS = auto()
    SCHEDULES = auto()
    FOUND = auto()


class Place(NamedTuple):
    """`kind`: the kind of values that it is about, of `custom` fields; `view`: how texts are made equal;
    `asked`: the keys one of which is `wanted`, or none; with `ORDER` the operator and its operand."""

    field: str
    kind: type | None
    how: How
    view: Callable[[str], str] | None
    asked: Any
    wanted: bool


ORDERED = frozenset({Type.NUMBER, Type.DURATION, Type.TIME, Type.DATE, Type.TIME_OF_DAY})
PARTS = {"starts_with": How.BEGINNING, "ends_with": How.END, "includes": How.ITEMS, "includes_all": How.ITEMS}
FOUND = frozenset({"contains", "mentions", "matches"})


def place(literal: Literal) -> Place | None:
    """The place of a test, or None where no table can tell its truth."""
    comparison, test, wanted = literal
    field, custom = comparison.field, comparison.type is Type.SCALAR
    if test.operator == "exists":
        return Place(field, None, How.PRESENCE, None, None, wanted is test.operand)
    text = str if custom else None
    if test.operator in FOUND:
        items = sought(comparison, test)
        return Place(field, text, How.FOUND, items[0].view, items, wanted)
    if test.operator in PARTS:
        if test.operator == "includes_all" and len(test.operand) > 1:
            return None
        view = fold if comparison.ignore_case else nfc
        backwards = -1 if test.operator == "ends_with" else 1
        parts = [view(item)[::backwards] for item in test.operand]
        return Place(field, text, PARTS[test.operator], view, parts, wanted)
    if test.operator == "during":
        return Place(field, None, How.SCHEDULES, None, [test.operand.name], wanted)
    return _of_value(comparison, test, wanted)


def _of_value(comparison: Comparison, test: Test, wanted: bool) -> Place | None:
    if test.operator not in TURNS:
        return None
    operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    kinds = {kind(item) for item in operands} if comparison.type is Type.SCALAR else {None}
    if len(kinds) > 1:
        return None
    of = kinds.pop()
    if comparison.type in ORDERED or of is float:
        return Place(comparison.field, of, How.ORDER, None, _ordered(comparison, test), wanted)
    if test.operator in ("ne", "not_in"):
        wanted = not wanted
    if comparison.type is Type.BOOLEAN or of is bool:
        return Place(comparison.field, of, How.VALUE, None, operands, wanted)
    view = fold if comparison.ignore_case else nfc
    return Place(comparison.field, of, How.VALUE, view, [view(item) for item in operands], wanted)


def _ordered(comparison: Comparison, test: Test) -> tuple[str, Any]:
    if comparison.type is not Type.TIME_OF_DAY or test.operator != "between":
        return test.operator, test.operand
    start, end = test.operand
    if end == MIDNIGHT:
        return "gte", _time(start)
    return "hours", (_time(start), _time(end))


def _time(second: int) -> time:
    return time(second // 3600, second // 60 % 60, second % 60)
