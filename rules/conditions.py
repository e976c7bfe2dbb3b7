"""Conditions as the loader makes them: valid, immutable, each with its place and its text."""

from dataclasses import dataclass, field
from typing import Any

from rules.faults import Place
from rules.fields import Type
from rules.nodes import Node, flow


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """Something that stands in a rule file."""

    node: Node = field(repr=False)

    @property
    def place(self) -> Place:
        return self.node.place

    @property
    def text(self) -> str:
        """On one line, as its author would write it."""
        return flow(self.node)


@dataclass(frozen=True, slots=True, eq=False)
class AllOf(Written):
    items: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class AnyOf(Written):
    items: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True, eq=False)
class Not(Written):
    item: "Condition"


@dataclass(frozen=True, slots=True, eq=False)
class Is(Written):
    """The named condition."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """A regular expression: its text in NFC, and RE2's compiled form of it."""

    text: str
    regex: Any


@dataclass(frozen=True, slots=True, eq=False)
class Test(Written):
    """One operator with its operand, whose shape follows from the operator:

    `eq ne gt gte lt lte` a value; `in not_in` a tuple of values; `between` two values (for a time of day two
    numbers of seconds since midnight); `matches` a tuple of `Pattern`; the other text operators a tuple of
    texts; `during` a `Schedule`; `exists` a boolean. Texts are in NFC.
    """

    operator: str
    operand: Any


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Written):
    """A field and its operators, all of which must hold."""

    field: str
    type: Type
    tests: tuple[Test, ...]
    ignore_case: bool


Condition = AllOf | AnyOf | Not | Is | Comparison
