"""The catalogue of operators: what each takes, on which fields, and what it means. One table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rules.fields import Type


class Takes(StrEnum):
    """What stands beside an operator; its text is what messages call it."""

    ONE = "one value"
    MANY = "a list of values"
    PAIR = "a list of two values"
    TEXTS = "a text or a list of texts"
    SCHEDULE = "the name of a schedule"
    BOOLEAN = "true or false"


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the catalogue. `folds`: `ignore_case` acts on it."""

    name: str
    takes: Takes
    types: frozenset[Type]
    meaning: str
    folds: bool = False


TEXT = frozenset({Type.TEXT, Type.SCALAR})
PART = TEXT | {Type.PHONE}
ORDERED = frozenset({Type.NUMBER, Type.DURATION, Type.TIME, Type.DATE, Type.TIME_OF_DAY, Type.SCALAR})
SCALAR = ORDERED | PART | {Type.BOOLEAN}
LIST = frozenset({Type.TEXTS})
EVERY = frozenset(Type)

BETWEEN = (
    "from the first to the second, both included; on `local_time` without the second, also across midnight"
)
MENTIONS = "the word or phrase occurs as whole words, whatever its case (one of them)"
MATCHES = "the RE2 pattern is found anywhere (one of them)"

CATALOGUE: tuple[Operator, ...] = (
    Operator("eq", Takes.ONE, SCALAR, "equal", folds=True),
    Operator("ne", Takes.ONE, SCALAR, "not equal", folds=True),
    Operator("gt", Takes.ONE, ORDERED, "greater, longer or later than"),
    Operator("gte", Takes.ONE, ORDERED, "the same, greater, longer or later"),
    Operator("lt", Takes.ONE, ORDERED, "less, shorter or earlier than"),
    Operator("lte", Takes.ONE, ORDERED, "the same, less, shorter or earlier"),
    Operator("between", Takes.PAIR, ORDERED, BETWEEN),
    Operator("in", Takes.MANY, SCALAR, "one of the list", folds=True),
    Operator("not_in", Takes.MANY, SCALAR, "none of the list", folds=True),
    Operator("contains", Takes.TEXTS, PART, "the text is found anywhere (one of them)", folds=True),
    Operator("starts_with", Takes.TEXTS, PART, "begins with the text (one of them)", folds=True),
    Operator("ends_with", Takes.TEXTS, PART, "ends with the text (one of them)", folds=True),
    Operator("mentions", Takes.TEXTS, TEXT, MENTIONS),
    Operator("matches", Takes.TEXTS, TEXT, MATCHES, folds=True),
    Operator("includes", Takes.TEXTS, LIST, "one of the texts is in the list", folds=True),
    Operator("includes_all", Takes.TEXTS, LIST, "all of the texts are in the list", folds=True),
    Operator("during", Takes.SCHEDULE, frozenset({Type.TIME}), "inside the schedule"),
    Operator("exists", Takes.BOOLEAN, EVERY, "true: the call has a value; false: it has none"),
)

OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in CATALOGUE}

FIXED = frozenset({"eq", "ne", "in", "not_in"})
"""The operators whose literals are whole values: fixed values are checked, phone numbers made bare."""
