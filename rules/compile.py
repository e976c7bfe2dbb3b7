"""Conditions as closures: what of their work can be done at load is done there.

A closure takes a `Call` and gives True, False or None (unknown). It agrees with `reference.py`, result for
result; a test holds them equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from rules.bitmaps import Index
from rules.checks import Call, Check, Truth, check_of
from rules.conditions import AllOf, AnyOf, Comparison, Condition, Is, Not
from rules.cycles import in_order
from rules.facts import Facts, derive
from rules.fields import DERIVED
from rules.indexing import index_of
from rules.ruleset import Mode, Rule


@dataclass(frozen=True, eq=False)
class Program:
    """The checks of a set's rules by id; `early` are named conditions so deep that they come first."""

    rules: tuple[Rule, ...]
    conditions: Mapping[str, Condition]
    checks: Mapping[str, Check]
    early: tuple[tuple[str, Check], ...]
    derived: frozenset[str]
    """The fields that follow from others and that some condition asks for."""

    @cached_property
    def index(self) -> Index:
        """The rules that are not off, as bitmaps; made when first asked for."""
        asked = {at: rule.when for at, rule in enumerate(self.rules) if rule.mode is not Mode.OFF}
        return index_of(asked, self.conditions, lambda at: self.checks[self.rules[at].id])

    @cached_property
    def off(self) -> tuple[int, ...]:
        """The places of the rules that are off."""
        return tuple(at for at, rule in enumerate(self.rules) if rule.mode is Mode.OFF)

    @cached_property
    def plain(self) -> tuple[tuple[str, str], ...]:
        """By place, the one tag that a rule gives, and its id; see `elaborate`."""
        return tuple((rule.tags[0] if rule.tags else "", rule.id) for rule in self.rules)

    @cached_property
    def elaborate(self) -> frozenset[int]:
        """The places of the rules that do more, or less, than to give one tag."""
        return frozenset(
            at
            for at, rule in enumerate(self.rules)
            if rule.mode is not Mode.LIVE or rule.stop or len(rule.tags) != 1
        )

    def start(self, facts: Facts, timezone: ZoneInfo) -> Call:
        """The call, ready for the checks."""
        call = Call(derive(facts, timezone, self.derived) if self.derived else facts)
        for name, check in self.early:
            call.named[name] = check(call)
        return call


DEEP = 150
"""Levels of conditions within conditions that one check may go down; Python allows some 1,000 calls."""


def compile_rules(rules: tuple[Rule, ...], conditions: Mapping[str, Condition]) -> Program:
    """The program of these rules; named conditions are checked at most once a call."""
    checks: dict[str, Check] = {}
    depths: dict[str, int] = {}
    early: list[tuple[str, Check]] = []
    for name in in_order(conditions):
        check = checks[name] = _compile(conditions[name], checks)
        depths[name] = _depth(conditions[name], depths)
        if depths[name] > DEEP:
            early.append((name, check))
            depths[name] = 0
    fields = set().union(*map(asked, [*conditions.values(), *(rule.when for rule in rules)]))
    return Program(
        rules,
        conditions,
        {rule.id: _compile(rule.when, checks) for rule in rules},
        tuple(early),
        frozenset(fields & set(DERIVED)),
    )


def _depth(condition: Condition, depths: Mapping[str, int]) -> int:
    match condition:
        case Is(name=name):
            return 1 + depths.get(name, 0)
        case Not(item=item):
            return 1 + _depth(item, depths)
        case AllOf(items=items) | AnyOf(items=items):
            return 1 + max(_depth(item, depths) for item in items)
    return 1


def asked(condition: Condition) -> set[str]:
    """The fields that the condition itself asks for."""
    match condition:
        case Comparison(field=field):
            return {field}
        case Not(item=item):
            return asked(item)
        case AllOf(items=items) | AnyOf(items=items):
            return set().union(*map(asked, items))
    return set()


def _compile(condition: Condition, named: Mapping[str, Check]) -> Check:
    match condition:
        case Comparison():
            return _all([check_of(condition, test) for test in condition.tests])
        case Not(item=item):
            return _not(_compile(item, named))
        case AllOf(items=items):
            return _all([_compile(item, named) for item in items])
        case AnyOf(items=items):
            return _any([_compile(item, named) for item in items])
        case Is(name=name):
            return _is(name, named[name])


def _all(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(call: Call) -> Truth:
        result: Truth = True
        for item in checks:
            truth = item(call)
            if truth is False:
                return False
            if truth is None:
                result = None
        return result

    return check


def _any(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(call: Call) -> Truth:
        result: Truth = False
        for item in checks:
            truth = item(call)
            if truth:
                return True
            if truth is None:
                result = None
        return result

    return check


def _not(item: Check) -> Check:
    def check(call: Call) -> Truth:
        truth = item(call)
        return None if truth is None else not truth

    return check


def _is(name: str, item: Check) -> Check:
    def check(call: Call) -> Truth:
        if name not in call.named:
            call.named[name] = item(call)
        return call.named[name]

    return check
