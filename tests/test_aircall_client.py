"""Aircall's REST client over a real socket: what is its own beside the contract of all platforms."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import orjson
import pytest

from platforms.adapter import Changed, Record
from platforms.aircall.client import COLOR, NEEDED_EVENTS, NO_WEBHOOK, AircallClient
from platforms.aircall.settings import AircallSettings
from platforms.aircall.simulator import Simulated, simulate
from platforms.errors import (
    Conflict,
    Forbidden,
    NotFound,
    PageExpired,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link
from platforms.simulated import Call
from platforms.simulated.talk import Line

STARTED = 1_795_000_000
SINCE = datetime.fromtimestamp(STARTED - 60, UTC)
UNTIL = SINCE + timedelta(hours=1)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture
def platform() -> Iterator[Simulated]:
    with simulate() as simulated:
        yield simulated


def connected(http: httpx.Client, settings: Mapping[str, str]) -> AircallClient:
    link = Link(http, lambda: None, lambda _seconds: None)
    return AircallClient(AircallSettings.model_validate(dict(settings)), link)


@pytest.fixture
def client(http: httpx.Client, platform: Simulated) -> AircallClient:
    return connected(http, platform.settings)


Answers = Callable[[str, str], tuple[int, Any]]


@contextmanager
def answering(answers: Answers) -> Iterator[str]:
    """A server that answers `(method, path with query)` so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, answer = answers(self.command, self.path)
            content = answer if isinstance(answer, bytes) else orjson.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def add(platform: Simulated, client: AircallClient) -> Record:
    """A call, and how the platform lists it."""
    return client.get_call(platform.add(Call(started=STARTED, ring=5, duration=60)))


def test_several_tags_go_in_one_request_and_only_those_that_are_missing(
    platform: Simulated, client: AircallClient
) -> None:
    call_id = add(platform, client).id
    platform.edit(call_id, add=["VIP", "By hand"])
    ids = {tag.name: tag.id for tag in client.list_tags()}
    ids |= {name: client.create_tag(name, None, None).id for name in ("One", "Two")}
    before, changed = platform.requests.total(), Changed()
    client.change_tags(call_id, {name: ids[name] for name in ("One", "VIP", "Two")}, {}, changed)
    assert changed == Changed(added=["One", "Two"], already=["VIP"])
    assert platform.requests.total() == before + 2
    client.change_tags(call_id, {"One": ids["One"]}, {}, changed)
    assert platform.requests.total() == before + 3, "where nothing is missing nothing is written"
    assert platform.call_tags()[call_id] == ["By hand", "One", "Two", "VIP"]


def test_no_tag_is_taken_off_and_none_is_put_when_one_is_to_go(
    platform: Simulated, client: AircallClient
) -> None:
    call_id = add(platform, client).id
    tag = client.create_tag("One", None, None)
    with pytest.raises(Refused, match="no documented way"):
        client.change_tags(call_id, {"One": tag.id}, {"Two": "2"}, Changed())
    assert platform.call_tags()[call_id] == []


def test_a_tag_without_a_colour_gets_one_and_emoji_are_taken_out_of_its_name(client: AircallClient) -> None:
    tag = client.create_tag("Très important 🔥", None, "Of a rule")
    assert (tag.name, tag.color, tag.description) == ("Très important", COLOR, "Of a rule")
    assert client.create_tag("Red", "#EF4444", None).color == "#EF4444"


def test_a_name_that_is_taken_is_told_from_one_that_is_refused(client: AircallClient) -> None:
    first, _ = client.create_tag("VIP", None, None), client.create_tag("Other", None, None)
    with pytest.raises(Conflict):
        client.create_tag("VIP", None, None)
    with pytest.raises(Conflict):
        client.update_tag(first.id, name="Other")
    with pytest.raises(Refused):
        client.create_tag("🔥", None, None)


def test_only_what_is_given_of_a_tag_changes(client: AircallClient) -> None:
    tag = client.create_tag("VIP", "#EF4444", None)
    changed = client.update_tag(tag.id, description="Important people")
    assert (changed.name, changed.color, changed.description) == ("VIP", "#EF4444", "Important people")


def test_what_was_said_is_fetched_and_read_again_from_the_body(
    platform: Simulated, client: AircallClient
) -> None:
    record = add(platform, client)
    assert "transcript" not in record.event.facts
    told = client.transcribed(record)
    assert told.event.facts["transcript_caller"] == "I would like a refund."
    platform.company.calls[int(record.id)].lines = (Line("caller", " ", 0.0, 1.0),)
    assert client.transcribed(record) is record, "nobody said a word"
    silent = client.get_call(platform.add(Call(started=STARTED, duration=0, status="missed")))
    assert client.transcribed(silent) is silent


def test_a_record_is_the_same_each_time_and_keeps_no_recording_s_address(
    platform: Simulated, client: AircallClient
) -> None:
    record = add(platform, client)
    assert client.get_call(record.id).body == record.body
    assert b".mp3" not in record.body
    assert record.event.facts["has_recording"] is True


def test_calls_with_a_tag_are_listed_alone(platform: Simulated, client: AircallClient) -> None:
    records = [add(platform, client) for _ in range(3)]
    platform.edit(records[1].id, add=["VIP"])
    (tag,) = client.list_tags()
    page = client.list_page(SINCE, UNTIL, tag=tag.id)
    assert [record.id for record in page.records] == [records[1].id]


def test_where_aircall_pages_no_further_the_list_goes_on_from_the_last_call_s_start(
    platform: Simulated, client: AircallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platforms.aircall.client.REACH", 50)
    ids = {platform.add(Call(started=STARTED + place // 2, duration=60)) for place in range(120)}
    found = list(client.list_calls(SINCE, UNTIL))
    assert {record.id for record in found} == ids
    first = client.list_page(SINCE, UNTIL)
    assert first.next == f"{STARTED + 24}:1"
    assert len(found) < len(ids) + 8, "only the calls of the last second come twice"


def test_more_calls_in_one_second_than_can_be_paged_through_do_not_go_round_in_a_circle(
    platform: Simulated, client: AircallClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platforms.aircall.client.REACH", 50)
    ids = {platform.add(Call(started=STARTED, duration=60)) for _ in range(120)}
    assert {record.id for record in client.list_calls(SINCE, UNTIL)} == ids


@pytest.mark.parametrize("page", ["", "1", "1:0", "1:x", "x:1", "-1:1", "1:1:1"])
def test_the_token_of_a_page_that_is_none_is_not_asked_for(
    platform: Simulated, client: AircallClient, page: str
) -> None:
    if page:
        with pytest.raises(PageExpired):
            client.list_page(SINCE, UNTIL, page)
    assert platform.requests.total() == 0


def test_a_page_that_the_platform_refuses_has_expired(http: httpx.Client) -> None:
    with answering(lambda *_: (400, {"error": "page is out of range"})) as url:
        client = connected(http, {"base_url": url, "api_id": "id", "api_token": "token"})
        with pytest.raises(PageExpired):
            client.list_page(SINCE, UNTIL, f"{STARTED}:201")
        with pytest.raises(Refused):
            client.list_page(SINCE, UNTIL)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        {},
        {"call": None},
        {"call": {}},
        {"call": {"id": 1}},
        {"call": {"id": 1, "tags": [{"id": 2}]}},
    ],
)
def test_an_answer_that_nobody_documented_is_an_outage(http: httpx.Client, answer: Any) -> None:
    with answering(lambda *_: (200, answer)) as url:
        client = connected(http, {"base_url": url, "api_id": "id", "api_token": "token"})
        with pytest.raises(Unreachable):
            client.call_tags("1")
        with pytest.raises(Unreachable):
            client.list_tags()


def test_without_a_key_nothing_is_sent(http: httpx.Client, platform: Simulated) -> None:
    client = connected(http, {"base_url": platform.settings["base_url"]})
    with pytest.raises(Unauthorized, match="no API id and token are set"):
        client.list_tags()
    assert platform.requests.total() == 0


def test_a_wrong_key_is_forbidden_and_doctor_says_where_to_look(
    http: httpx.Client, platform: Simulated
) -> None:
    client = connected(http, {**platform.settings, "api_token": "another"})
    with pytest.raises(Forbidden):
        client.list_tags()
    (check,) = client.check()
    assert (check.ok, check.subject) == (False, "API key")
    assert "API token" in check.detail


def events(client: AircallClient) -> tuple[bool, str]:
    check = client.check()[-1]
    assert check.subject == "webhook events"
    return check.ok, check.detail


def test_doctor_finds_the_webhook_by_its_token(
    http: httpx.Client, platform: Simulated, client: AircallClient
) -> None:
    assert events(client) == (True, "all that are needed are switched on")
    other = connected(http, {**platform.settings, "webhook_secrets": "another"})
    assert events(other) == (False, NO_WEBHOOK)
    with pytest.raises(NotFound):
        other.enable_events()


def test_events_that_are_off_are_switched_on_and_others_stay(
    platform: Simulated, client: AircallClient
) -> None:
    platform.company.hook["events"] = ["call.ended", "user.opened"]
    missing = [event for event in NEEDED_EVENTS if event != "call.ended"]
    assert events(client) == (False, f"switched off: {', '.join(missing)}")
    assert client.enable_events() == missing
    assert platform.company.hook["events"] == ["call.ended", "user.opened", *missing]
    assert events(client)[0]
    assert client.enable_events() == []


def test_a_webhook_that_aircall_switched_off_is_told_and_switched_on(
    platform: Simulated, client: AircallClient
) -> None:
    platform.company.hook["active"] = False
    assert events(client)[1].startswith("Aircall has switched the webhook off")
    assert "call.ended" in client.enable_events()
    assert platform.company.hook["active"] is True


def test_no_fault_tells_the_key(http: httpx.Client, platform: Simulated) -> None:
    client = connected(http, {**platform.settings, "api_token": "the-token-itself"})
    with pytest.raises(PlatformError) as fault:
        client.list_tags()
    assert "the-token-itself" not in str(fault.value)
