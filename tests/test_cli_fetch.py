"""`calltag calls fetch`, as a process of its own, on a real store and the simulated platform."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from platforms.sipsim.simulator import Config, PlannedFault, Record, Segment, Series, Simulator, serve
from store.database import Database
from store.schema import calls, events
from tests.commands import Operator, operator
from tests.waiting import eventually
from tests.worker_bench import CALLER, LIST_CALLS, LONG, RECEIVER

DAY = 86_400.0
TRANSCRIPT = "GET /api/v2/calls/{call}/transcription"


def with_platform(at: Operator, url: str, **more: str) -> Operator:
    given = {
        "CALLTAG_SIPSIM_BASE_URL": url,
        "CALLTAG_SIPSIM_CLIENT_ID": Config().client_id,
        "CALLTAG_SIPSIM_CLIENT_SECRET": Config().client_secret,
        "CALLTAG_SIPSIM_RATE": "1000",
        "CALLTAG_LOG_FORMAT": "json",
    }
    return Operator(at.folder, {**at.environment, **given, **more})


@pytest.fixture
def platform() -> Iterator[tuple[Simulator, str]]:
    simulator = Simulator(Config())
    with serve(simulator) as url:
        yield simulator, url


@pytest.fixture
def simulator(platform: tuple[Simulator, str]) -> Simulator:
    return platform[0]


@pytest.fixture
def at(tmp_path: Path, database: Database, platform: tuple[Simulator, str]) -> Operator:
    return with_platform(operator(tmp_path, database), platform[1])


def add(simulator: Simulator, number: int, **values: Any) -> None:
    """A call of two and a half days ago: that of two would lie where the days meet, and be listed twice."""
    told = {"direction": "inbound", "caller": CALLER, "receiver": RECEIVER, "duration": 1900,
            "started": time.time() - 2.5 * DAY, **values}  # fmt: skip
    simulator.add(Record(id=10_000 + number, reference=f"call_{number}", **told))


def number(database: Database, table: Any) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_the_store_is_filled_without_tagging_and_rules_can_be_tried_on_it(
    at: Operator, simulator: Simulator, database: Database
) -> None:
    for n, duration in enumerate((1900, 60, 1801)):
        add(simulator, n, duration=duration, caller=f"+3360000000{n}")
    add(simulator, 9, status="MISSED", duration=0)
    said = at.process("calls", "fetch", "--since", "3d")
    assert (said.status, said.err) == (0, "")
    first, _head, *lines = said.out.splitlines()
    assert first.startswith("sipsim: 4 calls listed from ")
    assert [line.split("\t")[:2] for line in lines] == [
        ["4", "new"],
        ["0", "known"],
        ["0", "ambiguous"],
        ["0", "going on"],
    ]
    assert simulator.call_tags() == {f"call_{n}": [] for n in (0, 1, 2, 9)}
    assert at.process("calls", "list", "--state", "due").status == 1
    (at.folder / "rules.yaml").write_text(LONG)
    tried = ("rules", "backtest", "rules.yaml", "--calls", "store", "--format", "json")
    assert at.process(*tried).json["tags"] == {"Long Call": 2}
    assert at.process(*tried, "--since", "2020-01-01").json["calls"] == 4
    assert at.process(*tried, "--until", "2020-01-01").json["calls"] == 0


def test_a_second_time_changes_nothing(at: Operator, simulator: Simulator, database: Database) -> None:
    add(simulator, 1)
    for became in ("new", "known"):
        (said,) = at.process("calls", "fetch", "--since", "3d", "--format", "json").json
        assert (said["listed"], said[became]) == (1, 1)
    assert (number(database, calls), number(database, events)) == (1, 1)


def test_only_the_time_that_was_asked_for_is_fetched(at: Operator, simulator: Simulator) -> None:
    add(simulator, 1)
    add(simulator, 2, started=time.time() - 5 * DAY)
    add(simulator, 3, started=time.time() - 1900 - 5)
    (said,) = at.process("calls", "fetch", "--since", "3d", "--until", "1d", "--format", "json").json
    assert said["listed"] == 1


def test_killed_while_it_fetches_it_goes_on_when_it_is_run_again(
    tmp_path: Path, database: Database, at: Operator
) -> None:
    simulator = Simulator(Config(latency=0.05), Series(6000, int(time.time() - 2.9 * DAY), 20))
    with serve(simulator) as url:
        at = with_platform(at, url)
        for kept in (1, 1500, 3000):
            kill_when(at, database, kept)
        said = at.process("calls", "fetch", "--since", "3d", "--format", "json")
    assert said.status == 0
    assert 6000 <= said.json[0]["listed"] <= 6010, "one at the edge of two parts of the time is listed twice"
    assert said.json[0]["known"] >= 3000
    assert (number(database, calls), number(database, events)) == (6000, 6000)


def kill_when(at: Operator, database: Database, kept: int) -> None:
    """Starts it, and kills it as soon as so many calls are kept."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    command = [sys.executable, "-P", "-m", "cli", "calls", "fetch", "--since", "3d"]
    process = subprocess.Popen(command, cwd=at.folder, env={**ours, **at.environment})
    try:
        eventually(lambda: number(database, calls) >= kept, f"{kept} calls are kept", 60)
    finally:
        process.kill()
        process.wait()


def test_stopped_by_hand_it_says_that_it_goes_on(at: Operator, database: Database) -> None:
    simulator = Simulator(Config(latency=0.2), Series(20_000, int(time.time() - 2 * DAY), 8))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    with serve(simulator) as url:
        at = with_platform(at, url)
        command = [sys.executable, "-P", "-m", "cli", "calls", "fetch", "--since", "3d"]
        environment = {**ours, **at.environment}
        with subprocess.Popen(command, cwd=at.folder, env=environment, stderr=subprocess.PIPE) as process:
            eventually(lambda: number(database, calls) > 0, "calls are kept", 60)
            process.send_signal(signal.SIGINT)
            err = process.stderr.read().decode() if process.stderr else ""
            assert process.wait(60) == 1
    assert err == "calltag: stopped; what was fetched is kept, and the same command goes on\n"


def test_a_platform_that_refuses_is_one_line(at: Operator, simulator: Simulator) -> None:
    add(simulator, 1)
    simulator.plan(PlannedFault(kind="403", route=LIST_CALLS))
    said = at.process("calls", "fetch", "--since", "3d")
    assert (said.status, said.out) == (2, "")
    assert said.err == "calltag: sipsim: the platform's calls cannot be listed: GET was answered 403\n"


def test_a_platform_that_is_down_is_one_line(at: Operator, simulator: Simulator) -> None:
    simulator.plan(PlannedFault(kind="503", route=LIST_CALLS))
    said = at.process("calls", "fetch", "--since", "3d")
    assert (said.status, said.out) == (2, "")
    assert said.err == ("calltag: sipsim: the platform's calls cannot be listed: GET was answered 503\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "--since: 'soon' is no time; it is 2h or 3d (ago), "),
        (["--since", "1d", "--until", "2d"], "--since 1d is not before --until 2d: there is nothing between"),
        (["--since", "2999-01-01"], "--since 2999-01-01 is not before now: there is nothing between them"),
        (["--since", "1m"], "the last two minutes are left to the webhooks: there is nothing before them"),
        (["--since", "900d", "--until", "500d"], "calls are kept for 400 days (CALLTAG_KEEP_CALLS): all of"),
        (["--since", "3d", "--account", "other"], "no account is named 'other'; configured: sipsim"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(at: Operator, arguments: list[str], message: str) -> None:
    said = at.run("calls", "fetch", *arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith(f"calltag: {message}")
    assert said.err.count("\n") == 1


def test_calls_too_old_to_be_kept_are_left_out_and_said(at: Operator, simulator: Simulator) -> None:
    add(simulator, 1, started=time.time() - 9 * DAY)
    add(simulator, 2)
    at = Operator(at.folder, {**at.environment, "CALLTAG_KEEP_CALLS": "7"})
    said = at.process("calls", "fetch", "--since", "30d", "--format", "json")
    assert said.json[0]["listed"] == 1
    assert said.err.startswith("calls are kept for 7 days (CALLTAG_KEEP_CALLS): those before 20")
    assert said.err.endswith("Z are left out\n")


def test_transcripts_are_fetched_only_after_their_cost_was_agreed_to(
    at: Operator, simulator: Simulator
) -> None:
    add(simulator, 1, segments=(Segment("I want a refund", 0.0, 2.0, "left"),))
    add(simulator, 2, caller="+33600000002")
    asked = "Fetch the transcripts of 2 calls that may have one? That is a request for each, at 1000 a second"
    said = at.process("calls", "fetch", "--since", "3d", "--transcripts", answer="n\n")
    assert (said.status, said.err.startswith(asked)) == (1, True)
    assert simulator.counters.requests[TRANSCRIPT] == {}
    said = at.process("calls", "fetch", "--since", "3d", "--transcripts", "--yes")
    assert (said.status, said.out.splitlines()[-1]) == (0, "1 transcript of 2 calls fetched")
    shown = at.process("calls", "show", "10001", "--format", "json").json
    assert shown["facts"]["transcript"] == "I want a refund"


def test_the_first_thing_that_is_done_may_be_to_fetch(
    tmp_path: Path, platform: tuple[Simulator, str]
) -> None:
    simulator, url = platform
    add(simulator, 1)
    at = with_platform(Operator(tmp_path, {"CALLTAG_DATA_DIR": str(tmp_path / "new")}), url)
    (said,) = at.process("calls", "fetch", "--since", "3d", "--format", "json").json
    assert said["new"] == 1
    assert (tmp_path / "new" / "calltag.db").stat().st_mode & 0o777 == 0o600
