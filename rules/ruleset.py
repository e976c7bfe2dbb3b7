"""A rule set: what the loader makes of its files. What exists here is valid, and never changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rules.conditions import Condition, Written
from rules.facts import Facts
from rules.faults import Fault
from rules.nodes import Node
from rules.schedules import Schedule

if TYPE_CHECKING:
    from rules.compile import Program


class Mode(StrEnum):
    LIVE = "live"
    SHADOW = "shadow"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class CatalogueTag:
    """How a tag is created on the platform, and the group whose tags exclude each other."""

    name: str
    color: str | None = None
    description: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RuleTest(Written):
    """A test in a rule: a call, and what the rule's condition says of it (None: unknown)."""

    facts: Facts
    match: bool | None
    name: str | None


@dataclass(frozen=True, slots=True, eq=False)
class SetTest(Written):
    """A test of the whole set: a call, and exactly the tags that come out."""

    facts: Facts
    expect: frozenset[str]
    name: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Rule(Written):
    """`keep`: what it put stays when it no longer matches (`on_unmatch: keep`)."""

    id: str
    description: str | None
    mode: Mode
    when: Condition
    tags: tuple[str, ...]
    keep: bool
    stop: bool
    tests: tuple[RuleTest, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RuleSet:
    """`files` is what it was parsed from, by name; `hash` does not change with comments and layout."""

    hash: str
    timezone: ZoneInfo
    tags: Mapping[str, CatalogueTag]
    groups: Mapping[str, str]
    """The group of each tag that has one."""
    lists: Mapping[str, Node]
    schedules: Mapping[str, Schedule]
    conditions: Mapping[str, Condition]
    rules: tuple[Rule, ...]
    by_id: Mapping[str, Rule] = field(repr=False)
    tests: tuple[SetTest, ...]
    warnings: tuple[Fault, ...] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    program: "Program" = field(repr=False)

    @property
    def shadow_rules(self) -> list[str]:
        """The ids of the rules that are asked and give no tag."""
        return [rule.id for rule in self.rules if rule.mode is Mode.SHADOW]

    def group_of(self, tag: str) -> str | None:
        """The group that the tag is of, by the catalogue."""
        return self.groups.get(tag)
