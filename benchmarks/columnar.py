"""Evaluation of many stored calls by 100 and 1,000 rules, beside Polars and DuckDB.

All of them have the calls as columns in memory already, and give the number of calls that each rule matches.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_, or_
from typing import Any

import numpy as np

from benchmarks import plot, workload
from benchmarks.backtests import backtests
from benchmarks.measure import RESULTS, machine, rounded, side_by_side, table, tell, where
from benchmarks.peers import COMPARED, Given, Rules, Test, given, tests_of
from rules.block import Block
from rules.columns import Answers, counts
from rules.evaluate import evaluate
from rules.facts import Facts
from rules.reading import PART
from rules.ruleset import RuleSet

CALLS = 12 * PART
SIZES = (1, 10, 100, 1_000, 10_000, CALLS)
"""Calls of the plot."""
MOST_ALONE = 10_000
"""Calls that are evaluated one by one."""
FRESH, STORED, ONE = "calltag, texts read", "calltag, stored hits", "calltag, one by one"
MARKS = {FRESH: 1.9, STORED: 6}
"""Times as fast as Polars, with 1,000 rules."""

Counting = Callable[[], Sequence[int]]
"""Gives of each rule how many calls it matches."""


def ours(ruleset: RuleSet, blocks: Sequence[Block], stored: bool) -> Counting:
    number = len(ruleset.rules)
    for block in blocks:  # its columns are there already, as those of the others are
        for column in ruleset.program.index.columns:
            block.column(column.field, ruleset.timezone)

    def count() -> Sequence[int]:
        found = np.zeros(number, dtype=np.intp)
        for block in blocks:
            if not stored:
                block.hits.clear()
            found += counts(Answers(ruleset, block).true, number)
        return [int(calls) for calls in found]

    return count


def one_by_one(ruleset: RuleSet, facts: Sequence[Facts]) -> Counting:
    """As a worker does it."""

    def count() -> Sequence[int]:
        found = Counter(rule for call in facts for rule in evaluate(ruleset, call).rules.not_false)
        return list(found.values())

    return count


def polars(rules: Rules, calls: Sequence[Given]) -> Counting:
    import polars as pl

    frame = pl.DataFrame(list(calls), infer_schema_length=None)

    def one(test: Test) -> Any:
        field, operator, operand = test
        column = pl.col(field)
        if operator in COMPARED:
            return getattr(column, operator.replace("gte", "ge").replace("lte", "le"))(operand)
        if operator == "in":
            return column.is_in(operand)
        if operator == "matches":
            return column.str.contains(operand)
        if operator == "starts_with":
            return reduce(or_, [column.str.starts_with(part) for part in operand])
        return (
            column.str.contains(operand[0], literal=True)
            if len(operand) == 1
            else column.str.contains_any(operand)
        )

    asked = [reduce(and_, map(one, rule)).sum().alias(str(at)) for at, rule in enumerate(rules)]
    return lambda: list(frame.lazy().select(asked).collect().row(0))


def duckdb(rules: Rules, calls: Sequence[Given]) -> Counting:
    import duckdb

    connection = duckdb.connect()
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(call, ensure_ascii=False) + "\n" for call in calls)
        file.flush()
        connection.read_json(file.name).create("calls")

    def text(value: Any) -> str:
        return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else json.dumps(value)

    def one(test: Test) -> str:
        field, operator, operand = test
        if operator in COMPARED:
            return f"{field} {COMPARED[operator].replace('==', '=')} {text(operand)}"
        if operator == "in":
            return f"{field} in ({', '.join(map(text, operand))})"
        name = {"starts_with": "starts_with", "contains": "contains", "matches": "regexp_matches"}[operator]
        parts = operand if isinstance(operand, list) else [operand]
        return "(" + " or ".join(f"{name}({field}, {text(part)})" for part in parts) + ")"

    wanted = ", ".join(f"count_if({' and '.join(map(one, rule))})" for rule in rules)
    query = f"select {wanted} from calls"  # noqa: S608  (the workload's own rules)

    def count() -> Sequence[int]:
        found: Any = connection.execute(query).fetchone()
        return [int(calls) for calls in found]

    return count


def by_calls(rules: list[dict[str, Any]], facts: Sequence[Facts]) -> dict[str, list[tuple[float, float]]]:
    """Of each engine, by how many calls it was given at once, the microseconds that one call took."""
    ruleset = workload.rule_set(rules)
    tests = tests_of(rules)
    cost: dict[str, list[tuple[float, float]]] = {}
    for size in SIZES:
        some = facts[:size]
        calls = [given(call, ruleset) for call in some]
        blocks = [Block.of(some[at : at + PART]) for at in range(0, size, PART)]
        engines = {
            ONE: one_by_one(ruleset, some[:MOST_ALONE]),
            FRESH: ours(ruleset, blocks, stored=False),
            STORED: ours(ruleset, blocks, stored=True),
            "Polars": polars(tests, calls),
            "DuckDB": duckdb(tests, calls),
        }
        sizes = dict.fromkeys(engines, size) | {ONE: min(size, MOST_ALONE)}
        rates = side_by_side({name: _all(engine, sizes[name]) for name, engine in engines.items()}, rounds=3)
        for name, rate in rates.items():
            cost.setdefault(name, []).append((size, 1e6 / rate))
    return cost


def main() -> None:
    facts = workload.calls(CALLS)
    blocks = [Block.of(facts[at : at + PART]) for at in range(0, CALLS, PART)]
    cases = []
    for number, text in ((100, True), (1000, True), (1000, False)):
        rules = workload.rules(number, text)
        ruleset = workload.rule_set(rules)
        calls = [given(call, ruleset) for call in facts]
        tests = tests_of(rules)
        engines = {
            FRESH: ours(ruleset, blocks, stored=False),
            STORED: ours(ruleset, blocks, stored=True),
            "Polars": polars(tests, calls),
            "DuckDB": duckdb(tests, calls),
        }
        expected = engines[FRESH]()
        for name, engine in engines.items():
            start = time.perf_counter()
            if list(engine()) != list(expected):
                sys.exit(f"{name} gives another answer with {number} rules")
            print(f"{number} rules, {name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
        rates = side_by_side({name: _all(engine, CALLS) for name, engine in engines.items()}, rounds=3)
        cases.append({"rules": number, "text": text, "rates": rates})
    result = {
        "machine": machine("numpy", "google-re2", "polars", "duckdb"),
        "calls": CALLS,
        "cases": cases,
        "backtests": backtests(workload.rule_set(workload.rules(1000))),
    }
    tell("columnar", result, _text(result))
    title = "Microseconds for one call, by the number of calls at once (1,000 rules)"
    drawing = plot.lines(title, by_calls(workload.rules(1000), facts))
    (RESULTS / "columnar.svg").write_text(drawing, encoding="utf-8")


def _all(engine: Counting, calls: int) -> Callable[[], int]:
    def work() -> int:
        engine()
        return calls

    return work


def _kind(case: dict[str, Any]) -> str:
    return f"{case['rules']:,} rules{'' if case['text'] else ', none on text'}"


def _text(result: dict[str, Any]) -> str:
    cases = result["cases"]
    header = [f"calls/s, {result['calls']:,} calls", *map(_kind, cases)]
    rows = [[name, *(rounded(case["rates"][name]) for case in cases)] for name in cases[0]["rates"]]
    rates = next(case["rates"] for case in cases if case["rules"] == 1000 and case["text"])
    marks = [
        [f"{name}, 1,000 rules, times Polars", f">= {mark}", f"{rates[name] / rates['Polars']:.3g}"]
        for name, mark in MARKS.items()
    ]
    counted = [
        [f"{one['calls']:,} {one['source']}", f"{one['seconds']:.0f} s", f"{one['memory']:.0f} MB"]
        for one in result["backtests"]
    ]
    parts = [
        table(header, rows),
        table(["mark", "wanted", "measured"], marks),
        table(["backtest by 1,000 rules", "took", "memory at most"], counted),
        where(result["machine"]),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
