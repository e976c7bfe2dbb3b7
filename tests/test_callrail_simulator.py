"""The simulated CallRail itself: what its documents say it does."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from platforms.callrail.simulator import Config, Kept, Simulator, make_app, simulate
from platforms.simulated import Call, Fault
from platforms.simulated.serving import serve
from tests.platform_bench import Mailbox, Post
from tests.waiting import eventually

STARTED = 1_780_000_000.0


class Api:
    """A customer's own requests."""

    def __init__(self, http: httpx.Client, base: str, key: str = Config().api_key) -> None:
        self._http = http
        self._base = f"{base}/v3/a/{Config().account_id}"
        self._headers = {"Authorization": f"Token token={key}"}

    def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._http.request(method, f"{self._base}/{path}", headers=self._headers, **request)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    simulator = Simulator()
    yield simulator
    simulator.close()


@pytest.fixture
def kept(simulator: Simulator) -> Kept:
    return simulator.add(Call(started=STARTED))


@pytest.fixture
def base(simulator: Simulator) -> Iterator[str]:
    with serve(make_app(simulator), simulator.connections) as url:
        yield url


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client, base: str) -> Api:
    return Api(http, base)


@pytest.fixture
def mailbox(simulator: Simulator) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with mailbox.serving() as url:
        simulator.config.webhook_url = url
        yield mailbox


def arrived(mailbox: Mailbox, number: int) -> list[Post]:
    eventually(lambda: len(mailbox.posts) >= number, f"{number} webhooks come")
    return mailbox.posts


def test_a_wrong_key_and_another_account_are_refused(http: httpx.Client, base: str, api: Api) -> None:
    assert Api(http, base, "stolen")("GET", "calls.json").status_code == 401
    answer = http.get(f"{base}/v3/a/ACC1/calls.json", headers=api._headers)
    assert answer.status_code == 404
    assert api("GET", "calls.json").status_code == 200


def test_a_call_shows_what_is_asked_for(api: Api, kept: Kept) -> None:
    plain = api("GET", f"calls/{kept.id}.json").json()
    assert (plain["id"], plain["duration"], plain["answered"]) == (kept.id, 1900, True)
    assert not {"tags", "call_type", "transcription"} & set(plain)
    more = api("GET", f"calls/{kept.id}.json", params={"fields": "tags,call_type"}).json()
    assert (more["tags"], more["call_type"]) == ([], "answered")


def test_only_a_single_call_tells_who_said_what(api: Api, kept: Kept) -> None:
    fields = {"fields": "conversational_transcript", "start_date": "2020-01-01"}
    assert "conversational_transcript" in api("GET", f"calls/{kept.id}.json", params=fields).json()
    (listed,) = api("GET", "calls.json", params=fields).json()["calls"]
    assert "conversational_transcript" not in listed


def test_tags_replace_the_others_unless_they_are_appended(api: Api, simulator: Simulator, kept: Kept) -> None:
    path = f"calls/{kept.id}.json"
    api("PUT", path, json={"tags": ["A"]})
    api("PUT", path, json={"tags": ["B", "A"], "append_tags": True})
    assert kept.tags == ["A", "B"]
    api("PUT", path, json={"tags": ["C"], "append_tags": False})
    assert kept.tags == ["C"]
    assert sorted(tag.name for tag in simulator.tags.values()) == ["A", "B", "C"]
    assert (simulator.counters.added, simulator.counters.removed) == (3, 2)
    assert "tags" not in api("PUT", path, json={"tags": []}).json()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"tags": "A"}', b'{"tags": [1]}', b'{"tags": [""]}'])
def test_tags_that_are_none_are_refused(api: Api, kept: Kept, body: bytes) -> None:
    answer = api("PUT", f"calls/{kept.id}.json", content=body)
    assert (answer.status_code, kept.tags) == (200 if body == b"" else 400, [])


def test_what_is_not_there_is_not_found(api: Api) -> None:
    for method, path in (
        ("GET", "calls/CAL1.json"),
        ("PUT", "calls/CAL1.json"),
        ("DELETE", "tags/1.json"),
        ("GET", "nothing.json"),
    ):
        assert api(method, path).status_code == 404


def test_a_definition_is_made_renamed_and_deleted_and_calls_follow(
    api: Api, simulator: Simulator, kept: Kept
) -> None:
    made = api("POST", "tags.json", json={"name": "A", "tag_level": "account"})
    assert (made.status_code, made.json()["color"]) == (201, "gray1")
    simulator.set_tags(kept, ["A"])
    number = made.json()["id"]
    assert api("PUT", f"tags/{number}.json", json={"name": "B"}).json()["name"] == "B"
    assert kept.tags == ["B"]
    assert api("DELETE", f"tags/{number}.json").status_code == 204
    assert (kept.tags, api("GET", "tags.json").json()["tags"]) == ([], [])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "A", "tag_level": "account"}, 422),
        ({"name": " ", "tag_level": "account"}, 400),
        ({"name": "B"}, 400),
        ({"name": "B", "tag_level": "account", "color": "#EF4444"}, 400),
    ],
)
def test_a_definition_that_cannot_be_is_refused(
    api: Api, simulator: Simulator, body: dict[str, str], status: int
) -> None:
    simulator.define("A")
    assert api("POST", "tags.json", json=body).status_code == status
    assert len(simulator.tags) == 1


def test_calls_are_listed_newest_first_by_pages(api: Api, simulator: Simulator) -> None:
    ids = [simulator.add(Call(started=STARTED + number)).id for number in range(5)]
    asked = {"per_page": "2", "start_date": "2020-01-01"}
    pages = [api("GET", "calls.json", params={**asked, "page": str(page)}).json() for page in (1, 2, 3, 4)]
    assert [[call["id"] for call in page["calls"]] for page in pages] == [
        ids[:2:-1],
        ids[2:0:-1],
        ids[:1],
        [],
    ]
    assert {(page["total_pages"], page["total_records"]) for page in pages} == {(3, 5)}


@pytest.mark.parametrize(
    "asked", [{"page": "0"}, {"page": "x"}, {"per_page": "251"}, {"start_date": "soon"}, {"end_date": "5Z"}]
)
def test_a_list_that_cannot_be_is_refused(api: Api, asked: dict[str, str]) -> None:
    assert api("GET", "calls.json", params=asked).status_code == 400


def test_dates_mean_the_time_zone_that_is_asked_for(api: Api, simulator: Simulator) -> None:
    simulator.add(Call(started=1_780_282_800.0))  # 2026-06-01 03:00 UTC, the evening before in New York
    days = {"start_date": "2026-06-01", "end_date": "2026-06-01"}

    def found(**more: str) -> int:
        return len(api("GET", "calls.json", params={**days, **more}).json()["calls"])

    assert (found(), found(time_zone="Etc/UTC")) == (0, 1)
    hours = {"start_date": "2026-06-01T02:59", "end_date": "2026-06-01T03:00"}
    assert found(time_zone="Etc/UTC", **hours) == 1


def test_only_the_last_week_is_listed_without_dates(api: Api, simulator: Simulator) -> None:
    simulator.add(Call(started=STARTED))
    recent = simulator.add(Call(started=time.time() - 3600))
    assert [call["id"] for call in api("GET", "calls.json").json()["calls"]] == [recent.id]


def test_more_than_the_limit_is_refused_and_counts_towards_nothing(
    api: Api, simulator: Simulator, kept: Kept
) -> None:
    simulator.config.per_hour = 2
    statuses = [api("GET", "tags.json").status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    simulator.config.per_hour, simulator.config.per_day = 100, 3
    assert [api("GET", "tags.json").status_code for _ in range(2)] == [200, 429]
    assert simulator.counters.requests == {"200": 3, "429": 3}


def test_a_webhook_is_signed_and_shows_the_call_as_it_is(
    simulator: Simulator, kept: Kept, mailbox: Mailbox
) -> None:
    simulator.set_tags(kept, ["A"])
    simulator.emit(kept, "post_call")
    for post in arrived(mailbox, 2):
        body = orjson.loads(post.body)
        digest = hmac.new(Config().signing_key.encode(), post.body, hashlib.sha1).digest()
        assert dict(post.headers)[b"signature"] == base64.b64encode(digest)
        assert (body["resource_id"], body["tags"], body["duration"]) == (kept.id, ["A"], "1900")
        assert body["timestamp"] == body["start_time"]
        assert body.get("changes", ["tags"]) == ["tags"]


def test_a_change_of_tags_is_told_whoever_made_it_and_nothing_else_is(
    api: Api, simulator: Simulator, kept: Kept, mailbox: Mailbox
) -> None:
    api("PUT", f"calls/{kept.id}.json", json={"tags": ["A"], "append_tags": True})
    api("PUT", f"calls/{kept.id}.json", json={"tags": ["A"], "append_tags": True})
    simulator.set_tags(kept, [])
    told = [orjson.loads(post.body) for post in arrived(mailbox, 2)]
    assert sorted(map(len, (each["tags"] for each in told))) == [0, 1]
    assert simulator.sender.wait_idle(5)
    assert len(mailbox.posts) == 2


def test_a_webhook_that_is_not_taken_is_lost(simulator: Simulator, kept: Kept) -> None:
    simulator.config.webhook_url = "http://127.0.0.1:1/webhook"
    simulator.emit(kept, "post_call")
    assert simulator.sender.wait_idle(5)
    assert (simulator.sender.counts.given_up, simulator.sender.counts.answers) == (1, {"failed": 1})


def test_faults_come_as_ordered_and_only_to_writes_where_those_are_meant(
    api: Api, simulator: Simulator, kept: Kept
) -> None:
    simulator.fail(Fault("503", count=2, on="write"))
    path = f"calls/{kept.id}.json"
    assert api("GET", path).status_code == 200
    assert [api("PUT", path, json={}).status_code for _ in range(3)] == [503, 503, 200]
    simulator.fail(Fault("drop_after", count=None))
    with pytest.raises(httpx.HTTPError):
        api("PUT", path, json={"tags": ["A"]})
    assert kept.tags == ["A"]
    simulator.mend()
    assert api("GET", path).status_code == 200


def test_a_day_is_played_with_all_that_may_happen_to_calls() -> None:
    mailbox = Mailbox()
    with mailbox.serving() as url, simulate(limited=False) as platform:
        platform.send_to(url)
        platform.play(60, 1000)
        eventually(lambda: not platform.waiting, "all webhooks are taken")
        facts, tags = platform.facts, platform.call_tags()
    bodies = [orjson.loads(post.body) for post in mailbox.posts]
    assert {body["resource_id"] for body in bodies} == set(facts) == set(tags)
    assert len(facts) == 60
    assert {each["status"] for each in facts.values()} == {"answered", "missed", "no_answer", "voicemail"}
    assert any("transcript_caller" in each for each in facts.values())
    assert len({post.body for post in mailbox.posts}) < len(bodies)
    assert any(body.get("changes") == ["transcription_text", "call_summary"] for body in bodies)
