"""The real service for tests: `calltag up` and the simulated platform, on real sockets.

A test plays calls, does its harm, and ends with `Run.ends_right`: every call has the tags that the rules say
for the facts as the day was planned, nothing was written twice, and nothing personal or secret got out.
"""

import base64
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from platforms.sipsim.simulator import Config, Day, DayCall, Series, Simulator, make_day, play, serve
from rules.evaluate import evaluate
from rules.facts import facts_from_json
from rules.loader import load
from store.database import Database
from store.schema import calls
from tests.processes import Process, descendants
from tests.waiting import eventually
from worker.process import tied

SAMPLE = Path(__file__).parent.parent / "rules" / "samples" / "first-rules.yaml"
CLIENT_SECRET = "planted-client-secret-5f2a91"
WEBHOOK_SECRET = "planted-webhook-secret-93be07"
TOKEN = "planted-admin-token-c7714e"
READY_WITHIN = 60.0
PLAIN = 60.0
"""Seconds within which all is settled after plain load; below, after a storm of errors and after kills."""
STORM = 120.0
KILLS = 240.0
PORTS = range(20_000, 32_000)
"""Below those that the system gives to outgoing connections: one could take the port of a restarting part."""
RESTARTABLE = ("web", "worker", "batch", "sweeper")


def a_day(calls: int, seed: int = 1) -> Day:
    """So many calls of one fixed day, the same for the same seed."""
    return make_day(calls, seed=seed, on=date(2026, 11, 20))


def expected_tags(rules: Path, calls: Iterable[DayCall]) -> dict[str, list[str]]:
    """By reference, the tags that the rules say for the facts as the day was planned."""
    ruleset = load(rules)
    return {
        call.record.reference: sorted(
            evaluate(ruleset, facts_from_json({"account": "sipsim", **call.facts})).tags
        )
        for call in calls
    }


def part_of(process: Process) -> str | None:
    """The part of calltag that a process is, by the name under which it is shown."""
    if "valkey-server" in process.command:
        return "valkey"
    program, *part = process.command.split()
    return part[0] if program == "calltag" and part and part[0] in RESTARTABLE else None


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it may just have ended
        os.kill(pid, signal.SIGKILL)


@dataclass
class Run:
    """A running `calltag up`, the simulated platform beside it, and the calls that were played."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    rules: Path
    address: str
    simulator: Simulator
    database: str
    played: list[DayCall] = field(default_factory=list)

    @property
    def log(self) -> str:
        """Everything that the service wrote."""
        return (self.folder / "up.log").read_text(errors="replace")

    def part(self, name: str) -> int:
        """The process of a part, as soon as there is one; of the worker the one that holds the others."""

        def main() -> list[int]:
            own = self.process.pid
            return [p.pid for p in descendants(own) if p.parent == own and part_of(p) == name]

        return eventually(main, f"the part {name} runs", 60)[0]

    def pool(self, part: str = "worker") -> list[int]:
        """A worker's processes that do its tasks, as soon as there are any."""
        return eventually(lambda: [p.pid for p in descendants(self.part(part))], f"the {part} has a pool", 60)

    def get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.get(f"{self.address}{path}", headers=headers, timeout=10, trust_env=False)

    def post(self, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = httpx.post(f"{self.address}{path}", headers=headers, json=body, timeout=10, trust_env=False)
        return answer.raise_for_status().json()

    def job(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/jobs/{number}").raise_for_status().json()
        return found

    def planned(self, since: float, until: float, **asked: Any) -> int:
        """A re-tagging job over these calls (Unix seconds), planned; gives its number."""
        made = self.post("/api/jobs", {"since": iso(since), "until": iso(until), **asked})
        eventually(lambda: self.job(made["job"])["state"] == "planned", "the job is planned", 120)
        return int(made["job"])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/status").raise_for_status().json()
        return found

    def call(self, reference: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/calls/sipsim/{reference}").raise_for_status().json()
        return found

    def dead(self) -> list[str]:
        """Why calls were given up."""
        database = Database(self.database)
        try:
            with database.read() as connection:
                rows = connection.execute(select(calls.c.reason).where(calls.c.state == "dead"))
                return [str(reason) for reason in rows.scalars()]
        finally:
            database.close()

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/readyz").json()
        return found

    def answers(self) -> bool:
        """Whether the part that receives webhooks runs."""
        try:
            return self.get("/healthz").is_success
        except httpx.HTTPError:
            return False

    @contextmanager
    def playing(self, calls: Iterable[DayCall], calls_per_second: float = 1e6) -> Iterator[None]:
        """The calls end at this pace while the block runs; it ends when the last of them has ended."""
        day = tuple(calls)
        self.played += day
        thread = threading.Thread(
            target=play, args=(self.simulator, day), kwargs={"calls_per_second": calls_per_second}
        )
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def play(self, calls: Iterable[DayCall], calls_per_second: float = 1e6) -> None:
        with self.playing(calls, calls_per_second):
            pass

    def has_put(self, tags: int) -> None:
        """Waits until the platform has so many tags by us: then we are in the middle of it."""
        eventually(lambda: self.simulator.counters.put_201 >= tags, f"{tags} tags are put", 60)

    def is_settled(self) -> bool:
        """Every webhook was taken, every call was worked on, and no echo came back meanwhile."""
        sent = self.simulator.sender.counts.queued
        if self.simulator.sender.waiting():
            return False
        try:
            states = self.status()["calls"]
        except httpx.HTTPError:  # the part that answers is just being started again
            return False
        unfinished = states["due"] + states["running"] + states["parked"]
        return not unfinished and self.simulator.sender.counts.queued == sent

    def took_all_at_once(self) -> None:
        """No webhook was refused; a few may have been answered late on a busy machine and sent again."""
        counts = self.simulator.sender.counts
        late = counts.answers["failed"]
        assert counts.answers == {"202": counts.queued} | ({"failed": late} if late else {})
        assert late <= counts.queued / 50

    def settles(self, seconds: float) -> None:
        try:
            eventually(self.is_settled, "every call is worked on", seconds)
        except AssertionError as error:
            error.add_note(f"{self.simulator.sender.waiting()} webhooks wait; {self.status()}")
            raise

    def ends_right(self, seconds: float = PLAIN, in_flight: int = 0) -> None:
        """Waits until all is settled, then holds it against the rules.

        `in_flight` is the most writes that can have been under way when something was killed or cut.
        """
        self.settles(seconds)
        on_calls = self.simulator.call_tags()
        assert on_calls == expected_tags(self.rules, self.played)
        assert self.dead() == []
        counters = self.simulator.counters
        # what an event that came late took back was put once too
        assert counters.put_201 - counters.deleted == sum(map(len, on_calls.values()))
        assert counters.put_204 <= in_flight
        assert leaks(self) == []


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def leaks(run: Run) -> list[str]:
    """The kinds of secret or personal text that got into the log, the metrics or the broker."""
    said = run.log + run.get("/metrics").raise_for_status().text
    sent = broker_content(run.folder / "data" / "valkey")
    wanted = _private(run.played) | {"a secret": [CLIENT_SECRET, WEBHOOK_SECRET, TOKEN]}
    found = [kind for kind, texts in wanted.items() if any(text in said for text in texts)]
    found += [
        f"{kind} in the broker" for kind, texts in wanted.items() if any(text in sent for text in texts)
    ]
    kept = re.findall(r"calltag:token:sipsim\s+\$\d+\s+(\S+)", sent)  # the fleet shares it there
    return found + ["an access token"] * any(token in said for token in kept)


def _private(calls: Iterable[DayCall]) -> dict[str, list[str]]:
    calls = list(calls)
    numbers = {number.lstrip("+") for call in calls for number in (call.record.caller, call.record.receiver)}
    texts = {segment.text for call in calls for segment in call.record.segments}
    texts |= {str(call.facts["summary"]) for call in calls if "summary" in call.facts}
    return {"a number": sorted(numbers), "a transcript": sorted(texts)}


def broker_content(folder: Path) -> str:
    """All that the embedded Valkey was given, with the messages' bodies decoded."""
    content = "".join(file.read_text(errors="replace") for file in sorted(folder.rglob("*.aof")))
    bodies = re.findall(r'"body": "([A-Za-z0-9+/=]+)"', content)
    return content + "".join(base64.b64decode(body).decode(errors="replace") for body in bodies)


@contextmanager
def platform(
    config: Mapping[str, Any] | None = None, history: Series | None = None
) -> Iterator[tuple[Simulator, str]]:
    """The simulated platform and its address; `history` are calls of long ago."""
    planted = {"client_secret": CLIENT_SECRET, "webhook_secret": WEBHOOK_SECRET}
    simulator = Simulator(Config(**{**planted, **(config or {})}), history)
    with serve(simulator) as url:
        yield simulator, url


@contextmanager
def calltag_up(
    folder: Path,
    simulator: Simulator,
    url: str,
    rules: Path = SAMPLE,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Run]:
    """`calltag up` with its data under this folder, ready, until the block ends; its log is shown on failure.

    Started again in the same folder it goes on with the data.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    simulator.config.change({"webhook_url": f"{address}/webhooks/sipsim"})
    given = {
        "CALLTAG_DATA_DIR": str(folder / "data"),
        "CALLTAG_RULES": str(rules),
        "CALLTAG_PORT": str(port),
        "CALLTAG_ADMIN_TOKEN": TOKEN,
        "CALLTAG_LOG_FORMAT": "json",
        "CALLTAG_SIPSIM_BASE_URL": url,
        "CALLTAG_SIPSIM_CLIENT_ID": simulator.config.client_id,
        "CALLTAG_SIPSIM_CLIENT_SECRET": CLIENT_SECRET,
        "CALLTAG_SIPSIM_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "CALLTAG_SIPSIM_RATE": "2000",
        **(settings or {}),
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    with (folder / "up.log").open("ab") as log:
        process = subprocess.Popen(
            tied([sys.executable, "-P", "-m", "cli", "up"]),
            env={**others, **given},
            cwd=folder,  # where no `.env` of somebody else's is read
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    database = given.get("CALLTAG_DATABASE_URL") or f"sqlite:///{folder / 'data' / 'calltag.db'}"
    run = Run(process, folder, rules, address, simulator, database)
    try:
        eventually(lambda: is_ready(run), "the service is ready", READY_WITHIN)
        yield run
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(90)
        process.kill()
        process.wait()
        print("\n".join(run.log.splitlines()[-100:]))  # pytest shows it where the test failed


def is_ready(run: Run) -> bool:
    assert run.process.poll() is None, "the service ended at its start"
    try:
        return run.get("/readyz").status_code == 200 and run.health()["degraded"].keys() <= {"rules"}
    except httpx.HTTPError:
        return False


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
