"""Jobs on pages: plan, numbers, run, watch, hold, take back."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from platforms.sipsim.simulator import PlannedFault, Segment
from store import jobs
from store.jobs import JobState
from tests.pages import VIEWER, Person, visiting, words
from tests.retag_desk import alive, working
from tests.waiting import eventually
from tests.worker_bench import PUT, Bench

Make = Callable[..., Bench]
TWO = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long Call}
"""
MARKUP = '<b onmouseover="x()">\u202e'


def comes_to(person: Person, job: int, state: str) -> str:
    """What the page of the job says, once it is in that state."""

    def told() -> str:
        found = person.reads(f"/jobs/{job}")
        return found if f"How far it is {state}" in found else ""

    return eventually(told, f"it is {state}")


def test_without_jobs_the_page_says_what_to_do(make_bench: Make) -> None:
    with visiting(make_bench().settings) as person:
        told = person.reads("/jobs")
        assert "No job was made yet. Plan one below" in told
        assert "No job comes on: no sweeper runs" in told


def test_a_job_is_planned_looked_at_run_and_taken_back(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    record = bench.call(1, duration=400)
    bench.call(2, duration=100, direction="outbound", receiver="+33184800002")
    with visiting(bench.settings) as person, working(bench):
        person.get("/jobs")
        answered = person.send("/jobs", since="3d", source="platform", tag="Inbound\nLong Call\n")
        assert answered.url.path == "/jobs/1"
        told = comes_to(person, 1, "planned")
        assert "Only the tags Inbound , Long Call" in told
        assert "The run: 1 call: 2 tags put on, 0 taken off; " in told
        assert "Inbound 1 0 call_00001" in told or "Inbound 1 0 10001" in told
        assert bench.requests(PUT) == 0
        assert "The job runs." in person.send("/jobs/1/run").text
        told = comes_to(person, 1, "done")
        assert "2 of 2 done: 1 changed, 1 unchanged, 0 failed, 0 skipped" in told
        assert "2 tags put on, 0 taken off" in told
        assert bench.tags(record) == ["Inbound", "Long Call"]
        report = person.get("/jobs/1/report?format=csv")
        assert report.headers["content-disposition"] == 'attachment; filename="job-1.csv"'
        assert report.headers["cache-control"] == "no-store"
        (line,) = csv.DictReader(io.StringIO(report.text))
        assert line["added"] == "Inbound; Long Call"
        assert len(json.loads(person.get("/jobs/1/report?format=json").text)) == 1
        assert person.send("/jobs/1/undo").url.path == "/jobs/2"
        told = comes_to(person, 2, "planned")
        assert "Takes back job 1" in told
        person.send("/jobs/2/run")
        comes_to(person, 2, "done")
        assert bench.tags(record) == []
        assert "undoing of job 1, job 2 done" in person.reads("/jobs")


def test_a_job_is_held_goes_on_and_is_cancelled(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    alive(bench)
    with visiting(bench.settings) as person:
        person.get("/jobs")
        person.send("/jobs", since="2h", source="store")
        for order, state, offered in (
            ("pause", "paused", ["Go on", "Cancel"]),
            ("resume", "planning", ["Pause", "Cancel"]),
            ("cancel", "cancelled", []),
        ):
            person.send(f"/jobs/1/{order}")
            html = person.get("/jobs/1").text
            assert f"How far it is {state}" in words(html)
            buttons = [part.partition("</button>")[0] for part in html.split("<button")[2:]]
            assert [words(f"<b{button}") for button in buttons] == offered, state
        refused = person.send("/jobs/1/resume")
        assert (refused.status_code, "only a paused or stopped job can go on" in refused.text) == (409, True)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"since": ""}, "since: &#39;&#39; is no time"),
        ({"since": "soon"}, "since: &#39;soon&#39; is no time"),
        ({"since": "2h", "until": "3h"}, "the range is empty"),
        ({"since": "2h", "rule": "lnog"}, "the rule set in force has no rule &#39;lnog&#39;"),
        ({"since": "2h", "tag": "inbound", "orphaned": "remove"}, "did you mean &#39;Inbound&#39;?"),
        ({"since": "2h", "where": "{field: nothing, gt: 3}"}, "where: unknown field"),
        ({"since": "2h", "where": MARKUP}, "where: "),
    ],
)
def test_what_is_asked_wrongly_is_told_beside_what_was_typed(
    make_bench: Make, fields: dict[str, str], why: str
) -> None:
    with visiting(make_bench(rules=TWO).settings) as person:
        person.get("/jobs")
        answered = person.send("/jobs", **fields)
        assert (answered.status_code, why in answered.text) == (400, True), answered.text
        assert "<b onmouseover" not in answered.text
        for value in fields.values():
            assert value.partition("<")[0] in answered.text


def test_a_viewer_looks_and_gives_no_orders(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    with visiting(bench.settings, VIEWER) as person:
        assert person.send("/jobs", since="2h").status_code == 403
        with bench.database.write() as connection:
            jobs.create(connection, "sipsim", "retag", SPEC, "0" * 64, [(0.0, 1.0)], 1000.0)
        assert "How far it is planning" in person.reads("/jobs/1")
        assert "<button" not in person.get("/jobs/1").text.partition("<main")[2]
        assert "Plan a job" not in person.reads("/jobs")
        for order in ("run", "pause", "cancel", "undo", "transcripts"):
            assert person.send(f"/jobs/1/{order}").status_code == 403


SPEC = {
    "since": 0.0, "until": 1.0, "rules": [], "tags": [], "where": None, "having": None, "source": "platform",
    "orphaned": "keep", "fetch": False,
}  # fmt: skip


def test_a_job_that_is_not_there_is_not_found(make_bench: Make) -> None:
    with visiting(make_bench(rules=TWO).settings) as person:
        for path in ("/jobs/7", "/jobs/7/failed", "/jobs/7/report", f"/jobs/{'9' * 30}"):
            answered = person.get(path)
            assert (answered.status_code, "there is no job" in answered.text) == (404, True), path


def test_what_a_plan_names_shows_as_text(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    plan = {
        "listed": 1, "change": 1, "add": 1, "tags": {MARKUP: {"gain": 1}},
        "samples": {MARKUP: {"gain": [MARKUP]}}, "rules": {MARKUP: {"match": 1}},
    }  # fmt: skip
    with bench.database.write() as connection:
        spec = SPEC | {"where": MARKUP, "having": MARKUP, "tags": [MARKUP], "rules": [MARKUP]}
        job = jobs.create(connection, "sipsim", "retag", spec, "0" * 64, [(0.0, 1.0)], 1000.0)
        jobs.change(connection, job, state=JobState.PLANNED, plan=plan, reason=MARKUP)
    with visiting(bench.settings) as person:
        html = person.get("/jobs/1").text
        assert "<b onmouseover" not in html
        assert html.count("&lt;b onmouseover=") >= 8


@contextmanager
def watching(person: Person, job: int) -> Iterator[Iterator[str]]:
    """The lines that a browser is told of a job's progress."""
    with person.client.stream("GET", f"/jobs/{job}/progress") as stream:
        yield stream.iter_lines()


def test_a_watched_job_tells_each_change(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    bench.call(1, duration=400)
    with visiting(bench.settings) as person:
        person.get("/jobs")
        person.send("/jobs", since="3d", source="platform")
        with watching(person, 1) as lines:
            assert next(line for line in lines if "data-state" in line).endswith('data-state="planning">')
            with working(bench):
                assert any('data-state="planned"' in line for line in lines)


def test_failed_calls_are_listed_and_tried_again(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    bench.call(1, duration=400)
    with visiting(bench.settings) as person, working(bench):
        person.get("/jobs")
        person.send("/jobs", since="3d", source="platform", tag="Long Call")
        comes_to(person, 1, "planned")
        bench.simulator.plan(PlannedFault(kind="403", route=PUT, count=1))
        person.send("/jobs/1/run")
        told = comes_to(person, 1, "done")
        assert "1 failed PUT was answered 403" in told
        assert "Long Call PUT was answered 403" in person.reads("/jobs/1/failed")
        assert "tried again" in person.send("/jobs/1/retry-failed").text
        eventually(lambda: "1 changed" in person.reads("/jobs/1"), "it is changed")


def test_a_plan_that_lacks_transcripts_is_made_anew_with_them(make_bench: Make) -> None:
    rules = "version: 1\nrules:\n- {id: r, when: {field: transcript, contains: refund}, tag: Refund}"
    bench = make_bench(rules=rules)
    bench.call(1, segments=(Segment("I want a refund", 0.0, 2.0, "left"),))
    with visiting(bench.settings) as person, working(bench):
        person.get("/jobs")
        person.send("/jobs", since="3d", source="platform")
        told = comes_to(person, 1, "planned")
        assert "Plan anew with transcripts" in told
        assert "r transcript" in told
        assert person.send("/jobs/1/transcripts").url.path == "/jobs/2"
        assert "Refund 1 0" in comes_to(person, 2, "planned")
        assert "cancelled" in person.reads("/jobs/1")


def test_the_list_is_paged_by_key(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    with bench.database.write() as connection:
        for _ in range(52):
            jobs.create(connection, "sipsim", "retag", SPEC, "0" * 64, [(0.0, 1.0)], 1000.0)
    with visiting(bench.settings) as person:
        html = person.get("/jobs").text
        assert ('href="/jobs/52"' in html, 'href="/jobs/2"' in html, "/jobs?before=3" in html) == (
            True,
            False,
            True,
        )
        assert 'href="/jobs/2"' in person.get("/jobs?before=3").text


def test_where_several_accounts_are_configured_one_is_chosen(make_bench: Make) -> None:
    lyon = {"lyon_platform": "sipsim", "lyon_access_token": "a-token", "lyon_rate": "20"}
    bench = make_bench(rules=TWO, accounts="sipsim,lyon", **lyon)
    with visiting(bench.settings) as person:
        told = person.reads("/jobs")
        assert "Account sipsim lyon" in told
        person.send("/jobs", since="2h", source="store", account="lyon")
        assert "Account lyon" in person.reads("/jobs/1")
        assert "configured: sipsim, lyon" in person.send("/jobs", since="2h", account="x" * 99).text
