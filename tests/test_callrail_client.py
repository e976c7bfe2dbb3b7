"""CallRail's REST client over a real socket: against the simulator, and against answers nobody documented."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from platforms.adapter import Changed, Tag
from platforms.callrail.client import FIELDS, CallrailClient, connect
from platforms.callrail.settings import CallrailSettings
from platforms.callrail.simulator import Config, Kept, Simulator, make_app
from platforms.errors import (
    Conflict,
    Limited,
    NotFound,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link
from platforms.simulated import Call, Fault
from platforms.simulated.serving import serve
from platforms.simulated.talk import Line

STARTED = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SAID = (Line("caller", "A refund, please.", 0, 1), Line("receiver", "Certainly.", 1, 2))


class NoTokens:
    """The platform has none."""

    def token(self, *_: Any, **__: Any) -> str:
        raise AssertionError("a token was asked for")

    rotating = token

    def apart(self, purpose: str) -> "NoTokens":
        raise AssertionError(purpose)


class Bench:
    """A client, and what it asked of the fleet."""

    def __init__(self, http: httpx.Client, url: str, **settings: Any) -> None:
        config = Config()
        given = {"base_url": url, "api_key": config.api_key, "account_id": config.account_id, **settings}
        self.slots = 0
        self.limits: list[float] = []
        link = Link(http, self._slot, self.limits.append)
        self.client: CallrailClient = connect(CallrailSettings.model_validate(given), link, NoTokens())

    def _slot(self) -> None:
        self.slots += 1

    def change(self, call_id: str, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Changed:
        changed = Changed()
        self.client.change_tags(
            call_id, {name: name for name in add}, {name: name for name in remove}, changed
        )
        return changed


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(Config())


@pytest.fixture
def kept(simulator: Simulator) -> Kept:
    return simulator.add(Call(started=STARTED.timestamp()), lines=SAID, summary="A refund.")


@pytest.fixture
def bench(http: httpx.Client, simulator: Simulator) -> Iterator[Bench]:
    with serve(make_app(simulator), simulator.connections) as url:
        yield Bench(http, url)


def test_several_tags_are_added_by_one_request_and_others_stay(
    bench: Bench, simulator: Simulator, kept: Kept
) -> None:
    simulator.set_tags(kept, ["By hand", "Long Call"])
    assert bench.change(kept.id, ("Long Call", "VIP", "Missed")) == Changed(
        added=["VIP", "Missed"], already=["Long Call"]
    )
    assert kept.tags == ["By hand", "Long Call", "VIP", "Missed"]
    assert (bench.slots, simulator.counters.added) == (2, 2)


def test_what_is_there_already_costs_no_write(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    simulator.set_tags(kept, ["VIP"])
    assert bench.change(kept.id, ("VIP",)) == Changed(already=["VIP"])
    assert bench.slots == 1


def test_a_tag_is_taken_off_by_the_list_of_the_others_which_is_read_back(
    bench: Bench, simulator: Simulator, kept: Kept
) -> None:
    simulator.set_tags(kept, ["By hand", "VIP", "Missed"])
    assert bench.change(kept.id, (), ("VIP", "Gone")) == Changed(removed=["VIP", "Gone"])
    assert kept.tags == ["By hand", "Missed"]
    assert bench.slots == 3


def test_what_is_off_already_costs_no_write(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    simulator.set_tags(kept, ["By hand"])
    assert bench.change(kept.id, (), ("VIP",)) == Changed(removed=["VIP"])
    assert (bench.slots, kept.tags) == (1, ["By hand"])


def test_tags_come_and_go_together(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    simulator.set_tags(kept, ["By hand", "VIP"])
    assert bench.change(kept.id, ("Missed",), ("VIP",)) == Changed(added=["Missed"], removed=["VIP"])
    assert kept.tags == ["By hand", "Missed"]


def test_the_last_tag_is_taken_off(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    simulator.set_tags(kept, ["VIP"])
    assert bench.change(kept.id, (), ("VIP",)) == Changed(removed=["VIP"])
    assert kept.tags == []


def test_what_was_added_is_told_though_the_removal_fails(
    bench: Bench, simulator: Simulator, kept: Kept
) -> None:
    simulator.set_tags(kept, ["VIP"])
    changed = Changed()
    http_faults = iter([None, "403"])
    arrive = simulator.arrive

    def second_write_fails(writes: bool) -> Fault | None:
        kind = next(http_faults) if writes else None
        return Fault(kind) if kind else arrive(writes)

    simulator.arrive = second_write_fails  # type: ignore[method-assign] # the second PUT, and only it
    with pytest.raises(PlatformError):
        bench.client.change_tags(kept.id, {"Missed": "Missed"}, {"VIP": "VIP"}, changed)
    assert changed == Changed(added=["Missed"])
    assert kept.tags == ["VIP", "Missed"]


def test_tags_are_read_as_objects_too(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    simulator.config.tag_objects = True
    simulator.set_tags(kept, ["VIP"])
    assert bench.client.call_tags(kept.id) == ["VIP"]
    assert bench.change(kept.id, ("Missed",), ("VIP",)) == Changed(added=["Missed"], removed=["VIP"])


def test_a_tag_s_name_is_its_id(bench: Bench, simulator: Simulator) -> None:
    assert bench.client.create_tag("VIP", "#EF4444", "Our best") == Tag("VIP", "VIP", "gray1")
    assert bench.client.list_tags() == [Tag("VIP", "VIP", "gray1")]
    assert bench.client.update_tag("VIP", color="#112233") == Tag("VIP", "VIP", "gray1")
    assert bench.client.update_tag("VIP", name="Best") == Tag("Best", "Best", "gray1")
    simulator.define("VIP")
    with pytest.raises(Conflict):
        bench.client.update_tag("VIP", name="Best")
    bench.client.delete_tag("Best")
    assert [tag.name for tag in bench.client.list_tags()] == ["VIP"]
    with pytest.raises(NotFound):
        bench.client.delete_tag("Best")


def test_what_is_refused_for_another_reason_is_no_conflict(bench: Bench, simulator: Simulator) -> None:
    simulator.define("VIP")
    simulator.fail(Fault("422", count=1))
    with pytest.raises(Refused):
        bench.client.create_tag("Missed", None, None)


def test_many_tags_are_listed_page_by_page(bench: Bench, simulator: Simulator) -> None:
    names = [f"Tag {number}" for number in range(251)]
    for name in names:
        simulator.define(name)
    assert [tag.name for tag in bench.client.list_tags()] == names
    assert bench.slots == 2


def test_a_call_is_asked_for_with_all_that_rules_can_use(bench: Bench, kept: Kept) -> None:
    facts = bench.client.get_call(kept.id).event.facts
    assert facts["transcript"] == "A refund, please. Certainly."
    assert facts["summary"] == "A refund."
    assert {"tags", "call_type", "transcription"} <= set(FIELDS)


def test_who_said_what_costs_one_more_request(bench: Bench, kept: Kept) -> None:
    record = bench.client.get_call(kept.id)
    spoken = bench.client.transcribed(record)
    assert spoken.event.facts["transcript_caller"] == "A refund, please."
    assert spoken.event.facts["transcript_agent"] == "Certainly."
    assert spoken.event.facts["summary"] == "A refund."
    assert bench.slots == 2


def test_a_call_without_a_transcript_comes_back_as_it_is(bench: Bench, simulator: Simulator) -> None:
    silent = simulator.add(Call(started=STARTED.timestamp()))
    record = bench.client.get_call(silent.id)
    assert bench.client.transcribed(record) is record


def test_calls_are_listed_by_time_and_tag(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    later = simulator.add(Call(started=(STARTED + 60 * MINUTE).timestamp()))
    simulator.set_tags(later, ["VIP, or not"])

    def ids(since: datetime, until: datetime, tag: str | None = None) -> list[str]:
        return [record.id for record in bench.client.list_page(since, until, tag=tag).records]

    assert ids(STARTED, later_at := STARTED + 60 * MINUTE) == [later.id, kept.id]
    assert ids(STARTED, STARTED) == [kept.id]
    assert ids(STARTED + MINUTE, later_at) == [later.id]
    assert ids(later_at + MINUTE, later_at + 2 * MINUTE) == []
    assert ids(STARTED, later_at, "VIP, or not") == [later.id]
    assert ids(STARTED, later_at, "VIP") == []


def test_an_hourly_limit_is_told_to_the_fleet(bench: Bench, simulator: Simulator, kept: Kept) -> None:
    simulator.config.per_hour = 2
    bench.client.call_tags(kept.id)
    bench.client.call_tags(kept.id)
    with pytest.raises(Limited):
        bench.client.call_tags(kept.id)
    assert bench.limits == [5.0]


def test_without_a_key_nothing_is_sent(http: httpx.Client) -> None:
    bench = Bench(http, "http://127.0.0.1:1", api_key="", account_id="")
    with pytest.raises(Unauthorized, match="neither"):
        bench.client.list_tags()
    assert bench.slots == 0


def test_doctor_says_what_to_look_at(http: httpx.Client, bench: Bench, simulator: Simulator) -> None:
    simulator.define("VIP")
    tags, events = bench.client.check()
    assert (tags.ok, tags.detail) == (True, "1 on the platform")
    assert (events.ok, "Call Modified" in events.detail) == (True, True)
    assert bench.client.enable_events() == []
    simulator.fail(Fault("401"))
    (wrong,) = bench.client.check()
    assert (wrong.ok, wrong.detail) == (False, "GET was answered 401; look at the API key and the account id")
    (away,) = Bench(http, "http://127.0.0.1:1").client.check()
    assert "does http://127.0.0.1:1 answer from this machine?" in away.detail


@pytest.mark.parametrize("call_id", ["..", ".", ""])
def test_an_id_never_leads_to_another_path(bench: Bench, call_id: str) -> None:
    with pytest.raises(NotFound):
        bench.client.call_tags(call_id)
    assert bench.slots == 0


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A platform that gives these answers, the last again and again; its address, and what it was asked."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = {"method": self.command, "path": parts.path, "query": parse_qs(parts.query)}
            requests.append({**asked, "headers": dict(self.headers), "json": json.loads(body or b"null")})
            status, content = answers[min(len(requests), len(answers)) - 1]
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = answer  # noqa: N815 - the server's names

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_requests_are_as_documented(http: httpx.Client) -> None:
    with answering((200, b'{"tags": []}'), (200, b"{}")) as (url, requests):
        Bench(http, url, account_id="ACC1", api_key="a-key").change("CAL1", ("VIP", "Missed"))
    read, write = requests
    assert (read["method"], read["path"]) == ("GET", "/v3/a/ACC1/calls/CAL1.json")
    assert read["query"] == {"fields": ["tags"]}
    assert read["headers"]["Authorization"] == 'Token token="a-key"'
    assert (write["method"], write["path"]) == ("PUT", "/v3/a/ACC1/calls/CAL1.json")
    assert write["json"] == {"tags": ["VIP", "Missed"], "append_tags": True}


def test_a_range_is_asked_for_in_a_time_zone_of_its_own(http: httpx.Client) -> None:
    with answering((200, b'{"calls": [], "total_pages": 1}')) as (url, requests):
        until = STARTED + timedelta(microseconds=1)
        Bench(http, url).client.list_page(STARTED, until, page="3")
    query = {key: value[0] for key, value in requests[0]["query"].items()}
    assert query == {
        "start_date": "2026-11-20T21:10:00",
        "end_date": "2026-11-20T21:10:01",
        "time_zone": "Etc/UTC",
        "fields": ",".join(FIELDS),
        "per_page": "250",
        "page": "3",
    }


def test_a_tag_that_stays_on_the_call_is_no_success(http: httpx.Client) -> None:
    changed = Changed()
    with answering((200, b'{"tags": ["VIP", "Missed"]}')) as (url, _), pytest.raises(Unreachable):
        Bench(http, url).client.change_tags("CAL1", {}, {"VIP": "VIP", "Gone": "Gone"}, changed)
    assert changed == Changed(removed=["Gone"])


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"{}", b'{"tags": null}', b'{"tags": [1]}', b'{"tags": {"name": "VIP"}}'],
)
def test_an_answer_without_tags_is_no_call_without_tags(http: httpx.Client, content: bytes) -> None:
    with answering((200, content)) as (url, requests):
        with pytest.raises(Unreachable):
            Bench(http, url).change("CAL1", (), ("VIP",))
        assert [request["method"] for request in requests] == ["GET"]


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"calls": []}',
        b'{"calls": {}, "total_pages": 1}',
        b'{"calls": [], "total_pages": "1"}',
        b'{"calls": [{}], "total_pages": 1}',
        b'{"calls": [5], "total_pages": 1}',
    ],
)
def test_a_list_that_is_not_as_documented_counts_as_an_outage(http: httpx.Client, content: bytes) -> None:
    with answering((200, content)) as (url, _), pytest.raises(Unreachable):
        Bench(http, url).client.list_page(STARTED, STARTED)


@pytest.mark.parametrize("tag", [b"5", b"{}", b'{"name": "VIP"}', b'{"id": 1}', b'{"id": 1, "name": 2}'])
def test_a_tag_that_is_not_as_documented_counts_as_an_outage(http: httpx.Client, tag: bytes) -> None:
    content = b'{"tags": [' + tag + b'], "total_pages": 1}'
    with answering((200, content)) as (url, _), pytest.raises(Unreachable):
        Bench(http, url).client.list_tags()
