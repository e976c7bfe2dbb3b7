"""What stands beside an operator, read as its field's type asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from rules.conditions import Pattern
from rules.facts import READERS, outside
from rules.fields import Field, Type
from rules.literals import MIDNIGHT, seconds_of
from rules.nodes import List, Node, Scalar
from rules.operators import Operator, Takes
from rules.shapes import Scope, is_whole, read_boolean, read_text
from rules.text import bare_phone, nfc, spoken
from rules.words import quote

SHORT_NUMBER = 6
"""Digits of an extension at most; a longer number without `+` is hardly what the platform reports."""


@dataclass(frozen=True, slots=True)
class Use:
    """Where an operand stands: `name` is the field's, as the author wrote it."""

    operator: Operator
    field: Field
    name: str
    ignore_case: bool
    scope: Scope


def read_operand(node: Node, use: Use) -> Any:
    """The operand as `Test` describes it, or None with its faults told."""
    return TAKERS[use.operator.takes](node, use) if is_whole(node) else None


def _one(node: Node, use: Use) -> Any:
    if not isinstance(node, Scalar):
        use.scope.faults.add(node, f"'{use.operator.name}' takes {use.operator.takes}")
        return None
    return _literal(node, use)


def _many(node: Node, use: Use) -> tuple[Any, ...] | None:
    name = _list_name(node)
    if name is not None:
        return _named(node, name, use)
    if not isinstance(node, List):
        use.scope.faults.add(
            node, f"'{use.operator.name}' takes {use.operator.takes}, such as [a, b] or $name"
        )
        return None
    return _items(node, use)


def _texts(node: Node, use: Use) -> tuple[Any, ...] | None:
    if isinstance(node, Scalar) and _list_name(node) is None:
        item = _literal(node, use)
        return None if item is None else (item,)
    return _many(node, use)


def _named(node: Node, name: str, use: Use) -> tuple[Any, ...] | None:
    """What the list gives for this operator and field; its faults are told once."""
    use.scope.used.add(("list", name))
    if name not in use.scope.lists:
        use.scope.undefined(node, "list", f"${name}", [f"${other}" for other in use.scope.lists])
        return None
    key = (name, use.operator.name, use.name, use.ignore_case)
    if key not in use.scope.operands:
        values = use.scope.lists[name]  # an empty or broken one is told already
        use.scope.operands[key] = _items(values, use) if values and values.items else None
    items: tuple[Any, ...] | None = use.scope.operands[key]
    return items


def _items(node: List, use: Use) -> tuple[Any, ...] | None:
    if not node.items:
        use.scope.faults.add(node, f"'{use.operator.name}' has an empty list")
        return None
    items = [_item(item, use) for item in node.items]
    return None if any(item is None for item in items) else tuple(items)


def _item(node: Node, use: Use) -> Any:
    if isinstance(node, Scalar):
        return _literal(node, use)
    if is_whole(node):
        use.scope.faults.add(node, f"a list for '{use.operator.name}' holds single values")
    return None


def _pair(node: Node, use: Use) -> tuple[Any, Any] | None:
    if not isinstance(node, List) or len(node.items) != 2:
        use.scope.faults.add(node, f"'{use.operator.name}' takes {use.operator.takes}, such as [1, 5]")
        return None
    if use.field.type is Type.TIME_OF_DAY:
        return _hours(node, use)
    low, high = (_item(item, use) for item in node.items)
    if low is None or high is None:
        return None
    if low > high:
        use.scope.faults.add(node, "the first value of 'between' is greater than the second")
        return None
    return low, high


def _hours(node: List, use: Use) -> tuple[int, int] | None:
    start = _item(node.items[0], use)
    last = node.items[1]
    end = MIDNIGHT if isinstance(last, Scalar) and last.value == "24:00" else _item(last, use)
    if start is None or end is None:
        return None
    hours = (seconds_of(start), end if isinstance(end, int) else seconds_of(end))
    if hours[0] == hours[1]:
        use.scope.faults.add(node, "both times of 'between' are the same")
        return None
    return hours


def _schedule(node: Node, use: Use) -> Any:
    name = read_text(node, "'during'", use.scope.faults)
    if name is None:
        return None
    name = nfc(name)
    use.scope.used.add(("schedule", name))
    if name not in use.scope.schedules:
        use.scope.undefined(node, "schedule", name, use.scope.schedules)
    return use.scope.schedules.get(name)


TAKERS: Mapping[Takes, Callable[[Node, Use], Any]] = {
    Takes.ONE: _one,
    Takes.MANY: _many,
    Takes.PAIR: _pair,
    Takes.TEXTS: _texts,
    Takes.SCHEDULE: _schedule,
    Takes.BOOLEAN: lambda node, use: read_boolean(node, f"'{use.operator.name}'", use.scope.faults),
}


def _list_name(node: Node) -> str | None:
    """The name of a list, where the node is one (`$name`; `$$` writes a text that begins with `$`)."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.startswith("$"):
        return None if node.value.startswith("$$") else nfc(node.value[1:])
    return None


def _literal(node: Scalar, use: Use) -> Any:
    """One value, or None with its fault told."""
    if node.value is None:
        use.scope.faults.add(
            node, f"null is no value to compare with; ask {{field: {use.name}, exists: false}}"
        )
        return None
    if _list_name(node) is not None:
        use.scope.faults.add(node, f"'{quote(node.raw)}' is a list, and here one value is wanted")
        return None
    value = node.value[1:] if isinstance(node.value, str) and node.value.startswith("$$") else node.value
    try:
        return _typed(value, node, use)
    except ValueError as fault:
        hint = f'; in quotes: "{node.raw}"' if "is a text, not" in str(fault) else ""
        use.scope.faults.add(node, f"'{quote(node.raw)}' does not fit: {fault}{hint}")
        return None


def _typed(value: bool | int | float | str, node: Scalar, use: Use) -> Any:
    operator, field = use.operator, use.field
    if operator.takes is Takes.TEXTS:
        return _part(value, node, use)
    kind = Type.NUMBER if field.type is Type.SCALAR and not operator.folds else field.type
    try:
        literal = READERS[kind](value)
    except ValueError as fault:
        raise ValueError(f"'{use.name}' {fault}") from None
    if field.values and literal not in field.values:
        raise ValueError(outside(use.name, str(literal), field.values))
    if field.type is Type.PHONE:
        _check_number(str(literal), node, use)
    return nfc(literal) if isinstance(literal, str) else literal


def _check_number(number: str, node: Scalar, use: Use) -> None:
    if not number:
        raise ValueError(f"'{use.name}' is a phone number")
    digits = sum(sign.isdigit() for sign in number)
    if "+" not in number and digits > SHORT_NUMBER:
        use.scope.faults.warn(node, f"'{quote(node.raw)}' has no country code (+33...): it may never match")


def _part(value: bool | int | float | str, node: Scalar, use: Use) -> str | Pattern:
    if not isinstance(value, str):
        raise ValueError(f"'{use.operator.name}' takes a text, not a number or a boolean")
    text = nfc(value)
    if not text or (use.operator.name == "mentions" and not spoken(text)):
        raise ValueError(f"'{use.operator.name}' takes a text that is not empty")
    if use.operator.name == "matches":
        return compile_pattern(text, use.ignore_case)
    if use.field.type is Type.PHONE and bare_phone(text) != text:
        use.scope.faults.warn(node, f"'{quote(text)}' never matches: numbers have no spaces and punctuation")
    return text


def compile_pattern(text: str, ignore_case: bool) -> Pattern:
    """The pattern by RE2; raises `ValueError` with RE2's reason."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not ignore_case
    try:
        return Pattern(text, re2.compile(text.encode(), options))
    except re2.error as fault:
        reason = fault.args[0].decode(errors="replace") if fault.args else "it is too large"
        raise ValueError(f"not a pattern of RE2: {quote(reason)}") from None
