"""From files to a rule set, or to everything that is wrong with them at once."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from rules.compile import compile_rules
from rules.conditions import Condition
from rules.cycles import tell_cycles
from rules.faults import Fault, Faults, RuleSetFaults
from rules.lint import warn_of_rules, warn_of_schedules, warn_of_tags, warn_of_unused
from rules.nodes import LARGEST_FILE, Map, Node, Scalar, plain, read_yaml
from rules.read_condition import read_condition
from rules.read_rule import read_rule, read_set_test
from rules.read_sections import Names, read_schedule, read_tag, read_timezone, read_values
from rules.ruleset import CatalogueTag, Rule, RuleSet
from rules.shapes import Scope, check_keys, is_whole, read_list, read_map

FILE_KEYS = ("version", "timezone", "tags", "lists", "schedules", "conditions", "rules", "tests")
NAMED = {"tags": "tag", "lists": "list", "schedules": "schedule", "conditions": "condition"}
SUFFIXES = (".yaml", ".yml")


def load(path: Path) -> RuleSet:
    """The rule set in that file or folder; raises `RuleSetFaults`."""
    return parse(read_files(path))


def read_files(path: Path) -> dict[str, bytes]:
    """The rule files by name relative to the folder, in their order; raises `RuleSetFaults`."""
    try:
        if not path.is_dir():
            return {path.name: _read(path)}
        files = {name: _read(path / name) for name in in_order(_names(path))}
    except OSError as fault:
        name = os.path.relpath(fault.filename or path, path if path.is_dir() else path.parent)
        raise RuleSetFaults((Fault(name, 1, 1, f"cannot be read: {fault.strerror}"),)) from None
    if not files:
        raise RuleSetFaults((Fault(".", 1, 1, "no *.yaml or *.yml file in this folder"),))
    return files


def in_order(names: Iterable[str]) -> list[str]:
    """Names of rule files in the order in which they are read."""
    return sorted(names, key=lambda name: PurePosixPath(name).parts)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)  # one byte more shows that it is too large


def _names(folder: Path) -> Iterator[str]:
    """Rule files below a folder. Hidden ones are an editor's or a mount's copies, not rules."""
    for place, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield (Path(place) / name).relative_to(folder).as_posix()


def _raise(fault: OSError) -> None:
    raise fault


def parse(files: Mapping[str, bytes]) -> RuleSet:
    """The rule set that these files are together; raises `RuleSetFaults`."""
    faults = Faults()
    roots = [_root(name, data, faults) for name, data in files.items()]
    scope = Scope(faults, whole=all(roots))
    merged = _Merged([root for root in roots if root], scope)
    merged.read()
    if faults:
        raise RuleSetFaults(as_read(faults.found, files))
    return merged.ruleset(files)


def as_read(faults: list[Fault], files: Mapping[str, bytes]) -> tuple[Fault, ...]:
    """As one reads the files from the first to the last."""
    order = {name: at for at, name in enumerate(files)}
    return tuple(sorted(faults, key=lambda fault: (order[fault.file], fault)))


def _root(name: str, data: bytes, faults: Faults) -> Map | None:
    """The file's own mapping, with its keys and its version checked."""
    node = read_yaml(name, data, faults)
    root = read_map(node, "a rule file", faults) if node else None
    if root is None:
        return None
    check_keys(root, FILE_KEYS, ("version",), "a rule file", faults)
    version = root.entries.get("version")
    if version is not None and is_whole(version) and not _is_one(version):
        faults.add(version, "'version' must be the number 1")
    return root


def _is_one(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value == 1 and not isinstance(node.value, bool)


class _Merged:
    """The files of a set read together: names first, then what refers to them."""

    def __init__(self, roots: list[Map], scope: Scope) -> None:
        self.roots = roots
        self.scope = scope
        self.names = {section: Names(kind, scope.faults) for section, kind in NAMED.items()}
        self.tags: dict[str, CatalogueTag] = {}
        self.conditions: dict[str, Condition] = {}
        self.rules: list[Rule] = []

    def read(self) -> None:
        scope, faults = self.scope, self.scope.faults
        self._timezone()
        for section, names in self.names.items():
            for node in self._sections(section):
                entries = read_map(node, f"'{section}'", faults)
                if entries:
                    names.add(entries)
                scope.whole = scope.whole and entries is not None
        nodes = {section: names.nodes for section, names in self.names.items()}
        self.tags = {name: read_tag(name, node, faults) for name, node in nodes["tags"].items()}
        scope.groups = {name: tag.group for name, tag in self.tags.items() if tag.group}
        scope.lists = {name: read_values(name, node, faults) for name, node in nodes["lists"].items()}
        scope.schedules = {
            name: read_schedule(name, node, scope) for name, node in nodes["schedules"].items()
        }
        scope.conditions = nodes["conditions"]
        read = {name: read_condition(node, scope) for name, node in nodes["conditions"].items()}
        self.conditions = {name: condition for name, condition in read.items() if condition}
        tell_cycles(self.conditions, faults)
        self._rules()
        self.tests = [read_set_test(node, scope) for node in self._items("tests")]

    def _sections(self, key: str) -> list[Node]:
        return [root.entries[key] for root in self.roots if key in root.entries]

    def _items(self, key: str) -> Iterator[Node]:
        for node in self._sections(key):
            yield from read_list(node, f"'{key}'", self.scope.faults)

    def _timezone(self) -> None:
        nodes = self._sections("timezone")
        for node in nodes[1:]:
            self.scope.faults.add(node, f"'timezone' stands in one file of a set, first at {nodes[0].place}")
        zone = read_timezone(nodes[0], self.scope.faults) if nodes else None
        self.scope.timezone = zone or self.scope.timezone

    def _rules(self) -> None:
        if self.roots and self.scope.whole and not self._sections("rules"):
            self.scope.faults.add(self.roots[0], "the set has no rules")
        rules = (read_rule(node, self.scope) for node in self._items("rules"))
        self.rules = [rule for rule in rules if rule]

    def ruleset(self, files: Mapping[str, bytes]) -> RuleSet:
        rules = tuple(self.rules)
        self._warn()
        return RuleSet(
            hash=self._hash(),
            timezone=self.scope.timezone,
            tags=self.tags,
            groups=self.scope.groups,
            lists={name: values for name, values in self.scope.lists.items() if values},
            schedules={name: schedule for name, schedule in self.scope.schedules.items() if schedule},
            conditions=self.conditions,
            rules=rules,
            by_id={rule.id: rule for rule in rules},
            tests=tuple(test for test in self.tests if test),
            warnings=as_read(self.scope.faults.warnings, files),
            files=dict(files),
            program=compile_rules(rules, self.conditions),
        )

    def _warn(self) -> None:
        keys = {section: names.keys for section, names in self.names.items()}
        scope = self.scope
        warn_of_rules(self.rules, self.conditions, scope.faults)
        warn_of_schedules(scope.schedules, keys["schedules"], scope.faults)
        warn_of_tags(keys["tags"], self.rules, scope.faults)
        for section in ("lists", "schedules", "conditions"):
            warn_of_unused(NAMED[section], keys[section], scope)

    def _hash(self) -> str:
        """SHA-256 over the content of all files as one; how it is laid out and split makes no difference."""
        content: dict[str, Any] = {
            section: {name: plain(node) for name, node in names.nodes.items()}
            for section, names in self.names.items()
        }
        for key in ("rules", "tests"):
            content[key] = [item for node in self._sections(key) for item in plain(node)]
        content |= {"version": 1, "timezone": self.scope.timezone.key}
        canonical = json.dumps(_canonical(content), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    """Numbers that are the same are written the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list) else value
