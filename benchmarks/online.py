"""Evaluation of single calls by 10 to 10,000 rules, beside other engines.

All of them work in one thread, so the processor's time counts: what else runs takes part of it from none.
"""

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import plot, workload
from benchmarks.measure import RESULTS, machine, rounded, side_by_side, table, tell, where
from benchmarks.peers import LEFT_OUT, PEERS, Engine, Given, given, tests_of
from rules import reference
from rules.evaluate import evaluate
from rules.facts import Facts
from rules.ruleset import RuleSet

CALLS = 1000
ROUND = 0.15
"""Seconds that one contender's turn takes, about."""
SLOWEST = 0.5
"""Seconds a call; what takes longer at a number of rules is not measured there."""
OURS = "calltag"
TOLD = "calltag, all outcomes"
MARKS = {(10, True): 3, (100, True): 25, (1000, True): 100, (10000, True): 500, (1000, False): 20}
"""Times as fast as zen-engine."""


class Case:
    """A rule set, the calls for it, and every contender that gives the right answers."""

    def __init__(self, number: int, text: bool, facts: Sequence[Facts]) -> None:
        rules = workload.rules(number, text)
        start = time.perf_counter()
        self.ruleset = workload.rule_set(rules)
        self.ruleset.program.index  # noqa: B018  made when first asked for
        self.load = time.perf_counter() - start
        self.number, self.text, self.facts = number, text, facts
        self.given = [given(call, self.ruleset) for call in facts]
        self.tests = tests_of(rules)
        self.expected = [_matching(self.ruleset, call) for call in facts]
        self.matches = sum(map(len, self.expected)) / len(facts)

    def contenders(self) -> dict[str, Callable[[], int]]:
        ours = _turns(lambda call: evaluate(self.ruleset, call), self.facts)
        told = _turns(lambda call: evaluate(self.ruleset, call).rules.not_false, self.facts)
        found = {OURS: ours, TOLD: told}
        for name, make in PEERS.items():
            engine = make(self.tests)
            cost = self.check(name, engine)
            if cost < SLOWEST:
                found[name] = _turns(engine, self.given)
        return found

    def check(self, name: str, engine: Engine) -> float:
        """Seconds a call; ends the run where an answer is wrong. All calls with few rules, else some."""
        start = time.process_time()
        checked = 0
        for call, expected in zip(self.given, self.expected, strict=True):
            if engine(call) != expected:
                sys.exit(f"{name} gives another answer with {self.number} rules")
            checked += 1
            if self.number > 100 and time.process_time() - start > 5:
                break
        return (time.process_time() - start) / checked


def _matching(ruleset: RuleSet, facts: Facts) -> list[int]:
    return [int(tag[1:]) for tag in evaluate(ruleset, facts).tags]


def _turns(engine: Callable[[Any], Any], calls: Sequence[Facts] | Sequence[Given]) -> Callable[[], int]:
    """Turns of about the same length, each going on where the last one ended."""
    endless = itertools.cycle(calls)

    def work() -> int:
        end = time.process_time() + ROUND
        done = 0
        while time.process_time() < end or done < 2:
            for call in itertools.islice(endless, 2):
                engine(call)
            done += 2
        return done

    return work


def check_reference(case: Case) -> None:
    """Ours against the language's plain reading, on all calls of the small sets."""
    for facts in case.facts[: CALLS if case.number <= 100 else 50]:
        if evaluate(case.ruleset, facts) != reference.evaluate(case.ruleset, facts):
            sys.exit("the evaluator and the reference differ")


def main() -> None:
    facts = workload.calls(CALLS)
    cases: list[dict[str, Any]] = []
    for text, number in itertools.product((True, False), (10, 100, 1000, 10000)):
        case = Case(number, text, facts)
        check_reference(case)
        rates = side_by_side(case.contenders(), rounds=5, clock=time.process_time)
        cases.append(
            {"rules": number, "text": text, "load": case.load, "matches": case.matches, "rates": rates}
        )
        print(f"{number} rules{'' if text else ', no text'}: {rates[OURS]:.0f} calls/s", file=sys.stderr)
    result = {"machine": machine("google-re2", *PACKAGES), "cases": cases}
    tell("online", result, _text(result))
    (RESULTS / "online.svg").write_text(
        plot.lines(
            "Microseconds a call, by number of rules",
            {
                name: [
                    (c["rules"], 1e6 / c["rates"][name]) for c in cases if c["text"] and name in c["rates"]
                ]
                for name in [OURS, *PEERS]
            },
        ),
        encoding="utf-8",
    )


PACKAGES = [name for name in PEERS if name != "hand-written functions"]


def _text(result: dict[str, Any]) -> str:
    parts = []
    for text in (True, False):
        cases = [case for case in result["cases"] if case["text"] is text]
        header = [f"calls/s, {'half with a transcript' if text else 'no rule on text'}"]
        header += [f"{case['rules']:,} rules" for case in cases]
        rows = [
            [name, *(rounded(case["rates"][name]) if name in case["rates"] else "-" for case in cases)]
            for name in [OURS, TOLD, *PEERS]
        ]
        rows.append(["matches a call", *(f"{case['matches']:.2g}" for case in cases)])
        parts.append(table(header, rows))
    parts.append(table(["mark", "wanted", "measured"], _marks(result["cases"])))
    left_out = "; ".join(f"{name}: {why}" for name, why in LEFT_OUT.items())
    return "\n\n".join([*parts, f"Left out: {left_out}.", where(result["machine"])])


def _marks(cases: Sequence[Any]) -> list[list[str]]:
    by_size = {(case["rules"], case["text"]): case for case in cases}
    rows = []
    for (number, text), mark in MARKS.items():
        rates = by_size[number, text]["rates"]
        name = f"{number:,} rules{'' if text else ', no text'}, times zen-engine"
        rows.append([name, f">= {mark}", f"{rates[OURS] / rates['zen-engine']:.3g}"])
    growth = by_size[1000, True]["rates"][OURS] / by_size[10000, True]["rates"][OURS]
    rows.append(["growth of cost from 1,000 to 10,000 rules, times", "<= 2.5", f"{growth:.2g}"])
    rows.append(["load of 1,000 rules, YAML to ready, s", "<= 1", f"{by_size[1000, True]['load']:.2g}"])
    return rows


if __name__ == "__main__":
    main()
