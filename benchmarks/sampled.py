"""Where the time of running processes goes: py-spy looks at their stacks while a load is sent.

A sample is the stack of one thread that ran or waited for the disk. py-spy does not stop the process for it:
that would wake all the threads that wait, and they would count as running. So now and then a stack is torn,
or of a thread that waits.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks import services
from benchmarks.accept import Receiver, our_web
from benchmarks.end_to_end import Pipeline, calltag_up
from benchmarks.measure import Contender
from tests.processes import descendants
from tests.service import part_of
from worker.process import tied

PY_SPY = Path(sys.prefix) / "bench" / "bin" / "py-spy"
LOOKS = 100
"""A second, at each process; many more slow it down much."""
SHOWN = 20
"""Functions of each ranking."""
PATH = "/webhooks/sipsim"


class Folded(NamedTuple):
    """Samples in all, and by function: those in which it ran itself, those in which it or a callee did."""

    samples: int
    own: Counter[str]
    total: Counter[str]


def fold(lines: Iterable[str]) -> Folded:
    """From py-spy's raw lines, `outermost;...;innermost samples`.

    In total a function that calls itself counts once, and one that only ever leads to one other is left out.
    """
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    called: defaultdict[str, set[str]] = defaultdict(set)
    for line in lines:
        stack, _, number = line.rpartition(" ")
        frames = stack.split(";") if stack else ["(unknown)"]
        own[frames[-1]] += int(number)
        total.update(dict.fromkeys(frames, int(number)))
        for caller, callee in pairwise(frames):
            called[caller].add(callee)
    telling = {name: n for name, n in total.items() if name in own or len(called[name]) > 1}
    return Folded(own.total(), own, Counter(telling))


class Spent(NamedTuple):
    """Seconds of the processor that a process took."""

    user: float
    system: float


def spent(pid: int) -> Spent:
    """Since it began, by all its threads; `utime` and `stime` of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    second = os.sysconf("SC_CLK_TCK")
    return Spent(int(fields[11]) / second, int(fields[12]) / second)


@contextmanager
def sampling(pid: int, raw: Path) -> Iterator[None]:
    """While the block runs, py-spy looks at what the process does; then its lines are in `raw`."""
    argv = [str(PY_SPY), "record", "--pid", str(pid), "--rate", str(LOOKS), "--nonblocking"]
    argv += ["--function", "--format", "raw", "--output", str(raw)]
    with subprocess.Popen(  # noqa: S603 our own command line
        tied(argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        said = ""
        while "Sampling process" not in said:
            if not (line := process.stdout.readline()):
                sys.exit(refusal(pid, said))
            said += line
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def refusal(pid: int, said: str) -> str:
    """What is wrong where py-spy ended at once."""
    if "permission denied" not in said.lower():
        return f"py-spy cannot look at process {pid}: {said.strip()}"
    return (
        f"py-spy may not look at process {pid}: run this as root, or set kernel.yama.ptrace_scope=0 "
        "with sysctl, or give the container the capability SYS_PTRACE"
    )


def work(turn: Contender, turns: int) -> tuple[int, float]:
    """So many turns: the units of work, and the seconds they took."""
    start = time.perf_counter()
    units = sum(turn() for _ in range(turns))
    return units, time.perf_counter() - start


def measured(turn: Contender, turns: int, watched: Mapping[int, str], unit: str) -> list[str]:
    """Of each process by its id, with a name for each: what a unit of work costs it."""
    before = {pid: spent(pid) for pid in watched}
    units, seconds = work(turn, turns)
    told = [f"{units / seconds:,.0f} {unit}s a second"]
    for pid, name in watched.items():
        user, system = ((after - at) / units * 1e6 for at, after in zip(before[pid], spent(pid), strict=True))
        told.append(f"{name}: {user:.0f} µs of user and {system:.0f} µs of system time for a {unit}")
    return told


def sampled(turn: Contender, turns: int, watched: Mapping[int, str]) -> dict[str, Folded]:
    """By the name of the process what it did meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        raws = {pid: Path(name) / str(pid) for pid in watched}
        with ExitStack() as stack:
            for pid, raw in raws.items():
                stack.enter_context(sampling(pid, raw))
            work(turn, turns)
        return {watched[pid]: fold(raw.read_text().splitlines()) for pid, raw in raws.items()}


def ranking(found: Folded) -> str:
    """The functions with the most own and with the most total time, in percent of the samples."""
    parts = []
    for title, counted in (("own time", found.own), ("total time", found.total)):
        rows = [f"{100 * n / found.samples:6.1f} %  {name}" for name, n in counted.most_common(SHOWN)]
        parts.append("\n".join([title, *rows]))
    return "\n\n".join(parts)


def show(turn: Contender, turns: int, watched: Mapping[int, str], unit: str) -> None:
    """Prints what the work costs each process, undisturbed, and then, sampled, where its time goes."""
    turn()
    print(*measured(turn, turns, watched, unit), sep="\n")
    for name, found in sampled(turn, turns, watched).items():
        print(f"\n{name}, {found.samples:,} samples\n\n{ranking(found)}")


def accept(turns: int) -> None:
    """The web process while it is sent webhooks, two seconds a turn."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltag-profile-")))
        load = stack.enter_context(services.load())
        server = stack.enter_context(services.valkey(folder))
        port = stack.enter_context(our_web(folder / "web", server.url, f"sqlite:///{folder / 'ours.db'}"))
        web = {p.pid: "web" for p in descendants(os.getpid()) if p.command.endswith("-m cli web")}
        show(Receiver(load, port, PATH, None).turn, turns, web, "webhook")


def end_to_end(turns: int) -> None:
    """The web process and the worker's pool while calls are tagged, a thousand a turn."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="calltag-profile-")))
        load = stack.enter_context(services.load())
        platform = stack.enter_context(services.platform(folder))
        port, up, _ = stack.enter_context(calltag_up(folder / "ours", platform))
        show(Pipeline(load, port, PATH, platform).turn, turns, web_and_pool(up), "call")


def web_and_pool(up: int) -> dict[int, str]:
    """Of `calltag up` the process that receives and those that tag: their ids and names."""
    parts = {part_of(process): process.pid for process in descendants(up) if process.parent == up}
    pool = enumerate(descendants(parts["worker"]), start=1)
    return {parts["web"]: "web"} | {process.pid: f"worker's process {n}" for n, process in pool}
