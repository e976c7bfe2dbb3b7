"""`calltag retag`, while a worker plans and runs the jobs."""

import csv
import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from platforms.sipsim.simulator import PlannedFault, Record
from platforms.sipsim.simulator.records import Segment
from store import jobs
from tests.commands import Operator
from tests.retag_desk import alive, desk, working
from tests.waiting import eventually
from tests.worker_bench import PUT, Bench

Make = Callable[..., Bench]
TWO = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long Call}
"""
SAID = """
version: 1
rules:
  - {id: refund, when: {field: transcript, contains: refund}, tag: Refund}
"""
SPOKEN = (Segment(channel="left", start=0.0, end=2.0, text="I want a refund"),)


def past(bench: Bench, *durations: int) -> list[Record]:
    """Incoming calls that ended before calltag was there."""
    return [
        bench.call(number, duration=duration, receiver=f"+3318480{number:04d}")
        for number, duration in enumerate(durations, start=1)
    ]


def planned(at: Operator, *more: str) -> int:
    """The number of a job that was planned over the last three days."""
    said = at.run("retag", "plan", "--since", "3d", "--format", "json", *more)
    assert said.status == 0, said.err
    return int(said.json["job"])


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """This process can write no file to more bytes: stands in for a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_plan_says_what_would_change_and_what_it_takes(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400, 100, 100)
    with working(bench):
        said = desk(bench).run("retag", "plan", "--since", "70h")
    assert said.status == 0
    for line in (
        "job 1: planned",
        "3\tlisted",
        "3\tto be changed",
        "Long Call\t1\t0\t10001",
        "in\t3\t0\t3\t0",
        "the run: 3 calls: 4 tags put on, 0 taken off; 7 requests, 0:00:01 or more at the account's rate",
        "`calltag retag run 1` carries it out, `calltag retag report 1` lists each call",
    ):
        assert line in said.out.splitlines()
    assert bench.requests(PUT) == 0


def test_a_plan_names_the_rules_that_ask_for_more_than_the_list_tells(make_bench: Make) -> None:
    bench = make_bench(rules=SAID)
    bench.call(1, segments=SPOKEN)
    with working(bench):
        said = desk(bench).run("retag", "plan", "--since", "3d")
    assert (
        "rules that ask for more than the platform's list tells\nrule\tfields\nrefund\ttranscript\n"
        in said.out
    )
    assert "1\tof them for want of a transcript, which --fetch transcript gets" in said.out.splitlines()
    assert "nothing is to be changed" in said.out


def test_transcripts_are_fetched_once_their_cost_is_agreed_to(make_bench: Make) -> None:
    bench = make_bench(rules=SAID)
    bench.call(1, segments=SPOKEN)
    ask = "Fetch the transcripts of 1 call for the plan? That is a request for each, 0:00:01 or more at 100 a"
    with working(bench):
        at = desk(bench)
        said = at.run("retag", "plan", "--since", "3d", "--fetch", "transcript", answer="n\n")
        assert (said.status, ask in said.err) == (1, True)
        assert bench.requests("GET /api/v2/calls/{call}/transcription") == 0
        said = at.run("retag", "plan", "--since", "3d", "--fetch", "transcript", answer="y\n")
    assert said.status == 0
    assert "Refund\t1\t0\t10001" in said.out.splitlines()
    assert bench.requests("GET /api/v2/calls/{call}/transcription") == 1
    states = {job["job"]: job["state"] for job in at.run("retag", "list", "--format", "json").json["jobs"]}
    assert states == {1: "planned", 2: "cancelled", 3: "planned"}


def test_a_range_without_calls_is_told(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    with working(bench):
        said = desk(bench).run("retag", "plan", "--since", "2026-01-01", "--until", "2026-01-02")
    assert said.status == 0
    assert said.out.splitlines()[-1] == "there is no call in that range"


WRONG = [
    (["--since", "yesterday"], "since: 'yesterday' is no time; it is 2h or 3d (ago)"),
    (["--since", "2h", "--until", "3h"], "the range is empty: since must be before until"),
    (["--since", "2999-01-01"], "since: '2999-01-01' is yet to come"),
    (["--since", "2h", "--account", "sipsum"], "no account is named 'sipsum', did you mean 'sipsim'?"),
    (["--since", "2h", "--rule", "lonk"], "the rule set in force has no rule 'lonk', did you mean 'long'?"),
    (["--since", "2h", "--tag", "Long call"], "no tag 'Long call', did you mean 'Long Call'?"),
    (
        ["--since", "2h", "--tag", "Long call", "--orphaned", "remove"],
        "calls of 'sipsim', did you mean 'Long Call'?",
    ),
    (["--since", "2h", "--tag", "a\udcff", "--orphaned", "remove"], "the rule set in force has no tag 'a"),
    (["--since", "2h", "--where", "{field: durration, gt: 5}"], "where: unknown field 'durration'"),
    (["--since", "2h", "--fetch", "transcript", "--no-wait"], "leave out --no-wait, or say --yes"),
]


@pytest.mark.parametrize(("arguments", "why"), WRONG)
def test_what_cannot_be_meant_makes_no_job(make_bench: Make, arguments: list[str], why: str) -> None:
    at = desk(make_bench(rules=TWO))
    said = at.run("retag", "plan", *arguments)
    assert (said.status, said.out) == (2, "")
    assert why in said.err
    assert len(said.err.splitlines()) == 1
    assert at.run("retag", "list").err == "calltag: there is no job; `calltag retag plan` makes one\n"


def test_without_workers_nothing_is_begun_and_that_is_told(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    at = desk(bench)
    said = at.run("retag", "plan", "--since", "3d")
    assert (said.status, said.err) == (
        1,
        "calltag: no sweeper runs: start `calltag up`; nothing was done\n",
    )
    assert at.run("retag", "list").status == 1
    said = at.run("retag", "plan", "--since", "3d", "--no-wait")
    assert (said.status, said.out) == (0, "job 1: planning; `calltag retag watch 1` looks on\n")


def test_a_run_asks_with_the_plan_s_numbers_and_ends_with_the_job(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    first, second = past(bench, 400, 100)
    with working(bench):
        at = desk(bench)
        job = planned(at)
        said = at.run("retag", "run", str(job), answer="n\n")
        assert said.status == 1
        assert f"Job {job} changes 2 calls: 3 tags put on, 0 taken off; " in said.err
        assert bench.requests(PUT) == 0
        said = at.run("retag", "run", str(job), answer="y\n")
    assert said.status == 0
    for line in (f"job {job}: done", "changed\t2", "tags put on\t3", "failed\t0"):
        assert line in said.out.splitlines()
    assert (bench.tags(first), bench.tags(second)) == (["Inbound", "Long Call"], ["Inbound"])
    shown = at.run("calls", "show", "10001").out
    assert f", job {job}\n" in shown
    assert [row.split("\t")[-1] for row in shown.splitlines() if row.startswith("Inbound\t")] == [
        f"job {job}"
    ]


def test_a_plan_of_other_rules_is_not_run(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    with working(bench):
        job = planned(desk(bench))
    bench.rules(TWO.replace("5m", "6m"))
    said = desk(bench).run("retag", "run", str(job), "--yes")
    assert (said.status, said.err) == (
        1,
        f"calltag: the rules have changed since job {job} was planned: plan anew\n",
    )


def test_an_undo_is_planned_shown_asked_for_and_run(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    (record,) = past(bench, 400)
    with working(bench):
        at = desk(bench)
        job = planned(at)
        assert at.run("retag", "run", str(job), "--yes").status == 0
        said = at.run("retag", "undo", str(job), answer="n\n")
        assert (said.status, bench.tags(record)) == (1, ["Inbound", "Long Call"])
        assert "undoing of job 1, job 2: planned" in said.out.splitlines()
        said = at.run("retag", "undo", str(job), "--yes")
    assert said.status == 0
    assert "undoing of job 1, job 3: done" in said.out.splitlines()
    assert bench.tags(record) == []


def test_a_job_is_paused_goes_on_and_is_cancelled(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400)
    at = desk(bench)
    at.run("retag", "plan", "--since", "3d", "--no-wait")
    assert at.run("retag", "pause", "1").out == (
        "job 1: paused; `calltag retag resume 1` lets it go on, `calltag retag cancel 1` ends it\n"
    )
    said = at.run("retag", "watch", "1")
    assert (said.status, said.err) == (1, "calltag: job 1 is paused\n")
    assert at.run("retag", "resume", "1").out == "job 1: planning; `calltag retag watch 1` looks on\n"
    assert at.run("retag", "cancel", "1").out == "job 1: cancelled\n"
    said = at.run("retag", "resume", "1")
    assert (said.status, said.err) == (
        1,
        "calltag: job 1 is cancelled: only a paused or stopped job can go on\n",
    )


@pytest.mark.parametrize(
    "command",
    ["run", "status", "watch", "pause", "resume", "cancel", "retry-failed", "undo", "report"],
)
@pytest.mark.parametrize("number", ["7", "9" * 30])
def test_a_job_that_is_not_there_is_told_in_a_line(make_bench: Make, command: str, number: str) -> None:
    said = desk(make_bench(rules=TWO)).run("retag", command, number)
    assert (said.status, said.out) == (1, "")
    assert said.err == (
        f"calltag: there is no job {number} in this data folder; `calltag retag list` lists them\n"
    )


def test_calls_that_failed_are_told_with_the_reason_and_tried_again(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 100, 100)
    with working(bench):
        at = desk(bench)
        job = str(planned(at))
        bench.simulator.plan(PlannedFault(kind="403", route=PUT, count=1))
        said = at.run("retag", "run", job, "--yes")
        assert "failed\t1" in said.out.splitlines()
        (row,) = [line for line in said.out.splitlines() if line.startswith("1\tfailed\t")]
        assert "403" in row
        assert at.run("retag", "retry-failed", job).out == (
            f"job {job}: running; `calltag retag watch {job}` looks on\n"
        )
        assert "changed\t2" in at.run("retag", "watch", job).out.splitlines()
    said = at.run("retag", "retry-failed", job)
    assert (said.status, said.err) == (1, f"calltag: no call of job {job} has failed\n")


def test_a_report_has_each_changed_call_before_and_after(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, 400, 100)
    with working(bench):
        at = desk(bench)
        job = str(planned(at))
        (planned_row, _) = at.run("retag", "report", job, "--format", "json").json
        assert (planned_row["state"], planned_row["added"]) == ("planned", ["Inbound", "Long Call"])
        at.run("retag", "run", job, "--yes")
    expected = {
        "reference": "10001",
        "account": "sipsim",
        "before": [],
        "after": ["Inbound", "Long Call"],
        "added": ["Inbound", "Long Call"],
        "removed": [],
        "state": "done",
        "reason": None,
    }
    found = at.run("retag", "report", job, "--format", "json").json
    assert found[0] == expected
    rows = list(csv.DictReader(io.StringIO(at.run("retag", "report", job).out)))
    assert [row["reference"] for row in rows] == ["10001", "10002"]
    assert rows[0]["added"] == "Inbound; Long Call"
    file = at.folder / "report.json"
    assert at.run("retag", "report", job, "--format", "json", "--output", str(file)).status == 0
    assert json.loads(file.read_text()) == found


def test_a_report_that_does_not_fit_leaves_the_earlier_file_and_nothing_else(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    past(bench, *[100] * 60)
    with working(bench):
        at = desk(bench)
        job = str(planned(at))
    folder = at.folder / "reports"
    folder.mkdir()
    file = folder / "report.csv"
    file.write_text("the earlier one")
    with files_of_at_most(2000):
        said = at.run("retag", "report", job, "--output", str(file))
    assert (said.status, said.err) == (2, f"calltag: --output {file} cannot be written: File too large\n")
    assert list(folder.iterdir()) == [file]
    assert file.read_text() == "the earlier one"


@pytest.mark.parametrize("path", ["none/report.csv", "."])
def test_a_report_to_a_place_that_is_no_file_is_told_in_a_line(make_bench: Make, path: str) -> None:
    at = desk(make_bench(rules=TWO))
    at.run("retag", "plan", "--since", "3d", "--no-wait")
    said = at.run("retag", "report", "1", "--output", path)
    assert said.status == 2
    assert said.err.startswith(f"calltag: --output {path} cannot be written: ")


def test_what_is_no_file_is_written_to_and_not_replaced(make_bench: Make) -> None:
    at = desk(make_bench(rules=TWO))
    at.run("retag", "plan", "--since", "3d", "--no-wait")
    pipe = at.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert at.run("retag", "report", "1", "--output", str(pipe)).status == 0
    assert os.read(reader, 1000).startswith(b"reference,account,")
    os.close(reader)
    assert pipe.is_fifo()


def test_jobs_are_listed_newest_first_and_paged(make_bench: Make) -> None:
    at = desk(make_bench(rules=TWO))
    for _ in range(3):
        at.run("retag", "plan", "--since", "3d", "--no-wait")
    assert [row[0] for row in at.run("retag", "list").rows] == ["3", "2", "1"]
    page = at.run("retag", "list", "--limit", "2", "--format", "json").json
    assert ([job["job"] for job in page["jobs"]], page["next"]) == ([3, 2], 2)
    assert [row[0] for row in at.run("retag", "list", "--before", "2").rows] == ["1"]
    assert at.run("retag", "status", "--format", "json").json["job"] == 3, "the newest"


def test_a_plan_that_cannot_be_made_says_why_and_exits_with_1(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    with working(bench):
        said = desk(bench).run("retag", "plan", "--since", "3d", "--having", "Nothing")
    assert (said.status, said.err) == (1, "calltag: job 1 is failed: the platform has no tag 'Nothing'\n")


def test_ctrl_c_leaves_the_job_going_and_says_how_to_look_again(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    alive(bench)
    at = desk(bench)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cli", "retag", "plan", "--since", "3d"],
        cwd=at.folder,
        env={**environment, **at.environment},
        stderr=subprocess.PIPE,
        text=True,
    )

    def made() -> list[jobs.Job]:
        with bench.database.read() as connection:
            return jobs.newest(connection, 1)

    assert process.stderr is not None
    try:
        (job,) = eventually(made, "the job is made", 60)
        with bench.database.write() as connection:
            jobs.change(connection, job.id, reason="it waits")
        assert "it waits" in process.stderr.readline(), "it looks on"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1
    assert err == (
        "calltag: job 1 goes on without you: `calltag retag watch 1` looks on again, "
        "`calltag retag pause 1` and `calltag retag cancel 1` hold it\n"
    )
    (job,) = made()
    assert job.works
