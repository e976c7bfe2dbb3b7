"""Re-tagging the past: jobs of `calltag up` over a long history of a simulated platform, beside live calls.

    python -m benchmarks.retag [--calls 1000000] [--changes 10000]

Everything runs in processes of its own: calltag as operators start it, the platform, the rival's worker.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.load import SECRET
from benchmarks.measure import machine, pss, rounded, table, tell, where
from benchmarks.services import answers, running, settings, valkey
from tests.processes import descendants
from tests.service import free_port, part_of

STEP = 2
"""Seconds between two calls of the simulated history."""
APART = 2 * 86_400
"""Seconds between the end of the job's range and now: live calls are none of it."""
LIMIT, RATE = 100, 97
"""Requests a second that the platform takes, and that are configured: 3 % less."""
LIVE, LIVE_RATE = 300, 5.0
"""Live calls that are played, and how many a second."""
RIVAL_CALLS = 5000
LOOK_EVERY = 2.0
BOUND = 4 * 3600.0
ADMIN = "benchmark-admin-token"
PUT = "PUT /api/v2/calls/{call}/tags/{tag}"
LIST = "GET /api/v2/calls"
FREE = "POST /oauth/token"
RULES = """\
version: 1
tags:
  Long: {{color: "#EF4444"}}
  Live: {{color: "#0EA5E9"}}
rules:
  - {{id: long, when: {{field: duration, gt: {longer}}}, tag: Long}}
  - {{id: live, when: {{field: status, exists: true}}, tag: Live}} # the list of past calls does not tell it
"""
FEW, MANY = "3590s", "30m"
"""Long is 0.2 % of the calls, or a third of them."""


class Platform:
    """The simulated platform in a process of its own, with so many calls of the past."""

    def __init__(self, url: str, calls: int, began: float) -> None:
        self.url = url
        self.until = began - APART
        self.since = self.until - calls * STEP
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def config(self, **values: object) -> None:
        self._http.post("/_control/config", json=values).raise_for_status()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get("/_control/state").raise_for_status().json()
        return found

    def requests(self) -> dict[str, int]:
        """By route, how many were answered well or refused; the token's apart."""
        shown = self.state()["counters"]["requests"]
        return {route: sum(counts.values()) for route, counts in shown.items() if route != FREE}

    def play(self) -> list[float]:
        """Plays live calls to their end; gives for each tag the seconds from its webhook to its PUT."""
        before = len(self.state()["delays"])
        asked = {"calls": LIVE, "seed": int(time.time()), "calls_per_second": LIVE_RATE}
        self._http.post("/_control/play", json=asked).raise_for_status()
        end = time.monotonic() + LIVE / LIVE_RATE + 60
        delays: list[float] = []
        while len(delays) < LIVE and time.monotonic() < end:
            time.sleep(1.0)
            delays = self.state()["delays"][before:]
        return delays


@contextmanager
def platform(folder: Path, calls: int) -> Iterator[Platform]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv = [sys.executable, "-P", "-m", "cli", "simulate", "sipsim", "--port", str(port)]
    argv += ["--history", str(calls + APART // STEP + 1000)]
    began = time.time()
    secrets = {"CALLTAG_SIPSIM_WEBHOOK_SECRETS": SECRET.decode()}
    with running(argv, folder, answers(f"{url}/_control/facts"), **secrets):
        yield Platform(url, calls, began)


class Calltag:
    """A running `calltag up`."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {ADMIN}"}, trust_env=False, timeout=60
        )

    def plan(self, since: float, until: float) -> int:
        begin, end = (datetime.fromtimestamp(at, UTC).isoformat() for at in (since, until))
        answer = self._http.post("/api/jobs", json={"since": begin, "until": end})
        return int(answer.raise_for_status().json()["job"])

    def run(self, job: int) -> None:
        self._http.post(f"/api/jobs/{job}/run").raise_for_status()

    def job(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get(f"/api/jobs/{number}").raise_for_status().json()
        return found

    def memory(self) -> dict[str, float]:
        """Megabytes (proportional set size) of the batch worker's processes, of the sweeper and of all."""
        found = {"batch": 0.0, "sweeper": 0.0, "all": 0.0}
        for process in descendants(self.pid):
            size, part = pss(process.pid), part_of(process)
            found["all"] += size
            if part in ("batch", "sweeper"):
                found[part] += size
        return found

    def until(self, job: int, state: str, seen: list[dict[str, float]], began: float) -> dict[str, Any]:
        """Waits for a job's state and notes the memory meanwhile."""
        end = time.monotonic() + BOUND
        while time.monotonic() < end:
            told = self.job(job)
            seen.append({"at": time.time() - began, **self.memory()})
            if told["state"] == state:
                return told
            assert told["state"] in ("planning", "planned", "running"), told
            time.sleep(LOOK_EVERY if time.time() - began > 10 * LOOK_EVERY else 0.2)
        raise AssertionError(f"job {job} is not {state} in time")


@contextmanager
def calltag(folder: Path, there: Platform, rate: int, longer: str) -> Iterator[Calltag]:
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES.format(longer=longer), encoding="utf-8")
    port = free_port()
    with valkey(folder) as server:
        given = settings(
            folder,
            server.url,
            port,
            there.url,
            CALLTAG_RULES=str(folder / "rules.yaml"),
            CALLTAG_ADMIN_TOKEN=ADMIN,
            CALLTAG_SIPSIM_RATE=str(rate),
        )
        url = f"http://127.0.0.1:{port}"
        there.config(webhook_url=f"{url}/webhooks/sipsim")
        argv = [sys.executable, "-P", "-m", "cli", "up"]
        with running(argv, folder, answers(f"{url}/readyz"), **given) as process:
            time.sleep(5.0)  # all parts have begun
            yield Calltag(process.pid, url)


def million(folder: Path, there: Platform, calls: int) -> dict[str, Any]:
    """A job over all calls: its plan, its run, and a second plan, which finds nothing to change."""
    with calltag(folder, there, 100_000, FEW) as ours:
        idle, memory = ours.memory(), list[dict[str, float]]()
        began, takes = time.time(), {}
        at = time.time()
        job = ours.plan(there.since, there.until)
        planned = ours.until(job, "planned", memory, began)
        takes["plan"] = time.time() - at
        before, at = there.requests(), time.time()
        ours.run(job)
        done = ours.until(job, "done", memory, began)
        takes["run"] = time.time() - at
        requests = {route: number - before.get(route, 0) for route, number in there.requests().items()}
        before, at = there.requests(), time.time()
        again = ours.until(ours.plan(there.since, there.until), "planned", memory, began)
        takes["nothing to change"] = time.time() - at
        idle_requests = {route: number - before.get(route, 0) for route, number in there.requests().items()}
    assert planned["plan"]["listed"] == again["plan"]["listed"] == done["run"]["listed"] >= calls
    assert done["run"]["added"] == planned["plan"]["add"], (planned["plan"], done["run"])
    assert not again["plan"].get("change"), again["plan"]
    assert set(idle_requests) - {LIST} == {
        route for route in set(idle_requests) - {LIST} if not idle_requests[route]
    }
    return {
        "calls": planned["plan"]["listed"],
        "added": done["run"]["added"],
        "takes": takes,
        "requests": requests,
        "idle": idle,
        "memory": told(memory),
    }


def told(memory: Sequence[dict[str, float]]) -> dict[str, Any]:
    """What is told of it: five moments of the plan, the run and the second plan, and the most of all."""
    end = memory[-1]["at"]
    moments = [min(memory, key=lambda one: abs(one["at"] - end * part / 4)) for part in range(5)]
    parts = {key: max(one[key] for one in memory) for key in ("batch", "sweeper", "all")}
    both = max(one["batch"] + one["sweeper"] for one in memory)
    return {"moments": moments, "most": parts, "most of batch and sweeper": both}


def at_the_rate(folder: Path, there: Platform, changes: int) -> dict[str, Any]:
    """Live calls with nothing else going on, and again beside a job that takes what is left of the rate."""
    there.config(rate_limit=LIMIT)
    with calltag(folder, there, RATE, MANY) as ours:
        there.play()  # so that connections, token and tags are there, as after the first minute of a day
        idle = there.play()
        memory: list[dict[str, float]] = []
        since = there.until - changes * 2.5 * STEP  # two of five calls are to be changed
        job = ours.plan(since, there.until)
        planned = ours.until(job, "planned", memory, time.time())
        time.sleep(2.0)
        before = there.state()["counters"]
        ours.run(job)
        while not there.requests().get(PUT, 0) > before["requests"].get(PUT, {}).get("201", 0) + RATE:
            time.sleep(0.1)
        began, first = time.time(), there.requests()
        beside = there.play()
        assert ours.job(job)["state"] == "running", "the job ended before the live calls: more --changes"
        ended, last = time.time(), there.requests()
        done = ours.until(job, "done", memory, time.time())
        counters = there.state()["counters"]
    there.config(rate_limit=None)
    assert done["run"]["added"] == planned["plan"]["add"]
    used = (sum(last.values()) - sum(first.values())) / (ended - began)
    return {
        "limit": LIMIT,
        "rate": RATE,
        "changes": done["run"]["added"],
        "used": used / RATE,
        "refused": counters["rate_limited"] - before["rate_limited"],
        "most in one second": counters["max_in_one_second"],
        "idle": waits(idle),
        "beside": waits(beside),
    }


def rival(folder: Path, there: Platform) -> float:
    """Calls a second of one Celery task per call, with two processes, when nothing needs changing."""
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES.format(longer="2h"), encoding="utf-8")
    with valkey(folder) as server:
        given = {
            "BENCH_REDIS": server.url,
            "BENCH_PLATFORM": there.url,
            "BENCH_RULES": str(folder / "rules.yaml"),
        }
        os.environ.update(given)
        from benchmarks import rival_retag  # reads these

        argv = [sys.executable, "-m", "celery", "-A", "benchmarks.rival_retag:queue", "worker", "-Q", "rival"]
        argv += ["--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"]

        def asked() -> int:
            return there.requests().get("GET /api/v2/calls/{call}", 0)

        with running(argv, folder, lambda: True, **given):
            before = asked()
            rival_retag.retag(there.until - 100 * STEP, there.until)
            while asked() < before + 100:  # all is started
                time.sleep(0.2)
            before, at = asked(), time.perf_counter()
            number = rival_retag.retag(there.until - RIVAL_CALLS * STEP, there.until)
            while asked() < before + number:
                time.sleep(0.2)
            return number / (time.perf_counter() - at)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=10_000, help="at the rate of the platform")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there = stack.enter_context(platform(folder, asked.calls))
        there.config(echoes=False)
        result: dict[str, Any] = {"million": million(folder / "million", there, asked.calls)}
        print(f"a job over {asked.calls} calls is measured", file=sys.stderr)
        there.config(webhook_url=None)
        result["rival"] = rival(folder / "rival", there)
        print("the rival is measured", file=sys.stderr)
        there.config(echoes=True)
        result["rate"] = at_the_rate(folder / "rate", there, asked.changes)
    result["machine"] = machine("celery", "httpx", "SQLAlchemy")
    tell("retag", result, text(result))


def text(result: Mapping[str, Any]) -> str:
    job, rate = result["million"], result["rate"]
    speeds = {name: job["calls"] / took for name, took in job["takes"].items()}
    jobs = table(
        [f"{job['calls']:,} calls", "calls/s", "seconds"],
        [
            [
                "nothing to change",
                rounded(speeds["nothing to change"]),
                rounded(job["takes"]["nothing to change"]),
            ],
            [f"plan, {job['added']:,} to change", rounded(speeds["plan"]), rounded(job["takes"]["plan"])],
            ["run of that plan", rounded(speeds["run"]), rounded(job["takes"]["run"])],
            ["one Celery task per call, nothing to change", rounded(result["rival"]), "-"],
        ],
    )
    live = table(
        ["webhook to PUT, ms", "median", "p99"],
        [
            [name, f"{rate[key]['median']:.0f}", f"{rate[key]['p99']:.0f}"]
            for name, key in (("idle", "idle"), ("beside a job", "beside"))
        ],
    )
    return "\n\n".join(
        [
            jobs,
            _memory(job),
            live,
            table(["mark", "wanted", "measured"], _marks(result)),
            where(result["machine"]),
        ]
    )


def waits(delays: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    p99 = statistics.quantiles(delays, n=100, method="inclusive")[98]
    return {"median": statistics.median(delays) * 1000, "p99": p99 * 1000}


def _memory(job: Mapping[str, Any]) -> str:
    seen, idle = job["memory"], job["idle"]
    rows = [
        [
            name,
            f"{idle[key]:.0f}",
            *(f"{one[key]:.0f}" for one in seen["moments"]),
            f"{seen['most'][key]:.0f}",
        ]
        for name, key in (
            ("batch worker, 3 processes", "batch"),
            ("sweeper", "sweeper"),
            ("all of calltag", "all"),
        )
    ]
    return table(["MB (PSS)", "idle", *(f"after {one['at']:.0f} s" for one in seen["moments"]), "most"], rows)


def _marks(result: Mapping[str, Any]) -> list[list[str]]:
    job, rate = result["million"], result["rate"]
    idle = job["idle"]["batch"] + job["idle"]["sweeper"]
    most = job["memory"]["most of batch and sweeper"]
    listing = job["requests"].pop(LIST, 0)
    return [
        ["memory of feeder and worker above idle, MB", "<= 200", f"{most - idle:.0f}"],
        [
            "requests per tag added, listing apart",
            "<= 1.02",
            f"{sum(job['requests'].values()) / job['added']:.3f}",
        ],
        ["requests per 1,000 calls listed", "1", f"{listing / job['calls'] * 1000:.3f}"],
        [
            f"rate used, {rate['rate']}/s configured, {rate['limit']}/s taken",
            ">= 95 %",
            f"{rate['used']:.1%}",
        ],
        ["answers 429", "0", str(rate["refused"])],
        ["live p99 beside a job, times idle", "<= 2", f"{rate['beside']['p99'] / rate['idle']['p99']:.2g}"],
    ]


if __name__ == "__main__":
    main()
