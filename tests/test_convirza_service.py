"""Convirza's account in calltag's own parts: the receiver, the worker where no tag can be put, and doctor."""

import hashlib
import hmac
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
import pytest

from cli.valkey import Valkey
from platforms.convirza.examples import example
from platforms.simulated import simulator
from tests.platform_bench import PlatformBench, environment, platform_bench
from tests.web_part import Web, running_web
from tests.worker_bench import Sent
from worker.context import open_worker

SECRET = "convirza's secret"
IN_THE_BODY = {"call_id": 7, "static_parameters": {"token": SECRET}}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("web"), CONVIRZA_WEBHOOK_SECRETS=SECRET) as running:
        yield running


def post(web: Web, body: Any, sign: bool = True) -> tuple[int, str]:
    raw = orjson.dumps(body) if isinstance(body, dict) else body
    digest = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    with closing(HTTPConnection("127.0.0.1", web.port, timeout=10)) as connection:
        connection.request("POST", "/webhooks/convirza", raw, {"X-Webhook-Signature": digest} if sign else {})
        response = connection.getresponse()
        return response.status, orjson.loads(response.read()).get("status", "")


def test_an_event_that_comes_again_with_another_time_is_a_duplicate(web: Web) -> None:
    event = example("calls.add", {})
    again = {**event, "delivery_timestamp": "2026-11-20T21:45:00Z"}
    assert [post(web, body) for body in (event, again)] == [(202, "accepted"), (202, "duplicate")]
    assert post(web, {**event, "idempotency_key": "another"}) == (202, "accepted")


def test_a_call_webhook_is_taken_by_its_token(web: Web) -> None:
    assert post(web, IN_THE_BODY, sign=False) == (202, "accepted")
    assert post(web, IN_THE_BODY, sign=False) == (202, "duplicate")
    assert post(web, {"call_id": 7}, sign=False)[0] == 401


def test_a_signed_body_that_is_no_json_is_kept(web: Web) -> None:
    assert post(web, b"\xff") == (202, "accepted")


@pytest.fixture
def bench(tmp_path: Path, valkey: Valkey, empty_database: Path) -> Iterator[PlatformBench]:
    """Convirza as it is by default: nothing is put on a call."""
    with platform_bench(tmp_path, valkey.url, "convirza", empty_database) as bench:
        accounts = bench.settings.accounts
        assert isinstance(accounts, dict)
        plain = bench.account.settings.model_copy(update={"apply": "none", "client_id": None})
        bench.account = accounts["convirza"] = type(bench.account)("convirza", bench.account.platform, plain)
        yield bench


def test_by_default_calls_are_decided_and_nothing_is_asked_of_the_platform(bench: PlatformBench) -> None:
    reference = bench.call()
    bench.tell(reference, *bench.platform.events)
    call = bench.state(reference)
    assert (call.state, bench.tags(reference), bench.ours(reference)) == ("decided", [], {})
    assert call.reason == "not applied, as the platform takes no tags (would be put: Long Call)"
    assert (bench.platform.requests.total(), bench.platform.tokens) == (0, 0)


def test_by_default_the_definitions_of_tags_are_made_all_the_same(bench: PlatformBench) -> None:
    assert bench.client.create_tag("Long Call", None, None).name == "Long Call"
    assert bench.platform.defined() == ["Long Call"]


def test_a_new_refresh_token_outlives_the_process_that_got_it(bench: PlatformBench) -> None:
    bench.client.list_tags()
    bench.platform.revoke()
    bench.client.list_tags()
    issued = bench.platform.tokens or 0
    with open_worker(bench.settings, Sent()) as other:
        client = other.client(bench.account, time.monotonic())
        assert client.list_tags() == []
        assert bench.platform.tokens == issued
        bench.platform.revoke()
        assert client.list_tags() == []
    assert bench.platform.tokens == issued + 1


def test_doctor_says_what_is_off_and_why(tmp_path: Path) -> None:
    with simulator("convirza")(limited=False) as platform:
        given = environment("convirza", "convirza", platform) | {"CALLTAG_CONVIRZA_APPLY": "none"}
        given |= {"CALLTAG_DATA_DIR": str(tmp_path)}
        del given["CALLTAG_CONVIRZA_PLATFORM"]
        plain = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
        said = subprocess.run(
            [sys.executable, "-m", "cli", "doctor"],
            env=plain | given,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    assert "ok    convirza: token: the e-mail and password brought one" in said
    assert "ok    convirza: tags on calls: off: Convirza's documented API has no way" in said
