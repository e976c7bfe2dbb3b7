"""Rules and tests, read from nodes."""

import re

from rules import fields
from rules.facts import FactError, Value, read_fact
from rules.nodes import List, Map, Node, plain
from rules.read_condition import read_condition
from rules.ruleset import Mode, Rule, RuleTest, SetTest
from rules.shapes import (
    Scope,
    check_keys,
    is_whole,
    read_boolean,
    read_choice,
    read_list,
    read_map,
    read_text,
)
from rules.text import nfc
from rules.words import nearest_field, quote

ID = re.compile(r"[a-z0-9-]+")
RULE_KEYS = ("id", "description", "mode", "when", "tag", "on_unmatch", "stop", "tests")
MATCHES = {"true": True, "false": False, "unknown": None}


def read_rule(node: Node, scope: Scope) -> Rule | None:
    """The rule, or None with its faults told."""
    entry = read_map(node, "a rule", scope.faults)
    if entry is None:
        return None
    faults, found = scope.faults, entry.entries
    check_keys(entry, RULE_KEYS, ("id", "when"), "a rule", faults)
    stop = "stop" in found and read_boolean(found["stop"], "'stop'", faults) is True
    keep = "on_unmatch" in found and _choice(entry, "on_unmatch", ("remove", "keep"), scope) == "keep"
    mode = _choice(entry, "mode", tuple(Mode), scope) if "mode" in found else None
    if "tag" not in found and not stop:
        faults.add(node, "a rule needs 'tag' (or 'stop: true')")
    id_ = _id(found["id"], scope) if "id" in found else None
    when = read_condition(found["when"], scope) if "when" in found else None
    description = (
        read_text(found["description"], "'description'", faults, empty=True)
        if "description" in found
        else None
    )
    tags = _tags(found["tag"], scope) if "tag" in found else ()
    tests = (
        [_rule_test(test, scope) for test in read_list(found["tests"], "'tests'", faults)]
        if "tests" in found
        else []
    )
    if id_ is None or when is None:
        return None
    good = tuple(test for test in tests if test)
    return Rule(entry, id_, description, Mode(mode or Mode.LIVE), when, tags, keep, stop, good)


def _choice(entry: Map, key: str, choices: tuple[str, ...], scope: Scope) -> str | None:
    return read_choice(entry.entries[key], f"'{key}'", choices, scope.faults)


def _id(node: Node, scope: Scope) -> str | None:
    text = read_text(node, "'id'", scope.faults)
    if text is None:
        return None
    if not ID.fullmatch(text):
        scope.faults.add(
            node, f"'{quote(text)}' is no id: lower-case letters, digits and '-', such as long-call"
        )
    elif text in scope.ids:
        scope.faults.add(node, f"duplicate rule id '{text}', first at {scope.ids[text].place}")
    scope.ids.setdefault(text, node)
    return text


def _tags(node: Node, scope: Scope) -> tuple[str, ...]:
    """The tags of a rule, each once; of one group at most one."""
    named: dict[str, Node] = {}
    for item in read_list(node, "'tag'", scope.faults) if isinstance(node, List) else [node]:
        name = read_text(item, "a tag name", scope.faults)
        if name is not None:
            named.setdefault(nfc(name), item)
    first: dict[str, str] = {}
    for name, item in named.items():
        group = scope.groups.get(name)
        if group is not None and first.setdefault(group, name) != name:
            both = f"'{quote(first[group])}' and '{quote(name)}'"
            scope.faults.add(item, f"{both} are of the group '{quote(group)}': a rule gives one of them")
    return tuple(named)


def _rule_test(node: Node, scope: Scope) -> RuleTest | None:
    entry = read_map(node, "a test", scope.faults)
    if entry is None:
        return None
    check_keys(entry, ("name", "call", "match"), ("call", "match"), "a test in a rule", scope.faults)
    facts, name = _facts(entry, scope), _name(entry, scope)
    match = _choice(entry, "match", tuple(MATCHES), scope) if "match" in entry.entries else None
    return RuleTest(entry, facts, MATCHES[match], name) if match else None


def read_set_test(node: Node, scope: Scope) -> SetTest | None:
    """A test of the whole set, or None with its faults told."""
    entry = read_map(node, "a test", scope.faults)
    if entry is None:
        return None
    check_keys(entry, ("name", "call", "expect"), ("call", "expect"), "a test of the set", scope.faults)
    facts, name, tags = _facts(entry, scope), _name(entry, scope), []
    if "expect" in entry.entries:
        items = read_list(entry.entries["expect"], "'expect'", scope.faults, empty=True)
        tags = [read_text(item, "a tag name", scope.faults) for item in items]
    return SetTest(entry, facts, frozenset(nfc(tag) for tag in tags if tag), name)


def _name(entry: Map, scope: Scope) -> str | None:
    return (
        read_text(entry.entries["name"], "'name'", scope.faults, empty=True)
        if "name" in entry.entries
        else None
    )


def _facts(entry: Map, scope: Scope) -> dict[str, Value]:
    call = read_map(entry.entries["call"], "'call'", scope.faults) if "call" in entry.entries else None
    return {
        name: fact
        for name in (call.entries if call else ())
        if (fact := _fact(call, name, scope)) is not None
    }


def _fact(call: Map | None, name: str, scope: Scope) -> Value | None:
    """One fact, or None where it is null or has a fault."""
    if call is None:
        return None
    node = call.entries[name]
    if fields.find(name) is None:
        scope.faults.add(call.keys[name], f"unknown field '{quote(name)}'{nearest_field(name)}")
        return None
    value = plain(node)
    if value is None or not is_whole(node):
        return None
    try:
        return read_fact(name, value)
    except FactError as fault:
        scope.faults.add(node, str(fault))
        return None
