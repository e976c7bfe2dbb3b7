"""Conditions, read from nodes."""

from collections.abc import Callable, Mapping

from rules import fields
from rules.conditions import AllOf, AnyOf, Comparison, Condition, Is, Not, Test
from rules.fields import Field, Type
from rules.nodes import Map, Node, Scalar
from rules.operators import OPERATORS
from rules.read_operand import Use, read_operand
from rules.shapes import Scope, is_whole, read_boolean, read_list, read_text
from rules.text import nfc
from rules.words import did_you_mean, nearest_field, quote

EXAMPLE = "{field: duration, gt: 30m}"


def read_condition(node: Node, scope: Scope) -> Condition | None:
    """The condition, or None with its faults told."""
    if not isinstance(node, Map):
        if is_whole(node):
            scope.faults.add(
                node, f"a condition is a mapping, such as {EXAMPLE}; several stand under all: or any:"
            )
        return None
    shapes = [key for key in node.entries if key in SHAPES]
    if len(shapes) != 1:
        _tell_shape(node, shapes, scope)
        return None
    return SHAPES[shapes[0]](node, scope)


def _tell_shape(node: Map, shapes: list[str], scope: Scope) -> None:
    if shapes:
        second = node.keys[shapes[1]]
        scope.faults.add(
            second, f"'{shapes[1]}' beside '{shapes[0]}': a condition has one of {', '.join(SHAPES)}"
        )
        return
    if not node.entries:
        scope.faults.add(node, f"an empty condition; write such as {EXAMPLE}")
    for name, key in node.keys.items():
        if name in OPERATORS:
            scope.faults.add(key, f"'{name}' without a field: {{field: ..., {name}: ...}}")
        elif fields.find(name):
            scope.faults.add(key, f"unknown key '{name}': a field is asked by {{field: {name}, ...}}")
        else:
            near = did_you_mean(name, SHAPES) or f"; a condition has one of {', '.join(SHAPES)}"
            scope.faults.add(key, f"unknown key '{quote(name)}'{near}")


def _alone(node: Map, shape: str, scope: Scope) -> Node:
    for name, key in node.keys.items():
        if name != shape:
            scope.faults.add(key, f"unknown key '{quote(name)}' beside '{shape}', which stands alone")
    return node.entries[shape]


def _items(node: Map, shape: str, scope: Scope) -> tuple[Condition, ...]:
    items = (
        read_condition(item, scope)
        for item in read_list(_alone(node, shape, scope), f"'{shape}'", scope.faults)
    )
    return tuple(item for item in items if item)


def _all(node: Map, scope: Scope) -> Condition:
    return AllOf(node, _items(node, "all", scope))


def _any(node: Map, scope: Scope) -> Condition:
    return AnyOf(node, _items(node, "any", scope))


def _not(node: Map, scope: Scope) -> Condition | None:
    item = read_condition(_alone(node, "not", scope), scope)
    return Not(node, item) if item else None


def _is(node: Map, scope: Scope) -> Condition | None:
    value = _alone(node, "is", scope)
    written = read_text(value, "'is'", scope.faults)
    if written is None:
        return None
    name = nfc(written)
    scope.used.add(("condition", name))
    if name not in scope.conditions:
        scope.undefined(value, "condition", name, scope.conditions)
    return Is(node, name)


def _comparison(node: Map, scope: Scope) -> Condition | None:
    name = read_text(node.entries["field"], "'field'", scope.faults)
    field = fields.find(name) if name is not None else None
    if name is None or field is None:
        if name is not None:
            scope.faults.add(node.entries["field"], f"unknown field '{quote(name)}'{nearest_field(name)}")
        return None
    folds = node.entries.get("ignore_case")
    ignore_case = folds is not None and read_boolean(folds, "'ignore_case'", scope.faults) is True
    operators = [key for key in node.entries if key not in ("field", "ignore_case")]
    tests = [
        test
        for key in operators
        for test in _test(node.keys[key], node.entries[key], field, name, ignore_case, scope)
    ]
    if not operators:
        scope.faults.add(
            node, f"a comparison without an operator: '{name}' takes {', '.join(taken(field.type))}"
        )
    elif folds is not None and len(tests) == len(operators) and not _acts(field, tests):
        scope.faults.add(node.keys["ignore_case"], "'ignore_case' has nothing to act on here")
    return Comparison(node, name, field.type, tuple(tests), ignore_case)


def _test(key: Scalar, node: Node, field: Field, name: str, ignore_case: bool, scope: Scope) -> list[Test]:
    operator = OPERATORS.get(key.raw)
    if operator is None:
        near = (
            did_you_mean(key.raw, [*OPERATORS, "ignore_case"])
            or f"; '{name}' takes {', '.join(taken(field.type))}"
        )
        scope.faults.add(key, f"unknown operator '{quote(key.raw)}'{near}")
        return []
    if field.type not in operator.types:
        allowed = ", ".join(taken(field.type))
        scope.faults.add(
            key, f"'{operator.name}' does not fit '{name}' ({field.type}), which takes {allowed}"
        )
        return []
    operand = read_operand(node, Use(operator, field, name, ignore_case, scope))
    return [] if operand is None else [Test(node, operator.name, operand)]


def taken(type_: Type) -> list[str]:
    """The operators that fit a type, in the catalogue's order."""
    return [operator.name for operator in OPERATORS.values() if type_ in operator.types]


def _acts(field: Field, tests: list[Test]) -> bool:
    folding = [test for test in tests if OPERATORS[test.operator].folds]
    if field.type is Type.SCALAR:
        return any(_has_text(test.operand) for test in folding)
    return bool(folding) and field.type in (Type.TEXT, Type.TEXTS)


def _has_text(operand: object) -> bool:
    items = operand if isinstance(operand, tuple) else (operand,)
    return any(not isinstance(item, bool | int | float) for item in items)


SHAPES: Mapping[str, Callable[[Map, Scope], Condition | None]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    "is": _is,
    "field": _comparison,
}
