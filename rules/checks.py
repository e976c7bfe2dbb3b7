"""Comparisons as closures: what of their work can be done at load is done there."""

import operator
from collections.abc import Callable, Mapping
from datetime import time
from typing import Any

from rules.conditions import Comparison, Test
from rules.facts import Facts, Value
from rules.fields import Type
from rules.literals import seconds_of
from rules.text import fold, mentions, nfc, spoken

Truth = bool | None
MISSING = object()


class Call:
    """One call under evaluation: its facts, the views of its texts, the named conditions found so far."""

    __slots__ = ("facts", "named", "views")

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.views: dict[tuple[Callable[[str], Any], str], Any] = {}
        self.named: dict[str, Truth] = {}

    def view(self, how: Callable[[str], Any], field: str) -> Any:
        """A text fact made comparable, once for all rules: None where it is missing, or no text."""
        key = (how, field)
        found = self.views.get(key, MISSING)
        if found is MISSING:
            value = self.facts.get(field)
            if isinstance(value, str):
                found = how(value)
            elif isinstance(value, list):
                found = frozenset(map(how, value))
            else:
                found = None
            self.views[key] = found
        return found


Check = Callable[[Call], Truth]


def check_of(condition: Comparison, test: Test) -> Check:
    if test.operator == "exists":
        return _exists(condition.field, test.operand)
    if test.operator in TEXT_TESTS:
        return _text_test(condition, test)
    if condition.type is Type.SCALAR:
        return _custom_test(condition, test)
    return _value_test(condition.field, _predicate(condition, test), _view(condition))


def _exists(field: str, wanted: bool) -> Check:
    return lambda call: (field in call.facts) is wanted


def _view(condition: Comparison) -> Callable[[str], str] | None:
    """How the field's value is made comparable, where it is a text."""
    if condition.type is Type.TEXT:
        return fold if condition.ignore_case else nfc
    return None


def _value_test(field: str, predicate: Callable[[Any], bool], view: Callable[[str], str] | None) -> Check:
    def plain(call: Call) -> Truth:
        value = call.facts.get(field)
        return None if value is None else predicate(value)

    def viewed(call: Call) -> Truth:
        value = call.view(view, field) if view else None
        return None if value is None else predicate(value)

    return viewed if view else plain


def _predicate(condition: Comparison, test: Test) -> Callable[[Any], bool]:
    """What a value of the right type must pass."""
    operand = test.operand
    if test.operator == "during":
        return lambda value: operand.holds(value)
    if test.operator == "between":
        return _hours(*operand) if condition.type is Type.TIME_OF_DAY else _between(*operand)
    if condition.ignore_case:
        operand = tuple(map(_folded, operand)) if isinstance(operand, tuple) else _folded(operand)
    if test.operator in ("in", "not_in"):
        return _in(frozenset(operand), test.operator == "in")
    return _compared(COMPARE[test.operator], operand)


COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def _compared(compare: Callable[[Any, Any], bool], operand: Value) -> Callable[[Any], bool]:
    return lambda value: compare(value, operand)


def _in(values: frozenset[Any], wanted: bool) -> Callable[[Any], bool]:
    return lambda value: (value in values) is wanted


def _between(low: Any, high: Any) -> Callable[[Any], bool]:
    return lambda value: low <= value <= high


def _hours(start: int, end: int) -> Callable[[time], bool]:
    if start < end:
        return lambda value: start <= seconds_of(value) < end
    return lambda value: seconds_of(value) >= start or seconds_of(value) < end


def _folded(value: Any) -> Any:
    return fold(value) if isinstance(value, str) else value


def kind(value: Any) -> type:
    """What can be compared with what: texts, numbers and booleans are three kinds."""
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _custom_test(condition: Comparison, test: Test) -> Check:
    """On a field whose type is what the payload holds: unknown where no literal has the value's kind."""
    folds = fold if condition.ignore_case else nfc
    field = condition.field
    literals = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    kinds = {kind(literal) for literal in literals}
    if test.operator in ("in", "not_in", "eq", "ne"):
        tagged = frozenset((kind(item), folds(item) if isinstance(item, str) else item) for item in literals)
        wanted = test.operator in ("in", "eq")
        predicate = _in(tagged, wanted)
    else:
        ordered = _predicate(condition, test)
        predicate = lambda tagged: ordered(tagged[1])  # noqa: E731  (one of two)

    def check(call: Call) -> Truth:
        value = call.facts.get(field)
        of = kind(value)
        if of not in kinds:
            return None
        return predicate((of, call.view(folds, field) if of is str else value))

    return check


def _text_test(condition: Comparison, test: Test) -> Check:
    how, found = TEXT_TESTS[test.operator]
    if how is None:
        how = fold if condition.ignore_case else nfc
        operands = [how(item) for item in test.operand]
    else:
        operands = [spoken(item) if how is spoken else item.regex for item in test.operand]
    field = condition.field
    view = how

    def check(call: Call) -> Truth:
        value = call.view(view, field)
        return None if value is None else found(value, operands)

    return check


def encoded(text: str) -> bytes:
    """The text as RE2 reads it."""
    return nfc(text).encode("utf-8", "replace")


def _contains(value: str, operands: list[str]) -> bool:
    return any(item in value for item in operands)


TEXT_TESTS: Mapping[str, tuple[Callable[[str], Any] | None, Callable[[Any, list[Any]], bool]]] = {
    "contains": (None, _contains),
    "starts_with": (None, lambda value, operands: value.startswith(tuple(operands))),
    "ends_with": (None, lambda value, operands: value.endswith(tuple(operands))),
    "includes": (None, lambda value, operands: not value.isdisjoint(operands)),
    "includes_all": (None, lambda value, operands: value.issuperset(operands)),
    "mentions": (spoken, lambda value, operands: any(mentions(value, item) for item in operands)),
    "matches": (encoded, lambda value, operands: any(item.search(value) for item in operands)),
}
