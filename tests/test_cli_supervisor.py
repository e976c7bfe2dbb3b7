"""The supervisor with small real processes as its parts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes import alive
from tests.waiting import eventually

PART = """
import os, pathlib, signal, sys, time
name, folder, *ways = sys.argv[1:]
def note(what):
    with open(folder + "/notes", "a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")
def end(number, frame):
    note("end")
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in ways else end)
signal.signal(signal.SIGINT, signal.SIG_IGN)
note("start")
if "short" in ways:
    sys.exit(3)
if "slow" in ways:
    time.sleep(0.5)
pathlib.Path(folder, name + ".ready").touch()
for _ in range(60):
    time.sleep(1)
"""
SUPERVISOR = """
import json, sys
from pathlib import Path
from cli.errors import UserError
from cli.supervisor import Part, supervise
folder, parts = Path(sys.argv[1]), json.loads(sys.argv[2])
kind, code = sys.argv[3:]
held = open(folder / "held", "w")
def part(name, *ways, wait=False, grace=20.0):
    own = [name, str(folder), *ways]
    def fork():
        assert not Path(f"/proc/self/fd/{held.fileno()}").exists(), "nothing open is handed on"
        sys.argv = ["-c", *own]
        exec(code, {})
    work = fork if kind == "fork" else [sys.executable, "-c", code, *own]
    return Part(name, work, ready=(folder / f"{name}.ready").exists if wait else None, grace=grace)
try:
    supervise([part(*names, **options) for names, options in parts], lambda line: print(line, flush=True))
except UserError as fault:
    sys.exit(f"fault: {fault}")
"""

Parts = list[tuple[list[str], dict[str, object]]]
Start = Callable[[Parts], subprocess.Popen[str]]


@pytest.fixture(params=["program", "fork"])
def start(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts a supervisor of the given parts: their names and ways, and options such as `wait`."""
    started: list[subprocess.Popen[str]] = []

    def start(parts: Parts) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", SUPERVISOR, str(tmp_path), json.dumps(parts), request.param, PART]
        started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def notes(folder: Path) -> list[str]:
    """What the parts noted, as `name what`."""
    return [line.rsplit(" ", 1)[0] for line in noted(folder)]


def noted(folder: Path) -> list[str]:
    file = folder / "notes"
    return file.read_text().splitlines() if file.exists() else []


def pids(folder: Path) -> dict[str, int]:
    """The newest process of each part."""
    starts = [line.split(" ") for line in noted(folder) if " start " in line]
    return {name: int(pid) for name, _, pid in starts}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_parts_start_in_order_once_the_first_is_ready_and_stop_in_the_opposite_one(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    supervisor = start([(["base", "slow"], {"wait": True}), (["top"], {"wait": True})])
    eventually(lambda: len(notes(tmp_path)) == 2 and (tmp_path / "top.ready").exists(), "both run")
    base, top = (tmp_path / f"{name}.ready" for name in ("base", "top"))
    assert base.stat().st_mtime < top.stat().st_mtime
    supervisor.send_signal(number)
    assert supervisor.wait(10) == 0
    assert notes(tmp_path) == ["base start", "top start", "top end", "base end"]


def test_a_part_that_is_killed_is_started_again_and_one_line_says_so(start: Start, tmp_path: Path) -> None:
    supervisor = start([(["base"], {}), (["top"], {})])
    eventually(lambda: len(pids(tmp_path)) == 2, "both run")
    before = pids(tmp_path)
    os.kill(before["base"], signal.SIGKILL)
    eventually(lambda: pids(tmp_path)["base"] != before["base"], "it runs again")
    assert pids(tmp_path)["top"] == before["top"]
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=10)
    assert output == "base ended by SIGKILL; starting it again in 0.5 s\n"


def test_a_part_that_keeps_ending_is_started_again_after_longer_and_longer_pauses(start: Start) -> None:
    supervisor = start([(["base", "short"], {})])
    assert supervisor.stdout
    lines = [supervisor.stdout.readline() for _ in range(3)]
    assert lines == [
        f"base ended with status 3; starting it again in {pause} s\n" for pause in ("0.5", "1", "2")
    ]
    supervisor.terminate()
    assert supervisor.wait(10) == 0


def test_nothing_is_left_when_the_supervisor_is_killed(start: Start, tmp_path: Path) -> None:
    supervisor = start([(["base", "stubborn"], {"wait": True}), (["top"], {"wait": True})])
    eventually(lambda: len(pids(tmp_path)) == 2, "both run")
    supervisor.kill()
    supervisor.wait()
    eventually(lambda: not alive(*pids(tmp_path).values()), "no process is left", 5)


def test_a_second_signal_kills_what_has_not_ended(start: Start, tmp_path: Path) -> None:
    supervisor = start([(["base", "stubborn"], {"wait": True}), (["top"], {"wait": True})])
    eventually(lambda: (tmp_path / "top.ready").exists(), "both run")
    supervisor.terminate()
    eventually(lambda: "top end" in notes(tmp_path), "the first one ended")
    assert alive(pids(tmp_path)["base"])
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(5) == 0
    assert not alive(pids(tmp_path)["base"])


def test_a_part_is_killed_after_its_grace(start: Start, tmp_path: Path) -> None:
    supervisor = start([(["base", "stubborn"], {"wait": True, "grace": 0.3})])
    eventually(lambda: (tmp_path / "base.ready").exists(), "it runs")
    began = time.monotonic()
    supervisor.terminate()
    assert supervisor.wait(5) == 0
    assert 0.3 <= time.monotonic() - began < 3
    assert supervisor.stdout
    assert supervisor.stdout.read() == "base has not ended yet and is killed\n"


def test_a_part_that_ends_before_it_is_ready_ends_all(start: Start, tmp_path: Path) -> None:
    supervisor = start([(["base"], {"wait": True}), (["top", "short"], {"wait": True})])
    output, _ = supervisor.communicate(timeout=10)
    assert supervisor.returncode == 1
    assert output == "fault: top ended with status 3 before it was ready\n"
    assert notes(tmp_path) == ["base start", "top start", "base end"]


def test_a_signal_before_all_have_started_ends_those_that_have(start: Start, tmp_path: Path) -> None:
    supervisor = start([(["base", "slow"], {"wait": True}), (["top"], {})])
    eventually(lambda: notes(tmp_path) == ["base start"], "the first runs")
    supervisor.terminate()
    assert supervisor.wait(10) == 0
    assert notes(tmp_path) == ["base start", "base end"]


@pytest.mark.parametrize(
    ("work", "ending", "said"),
    [
        ("raise UserError('a setting is wrong')", "with status 2", "calltag: a setting is wrong\n"),
        ("raise SystemExit", "with status 0", ""),
        ("raise SystemExit('as it is')", "with status 1", ""),
        ("os.abort()", "by SIGABRT", ""),
    ],
)
def test_how_a_fork_ended_is_told_as_of_a_program(work: str, ending: str, said: str) -> None:
    code = f"""
import os
from cli.errors import UserError
from cli.supervisor import Part, supervise
def fork():
    {work}
def say(line):
    print(line, flush=True)
    os.kill(os.getpid(), 15)
supervise([Part("part", fork)], say)
"""
    argv = [sys.executable, "-c", code]
    ended = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert ended.returncode == 0
    assert ended.stdout == f"{said}part ended {ending}; starting it again in 0.5 s\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it keeps the name of the supervisor")
def test_a_fork_is_shown_by_its_own_name_however_long_that_is(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from cli.supervisor import Fork
for name in ("web", "a" * 5000):
    out = Path({str(tmp_path)!r}, name[:3])
    assert Fork(name, lambda: out.write_bytes(Path("/proc/self/cmdline").read_bytes())).wait() == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    assert (tmp_path / "web").read_bytes().rstrip(b"\0") == b"calltag web"
    assert (tmp_path / "aaa").read_bytes().startswith(b"calltag aaaaa")
