"""Other engines, each given the same rules in its own words and the same calls in the shape that suits it.

They are helped where it costs them nothing: a transcript comes to them with its words in lower case between
single spaces, so that a whole word is a substring; the time of day as seconds, and whether the office is open
as a boolean; a missing transcript as an empty text, since few of them know what is missing.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from typing import Any

from rules.facts import Facts
from rules.literals import read_time_of_day, seconds_of
from rules.ruleset import RuleSet

Given = dict[str, Any]
"""A call as the peers get it."""
Engine = Callable[[Given], list[int]]
"""From a call to the numbers of the rules that match."""
Test = tuple[str, str, Any]
"""Field, operator, operand."""
Rules = Sequence[Sequence[Test]]
"""Of each rule the tests that must all hold."""

COMPARED = {"eq": "==", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def given(facts: Facts, ruleset: RuleSet) -> Given:
    """The call as the peers get it."""
    found = {name.replace(".", "_"): _plain(value) for name, value in facts.items()}
    words = re.sub(r"\W+", " ", str(facts.get("transcript", "")).lower())
    started: Any = facts["started_at"]
    office = ruleset.schedules["office"].holds(started)
    return {"transcript": "", **found, "words": f" {words} ", "office": office}


def _plain(value: Any) -> Any:
    if isinstance(value, time):
        return seconds_of(value)
    return value.isoformat() if isinstance(value, date) else value


def tests_of(rules: Sequence[Mapping[str, Any]]) -> Rules:
    """The rules of a workload as the peers are told them."""
    return [[test for item in rule["when"]["all"] for test in _tests(item)] for rule in rules]


def _tests(item: Mapping[str, Any]) -> list[Test]:
    field = item["field"].replace(".", "_")
    operator, operand = next((key, value) for key, value in item.items() if key != "field")
    if operator == "during":
        return [("office", "eq", True)]
    if operator == "between":
        start, end = (86400 if text == "24:00" else seconds_of(read_time_of_day(text)) for text in operand)
        return [(field, "gte", start), (field, "lt", end)]
    if operator == "mentions":
        return [("words", "contains", [f" {word} " for word in operand])]
    return [(field, operator, operand)]


def _several(templates: Mapping[str, str], join: tuple[str, str]) -> Callable[[Sequence[Test]], str]:
    """A writer of a rule as an expression; `join` has the words for and, or."""
    both, either = join

    def one(test: Test) -> str:
        field, operator, operand = test
        if operator in COMPARED:
            return f"{field} {COMPARED[operator]} {json.dumps(operand)}"
        if operator == "in":
            return f"{field} in {json.dumps(operand)}"
        parts = operand if isinstance(operand, list) else [operand]
        written = [templates[operator].format(field, json.dumps(part)) for part in parts]
        return f"({f' {either} '.join(written)})"

    return lambda rule: f" {both} ".join(map(one, rule))


def _numbers(truths: Sequence[Any]) -> list[int]:
    return [at for at, truth in enumerate(truths) if truth]


def _names(rules: Rules) -> set[str]:
    """The fields that are asked for."""
    return {test[0] for rule in rules for test in rule}


def zen_engine(rules: Rules) -> Engine:
    import zen

    words = {
        "starts_with": "startsWith({}, {})",
        "contains": "contains({}, {})",
        "matches": "matches({}, {})",
    }
    write = _several(words, ("and", "or"))
    expression = zen.compile_expression(f"[{', '.join(map(write, rules))}]")
    names = _names(rules)
    return lambda call: _numbers(expression.evaluate({name: call[name] for name in names}))


CEL = {"starts_with": "{}.startsWith({})", "contains": "{}.contains({})", "matches": "{}.matches({})"}


def common_expression_language(rules: Rules) -> Engine:
    from cel import compile

    program = compile(f"[{', '.join(map(_several(CEL, ('&&', '||')), rules))}]")
    names = _names(rules)
    return lambda call: _numbers(program.execute({name: call[name] for name in names}))


def cel_expr_python(rules: Rules) -> Engine:
    from cel_expr_python import cel

    kinds = {"rating": cel.Type.DOUBLE} | dict.fromkeys(
        ("duration", "talk_time", "wait_time", "local_time", "custom_priority"), cel.Type.INT
    )
    kinds |= dict.fromkeys(("has_recording", "has_voicemail", "office"), cel.Type.BOOL)
    names = _names(rules)
    environment = cel.NewEnv(variables={name: kinds.get(name, cel.Type.STRING) for name in names})
    write = _several(CEL, ("&&", "||"))
    parts = [rules[at : at + 500] for at in range(0, len(rules), 500)]  # an expression has a longest length
    expressions = [environment.compile(f"[{', '.join(map(write, part))}]") for part in parts]

    def engine(call: Given) -> list[int]:
        data = {name: call[name] for name in names}
        return _numbers([item.value() for part in expressions for item in part.eval(data=data).value()])

    return engine


def rule_engine(rules: Rules) -> Engine:
    import rule_engine

    words = {"starts_with": "{}.starts_with({})", "contains": "{1} in {0}", "matches": "{} =~~ {}"}
    compiled = [rule_engine.Rule(_several(words, ("and", "or"))(rule)) for rule in rules]
    return lambda call: [at for at, rule in enumerate(compiled) if rule.matches(call)]


def simpleeval(rules: Rules) -> Engine:
    from simpleeval import EvalWithCompoundTypes

    words = {"starts_with": "starts({}, {})", "contains": "{1} in {0}", "matches": "found({}, {})"}
    write = _several(words, ("and", "or"))
    functions = {
        "starts": str.startswith,
        "found": lambda text, pattern: re.search(pattern, text) is not None,
    }
    evaluator = EvalWithCompoundTypes(functions=functions)
    texts = [write(rule).replace("true", "True").replace("false", "False") for rule in rules]
    parsed = [(text, evaluator.parse(text)) for text in texts]

    def engine(call: Given) -> list[int]:
        evaluator.names = call
        return _numbers([evaluator.eval(text, previously_parsed=tree) for text, tree in parsed])

    return engine


NAMES = {
    "eq": "equal_to", "gt": "greater_than", "gte": "greater_than_or_equal_to",
    "lt": "less_than", "lte": "less_than_or_equal_to", "starts_with": "starts_with", "contains": "contains",
    "matches": "matches_regex", "in": "equal_to",
}  # fmt: skip


def business_rules(rules: Rules) -> Engine:
    from business_rules import engine
    from business_rules import variables as kinds

    numeric = {"duration", "talk_time", "wait_time", "local_time", "custom_priority", "rating"}
    boolean = {"has_recording", "has_voicemail", "office"}

    def variable(name: str) -> Any:
        kind = (
            kinds.numeric_rule_variable
            if name in numeric
            else kinds.boolean_rule_variable
            if name in boolean
            else kinds.string_rule_variable
        )

        def value(self: Any) -> Any:
            return self.call[name]

        value.__name__ = name
        return kind()(value)

    asked = type("Asked", (kinds.BaseVariables,), {name: variable(name) for name in _names(rules)})
    compiled = [{"all": [_business_rule(test, boolean) for test in rule]} for rule in rules]

    def answer(call: Given) -> list[int]:
        values = asked()
        values.call = call
        return _numbers([engine.check_conditions_recursively(rule, values) for rule in compiled])

    return answer


def _business_rule(test: Test, boolean: set[str]) -> dict[str, Any]:
    field, operator, operand = test
    if field in boolean:
        return {"name": field, "operator": "is_true" if operand else "is_false", "value": None}
    if operator == "ne":  # which it has not
        return {"name": field, "operator": "matches_regex", "value": f"^(?!{re.escape(operand)}$)"}
    parts = operand if isinstance(operand, list) else [operand]
    some = [{"name": field, "operator": NAMES[operator], "value": part} for part in parts]
    return some[0] if len(some) == 1 else {"any": some}


def hand_written(rules: Rules) -> Engine:
    """A function for each rule, as one would write it."""
    words = {"starts_with": "c[{!r}].startswith({})", "contains": "{1} in c[{0!r}]"}
    patterns: list[re.Pattern[str]] = []

    def one(test: Test) -> str:
        field, operator, operand = test
        if operator in COMPARED:
            return f"c[{field!r}] {COMPARED[operator]} {operand!r}"
        if operator == "in":
            return f"c[{field!r}] in {set(operand)!r}"
        if operator == "matches":
            patterns.append(re.compile(operand))
            return f"patterns[{len(patterns) - 1}].search(c[{field!r}])"
        if operator == "starts_with":
            return f"c[{field!r}].startswith({tuple(operand)!r})"
        return f"({' or '.join(words[operator].format(field, repr(part)) for part in operand)})"

    functions = ", ".join("lambda c: " + " and ".join(map(one, rule)) for rule in rules)
    compiled = eval(f"[{functions}]", {"patterns": patterns})  # noqa: S307  (the workload's own rules)
    return lambda call: [at for at, function in enumerate(compiled) if function(call)]


PEERS: Mapping[str, Callable[[Rules], Engine]] = {
    "zen-engine": zen_engine,
    "common-expression-language": common_expression_language,
    "cel-expr-python": cel_expr_python,
    "rule-engine": rule_engine,
    "business-rules": business_rules,
    "simpleeval": simpleeval,
    "hand-written functions": hand_written,
}
LEFT_OUT = {"json-logic": "its last release runs on Python 2 only"}
