"""`calltag demo`: the real service and a simulated platform, from calls to tags, and a check of the tags."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from cli.errors import UserError
from cli.supervisor import Signals
from platforms.registry import PLATFORMS
from worker.process import tied
from worker.settings import account_prefix

if TYPE_CHECKING:
    from rich.table import Table

    from platforms.simulated import Simulated
    from store.database import Database

FOLDER = Path(".calltag-demo")
MARKER = "made by calltag demo"
CALLS_PER_SECOND = 50.0
SETTLED_WITHIN = 240.0
"""Seconds after the last webhook for all tags to be on their calls."""
LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demonstration consists of."""

    account: str
    platform: "Simulated"
    calls: int
    database: "Database"
    rules: Path
    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come, as both sides count it."""

    received: int
    unfinished: int
    tags: Counter[str]
    tagged: int
    put: int
    latencies: list[float]

    @property
    def figures(self) -> dict[str, str]:
        return {
            "webhooks received": str(self.received),
            "calls not finished": str(self.unfinished),
            "calls tagged": str(self.tagged),
            "tags": ", ".join(f"{name} {number}" for name, number in self.tags.most_common()) or "-",
            "tags put by us": str(self.put),
            "from webhook to tag": _times(self.latencies),
        }


def _times(latencies: list[float]) -> str:
    if len(latencies) < 2:
        return "-"
    p99 = quantiles(latencies, n=100, method="inclusive")[98]
    return f"median {median(latencies) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"


def demo(calls: int, once: bool, platform: str | None = None) -> None:
    """Runs the demonstration at a simulated platform, the first of the registry where none is named.

    With `once` it exits, with 1 if any call's tags are not what the rules say.
    """
    name = platform or next(iter(PLATFORMS))
    if name not in PLATFORMS:
        raise UserError(f"--platform: '{name}' is none that calltag knows; one of: {', '.join(PLATFORMS)}")
    with _running(name, calls) as demo, Signals() as signals:
        print(
            f"calltag at {demo.address}, and a simulated {name} that makes {calls} calls of a day.\n"
            f"{demo.platform.unlike}\n"
            f"The rules: {demo.rules}",
            flush=True,
        )
        finished = _watch(demo, signals)
        if signals.stops:
            raise SystemExit(130)
        wrong = list(_differences(demo))
        for line in wrong[:20]:
            print(line)
        verdict = _verdict(demo, wrong, finished)
        print(verdict, flush=True)
        if not once:
            _linger(demo, signals)
    if once and (wrong or not finished):
        raise SystemExit(1)


@contextmanager
def _running(name: str, calls: int) -> Iterator[Demo]:
    """The service and the platform, for the length of the block."""
    import rules
    from platforms.simulated import simulator
    from store.database import Database

    folder = _fresh_folder()
    rule_file = Path(rules.__file__).parent / "samples" / "first-rules.yaml"
    token, port, prefix = secrets.token_urlsafe(24), _free_port(), account_prefix(name)
    address = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        platform = stack.enter_context(simulator(name)(limited=False))
        platform.send_to(f"{address}/webhooks/{name}")
        environment = {
            **{f"{prefix}{key.upper()}": value for key, value in platform.settings.items()},
            "CALLTAG_DATA_DIR": str(folder),
            "CALLTAG_RULES": str(rule_file),
            "CALLTAG_PORT": str(port),
            "CALLTAG_ADMIN_TOKEN": token,
            "CALLTAG_LOG_FORMAT": "json",
        }
        stack.enter_context(_service(folder, environment, address))
        database = Database(f"sqlite:///{folder / 'calltag.db'}")
        stack.callback(database.close)
        yield Demo(name, platform, calls, database, rule_file, address, token)


def _fresh_folder() -> Path:
    """A data folder of its own, without what an earlier demonstration left."""
    folder = FOLDER.absolute()
    marker = folder / MARKER.replace(" ", "-")
    try:
        if marker.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        marker.touch()
    except FileExistsError:
        raise UserError(
            f"{folder} exists and is not the demo's; move it, or run the demo elsewhere"
        ) from None
    except OSError as fault:
        raise UserError(f"the demo's data folder {folder} cannot be made: {fault.strerror}") from None
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _service(folder: Path, environment: Mapping[str, str], address: str) -> Iterator[None]:
    """`calltag up` with these settings and no others; its log goes to a file of the data folder."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 the command line is our own
            tied([sys.executable, "-P", "-m", "cli", "up"]),
            env={**others, **environment},
            cwd=folder,  # where no `.env` of somebody else's is read
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        _await_ready(process, address, folder / "up.log")
        yield
    finally:
        process.terminate()
        try:
            process.wait(90.0)
        except subprocess.TimeoutExpired:
            process.kill()


def _await_ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    import httpx

    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(0.05)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise UserError(f"the service did not start: {last[0]} (all of it: {log})")


def _watch(demo: Demo, signals: Signals) -> bool:
    """Plays the day and shows how the tags come; True when all is finished in time."""
    import threading

    from rich.console import Console
    from rich.live import Live

    arguments = (demo.calls, CALLS_PER_SECOND)
    playing = threading.Thread(target=demo.platform.play, args=arguments, daemon=True)
    playing.start()
    deadline = time.monotonic() + demo.calls / CALLS_PER_SECOND + SETTLED_WITHIN
    quiet = 0
    console = Console()
    with Live(_table(_progress(demo)), console=console, auto_refresh=False) as live:
        while not signals.stops and quiet < 4 and time.monotonic() < deadline:
            signals.wait(LOOK_EVERY)
            progress = _progress(demo)
            live.update(_table(progress), refresh=True)
            busy = playing.is_alive() or demo.platform.waiting or progress.unfinished
            quiet = 0 if busy else quiet + 1
    if not console.is_terminal:
        print()  # a table in a file ends without a line's end
    return quiet >= 4


def _progress(demo: Demo) -> Progress:
    from store import calls, counters, history, inbox

    with demo.database.read() as connection:
        counted = counters.counts(connection)
        states = calls.by_state(connection, time.time())
        unread = inbox.number(connection, "new")
        latencies = history.latencies(connection)
    on_calls = demo.platform.call_tags()
    return Progress(
        received=counted.get("events.accepted", 0) + counted.get("events.duplicate", 0),
        unfinished=states["due"] + states["running"] + states["parked"] + unread,
        tags=Counter(tag for tags in on_calls.values() for tag in tags),
        tagged=sum(1 for tags in on_calls.values() if tags),
        put=demo.platform.added,
        latencies=list(latencies),
    )


def _table(progress: Progress) -> "Table":
    from rich.table import Table

    table = Table(show_header=False)
    for name, figure in progress.figures.items():
        table.add_row(name, figure)
    return table


def _differences(demo: Demo) -> Iterator[str]:
    """Each call whose tags on the platform are not what the rules say for the facts as the day was planned.

    The facts come from the plan, not through the webhooks, and are evaluated here, not in the service.
    """
    from rules.evaluate import evaluate
    from rules.facts import facts_from_json
    from rules.loader import load

    ruleset = load(demo.rules)
    on_calls = demo.platform.call_tags()
    for reference, planned in demo.platform.facts.items():
        facts = facts_from_json({"platform": demo.account, "account": demo.account, **planned})
        expected = sorted(evaluate(ruleset, facts).tags)
        found = on_calls.get(reference, [])
        if found != expected:
            yield f"{reference}: the rules say {expected}, on the platform are {found}"


def _verdict(demo: Demo, wrong: list[str], finished: bool) -> str:
    number = demo.calls
    if not finished or len(demo.platform.facts) < number:
        return f"Not all was finished in time; the service's log is {FOLDER / 'up.log'}."
    if wrong:
        return f"{len(wrong)} of {number} calls do not have the tags that the rules say."
    tags = sum(len(tags) for tags in demo.platform.call_tags().values())
    return (
        f"All {number} calls have exactly the tags that the rules say: {tags} tags, evaluated a second time."
    )


def _linger(demo: Demo, signals: Signals) -> None:
    """Leaves it running to look around in."""
    reference = next(iter(demo.platform.facts), "REFERENCE")
    call = f"calls/{demo.account}/{reference}"
    print(
        f"\nIt goes on running until Ctrl-C. Look around at {demo.address}\n"
        f"  the token to log in with: {demo.token}\n"
        f"  why a call has its tags:  {demo.address}/{call}\n"
        f"For programs:\n"
        f"  curl -H 'Authorization: Bearer {demo.token}' {demo.address}/api/{call}",
        flush=True,
    )
    while not signals.stops:
        signals.wait(60.0)
