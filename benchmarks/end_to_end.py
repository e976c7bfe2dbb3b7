"""From the webhook to the tag at the platform: `calltag up` beside one Celery task per webhook."""

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import services
from benchmarks.load import DURATION, RECEIVER, STEP, body, caller, reference, request
from benchmarks.measure import machine, memory_of_all, rounded, side_by_side, table, tell, where
from tests.service import free_port
from tests.waiting import eventually

CALLS = 1000
"""In one turn."""
MANY = 10_000
"""Calls over which requests are counted."""
AGAIN = 2000
"""Of them, calls of which another event comes that changes nothing."""
ALONE = 100
"""Calls that come one by one to the idle system."""
PROCESSES = 2
OURS, RIVAL = "calltag up", "a Celery task per webhook"
PACKAGES = ("celery", "httpx", "starlette", "uvicorn", "sqlalchemy", "redis")
RULES = """\
version: 1
tags:
  Long Call: {color: "#EF4444", description: Calls over 30 minutes}
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
"""
PATIENCE = 120.0


def asked(port: int, path: str) -> Any:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30, trust_env=False).raise_for_status().json()


class Pipeline:
    """One contender, with a platform of its own."""

    def __init__(self, load: services.Load, port: int, path: str, platform: int) -> None:
        self._load, self.port, self._path, self.platform = load, port, path, platform

    def turn(self) -> int:
        """Sends webhooks and waits until each call has its tag."""
        before = asked(self.platform, "/counts")["put"]
        self._load.send(self.port, self._path, CALLS)
        eventually(
            lambda: asked(self.platform, "/counts")["put"] == before + CALLS, "all are tagged", PATIENCE
        )
        return CALLS


@contextmanager
def calltag_up(folder: Path, platform: int) -> Iterator[tuple[int, int, float]]:
    """`calltag up` with rules in force: its port, its process, and the seconds it took to be ready."""
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES)
    port = free_port()
    given = services.settings(folder, "", port, f"http://127.0.0.1:{platform}")
    began = time.perf_counter()
    argv = [sys.executable, "-P", "-m", "cli", "up"]
    with services.running(
        argv, folder, services.answers(f"http://127.0.0.1:{port}/readyz"), **given
    ) as process:
        took = time.perf_counter() - began
        eventually(lambda: asked(port, "/readyz")["status"] == "ok", "all parts run", PATIENCE)
        yield port, process.pid, took


@contextmanager
def rival(folder: Path, platform: int) -> Iterator[int]:
    """The rival's receiver and its worker; gives the receiver's port."""
    folder.mkdir()
    (folder / "rules.yaml").write_text(RULES)
    with services.valkey(folder) as server, services.rival_web(folder, server) as port:
        argv = [sys.executable, "-m", "celery", "--quiet", "-A", "benchmarks.rivals:queue", "worker"]
        argv += ["--queues", "rival", "--concurrency", str(PROCESSES), "--loglevel", "WARNING"]
        argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        given = {
            "BENCH_REDIS": server.url,
            "BENCH_PLATFORM": f"http://127.0.0.1:{platform}",
            "BENCH_RULES": str(folder / "rules.yaml"),
        }
        with services.running(argv, folder, lambda: True, **given):
            yield port


def delays(port: int, platform: int) -> list[float]:
    """Seconds from sending a webhook to the PUT, each call alone on an idle system."""
    sent: dict[str, float] = {}
    first = 9 * 10**8
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for number in range(first, first + ALONE):
            data = request(b"/webhooks/sipsim", body(number))
            before = asked(platform, "/counts")["put"]
            sent[reference(number)] = time.time()
            connection.sendall(data)
            answer = b""
            while not answer.endswith(b"}"):  # head and body may come apart
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 202")
            eventually(lambda n=before: asked(platform, "/counts")["put"] > n, "it is tagged")  # type: ignore[misc]
            time.sleep(0.03)
    times = asked(platform, "/times")
    return [times[one] - at for one, at in sent.items()]


def help_time() -> float:
    """Seconds that `calltag --help` takes more than a bare Python."""
    taken: dict[str, list[float]] = {"bare": [], "help": []}
    commands = {"bare": ["-c", "pass"], "help": ["-P", "-m", "cli", "--help"]}
    for _ in range(7):
        for name, arguments in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
            taken[name].append(time.perf_counter() - began)
    return statistics.median(taken["help"]) - statistics.median(taken["bare"])


def requests_per_tag(folder: Path, load: services.Load, *options: str) -> dict[str, float]:
    """Requests over many calls that ended three seconds apart and are told at once, as after an outage; then
    other events of the same calls, which change nothing."""
    folder.mkdir()
    since = float(int(time.time()) - MANY * STEP - 3600)
    with services.simulator(folder, *options) as platform, calltag_up(folder / "up", platform) as (port, *_):
        control = f"http://127.0.0.1:{platform}/_control"
        httpx.post(f"{control}/config", json={"echoes": False}, trust_env=False).raise_for_status()
        calls = [
            {
                "reference": reference(number),
                "direction": "inbound",
                "caller": caller(number),
                "receiver": RECEIVER,
                "started_at": f"{_iso(since + number * STEP - DURATION)}",
                "duration": DURATION,
            }
            for number in range(MANY)
        ]
        httpx.post(f"{control}/calls", json=calls, timeout=60, trust_env=False).raise_for_status()
        order = {"port": port, "path": "/webhooks/sipsim", "first": 0, "number": MANY, "seconds": 600}
        load.order(**order, since=since)
        eventually(lambda: _counters(platform)["put_201"] == MANY, "all are tagged", 3 * PATIENCE)
        sent = _requests(platform)
        load.order(**{**order, "number": AGAIN}, since=since, filler="y")
        eventually(lambda: _decided(port), "all are looked at again", 3 * PATIENCE)
        return {"per tag": sent / MANY, "for no change": float(_requests(platform) - sent)}


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _counters(platform: int) -> dict[str, Any]:
    found: dict[str, Any] = asked(platform, "/_control/state")["counters"]
    time.sleep(2.0)  # it shows every call's tags too, which costs the platform much
    return found


def _requests(platform: int) -> int:
    return sum(sum(answers.values()) for answers in _counters(platform)["requests"].values())


def _decided(port: int) -> bool:
    """Whether every event was worked on."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30, trust_env=False).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    events = sum(float(n) for name, n in values.items() if name.startswith("calltag_events_total"))
    states = {name: float(n) for name, n in values.items() if name.startswith("calltag_calls{")}
    done = states.get('calltag_calls{state="done"}')
    time.sleep(0.2)
    return events == MANY + AGAIN and done == MANY


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    result: dict[str, Any] = {"machine": machine(*PACKAGES)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltag-bench-")))
        load = stack.enter_context(services.load())
        platforms = [stack.enter_context(services.platform(folder)) for _ in range(2)]
        port, pid, result["start"] = stack.enter_context(calltag_up(folder / "ours", platforms[0]))
        time.sleep(5)
        result["memory"] = memory_of_all(pid)
        ours = Pipeline(load, port, "/webhooks/sipsim", platforms[0])
        other = stack.enter_context(rival(folder / "rival", platforms[1]))
        theirs = Pipeline(load, other, "/delay", platforms[1])
        ours.turn()
        theirs.turn()
        result["delays"] = sorted(delays(port, platforms[0]))
        print(f"alone: {statistics.median(result['delays']) * 1e3:.0f} ms", file=sys.stderr)
        result["rates"] = side_by_side({OURS: ours.turn, RIVAL: theirs.turn}, rounds)
        result["refused"] = load.refused
        counted = asked(platforms[0], "/counts")
        if counted["again"]:
            sys.exit(f"{counted['again']} tags were put twice")
    with tempfile.TemporaryDirectory(prefix="calltag-bench-") as name, services.load() as load:
        print(f"calls/s: {result['rates']}", file=sys.stderr)
        result["direct"] = requests_per_tag(Path(name) / "direct", load)
        print(f"requests, by reference: {result['direct']}", file=sys.stderr)
        result["search"] = requests_per_tag(Path(name) / "search", load, "--ids", "integer")
    result["help"] = help_time()
    tell("end_to_end", result, _text(result))


def _text(result: dict[str, Any]) -> str:
    rates, waited = result["rates"], result["delays"]
    p99 = waited[int(len(waited) * 0.99)]
    rows = [[name, rounded(rate)] for name, rate in rates.items()]
    direct, search = result["direct"], result["search"]
    marks = [
        [f"calls tagged a second, times {RIVAL}", ">= 5", f"{rates[OURS] / rates[RIVAL]:.3g}"],
        ["webhook to PUT on the idle system, median, ms", "<= 50", f"{statistics.median(waited) * 1e3:.0f}"],
        ["the same, 99 of 100, ms", "<= 250", f"{p99 * 1e3:.0f}"],
        [f"requests per tag, {MANY:,} calls, by reference", "<= 1.02", f"{direct['per tag']:.4f}"],
        [f"requests per tag, {MANY:,} calls, by search", "<= 1.1", f"{search['per tag']:.4f}"],
        [
            f"requests for {AGAIN:,} calls that need no change",
            "0",
            f"{max(direct['for no change'], search['for no change']):.0f}",
        ],
        ["`calltag up` to a good /readyz, s", "<= 3", f"{result['start']:.1f}"],
        ["memory of the whole idle tree, MB", "<= 350", f"{result['memory']:.0f}"],
        ["`calltag --help` over a bare Python, s", "<= 0.3", f"{result['help']:.2f}"],
    ]
    refused = f"{result['refused']} webhooks were answered 503 at first, and sent again."
    header = [f"{PROCESSES} processes of work", "calls tagged/s"]
    return "\n\n".join(
        [
            table(header, rows),
            refused,
            table(["mark", "wanted", "measured"], marks),
            where(result["machine"]),
        ]
    )


if __name__ == "__main__":
    main()
