"""Where the time goes: `scripts/profile [WORKLOAD] [NUMBER]`."""

import argparse
import cProfile
import pstats
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import sampled, workload
from rules.backtest import Backtest
from rules.block import Block
from rules.evaluate import evaluate
from rules.reading import PART

CALLS = 2000
BLOCKS = 8


def online(rules: int) -> None:
    """Calls evaluated one by one, as a worker does it."""
    calls = workload.calls(CALLS)
    ruleset = workload.rule_set(workload.rules(rules))
    evaluate(ruleset, calls[0])

    def work() -> None:
        for facts in calls:
            evaluate(ruleset, facts)

    _profiled(work, f"{CALLS} calls by {rules} rules")


def columnar(rules: int) -> None:
    """Calls backtested in blocks: their columns made, the rules asked, the answers counted."""
    calls = workload.calls(BLOCKS * PART)
    names = [f"call {at}" for at in range(len(calls))]
    ruleset = workload.rule_set(workload.rules(rules))
    Backtest(ruleset).add(Block.of(calls[:1]), names[:1])

    def work() -> None:
        backtest = Backtest(ruleset)
        for at in range(0, len(calls), PART):
            backtest.add(Block.of(calls[at : at + PART]), names[at : at + PART])

    _profiled(work, f"{len(calls)} calls in blocks of {PART} by {rules} rules")


def _profiled(work: Callable[[], None], title: str) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    print(title)
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


class Workload(NamedTuple):
    """What is looked at with which number, where none is said; `unit` is what the number counts."""

    show: Callable[[int], None]
    number: int
    unit: str


WORKLOADS = {
    "online": Workload(online, 1000, "rules"),
    "columnar": Workload(columnar, 1000, "rules"),
    "accept": Workload(sampled.accept, 5, "turns of two seconds"),
    "end_to_end": Workload(sampled.end_to_end, 8, "turns of a thousand calls"),
}


def main() -> None:
    numbers = "; ".join(f"{name}: {one.unit}, {one.number}" for name, one in WORKLOADS.items())
    parser = argparse.ArgumentParser(prog="scripts/profile", description="Shows where the time goes.")
    parser.add_argument("workload", nargs="?", choices=WORKLOADS, default="online")
    parser.add_argument("number", nargs="?", type=int, help=f"how much ({numbers})")
    given = parser.parse_args()
    chosen = WORKLOADS[given.workload]
    chosen.show(given.number or chosen.number)


if __name__ == "__main__":
    main()
