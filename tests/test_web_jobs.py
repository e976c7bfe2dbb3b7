"""The JSON API of re-tagging jobs, on a real web part; the test's own process plans and runs the jobs."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from platforms.sipsim.simulator import Config
from tests.retag_desk import working
from tests.waiting import eventually
from tests.web_part import TOKEN, Web, running_web
from tests.worker_bench import PUT, Bench

Make = Callable[..., Bench]
TWO = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long Call}
"""
ROUTES = [
    ("GET", "/jobs"),
    ("POST", "/jobs"),
    ("GET", "/jobs/1"),
    ("GET", "/jobs/1/report"),
    *(("POST", f"/jobs/1/{order}") for order in ("run", "pause", "resume", "cancel", "retry-failed", "undo")),
]


@contextmanager
def web_of(bench: Bench) -> Iterator[Web]:
    """The web part on the bench's store."""
    shipped = Config()
    platform = bench.account.settings.base_url
    with running_web(
        bench.settings.data_dir,
        SIPSIM_BASE_URL=platform,
        SIPSIM_CLIENT_ID=shipped.client_id,
        SIPSIM_CLIENT_SECRET=shipped.client_secret,
    ) as web:
        yield web


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web part without rules or jobs."""
    with running_web(tmp_path_factory.mktemp("jobs") / "data") as web:
        yield web


def ask(web: Web, method: str, path: str, body: Any = None, token: str = TOKEN) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    content = body if isinstance(body, bytes) else None
    given = None if content is not None else body
    return httpx.request(
        method,
        f"{web.url}/api{path}",
        json=given,
        content=content,
        headers=headers,
        timeout=10,
        trust_env=False,
    )


def comes_to(web: Web, job: int, state: str) -> Any:
    """The job, once it is in that state."""
    return eventually(
        lambda: (found := ask(web, "GET", f"/jobs/{job}").json())["state"] == state and found,
        f"job {job} is {state}",
    )


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_without_the_token_nothing_is_told_or_done(empty: Web, method: str, path: str) -> None:
    answered = ask(empty, method, path, token="wrong")
    assert (answered.status_code, answered.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[1] != "/jobs"])
@pytest.mark.parametrize("number", ["1", "9" * 30])
def test_a_job_that_is_not_there_is_not_found(empty: Web, method: str, path: str, number: str) -> None:
    answered = ask(empty, method, path.replace("/1", f"/{number}"))
    assert (answered.status_code, list(answered.json())) == (404, ["error"])
    assert answered.json()["error"].startswith(f"there is no job {number} ")


def test_a_job_is_planned_run_reported_and_undone(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    record = bench.call(1, duration=400)
    bench.call(2, duration=100, direction="outbound", receiver="+33184800002")
    with web_of(bench) as web, working(bench):
        made = ask(web, "POST", "/jobs", {"since": "3d", "tag": ["Inbound", "Long Call"]})
        assert (made.status_code, made.headers["location"]) == (201, "/api/jobs/1")
        assert made.json()["asked"]["tag"] == ["Inbound", "Long Call"]
        planned = comes_to(web, 1, "planned")
        assert planned["plan"]["tags"] == {"Inbound": {"gain": 1}, "Long Call": {"gain": 1}}
        assert bench.requests(PUT) == 0
        assert ask(web, "POST", "/jobs/1/run").json()["state"] in ("running", "done")
        done = comes_to(web, 1, "done")
        assert done["progress"] == {
            "of": 2, "done": 2, "changed": 1, "unchanged": 1, "failed": 0, "skipped": 0,
        }  # fmt: skip
        assert bench.tags(record) == ["Inbound", "Long Call"]
        (row,) = ask(web, "GET", "/jobs/1/report?format=json").json()
        assert (row["reference"], row["added"], row["state"]) == ("10001", ["Inbound", "Long Call"], "done")
        report = ask(web, "GET", "/jobs/1/report")
        assert report.headers["content-type"] == "text/csv; charset=utf-8"
        assert [line["reference"] for line in csv.DictReader(io.StringIO(report.text))] == ["10001"]
        assert ask(web, "POST", "/jobs/1/undo").json()["undoes"] == 1
        comes_to(web, 2, "planned")
        ask(web, "POST", "/jobs/2/run")
        comes_to(web, 2, "done")
        assert bench.tags(record) == []
        call = ask(web, "GET", "/calls/sipsim/10001").json()
        assert [decision["job"] for decision in call["decisions"]] == [2, 1]


def test_jobs_are_held_and_listed_and_what_cannot_be_now_is_a_conflict(make_bench: Make) -> None:
    bench = make_bench(rules=TWO)
    with web_of(bench) as web:
        for _ in range(3):
            ask(web, "POST", "/jobs", {"since": "2h"})
        assert ask(web, "POST", "/jobs/1/pause").json()["state"] == "paused"
        assert ask(web, "POST", "/jobs/1/resume").json()["state"] == "planning"
        assert ask(web, "POST", "/jobs/1/cancel").json()["state"] == "cancelled"
        for order in ("run", "pause", "resume", "cancel", "retry-failed", "undo"):
            refused = ask(web, "POST", f"/jobs/1/{order}")
            assert refused.status_code == 409, order
            assert "job 1 " in refused.json()["error"]
        page = ask(web, "GET", "/jobs?limit=2").json()
        assert ([job["job"] for job in page["jobs"]], page["next"]) == ([3, 2], 2)
        assert [job["job"] for job in ask(web, "GET", "/jobs?before=2").json()["jobs"]] == [1]
        assert ask(web, "GET", "/jobs/2/report?format=json").json() == []


def test_without_rules_in_force_no_job_is_made(empty: Web) -> None:
    answered = ask(empty, "POST", "/jobs", {"since": "2h"})
    assert (answered.status_code, answered.json()) == (409, {"error": "no rule set is in force yet"})


WRONG = {
    b"": "the body: invalid JSON",
    b"[]": "the body: ",
    b"{}": "since is missing",
    b'{"since": 3}': "since: input should be a valid string",
    b'{"since": "2h", "rules": ["a"]}': "'rules' cannot be asked for, did you mean 'rule'?",
    b'{"since": "2h", "rule": "a"}': "rule: input should be a valid",
    b'{"since": "2h", "source": "paper"}': "source: input should be 'platform' or 'store'",
    b'{"since": "soon"}': "since: 'soon' is no time",
    b'{"since": "2h", "account": "nobody"}': "no account is named 'nobody'; configured: sipsim",
    b'{"since": "2h", "until": "3h"}': "the range is empty: since must be before until",
    b'{"since": "2h", "orphaned": "remove", "rule": ["lnog"]}': "the rule set in force has no rule 'lnog', ",
    b'{"since": "2h", "since\xff": 1}': "the body: invalid JSON",
}


@pytest.fixture
def strict(make_bench: Make, tmp_path: Path) -> Iterator[Web]:
    with web_of(make_bench(rules=TWO)) as web:
        yield web


def test_what_is_asked_wrongly_is_told_in_a_line(strict: Web) -> None:
    for body, why in WRONG.items():
        answered = ask(strict, "POST", "/jobs", body)
        assert answered.status_code == 400, body
        assert answered.json()["error"].startswith(why), answered.json()
    assert ask(strict, "GET", "/jobs").json() == {"jobs": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "before=-1", "before=" + "9" * 40])
def test_a_page_that_cannot_be_is_told_in_a_line(empty: Web, query: str) -> None:
    assert ask(empty, "GET", f"/jobs?{query}").status_code == 400


def test_a_format_that_there_is_not_is_told_in_a_line(empty: Web) -> None:
    answered = ask(empty, "GET", "/jobs/1/report?format=xml")
    assert (answered.status_code, answered.json()) == (400, {"error": "format: csv or json"})


def test_a_body_that_is_too_long_is_refused(empty: Web) -> None:
    answered = ask(empty, "POST", "/jobs", b'{"since": "' + b"2" * 70_000 + b'"}')
    assert answered.status_code == 413
