"""A test written into a rule file, where its author would write it."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from rules.faults import Faults
from rules.nodes import Map, plain, read_yaml

TESTS = "tests"
COPY = "to the tests of this file none can be added as they are written; copy the test"


class CannotAdd(ValueError):
    """The file is written in a way that nothing can be added to; one line."""


def lines_of_test(name: str, call: Mapping[str, Any], expect: list[str]) -> list[str]:
    """The lines of a test of the whole set: a call, and the tags that come out; `call` as JSON has it."""
    facts = ", ".join(f"{written(field)}: {written(value)}" for field, value in call.items())
    return [f"- name: {written(name)}", f"  call: {{{facts}}}", f"  expect: {written(expect)}"]


def written(value: Any) -> str:
    """The value on one line. JSON is YAML, but for characters that YAML does not allow as they are."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else _escaped(ord(sign)) for sign in text)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def with_test(text: str, name: str, call: Mapping[str, Any], expect: list[str]) -> str:
    """The text of a rule file with one more test of the whole set, after those it has.

    Raises `CannotAdd` where it cannot be added so that all else stays as it is.
    """
    before = _plain(text)
    if before is None:
        raise CannotAdd("the text has a fault; mend it first")
    added = _added(text, lines_of_test(name, call, expect))
    test = {"name": name, "call": dict(call), "expect": expect}
    if _plain(added) != before | {TESTS: [*(before.get(TESTS) or []), test]}:
        raise CannotAdd(COPY)
    return added


def _plain(text: str) -> dict[str, Any] | None:
    """What the file says, or None where that cannot be read."""
    faults = Faults()
    node = read_yaml("", text.encode(errors="surrogatepass"), faults)
    return None if faults or not isinstance(node, Map) else plain(node)


def _added(text: str, lines: list[str]) -> str:
    section = _section(text)
    if section is None:
        return f"{text.rstrip()}\n\n{TESTS}:\n" + "".join(f"  {line}\n" for line in lines)
    if not isinstance(section, yaml.SequenceNode):
        raise CannotAdd(COPY)
    if section.flow_style:
        end = section.end_mark.index - 1
        fields = ", ".join(line[2:] for line in lines)
        return f"{text[:end].rstrip()}, {{{fields}}}{text[end:]}"
    return _after(text, section, lines)


def _section(text: str) -> Any:
    """The list of the file's tests as YAML's own node, or None."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == TESTS), None)


def _after(text: str, section: Any, lines: list[str]) -> str:
    """After the last line of the section that says something; comments below belong to what follows."""
    all_ = text.splitlines(keepends=True)
    end = section.end_mark.line + (section.end_mark.column > 0)
    while end > section.start_mark.line + 1 and _says_nothing(all_[end - 1 : end]):
        end -= 1
    before = "".join(all_[:end]).rstrip("\n") + "\n"
    indent = " " * section.start_mark.column
    return before + "".join(f"{indent}{line}\n" for line in lines) + "".join(all_[end:])


def _says_nothing(lines: list[str]) -> bool:
    return not lines or not lines[0].strip() or lines[0].lstrip().startswith("#")
