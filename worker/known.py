"""A call of the store as rules see it, and a test made of one."""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from rules.adding import lines_of_test
from rules.evaluate import Applied, evaluate
from rules.facts import Facts, Value, facts_from_json, facts_to_json
from rules.fields import CUSTOM, Type, find
from rules.ruleset import RuleSet
from store import history

PERSONAL = ("agent", "transcript", "transcript_caller", "transcript_agent", "summary")
"""Fields that say who it was or what was said; phone numbers and texts of `custom` fields go with them."""


class Known(NamedTuple):
    """A call's facts, and our tags on it."""

    facts: Facts
    applied: tuple[Applied, ...]


def known_call(connection: Connection, account: str, reference: str) -> Known | None:
    """The call by any of its references, as it is known now; None where there is none."""
    found = history.call_by_reference(connection, account, reference, time.time())
    if found is None:
        return None
    tags = history.our_tags(connection, found.id)
    ours = tuple(Applied(tag["name"], tag["rule"]) for tag in tags if tag["state"] == "ours")
    facts = found.facts if found.others is None else {**found.facts, "tags": found.others}
    return Known(facts_from_json(facts), ours)


def is_personal(name: str, value: Value) -> bool:
    """Whether a fact says who it was or what was said."""
    field = find(name)
    phone = field is not None and field.type is Type.PHONE
    return phone or name in PERSONAL or (name.startswith(CUSTOM) and isinstance(value, str))


def without_personal(facts: Facts) -> dict[str, Value]:
    return {name: value for name, value in facts.items() if not is_personal(name, value)}


def left_out(facts: Facts, kept: Iterable[str]) -> str | None:
    """Which facts are not among those that were kept, in words; None where all are."""
    kept = set(kept)
    names = ", ".join(name for name in facts if name not in kept)
    return f"left out as personal: {names}" if names else None


def made_test(facts: Facts, ruleset: RuleSet | None) -> tuple[dict[str, Any], list[str]]:
    """The call of a test without what is personal, as JSON has it, and the tags that the rules give it."""
    kept = without_personal(facts)
    return facts_to_json(kept), list(evaluate(ruleset, kept).tags) if ruleset else []


def text_of_test(name: str, facts: Facts, ruleset: RuleSet | None) -> str:
    """A section `tests` to copy into a rule file, with one test made of the call."""
    call, expect = made_test(facts, ruleset)
    note = left_out(facts, call)
    lines = [f"  {line}" for line in lines_of_test(name, call, expect)]
    return "\n".join([*([f"# {note}"] if note else []), "tests:", *lines])
