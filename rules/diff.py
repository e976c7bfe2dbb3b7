"""What changed in meaning between two rule sets: not layout, order of keys, comments or tests."""

from dataclasses import dataclass
from typing import Any

from rules.conditions import AllOf, AnyOf, Comparison, Condition, Is, Not, Pattern, Test
from rules.cycles import in_order
from rules.ruleset import Rule, RuleSet
from rules.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `kind` is added, removed, changed or moved; `what` is the part of the rule or set."""

    kind: str
    subject: str
    what: str | None = None
    old: str | None = None
    new: str | None = None

    def __str__(self) -> str:
        if self.kind in ("added", "removed"):
            return f"{'+' if self.kind == 'added' else '-'} {self.subject}"
        text = f"~ {self.subject}: {self.what}"
        return text if self.old is None else f"{text}\n    - {self.old}\n    + {self.new}"

    def to_json(self) -> dict[str, Any]:
        found = {
            "kind": self.kind,
            "subject": self.subject,
            "what": self.what,
            "old": self.old,
            "new": self.new,
        }
        return {key: value for key, value in found.items() if value is not None}


def differences(old: RuleSet, new: RuleSet) -> list[Change]:
    """The changes from the old set to the new: rules first, in the new set's order, then the tags."""
    before, after = _Meanings(old), _Meanings(new)
    found = [Change("removed", f"rule {id_}") for id_ in old.by_id if id_ not in new.by_id]
    for rule in new.rules:
        if rule.id in old.by_id:
            found += _of_rule(old.by_id[rule.id], rule, before, after)
        else:
            found.append(Change("added", f"rule {rule.id}"))
    return found + _moved(old, new) + _of_tags(old, new)


def _of_rule(old: Rule, new: Rule, before: "_Meanings", after: "_Meanings") -> list[Change]:
    parts = {
        "tags": (", ".join(old.tags) or "none", ", ".join(new.tags) or "none"),
        "mode": (old.mode.value, new.mode.value),
        "stop": (_word(old.stop), _word(new.stop)),
        "on_unmatch": ("keep" if old.keep else "remove", "keep" if new.keep else "remove"),
    }
    found = [
        Change("changed", f"rule {new.id}", what, was, is_)
        for what, (was, is_) in parts.items()
        if was != is_
    ]
    if before.of(old.when) == after.of(new.when):
        return found
    if old.when.text == new.when.text:
        return [Change("changed", f"rule {new.id}", "what its condition refers to"), *found]
    return [Change("changed", f"rule {new.id}", "condition", old.when.text, new.when.text), *found]


def _word(value: bool) -> str:
    return str(value).lower()


def _moved(old: RuleSet, new: RuleSet) -> list[Change]:
    """Rules that both have, in another order: it matters where rules stop or tags have groups."""
    before = [id_ for id_ in old.by_id if id_ in new.by_id]
    after = [id_ for id_ in new.by_id if id_ in old.by_id]
    if before == after:
        return []
    first = next(at for at, id_ in enumerate(before) if id_ != after[at])
    return [Change("moved", "the order of the rules", f"from rule {after[first]} on, which stood elsewhere")]


def _of_tags(old: RuleSet, new: RuleSet) -> list[Change]:
    found = [Change("removed", f"tag {name} from the catalogue") for name in old.tags if name not in new.tags]
    for name, tag in new.tags.items():
        was = old.tags.get(name)
        if was is None:
            found.append(Change("added", f"tag {name} to the catalogue"))
            continue
        for what in ("group", "color", "description"):
            before, after = getattr(was, what), getattr(tag, what)
            if before != after:
                found.append(Change("changed", f"tag {name}", what, before or "none", after or "none"))
    return found


class _Meanings:
    """Conditions as numbers that are equal where their meaning is, however they are written."""

    def __init__(self, ruleset: RuleSet) -> None:
        self.zone = ruleset.timezone.key
        self.named: dict[str, int] = {}
        for name in in_order(ruleset.conditions):
            self.named[name] = self.of(ruleset.conditions[name])

    def of(self, condition: Condition) -> int:
        match condition:
            case AllOf(items=items):
                return _several("all", frozenset(map(self.of, items)))
            case AnyOf(items=items):
                return _several("any", frozenset(map(self.of, items)))
            case Not(item=item):
                return hash(("not", self.of(item)))
            case Is(name=name):
                return self.named[name]
            case Comparison(field=field, ignore_case=folds):
                zone = self.zone if field in LOCAL else None
                return _several(
                    "all", frozenset(hash((field, zone, folds, _test(test))) for test in condition.tests)
                )


LOCAL = ("local_time", "local_date", "weekday")
"""The fields that follow the time zone of the set."""


def _several(shape: str, items: frozenset[int]) -> int:
    return next(iter(items)) if len(items) == 1 else hash((shape, items))


def _test(test: Test) -> Any:
    """The order of a list means nothing, but for `between`."""
    operand = test.operand
    if isinstance(operand, tuple):
        items = map(_operand, operand)
        return (test.operator, tuple(items) if test.operator == "between" else frozenset(items))
    return (test.operator, _operand(operand))


def _operand(operand: Any) -> Any:
    match operand:
        case Pattern(text=text):
            return text
        case Schedule(timezone=zone, days=days, closed=closed):
            return (zone.key, tuple(frozenset(spans) for spans in days), closed)
        case bool():
            return ("boolean", operand)
    return operand
