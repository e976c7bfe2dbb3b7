"""Small readers of nodes: the value, or None with a fault told. Broken nodes had theirs already."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from rules.faults import Faults, Placed
from rules.nodes import List, Map, Node, Scalar
from rules.schedules import Schedule
from rules.words import did_you_mean, quote


@dataclass(slots=True, eq=False)
class Scope:
    """What the files of a set share while they are read.

    `whole` is False where a file or section could not be read, so that a name may be defined there; what is
    None is defined and broken; `used` notes which lists, schedules and conditions are referred to, `operands`
    what a list gave for an operator and field.
    """

    faults: Faults
    whole: bool = True
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    groups: dict[str, str] = field(default_factory=dict)
    lists: dict[str, List | None] = field(default_factory=dict)
    schedules: dict[str, Schedule | None] = field(default_factory=dict)
    conditions: dict[str, Node] = field(default_factory=dict)
    ids: dict[str, Placed] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)
    operands: dict[tuple[str, str, str, bool], Any] = field(default_factory=dict)

    def undefined(self, at: Placed, kind: str, name: str, names: Collection[str]) -> None:
        if self.whole:
            self.faults.add(at, f"undefined {kind} '{quote(name)}'{did_you_mean(name, names)}")


def read_map(node: Node, what: str, faults: Faults) -> Map | None:
    if isinstance(node, Map):
        return node
    if is_whole(node):
        faults.add(node, f"{what} must be a mapping (`key: value`)")
    return None


def read_list(node: Node, what: str, faults: Faults, *, empty: bool = False) -> list[Node]:
    """The items; none where it is no list, or is empty and may not be."""
    if isinstance(node, List):
        if not node.items and not empty:
            faults.add(node, f"{what} is empty")
        return node.items
    if is_whole(node):
        faults.add(node, f"{what} must be a list")
    return []


def read_text(node: Node, what: str, faults: Faults, *, empty: bool = False) -> str | None:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        if node.value.strip() or empty:
            return node.value
        faults.add(node, f"{what} is empty")
    elif isinstance(node, Scalar) and node.value is not None:
        faults.add(node, f"""{what} must be a text; in quotes: "{quote(node.raw)}\"""")
    elif is_whole(node):
        faults.add(node, f"{what} must be a text")
    return None


def read_choice(node: Node, what: str, choices: Collection[str], faults: Faults) -> str | None:
    """One of the choices, written as it is."""
    if isinstance(node, Scalar) and node.raw in choices:
        return node.raw
    if is_whole(node):
        raw = node.raw if isinstance(node, Scalar) else ""
        faults.add(
            node, f"{what} must be {' or '.join(choices)}, not '{quote(raw)}'{did_you_mean(raw, choices)}"
        )
    return None


def read_boolean(node: Node, what: str, faults: Faults) -> bool | None:
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    if is_whole(node):
        faults.add(node, f"{what} must be true or false")
    return None


def check_keys(
    node: Map, allowed: Collection[str], required: Collection[str], what: str, faults: Faults
) -> None:
    """Faults for keys that `what` does not have, and for those that it must have."""
    for name, key in node.keys.items():
        if name not in allowed:
            near = did_you_mean(name, allowed) or f"; {what} has {', '.join(allowed)}"
            faults.add(key, f"unknown key '{quote(name)}'{near}")
    for name in required:
        if name not in node.entries:
            faults.add(node, f"{what} needs '{name}'")


def is_whole(node: Node) -> bool:
    """False for what is broken and has its fault already."""
    return type(node) is not Node
