"""`/healthz`, `/readyz` and `/metrics`: open to all, true, and without anything personal."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.valkey import Valkey
from rules.loader import parse
from store import fleet, rulesets
from store.counters import count
from store.schema import processes
from tests.waiting import eventually
from tests.web_part import TOKEN, Web, locked, opened, running_web

RULES = b"""
version: 1
rules:
  - id: long-call
    when: {field: duration, gte: 30m}
    tag: Long Call
"""


@pytest.fixture
def web(tmp_path: Path, valkey: Valkey) -> Iterator[Web]:
    with running_web(tmp_path / "data", REDIS_URL=valkey.url) as web:
        yield web


def all_is_well(web: Web) -> None:
    """What worker and sweeper would have written."""
    ruleset = parse({"rules.yaml": RULES})
    with opened(web) as database, database.write() as connection:
        fleet.beat(connection, "a worker", "worker", time.time())
        fleet.hold(connection, "sweeper", "a sweeper", time.time(), 60.0)
        rulesets.activate(connection, ruleset.hash, ruleset.files, time.time())


def readiness(web: Web, status: str) -> dict[str, str]:
    """What is degraded, once the state is that one; an answer is given again for a second."""

    def look() -> dict[str, dict[str, str]] | None:
        answered = web.get("/readyz")
        found = answered.json()
        assert answered.status_code == (503 if found["status"] == "down" else 200)
        return found if found["status"] == status else None

    found = eventually(look, f"/readyz says {status}")
    assert found is not None
    return found["degraded"]


def test_healthz_says_that_the_loop_runs(web: Web) -> None:
    answered = web.get("/healthz")
    assert (answered.status_code, answered.json()) == (200, {"status": "ok"})


def test_readyz_is_ok_when_all_parts_are_there(web: Web) -> None:
    all_is_well(web)
    assert readiness(web, "ok") == {}


def test_readyz_names_what_is_missing_at_first(web: Web) -> None:
    assert set(readiness(web, "degraded")) == {"rules", "worker", "sweeper"}


def test_readyz_names_a_refused_rule_file_and_quotes_nothing_of_it(web: Web) -> None:
    all_is_well(web)
    with opened(web) as database, database.write() as connection:
        text = "rules.yaml:3:5: '+33612345678x' is no number"
        fleet.report(connection, "rules", text, time.time())
        fleet.report(connection, "platform:sipsim", "no answer", time.time())
    degraded = readiness(web, "degraded")
    assert set(degraded) == {"rules", "platform:sipsim"}
    assert "+336" not in str(degraded)
    assert "refused" in degraded["rules"]
    with opened(web) as database, database.write() as connection:
        fleet.clear(connection, "rules")
        fleet.clear(connection, "platform:sipsim")
    assert readiness(web, "ok") == {}


def test_readyz_names_a_broker_that_is_away_and_webhooks_are_taken_within_a_second(tmp_path: Path) -> None:
    with running_web(tmp_path / "data", REDIS_URL="redis://127.0.0.1:1/0") as web:
        all_is_well(web)
        began = time.monotonic()
        assert web.send(b"an event").status == 202
        assert time.monotonic() - began < 1.0
        assert set(readiness(web, "degraded")) == {"broker"}


def test_readyz_is_down_while_the_database_takes_no_writes_and_recovers(web: Web) -> None:
    all_is_well(web)
    readiness(web, "ok")
    with locked(web.database_file):
        degraded = readiness(web, "down")
        assert degraded == {"database": "it takes no writes now"}
    assert readiness(web, "ok") == {}


def test_the_web_part_leaves_a_sign_of_life(web: Web) -> None:
    readiness(web, "degraded")
    with opened(web) as database, database.read() as connection:
        assert connection.execute(processes.select()).one().part == "web"


def test_questions_that_wait_for_the_database_keep_nobody_else_waiting(web: Web) -> None:
    """Sixty at once, each waiting a second for a lock, are more than there are threads or connections."""
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not stop.is_set():
                client.get(f"{web.url}/readyz")

    with locked(web.database_file), ThreadPoolExecutor(60) as pool:
        asked = [pool.submit(ask) for _ in range(60)]
        times = []
        for _ in range(20):
            began = time.monotonic()
            assert web.get("/healthz").status_code == 200
            times.append(time.monotonic() - began)
        stop.set()
        for one in asked:
            one.result()
    assert sorted(times)[10] < 0.5


def test_the_metrics_can_be_read_by_prometheus(web: Web) -> None:
    all_is_well(web)
    for body in (b"a", b"b", b"a"):
        web.send(body)
    web.send(b"c", **{"X-Webhook-Signature": "0"})
    with opened(web) as database, database.write() as connection:
        count(connection, {"requests.sipsim.201": 3, "requests.sipsim.no answer": 1})
        fleet.report(connection, "rules", "a fault", time.time())
    answered = web.get("/metrics")
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {one.name: one for one in text_string_to_metric_families(answered.text)}
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    expected = {
        ("calltag_calls", "due"): 0,
        ("calltag_calls", "dead"): 0,
        ("calltag_oldest_due_seconds",): 0,
        ("calltag_ruleset", parse({"rules.yaml": RULES}).hash): 1,
        ("calltag_amiss", "rules"): 1,
        ("calltag_inbox_total", "accepted"): 2,
        ("calltag_inbox_total", "duplicate"): 1,
        ("calltag_platform_requests_total", "sipsim", "201"): 3,
        ("calltag_platform_requests_total", "sipsim", "no answer"): 1,
        ("calltag_webhooks_total", "sipsim", "accepted"): 2,
        ("calltag_webhooks_total", "sipsim", "duplicate"): 1,
        ("calltag_webhooks_total", "sipsim", "the signature does not fit"): 1,
    }
    assert {name: samples.get(name) for name in expected} == expected


def test_what_is_open_to_all_holds_nothing_personal(web: Web) -> None:
    web.send(b'{"event": "incoming_call_end", "caller": "+33612345678", "pbx_id": "secret-call-name"}')
    web.send(b"x", **{"X-Webhook-Signature": "+33612345678"})
    httpx.post(f"{web.url}/webhooks/+33612345678", trust_env=False)
    web.get("/api/calls/sipsim/+33612345678")
    for path in ("/healthz", "/readyz", "/metrics"):
        text = web.get(path).text
        for personal in ("33612345678", "secret-call-name", TOKEN, "hook-secret", str(web.data_dir)):
            assert personal not in text


def test_metrics_are_read_while_webhooks_add_to_them(web: Web) -> None:
    stop = threading.Event()

    def send() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            web.send(b"event %d" % n)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send)
        assert {web.get("/metrics").status_code for _ in range(30)} == {200}
        stop.set()
        sending.result()


def test_metrics_and_status_are_503_while_the_database_cannot_be_read(web: Web) -> None:
    web.send(b"an event")
    moved = web.database_file.with_name("elsewhere.db")
    web.database_file.rename(moved)
    web.database_file.mkdir()
    with ThreadPoolExecutor(
        12
    ) as pool:  # those that are open still read the old file; new ones cannot be made
        answers = list(pool.map(lambda _: web.api("/status"), range(60)))
    assert {one.status_code for one in answers} <= {200, 503}
    assert web.get("/healthz").status_code == 200
