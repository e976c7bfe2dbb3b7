"""Chaos: the real service under a steady stream of calls, with random harm, and the account at its end.

    scripts/chaos --minutes 10 [--seed 7] [--calls-per-second 5]

Parts are killed and frozen, connections to the platform cut, the platform storms, people edit tags. Exit
status 1 unless nothing was lost and nothing is wrong. The same seed gives the same plan of harm, not the same
run.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from platforms.sipsim.simulator import PlannedFault
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.service import KILLS, Run, a_day, calltag_up, expected_tags, kill, platform

RULES = """\
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: out, when: {field: direction, eq: outbound}, tag: Outbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long}
  - id: calm
    when: {all: [{field: duration, gt: 1m}, {not: {field: transcript_caller, contains: refund}}]}
    tag: Calm
  - {id: refund, when: {field: transcript_caller, contains: refund}, tag: Refund}
"""
BY_HAND = "By Hand"
RETRIES = (0.5, 1.0, 2.0, 4.0, *[8.0] * 20)
"""The platform sends again for longer than any of the harm lasts: what it gives up is not ours to lose."""
STORMS = ("429", "503", "500", "drop_before", "drop_after")


@dataclass
class People:
    """What people did, by the call's reference."""

    removed: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    added: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@dataclass
class Chaos:
    """One run of it."""

    run: Run
    proxy: FaultProxy
    chance: random.Random
    people: People = field(default_factory=People)
    done: Counter[str] = field(default_factory=Counter)

    def harm(self) -> None:
        """Does one thing of those that can go wrong."""
        kind = self.chance.choice(list(HARMS))
        HARMS[kind](self)
        self.done[kind] += 1

    def kill_child(self) -> None:
        kill(self.chance.choice(self.run.pool()))

    def kill_part(self) -> None:
        kill(self.run.part(self.chance.choice(["worker", "web", "valkey", "sweeper"])))

    def freeze(self) -> None:
        """Mostly for a moment; a worker at times for longer than its leases."""
        name = self.chance.choice(["worker", "child", "web", "valkey", "sweeper"])
        pid = self.chance.choice(self.run.pool()) if name == "child" else self.run.part(name)
        seconds = self.chance.choice([1, 3, 8] if name != "child" else [1, 8, 65])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(seconds, _go_on, [pid]).start()

    def cut(self) -> None:
        self.proxy.cut()

    def hole(self) -> None:
        self.proxy.black_hole()
        time.sleep(self.chance.uniform(1, 6))
        self.proxy.black_hole(False)

    def storm(self) -> None:
        kind = self.chance.choice(STORMS)
        self.run.simulator.plan(PlannedFault(kind=kind, seconds=self.chance.uniform(0.5, 6), retry_after="2"))

    def edit(self) -> None:
        """A person edits a call that calltag has long been done with."""
        call = self.chance.choice(self.run.played).record
        on_call = self.run.simulator.call_tags().get(call.reference, [])
        with suppress(httpx.HTTPError):
            if not self._is_at_rest(call.reference):
                return
            if on_call and self.chance.random() < 0.6:
                name = self.chance.choice(on_call)
                self.run.simulator.edit(call.reference, remove=[name])
                self.people.added[call.reference].discard(name)
                self.people.removed[call.reference] |= {name}
            else:
                self.run.simulator.edit(call.reference, add=[BY_HAND])
                self.people.removed[call.reference].discard(BY_HAND)
                self.people.added[call.reference] |= {BY_HAND}

    def _is_at_rest(self, reference: str) -> bool:
        answer = self.run.get(f"/api/calls/sipsim/{reference}")
        if not answer.is_success or answer.json()["state"] != "done":
            return False
        decided = max((one["at"] for one in answer.json()["decisions"]), default=None)
        return decided is not None and self.run.simulator.sender.waiting() < 50


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


HARMS: Mapping[str, Callable[[Chaos], None]] = {
    "worker's child killed": Chaos.kill_child,
    "part killed": Chaos.kill_part,
    "frozen": Chaos.freeze,
    "connections cut": Chaos.cut,
    "black hole": Chaos.hole,
    "storm": Chaos.storm,
    "person's edit": Chaos.edit,
    "another person's edit": Chaos.edit,
}


def account(chaos: Chaos) -> tuple[dict[str, object], list[str], list[str]]:
    """What was accepted and what became of it; the references of calls that lack a tag, and of those that
    have one too many."""
    run, people = chaos.run, chaos.people
    on_calls = run.simulator.call_tags()
    lost, wrong = [], []
    for reference, given in expected_tags(run.rules, run.played).items():
        wanted = (set(given) - people.removed[reference]) | people.added[reference]
        there = set(on_calls[reference])
        if wanted - there:
            lost.append(reference)
        if there - wanted:
            wrong.append(reference)
    counters, status = run.simulator.counters, run.status()
    asked = sum(n for route, c in counters.requests.items() if "/oauth/" not in route for n in c.values())
    found: dict[str, object] = {
        "accepted": status["events"]["accepted"],
        "duplicates": status["events"]["duplicate"],
        "given up by the platform": run.simulator.sender.counts.given_up,
        "calls": len(run.played),
        "states": status["calls"],
        "tagged": sum(bool(tags) for tags in on_calls.values()),
        "lost": len(lost),
        "wrong": len(wrong),
        "201": counters.put_201,
        "204": counters.put_204,
        "requests per tag": round(asked / max(counters.put_201, 1), 3),
        "harm": dict(chaos.done),
    }
    return found, lost, wrong


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="of the harm; without it another each time")
    parser.add_argument("--calls-per-second", type=float, default=5.0)
    given = parser.parse_args(list(arguments))
    seed = given.seed if given.seed is not None else random.randrange(10**6)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="calltag-chaos-") as folder:
        return _run(Path(folder), seed, given.minutes * 60, given.calls_per_second)


def _run(folder: Path, seed: int, seconds: float, pace: float) -> int:
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    with (
        platform({"latency": 0.02, "retries": RETRIES}) as (simulator, url),
        fault_proxy(int(url.rpartition(":")[2])) as proxy,
        calltag_up(folder, simulator, proxy.url, rules) as run,
    ):
        chaos = Chaos(run, proxy, random.Random(seed))
        _harm_for(chaos, seconds, pace, seed)
        return _end(chaos)


def _harm_for(chaos: Chaos, seconds: float, pace: float, seed: int) -> None:
    day = a_day(max(int(seconds * pace), 10), seed)
    end = time.monotonic() + seconds
    with chaos.run.playing(day, pace):
        while time.monotonic() < end:
            time.sleep(chaos.chance.uniform(0.2, 4))
            with suppress(IndexError, AssertionError):  # a part was not there yet to be harmed
                chaos.harm()


def _end(chaos: Chaos) -> int:
    chaos.run.simulator.gate.clear()
    try:
        chaos.run.settles(KILLS)
    except AssertionError as fault:
        print(f"it does not come to rest: {fault}")
    found, lost, wrong = account(chaos)
    for name, value in found.items():
        print(f"{name:>26}: {value}")
    if not lost and not wrong:
        return 0
    for reference in sorted({*lost, *wrong})[:10]:
        print(reference, chaos.run.simulator.call_tags()[reference], chaos.run.call(reference))
    kept = Path(tempfile.gettempdir()) / "calltag-chaos.log"
    kept.write_text(chaos.run.log)
    print(f"the log is in {kept}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
