"""The simulated Aircall keeps to what the documents say."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest

from platforms.aircall.simulator import Simulated, simulate
from platforms.simulated import Call
from tests.waiting import eventually

KEY = ("simulated-api-id", "simulated-api-token")


@pytest.fixture
def platform() -> Iterator[Simulated]:
    with simulate() as simulated:
        yield simulated


@pytest.fixture
def http(platform: Simulated) -> Iterator[httpx.Client]:
    base = f"{platform.settings['base_url']}/v1/"
    with httpx.Client(base_url=base, auth=KEY, trust_env=False) as client:
        yield client


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[Any]]]:
    """Takes webhooks, answers these statuses and then 200; gives its address and what came."""
    came: list[Any] = []
    planned = list(statuses)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with lock:
                came.append(orjson.loads(body))
                status = planned.pop(0) if planned else 200
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", came
    finally:
        server.shutdown()
        server.server_close()


def call(platform: Simulated, **values: Any) -> str:
    return platform.add(Call(**{"started": time.time() - 2000.0, "ring": 5, "duration": 60} | values))


def tag(http: httpx.Client, name: str) -> int:
    found: int = http.post("tags", json={"name": name, "color": "#00B388"}).json()["tag"]["id"]
    return found


def test_who_has_no_key_is_unauthorized_and_a_wrong_one_is_forbidden(http: httpx.Client) -> None:
    assert http.get("ping").json() == {"ping": "pong"}
    with httpx.Client(base_url=http.base_url, trust_env=False) as stranger:
        assert stranger.get("ping").status_code == 401
        assert stranger.get("ping", auth=("a", "b")).status_code == 403
    assert http.get("no-such-thing").status_code == 404


def test_tags_go_by_their_numbers_and_leave_the_others(platform: Simulated, http: httpx.Client) -> None:
    reference, one, two = call(platform), tag(http, "One"), tag(http, "Two")
    for each in (one, two):
        assert http.post(f"calls/{reference}/tags", json={"tags": [each]}).status_code == 201
    assert [each["name"] for each in http.get(f"calls/{reference}").json()["call"]["tags"]] == ["One", "Two"]
    assert http.post(f"calls/{reference}/tags", json={"tags": ["One"]}).status_code == 400
    assert http.post(f"calls/{reference}/tags", json={"tags": [one]}).status_code == 400, "it has it already"
    assert http.post("calls/5/tags", json={"tags": [one]}).status_code == 404
    assert http.request("DELETE", f"calls/{reference}/tags/{one}").status_code == 404
    assert platform.added == 2


def test_a_tag_needs_a_colour_and_a_name_of_its_own(http: httpx.Client) -> None:
    assert http.post("tags", json={"name": "One"}).status_code == 400
    assert tag(http, "One")
    assert http.post("tags", json={"name": "One", "color": "#000000"}).status_code == 400


def test_sixty_requests_a_minute_are_granted(http: httpx.Client, platform: Simulated) -> None:
    answers = [http.get("ping").status_code for _ in range(62)]
    assert answers == [200] * 60 + [429] * 2
    assert platform.requests == {"200": 60, "429": 2}


def test_no_page_has_more_than_fifty(http: httpx.Client, platform: Simulated) -> None:
    for _ in range(51):
        call(platform)
    assert http.get("calls", params={"per_page": 51}).status_code == 400
    answer = http.get("calls", params={"per_page": 50}).json()
    assert (len(answer["calls"]), answer["meta"]["total"]) == (50, 51)
    assert answer["meta"]["next_page_link"]
    assert http.get("calls", params={"per_page": 50, "page": 2}).json()["meta"]["next_page_link"] is None


def test_webhooks_hold_the_token_and_other_names_of_two_fields(
    http: httpx.Client, platform: Simulated
) -> None:
    reference = call(platform)
    with receiver() as (url, came):
        platform.send_to(url)
        platform.emit(reference)
        eventually(lambda: not platform.waiting, "all webhooks are delivered")
    (webhook,) = came
    assert (webhook["token"], webhook["event"], webhook["resource"]) == (
        platform.settings["webhook_secrets"],
        "call.ended",
        "call",
    )
    shown = http.get(f"calls/{reference}").json()["call"]
    assert webhook["data"]["call_uuid"] == shown["sid"]
    assert {"sid", "conference_participants"}.isdisjoint(webhook["data"])
    assert "call_uuid" not in shown


def test_each_change_of_tags_comes_back_with_all_of_them(http: httpx.Client, platform: Simulated) -> None:
    reference, one = call(platform), tag(http, "One")
    with receiver() as (url, came):
        platform.send_to(url)
        http.post(f"calls/{reference}/tags", json={"tags": [one]})
        eventually(lambda: len(came) == 1, "a webhook came")
        platform.edit(reference, add=["By hand"])
        eventually(lambda: len(came) == 2, "a webhook came")
        platform.edit(reference, remove=["One"])
        eventually(lambda: len(came) == 3, "a webhook came")
    told = [(each["event"], [tag["name"] for tag in each["data"]["tags"]]) for each in came]
    assert told == [
        ("call.tagged", ["One"]),
        ("call.tagged", ["One", "By hand"]),
        ("call.untagged", ["By hand"]),
    ]


def test_a_webhook_that_fails_comes_again_as_it_was(platform: Simulated) -> None:
    reference = call(platform)
    platform.company.delivery.retries = (0.01,) * 50
    with receiver(500, 401) as (url, came):
        platform.send_to(url)
        platform.emit(reference)
        eventually(lambda: not platform.waiting, "all webhooks are delivered")
    assert len(came) == 3
    assert came[0] == came[1] == came[2]


def test_a_webhook_that_was_switched_off_sends_nothing(http: httpx.Client, platform: Simulated) -> None:
    reference = call(platform)
    http.put("webhooks/7a3f", json={"active": False})
    with receiver() as (url, came):
        platform.send_to(url)
        platform.emit(reference)
        http.put("webhooks/7a3f", json={"active": True, "events": ["call.created"]})
        platform.emit(reference, "call.ended", "call.created")
        eventually(lambda: not platform.waiting, "all webhooks are delivered")
    assert [each["event"] for each in came] == ["call.created"]


def test_a_day_is_played_to_its_end_with_facts_for_every_call(platform: Simulated) -> None:
    with receiver() as (url, came):
        platform.send_to(url)
        platform.play(20, 200.0)
        eventually(lambda: not platform.waiting, "all webhooks are delivered")
    ended = {str(each["data"]["id"]) for each in came if each["event"] == "call.ended"}
    assert ended == platform.facts.keys() == platform.call_tags().keys()
    assert len(ended) == 20
