"""The simulated Convirza is as its documents tell, asked over HTTP by nobody's client."""

import hashlib
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from platforms.convirza.simulator import Config, Kept, Simulator, make_app
from platforms.simulated import Call
from platforms.simulated.serving import serve
from tests.platform_bench import Mailbox, Post
from tests.waiting import eventually

LOGIN = {"email": Config.email, "password": Config.password}
DAY = timedelta(days=1)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(Config(rate_limit=None))


@pytest.fixture
def http(simulator: Simulator) -> Iterator[httpx.Client]:
    with (
        serve(make_app(simulator), simulator.connections) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def user(http: httpx.Client) -> httpx.Client:
    """A client that is logged in."""
    http.headers["authorization"] = f"Bearer {http.post('/oauth/token', json=LOGIN).json()['access_token']}"
    return http


def calls(user: httpx.Client, **params: Any) -> httpx.Response:
    return user.get("/v3/conversations/calls", params={"limit": 200, **params})


def test_a_login_answers_times_and_who_it_is(http: httpx.Client) -> None:
    answer = http.post("/oauth/token", json=LOGIN).json()
    until = datetime.fromisoformat(answer["expires_in"])
    assert timedelta(days=6) < until - datetime.now(UTC) <= timedelta(days=7)
    assert datetime.fromisoformat(answer["refresh_expires_in"]) > until
    assert (answer["token_type"], answer["user"]["org_unit_id"]) == ("Bearer", 4711)


def test_a_refresh_token_is_good_once(http: httpx.Client) -> None:
    first = http.post("/oauth/token", json=LOGIN).json()["refresh_token"]
    second = http.post("/oauth/refresh-token", json={"refresh_token": first}).json()["refresh_token"]
    assert http.post("/oauth/refresh-token", json={"refresh_token": first}).status_code == 401
    assert http.post("/oauth/refresh-token", json={"refresh_token": second}).status_code == 200


def test_ten_logins_a_minute_are_taken(http: httpx.Client) -> None:
    answers = [http.post("/oauth/token", json=LOGIN).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]


def test_without_a_token_nothing_is_answered(http: httpx.Client) -> None:
    assert [http.get(path).status_code for path in ("/v3/tag", "/v3/conversations/calls")] == [401, 401]


def test_tags_are_made_one_or_several_at_once_and_each_name_once(user: httpx.Client) -> None:
    several: dict[str, Any] = {"org_unit_id": 4711, "tagList": [{"tag_name": "VIP"}, {"tag_name": "Refund"}]}
    answer = user.post("/v3/tag", json={"tag": several})
    assert (answer.status_code, answer.json()["code"]) == (201, 200)
    assert [tag["tag_name"] for tag in answer.json()["data"]["inserted_tags"]] == ["VIP", "Refund"]
    one = user.post("/v3/tag", json={"tag": {"org_unit_id": 4711, "tagList": {"tag_name": "VIP"}}})
    assert one.json()["data"] == {"inserted_tags": [], "existing_tags": ["VIP"]}
    assert user.post("/v3/tag", json={"tag": {"tagList": []}}).status_code == 400


def test_a_range_is_31_days_at_most_and_goes_forward(user: httpx.Client) -> None:
    now = datetime.now(UTC)
    for start, end, status in ((31, 0, 200), (32, 0, 400), (0, 1, 400), (0, 0, 400)):
        params = {"start": (now - start * DAY).isoformat(), "end": (now - end * DAY).isoformat()}
        assert calls(user, **params).status_code == status, (start, end)
    assert calls(user, start="yesterday").status_code == 400


@pytest.mark.parametrize("limit", ["0", "201", "many"])
def test_a_page_has_1_to_200_calls(user: httpx.Client, limit: str) -> None:
    assert calls(user, limit=limit).status_code == 400


def test_another_organisation_unit_is_out_of_scope(user: httpx.Client) -> None:
    assert calls(user, org_unit_id=1).status_code == 403


def test_a_call_has_the_blocks_that_are_asked_for(user: httpx.Client, simulator: Simulator) -> None:
    kept = simulator.add(Call(started=time.time() - 60, duration=30), transcript=("Hello.",))
    simulator.edit(kept, add=["VIP"])
    (plain,) = calls(user).json()["data"]["calls"]
    assert "tags" not in plain
    (found,) = calls(user, call_id=kept.id, include="tags,transcription").json()["data"]["calls"]
    assert (found["tags"][0]["tag_name"], found["transcription"]["segments"][0]["text"]) == ("VIP", "Hello.")
    assert "recordings" not in found


@pytest.fixture
def sent(simulator: Simulator) -> Iterator[list[Post]]:
    """The webhooks that came."""
    mailbox = Mailbox()
    with mailbox.serving() as url:
        simulator.config.webhook_url = url
        yield mailbox.posts
        simulator.close()


def make(simulator: Simulator) -> Kept:
    return simulator.add(Call(started=time.time() - 60, duration=30))


def test_a_call_webhook_holds_the_token_and_no_signature(simulator: Simulator, sent: list[Post]) -> None:
    simulator.emit(make(simulator), "post_call")
    eventually(lambda: len(sent) == 1, "it came")
    assert b"x-webhook-signature" not in dict(sent[0].headers)
    assert orjson.loads(sent[0].body)["static_parameters"]["token"] == simulator.config.secret


def test_a_subscription_is_signed_over_its_body(simulator: Simulator, sent: list[Post]) -> None:
    simulator.emit(make(simulator), "add")
    eventually(lambda: len(sent) == 1, "it came")
    digest = hmac.new(simulator.config.secret.encode(), sent[0].body, hashlib.sha256).hexdigest()
    assert dict(sent[0].headers)[b"x-webhook-signature"] == digest.encode()
    assert {"event_type", "entity_id", "delivery_timestamp", "idempotency_key"} <= orjson.loads(
        sent[0].body
    ).keys()
