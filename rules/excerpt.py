"""The text of each rule as its author wrote it."""

from collections import Counter
from collections.abc import Mapping
from textwrap import dedent

from rules.ruleset import Rule, RuleSet


def rule_texts(ruleset: RuleSet) -> Mapping[str, str]:
    """By id, cut out of the files; a rule that shares its line with others is told on one line."""
    lines = {name: text.decode("utf-8-sig").splitlines() for name, text in ruleset.files.items()}
    shared = _shared(ruleset)
    return {
        rule.id: rule.text if _at(rule) in shared else _cut(lines[rule.place.file], rule)
        for rule in ruleset.rules
    }


def _at(rule: Rule) -> tuple[str, int]:
    return rule.place.file, rule.place.line


def _shared(ruleset: RuleSet) -> set[tuple[str, int]]:
    """The lines on which more than one rule begins."""
    begun = Counter(map(_at, ruleset.rules))
    return {place for place, rules in begun.items() if rules > 1}


def _cut(lines: list[str], rule: Rule) -> str:
    """From the rule's first line as far as it is indented; a rule in braces may be laid out in any way."""
    start, indent = rule.place.line - 1, rule.place.column - 1
    first = lines[start][indent:]
    if first.startswith("{"):
        return first.rstrip() if first.rstrip().endswith("}") else rule.text
    found = [" " * indent + first]
    for line in lines[start + 1 :]:
        if line.strip() and not line.lstrip().startswith("#") and line[:indent].strip():
            break
        found.append(line)
    while not found[-1].strip() or (found[-1].lstrip().startswith("#") and found[-1][:indent].strip()):
        found.pop()
    return dedent("\n".join(found))
