"""Where the time goes when calls are evaluated: `scripts/profile [RULES]`."""

import cProfile
import pstats
import sys

from benchmarks import workload
from rules.evaluate import evaluate

CALLS = 2000


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    calls = workload.calls(CALLS)
    ruleset = workload.rule_set(workload.rules(number))
    evaluate(ruleset, calls[0])
    profile = cProfile.Profile()
    profile.enable()
    for facts in calls:
        evaluate(ruleset, facts)
    profile.disable()
    print(f"{CALLS} calls by {number} rules")
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    main()
