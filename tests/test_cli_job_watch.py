"""Looking on while workers plan or run a job."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import typer

from cli import job_watch
from store import jobs
from tests.retag_desk import alive, desk, working
from tests.retag_job import made
from tests.waiting import eventually
from tests.worker_bench import Bench
from worker.context import RulesInForce
from worker.why import State

Make = Callable[..., Bench]
IN = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
"""


def state_of(bench: Bench) -> State:
    return State(bench.settings, bench.database, RulesInForce(bench.database))


def test_who_looks_on_is_told_when_nobody_works_on_the_job(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(job_watch, "PATIENCE", 0.0)
    bench = make_bench(rules=IN)
    job = made(bench)
    with pytest.raises(typer.Exit) as ended:
        job_watch.follow(state_of(bench), job.number)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"calltag: job {job.number} waits, for no sweeper runs; with `calltag up` it goes on"
    )
    assert job.state == "planning"


def test_a_job_is_looked_at_until_it_is_planned(make_bench: Make) -> None:
    bench = make_bench(rules=IN)
    bench.call(1)
    job = made(bench)
    with working(bench):
        found = job_watch.follow(state_of(bench), job.number)
    assert (found["state"], found["plan"]["change"]) == ("planned", 1)


def test_a_terminal_shows_how_far_it_is(make_bench: Make) -> None:
    bench = make_bench(rules=IN)
    bench.call(1)
    alive(bench)
    number = made(bench).number
    with bench.database.write() as connection:
        jobs.change(connection, number, reason="it waits for this")
    at = desk(bench)
    mine, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli", "retag", "watch", str(number)],
        cwd=at.folder,
        env={**kept, **at.environment, "TERM": "xterm", "COLUMNS": "200"},
        stderr=theirs,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)
    seen = bytearray()

    def look() -> None:
        with suppress(OSError):  # the other side is closed
            while some := os.read(mine, 4096):
                seen.extend(some)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        try:
            eventually(lambda: b"it waits for this" in seen, "the bar is drawn", 60)
            with working(bench):
                out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        looking.result()
    os.close(mine)
    assert b"0 calls listed, 0 to be changed" in seen
    assert process.returncode == 0
    assert f"job {number}: planned" in out.splitlines()
