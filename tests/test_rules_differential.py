"""The compiled evaluators against the plain reference, on random rule sets and calls, result for result.

2,000 examples in the suite; `CALLTAG_DIFFERENTIAL_EXAMPLES=200000 pytest tests/test_rules_differential.py`
is the longer profile.
"""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules import reference
from rules.block import Block
from rules.columns import Answers
from rules.evaluate import Applied, evaluate, match
from rules.evaluation import Evaluation, Outcome
from rules.facts import Facts, derive, facts_from_json, facts_to_json
from rules.fields import CATALOGUE, CUSTOM_FIELD, DERIVED, Field, Type
from rules.giving import Giving
from rules.loader import parse
from rules.operators import OPERATORS, Operator, Takes
from rules.read_condition import taken
from rules.reading import read
from rules.ruleset import Mode, RuleSet
from rules.tables import numbers_of
from rules.trace import trace

EXAMPLES = int(os.environ.get("CALLTAG_DIFFERENTIAL_EXAMPLES", "2000"))

WORDS = [
    "a",
    "A",
    "ab",
    "straße",
    "STRASSE",
    "café",
    "cafe\u0301",
    "Σας",
    "σασ",
    "ß",
    "İ",
    "x y",
    "x  \u00a0y",
    "",
    "_a",
    "a1",
    "e\u0301",
]
TEXTS = (
    st.sampled_from(WORDS) | st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join) | st.text(max_size=6)
)
PARTS = st.sampled_from([word for word in WORDS if word and not word.startswith("$")])
PATTERNS = st.sampled_from([r"\ba\b", "caf.", "^x", "[a-c]+$", r"\d", "STRASSE", "(?i)ß", r"\w\s+\w", "é"])
PHONES = st.sampled_from(["+33612345678", "+33612345679", "+442071838750", "612", "+1 212 555 0100", "0612"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, -0.5, 1.0, 1e6])
SECONDS = st.sampled_from([0, 1, 29, 30, 30.0, 31, 60, 1800, 1801, 5400])
HOURS = st.sampled_from(["00:00", "00:00:01", "02:30", "09:00", "12:30", "18:00", "23:59:59"])
DAYS = st.sampled_from(["2026-03-29", "2026-10-25", "2026-12-25", "2026-10-26"])
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 12, 25, tzinfo=UTC),
]
MINUTES = st.integers(-60 * 26, 60 * 26)
OFFSETS = st.sampled_from(
    [UTC, timezone(timedelta(hours=1)), timezone(timedelta(hours=2)), timezone(-timedelta(hours=8))]
)
TIMES = st.builds(
    lambda change, minutes, offset: (change + timedelta(minutes=minutes)).astimezone(offset).isoformat(),
    st.sampled_from(CHANGES),
    MINUTES,
    OFFSETS,
)
SCALARS = st.booleans() | NUMBERS | st.sampled_from(["1", "true", "a", "A", "é", "e\u0301"])

LITERALS: dict[Type, st.SearchStrategy[Any]] = {
    Type.TEXT: PARTS,
    Type.PHONE: PHONES,
    Type.NUMBER: NUMBERS,
    Type.DURATION: SECONDS | st.sampled_from(["30s", "30m", "1h30m"]),
    Type.TIME: TIMES,
    Type.DATE: DAYS,
    Type.TIME_OF_DAY: HOURS,
    Type.BOOLEAN: st.booleans(),
    Type.SCALAR: SCALARS,
    Type.TEXTS: PARTS,
}
FACTS: dict[Type, st.SearchStrategy[Any]] = {
    **LITERALS,
    Type.TEXT: TEXTS,
    Type.TEXTS: st.lists(TEXTS | st.sampled_from(["T0", "T1", "T2", "T3"]), max_size=3),
}
PHONE_PARTS = st.sampled_from(["+33", "0", "9"])
BOOLEANS = st.booleans()
FEW = st.integers(1, 3)
KNOWN = st.sampled_from([True, True, True, False])
SHAPES = st.sampled_from(["field", "field", "field", "all", "any", "not", "is"])
TAGS = st.lists(st.sampled_from(["T0", "T1", "T2", "T3"]), min_size=1, max_size=2, unique=True)
MODES = st.sampled_from(["live", "live", "live", "shadow", "off"])
STOPS = st.sampled_from([False, False, True])
ENDS = st.sampled_from(["remove", "remove", "keep"])
ZONES = st.sampled_from(["Europe/Paris", "UTC", "America/New_York"])
FIELDS = [*CATALOGUE, Field("custom.x", CUSTOM_FIELD.type, ""), Field("custom.y.z", CUSTOM_FIELD.type, "")]


def literals(field: Field, operator: Operator) -> st.SearchStrategy[Any]:
    if field.values and operator.name in ("eq", "ne", "in", "not_in"):
        return st.sampled_from(field.values)
    if field.type is Type.SCALAR and not operator.folds:
        return NUMBERS
    return LITERALS[field.type]


@cache
def operands(field: Field, operator: Operator) -> st.SearchStrategy[Any]:
    single = literals(field, operator)
    match operator.takes:
        case Takes.BOOLEAN:
            return st.booleans()
        case Takes.SCHEDULE:
            return st.sampled_from(["office", "night"])
        case Takes.TEXTS:
            part = (
                PATTERNS if operator.name == "matches" else PHONE_PARTS if field.type is Type.PHONE else PARTS
            )
            return part | st.lists(part, min_size=1, max_size=3)
        case Takes.ONE:
            return single
        case Takes.MANY:
            return st.lists(single, min_size=1, max_size=3)
    pair = st.lists(single, min_size=2, max_size=2, unique_by=key(field))
    if field.type is Type.TIME_OF_DAY:
        return pair | single.map(lambda start: [start, "24:00"])
    return pair.map(lambda two: sorted(two, key=key(field)))


def key(field: Field) -> Any:
    lengths = {"30s": 30, "30m": 1800, "1h30m": 5400}
    if field.type is Type.TIME:
        return datetime.fromisoformat
    return lambda value: lengths.get(value, value) if field.type is Type.DURATION else value


@cache
def operators(type_: Type) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(taken(type_)), min_size=1, max_size=2, unique=True)


def comparison(draw: st.DrawFn, fields: st.SearchStrategy[Field]) -> dict[str, Any]:
    field = draw(fields)
    names = draw(operators(field.type))
    condition = {name: draw(operands(field, OPERATORS[name])) for name in names}
    foldable = any(OPERATORS[name].folds and folds(condition[name]) for name in names)
    if foldable and field.type in (Type.TEXT, Type.TEXTS, Type.SCALAR) and draw(BOOLEANS):
        condition["ignore_case"] = True
    return {"field": field.name, **condition}


def folds(operand: Any) -> bool:
    return any(isinstance(item, str) for item in (operand if isinstance(operand, list) else [operand]))


def condition(draw: st.DrawFn, fields: st.SearchStrategy[Field], names: Sequence[str], depth: int = 0) -> Any:
    shape = draw(SHAPES) if depth < 3 else "field"
    if shape == "is" and names:
        return {"is": draw(st.sampled_from(names))}
    if shape == "not":
        return {"not": condition(draw, fields, names, depth + 1)}
    if shape in ("all", "any"):
        return {shape: [condition(draw, fields, names, depth + 1) for _ in range(draw(FEW))]}
    return comparison(draw, fields)


SECTIONS: dict[str, Any] = {
    "version": 1,
    "schedules": {
        "office": {
            "mon-fri": ["09:00-12:30", "13:30-18:00"],
            "sun": ["01:30-03:30"],
            "closed": ["2026-12-25"],
        },
        "night": {
            "timezone": "Europe/Paris",
            "fri-mon": ["22:00-02:30", "05:00-24:00"],
            "closed": ["2026-03-28"],
        },
    },
}


def wide(draw: st.DrawFn, fields: st.SearchStrategy[Field]) -> Any:
    """A condition with more alternatives than are worked out."""
    some = [{"any": [comparison(draw, fields) for _ in range(3)]} for _ in range(4)]
    return {"all": [*some, comparison(draw, fields)]}


@st.composite
def rule_sets(draw: st.DrawFn, fields: list[Field], number: int = 0) -> dict[str, Any]:
    """So many rules, or a few."""
    rules = []
    asked = st.sampled_from(fields)
    for at in range(number or draw(FEW) + 1):
        when = wide(draw, asked) if at % 10 == 9 else condition(draw, asked, ("one", "two"))
        rule = {"id": f"r{at}", "when": when}
        rule["tag"] = draw(TAGS)
        if {"T0", "T1"} <= set(rule["tag"]):
            rule["tag"] = ["T0"]
        rule["mode"] = draw(MODES)
        rule["stop"] = draw(STOPS)
        rule["on_unmatch"] = draw(ENDS)
        rules.append(rule)
    return {
        **SECTIONS,
        "timezone": draw(ZONES),
        "tags": {"T0": {"group": "g"}, "T1": {"group": "g"}},
        "conditions": {
            "one": condition(draw, asked, ()),
            "two": condition(draw, asked, ("one",)),
        },
        "rules": rules,
    }


@st.composite
def calls(draw: st.DrawFn, fields: list[Field]) -> dict[str, Any]:
    known = [field for field in fields if draw(KNOWN)]
    return {field.name: draw(fixed(field) if field.values else FACTS[field.type]) for field in known}


@cache
def fixed(field: Field) -> st.SearchStrategy[str]:
    return st.sampled_from(field.values)


FEW_FIELDS = st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3, unique_by=lambda field: field.name)
MORE_FIELDS = st.lists(st.sampled_from(FIELDS), min_size=4, max_size=8, unique_by=lambda field: field.name)
Example = tuple[dict[str, Any], list[dict[str, Any]]]


@st.composite
def examples(draw: st.DrawFn, number: int = 0, some: st.SearchStrategy[list[Field]] = FEW_FIELDS) -> Example:
    """A rule set, and calls that have what its rules ask for, as a rule."""
    fields = draw(some)
    behind = BEHIND if any(field.name in DERIVED for field in fields) else ()
    asked = [field for field in FIELDS if field in fields or field.name in behind]
    return draw(rule_sets(fields, number)), [draw(calls(asked)) for _ in range(4)]


BEHIND = ("direction", "caller", "receiver", "started_at", "ended_at")


APPLIED = st.lists(
    st.builds(
        Applied, st.sampled_from(["T0", "T1", "T2", "T3"]), st.sampled_from(["r0", "r1", "r2", "gone"])
    ),
    max_size=3,
)
BLOCKED = st.sets(st.sampled_from(["T0", "T1", "T2"]), max_size=1)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES <= 2000,
)
@given(examples(), APPLIED, BLOCKED)
def test_the_compiled_evaluators_agree_with_the_reference(
    example: Example, applied: list[Applied], blocked: set[str]
) -> None:
    content, lines = example
    ruleset = parse({"rules.yaml": json.dumps(content, ensure_ascii=False).encode()})
    for facts in agree_on_all(ruleset, lines, applied, blocked):
        expected = reference.evaluate(ruleset, facts).rules
        assert [(step.id, step.outcome) for step in trace(ruleset, facts)] == list(expected.items())
        assert facts_from_json(facts_to_json(facts)) == facts


@settings(
    max_examples=max(EXAMPLES // 40, 50),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES <= 2000,
)
@given(examples(60, MORE_FIELDS), APPLIED, BLOCKED)
def test_they_agree_on_many_rules(example: Example, applied: list[Applied], blocked: set[str]) -> None:
    content, lines = example
    ruleset = parse({"rules.yaml": json.dumps(content, ensure_ascii=False).encode()})
    agree_on_all(ruleset, lines, applied, blocked)


def agree_on_all(
    ruleset: RuleSet, lines: list[dict[str, Any]], applied: list[Applied], blocked: set[str]
) -> list[Facts]:
    """Each call by itself, and all of them as columns: made of facts, and read as columns, twice: the second
    time what was found is known."""
    calls = [facts_from_json(line) for line in lines]
    expected = [agree(ruleset, facts, applied, blocked) for facts in calls]
    tags = {(row, tag) for row, facts in enumerate(calls) for tag in reference.evaluate(ruleset, facts).tags}
    block, wrong = read(lines)
    assert not wrong
    for answers in (Answers(ruleset, Block.of(calls)), Answers(ruleset, block), Answers(ruleset, block)):
        for row, wanted in enumerate(expected):
            assert answers.evaluation(row, applied, blocked) == wanted
            assert list(outcomes(answers, row)) == list(wanted.rules.values())
        giving = Giving(ruleset)
        given = [(row, giving.tags[tag]) for row, tag in zip(*giving.given(answers), strict=True)]
        assert set(given) == tags
        assert len(given) == len(set(given))
    return calls


def outcomes(answers: Answers, row: int) -> Iterator[Outcome]:
    """Those of all rules for one call, from the bits."""
    true, asked, possible = (
        numbers_of(int.from_bytes(bits[row].tobytes(), "little"))
        for bits in (answers.true, answers.asked, answers.possible)
    )
    for at, rule in enumerate(answers.ruleset.rules):
        if rule.mode is Mode.OFF:
            yield Outcome.OFF
        elif at not in asked:
            yield Outcome.SKIPPED
        else:
            yield Outcome.TRUE if at in true else Outcome.UNKNOWN if at in possible else Outcome.FALSE


def agree(ruleset: RuleSet, facts: Facts, applied: list[Applied], blocked: set[str]) -> Evaluation:
    """All of an evaluation, and each rule by itself; gives what the reference says."""
    expected = reference.evaluate(ruleset, facts, applied, blocked)
    found = evaluate(ruleset, facts, applied, blocked)
    assert found == expected
    assert list(found.rules.not_false.items()) == list(expected.rules.not_false.items())
    known = derive(facts, ruleset.timezone)
    named = reference.find_named(ruleset, known)
    for rule in ruleset.rules:
        assert match(ruleset, rule, facts) is reference.find(rule.when, known, named).truth
    return expected


ONE_OF_A_TYPE = {field.type: field for field in FIELDS if not field.values}


@pytest.mark.parametrize("field", ONE_OF_A_TYPE.values(), ids=lambda field: field.name)
def test_they_agree_on_single_comparisons(field: Field) -> None:
    @settings(max_examples=max(EXAMPLES // 10, 200), deadline=None, derandomize=EXAMPLES <= 2000)
    @given(singles(field))
    def on_each(example: tuple[dict[str, Any], list[Any]]) -> None:
        when, values = example
        content = {**SECTIONS, "rules": [{"id": "r", "when": when, "tag": "T"}]}
        ruleset = parse({"rules.yaml": json.dumps(content, ensure_ascii=False).encode()})
        agree_on_all(ruleset, [{field.name: value} for value in values], [], set())

    on_each()


@st.composite
def singles(draw: st.DrawFn, field: Field) -> tuple[dict[str, Any], list[Any]]:
    """A comparison of one field, and values of it."""
    return comparison(draw, st.just(field)), [draw(FACTS[field.type]) for _ in range(6)]
