"""Warnings: what is no fault and yet hardly what its author means."""

from collections.abc import Iterable, Mapping

from rules.conditions import Condition
from rules.cycles import in_order
from rules.faults import Faults, Placed
from rules.nodes import List, Map, Node
from rules.reference import Finding, find
from rules.ruleset import Mode, Rule
from rules.satisfiable import ALWAYS, contradiction
from rules.schedules import Schedule
from rules.shapes import Scope
from rules.text import WHITE_SPACE, fold
from rules.words import quote


def warn_of_rules(rules: Iterable[Rule], named: Mapping[str, Condition], faults: Faults) -> None:
    """Rules that never or always match, that are never reached, that have no test."""
    stopped_by: Rule | None = None
    bare = _Bare(named)
    for rule in rules:
        if stopped_by and rule.mode is Mode.LIVE:
            faults.warn(rule, f"rule '{rule.id}' is never reached: rule '{stopped_by.id}' always stops")
        if not rule.tests:
            faults.warn(rule, f"rule '{rule.id}' has no test")
        never = contradiction(rule.when, True, named)
        if never:
            faults.warn(
                rule.when, f"rule '{rule.id}' never matches: no '{never}' satisfies all that is asked of it"
            )
        elif contradiction(rule.when, False, named):
            faults.warn(rule.when, f"rule '{rule.id}' matches every call of which it knows what it asks")
            if rule.stop and rule.mode is Mode.LIVE and not stopped_by and bare.matches(rule):
                stopped_by = rule


class _Bare:
    """A call of which only what every call has is known."""

    def __init__(self, named: Mapping[str, Condition]) -> None:
        self.named = named
        self.facts = dict.fromkeys(ALWAYS, "?")
        self.found: dict[str, Finding] = {}

    def matches(self, rule: Rule) -> bool:
        if not self.found:
            for name in in_order(self.named):
                self.found[name] = find(self.named[name], self.facts, self.found)
        return find(rule.when, self.facts, self.found).truth is True


def warn_of_schedules(
    schedules: Mapping[str, Schedule | None], keys: Mapping[str, Placed], faults: Faults
) -> None:
    for name, schedule in schedules.items():
        if schedule and not any(schedule.days):
            faults.warn(keys[name], f"the schedule '{quote(name)}' has no hours: no time is during it")


def warn_of_unused(kind: str, keys: Mapping[str, Placed], scope: Scope) -> None:
    for name, key in keys.items():
        if (kind, name) not in scope.used:
            scope.faults.warn(key, f"the {kind} '{quote(name)}' is not used")


def warn_of_tags(catalogue: Mapping[str, Placed], rules: Iterable[Rule], faults: Faults) -> None:
    """Tags that differ from another in case or white space alone: hardly two tags."""
    first: dict[str, str] = {}
    for name, place in [*catalogue.items(), *(named for rule in rules for named in _tags(rule))]:
        other = first.setdefault(WHITE_SPACE.sub("", fold(name)), name)
        if other != name:
            faults.warn(
                place, f"the tag '{quote(name)}' differs from '{quote(other)}' in case or white space alone"
            )


def _tags(rule: Rule) -> Iterable[tuple[str, Node]]:
    entries = rule.node.entries if isinstance(rule.node, Map) else {}
    node = entries.get("tag", rule.node)
    return ((tag, node.items[at] if isinstance(node, List) else node) for at, tag in enumerate(rule.tags))
