"""YAML as a tree of nodes that know their place; of YAML's surprises none.

Scalars are `null`, `true`, `false` and JSON numbers; everything else is text. Anchors, aliases, tags, further
documents and duplicate keys are faults. Built from the C parser's events, so that it stops where it must.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from rules.faults import Faults, Place

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes."""
DEEPEST = 50
"""Collections within collections; the file's own mapping is the first."""
LONGEST_NUMBER = 300
"""Characters."""

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
CONSTANTS = {"null": None, "true": True, "false": False}
FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""Characters that YAML does not allow in a file; the byte order mark within a text is one of them."""


@dataclass(slots=True, eq=False)
class Node:
    """Something written in a file. Itself only where it is broken and its fault already told."""

    file: str
    line: int
    column: int

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)


@dataclass(slots=True, eq=False)
class Scalar(Node):
    """`value` is None, a boolean, a number or a text; `raw` is what the author wrote."""

    value: bool | int | float | str | None
    raw: str
    quoted: bool


@dataclass(slots=True, eq=False)
class List(Node):
    items: list[Node]


@dataclass(slots=True, eq=False)
class Map(Node):
    """`keys` has the place of each key of `entries`."""

    entries: dict[str, Node]
    keys: dict[str, Scalar]


class TooDeepError(Exception):
    """The rest of the file cannot be read; its fault is already told."""


HINTS = {
    "found character that cannot start any token": "; a tab, or a text that needs quotes",
    "found unknown escape character": "; in single quotes a backslash is a backslash",
    "mapping values are not allowed in this context": (
        "; a text with ': ' in it needs quotes, or a line is not indented as its neighbours"
    ),
}
"""What an author most often meant, by the words of the YAML library."""


def read_yaml(file: str, data: bytes, faults: Faults) -> Node | None:
    """The file's one document as nodes, or None where it cannot be read; what is wrong goes to `faults`."""
    text = _decode(file, data, faults)
    if text is None:
        return None
    try:
        return _Reader(file, text, faults).document()
    except TooDeepError:
        return None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = fault.problem or fault.context or ""
        faults.at(file, *place, f"YAML syntax: {problem}{HINTS.get(problem, '')}")
    except yaml.YAMLError as fault:
        faults.at(file, 1, 1, f"YAML syntax: {' '.join(str(fault).split())}")
    return None


def plain(node: Node) -> Any:
    """The node as plain Python values."""
    match node:
        case Scalar():
            return node.value
        case List():
            return [plain(item) for item in node.items]
        case Map():
            return {key: plain(value) for key, value in node.entries.items()}
    return None


def flow(node: Node) -> str:
    """The node on one line, as its author would write it."""
    match node:
        case Scalar(raw=raw, quoted=quoted):
            return f'"{raw}"' if quoted else raw
        case List(items=items):
            return f"[{', '.join(map(flow, items))}]"
        case Map(entries=entries):
            return f"{{{', '.join(f'{key}: {flow(value)}' for key, value in entries.items())}}}"
    return "?"


def _decode(file: str, data: bytes, faults: Faults) -> str | None:
    if len(data) > LARGEST_FILE:
        faults.at(file, 1, 1, "the file is over 8 MiB")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        before = data[: fault.start].decode("utf-8-sig")
        faults.at(file, *_position(before, len(before)), "the file is not UTF-8")
        return None
    forbidden = FORBIDDEN.search(text)
    if forbidden:
        message = f"the character U+{ord(forbidden[0]):04X} is not allowed in YAML"
        faults.at(file, *_position(text, forbidden.start()), message)
        return None
    return text


def _position(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


class _Reader:
    def __init__(self, file: str, text: str, faults: Faults) -> None:
        self.file = file
        self.faults = faults
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)

    def document(self) -> Node | None:
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            self.faults.at(self.file, 1, 1, "the file is empty: it begins with `version: 1`")
            return None
        root = self.node(next(self.events), 1)
        next(self.events)  # the document's end
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self.fault(after, "a second document: a rule file is one YAML document")
        return root

    def fault(self, event: Any, message: str) -> None:
        mark = event.start_mark
        self.faults.at(self.file, mark.line + 1, mark.column + 1, message)

    def node(self, event: Any, depth: int) -> Node:
        at = (self.file, event.start_mark.line + 1, event.start_mark.column + 1)
        if event.anchor is not None:
            kind = "an alias" if isinstance(event, yaml.AliasEvent) else "an anchor"
            self.fault(
                event, f"{kind} ('{event.anchor}'): write the value again, or use lists and conditions"
            )
        if isinstance(event, yaml.AliasEvent):
            return Node(*at)
        if event.tag is not None:
            self.fault(event, f"a YAML tag ('{event.tag}') is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, at)
        if depth > DEEPEST:
            self.fault(event, f"nested over {DEEPEST} deep")
            raise TooDeepError
        return self.list(at, depth) if isinstance(event, yaml.SequenceStartEvent) else self.map(at, depth)

    def scalar(self, event: Any, at: tuple[str, int, int]) -> Node:
        raw: str = event.value
        if event.style:
            return Scalar(*at, raw, raw, True)
        try:
            return Scalar(*at, resolve(raw), raw, False)
        except ValueError as fault:
            self.fault(event, str(fault))
            return Node(*at)

    def list(self, at: tuple[str, int, int], depth: int) -> List:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return List(*at, items)

    def map(self, at: tuple[str, int, int], depth: int) -> Map:
        entries: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.fault(event, "a key is a text")
            elif key.raw in keys:
                self.fault(event, f"duplicate key '{key.raw}', first on line {keys[key.raw].line}")
            else:
                entries[key.raw], keys[key.raw] = value, key
        return Map(*at, entries, keys)


def resolve(raw: str) -> bool | int | float | str | None:
    """The value of a scalar without quotes; nothing written is null."""
    if raw in CONSTANTS or not raw:
        return CONSTANTS.get(raw)
    found = NUMBER.fullmatch(raw)
    if found is None:
        return raw
    number = float(raw) if found[1] or found[2] or len(raw) > LONGEST_NUMBER else int(raw)
    if len(raw) > LONGEST_NUMBER or math.isinf(number):
        raise ValueError("the number is too large")
    return number
