"""SIPSIM's REST client over a real socket: against the simulator, and against answers nobody documented."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
import pytest
from pydantic import SecretStr

from platforms.adapter import Changed, Client, Grant, Reference, Tag
from platforms.errors import (
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    OutOfTime,
    PageExpired,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link
from platforms.sipsim.client import NEEDED_EVENTS, SCOPES, TRANSCRIPT_SCOPES, SipsimClient, connect
from platforms.sipsim.records import read_record
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.simulator import Config, PlannedFault, Segment, Series, Simulator, serve
from platforms.sipsim.simulator import Record as Call

STARTED = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)
CALLER, RECEIVER = "+33612345678", "+33184800000"


class Tokens:
    """The fleet's token, as far as one client sees it."""

    def __init__(self) -> None:
        self.kept: str | None = None
        self.lives: list[float] = []
        self.others: dict[str, Tokens] = {}

    def token(self, renew: Callable[[], tuple[str, float]], rejected: str | None = None) -> str:
        if self.kept is None or self.kept == rejected:
            self.kept, life = renew()
            self.lives.append(life)
        return self.kept

    def rotating(self, renew: Callable[[str | None], Grant], rejected: str | None = None) -> str:
        return self.token(lambda: (renew(None).token, 0.0), rejected)

    def apart(self, purpose: str) -> "Tokens":
        return self.others.setdefault(purpose, Tokens())


def add(client: Client, call_id: str, tag_id: str) -> bool:
    """Whether the tag was added; False where it was there already."""
    changed = Changed()
    client.change_tags(call_id, {"a tag": tag_id}, {}, changed)
    assert (changed.added or changed.already) == ["a tag"]
    return bool(changed.added)


def remove(client: Client, call_id: str, tag_id: str) -> None:
    changed = Changed()
    client.change_tags(call_id, {}, {"a tag": tag_id}, changed)
    assert changed == Changed(removed=["a tag"])


class Bench:
    """A client, and what it asked of the fleet."""

    def __init__(self, http: httpx.Client, url: str, **settings: Any) -> None:
        config = Config()
        login = {"client_id": config.client_id, "client_secret": SecretStr(config.client_secret)}
        self.settings = SipsimSettings(**{"base_url": url, **login, **settings})
        self.tokens = Tokens()
        self.slots = 0
        self.limits: list[float] = []
        self.client: SipsimClient = connect(
            self.settings, Link(http, self._slot, self.limits.append), self.tokens
        )

    def _slot(self) -> None:
        self.slots += 1


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture
def simulator() -> Simulator:
    simulator = Simulator(Config(list_reference=True))
    simulator.add(Call(101, "call_abc123", "inbound", CALLER, RECEIVER, STARTED.timestamp(), 1860))
    return simulator


@pytest.fixture
def url(simulator: Simulator) -> Iterator[str]:
    with serve(simulator) as url:
        yield url


@pytest.fixture
def bench(http: httpx.Client, url: str) -> Bench:
    return Bench(http, url)


def put(simulator: Simulator) -> dict[str, int]:
    return dict(simulator.counters.requests["PUT /api/v2/calls/{call}/tags/{tag}"])


def test_a_tag_is_made_put_seen_and_removed(bench: Bench, simulator: Simulator) -> None:
    tag = bench.client.create_tag("Long Call", "#EF4444", "Calls over 30 minutes")
    assert bench.client.list_tags() == [tag]
    assert add(bench.client, "call_abc123", tag.id) is True
    assert add(bench.client, "101", tag.id) is False
    assert bench.client.call_tags("101") == ["Long Call"]
    remove(bench.client, "101", tag.id)
    remove(bench.client, "101", tag.id)
    assert bench.client.call_tags("101") == []
    assert simulator.tags.tags[1].color == "#EF4444"
    assert put(simulator) == {"201": 1, "204": 1}


def test_a_tag_without_a_colour_has_the_platforms(bench: Bench, simulator: Simulator) -> None:
    assert bench.client.create_tag("VIP", None, None) == Tag("1", "VIP", "#6B7280", "")
    assert simulator.tags.tags[1].color == "#6B7280"


def test_a_tag_is_changed_in_what_is_given_and_keeps_the_rest(bench: Bench, simulator: Simulator) -> None:
    tag = bench.client.create_tag("Long Call", "#EF4444", "Calls over 30 minutes")
    assert bench.client.update_tag(tag.id, name="Longer") == replace(tag, name="Longer")
    changed = bench.client.update_tag(tag.id, color="#112233", description="")
    assert changed == Tag(tag.id, "Longer", "#112233", "")
    assert bench.client.list_tags() == [changed]
    simulator.tags.create("VIP")
    with pytest.raises(Conflict):
        bench.client.update_tag(tag.id, name="VIP")
    with pytest.raises(NotFound):
        bench.client.update_tag("99", name="Other")


def test_a_tag_is_deleted_and_off_every_call(bench: Bench) -> None:
    tag = bench.client.create_tag("VIP", None, None)
    add(bench.client, "101", tag.id)
    bench.client.delete_tag(tag.id)
    assert (bench.client.list_tags(), bench.client.call_tags("101")) == ([], [])
    with pytest.raises(NotFound):
        bench.client.delete_tag(tag.id)


def test_a_tag_that_exists_is_a_conflict(bench: Bench) -> None:
    bench.client.create_tag("VIP", None, None)
    with pytest.raises(Conflict):
        bench.client.create_tag("VIP", None, None)


def test_what_is_not_there_is_not_found(bench: Bench) -> None:
    for request in (
        lambda: add(bench.client, "nobody", "1"),
        lambda: add(bench.client, "101", "99"),
        lambda: bench.client.get_call("nobody"),
        lambda: bench.client.call_tags("nobody"),
    ):
        with pytest.raises(NotFound):
            request()


@pytest.mark.parametrize("call_id", ["..", ".", "", "....."])
def test_an_id_never_leads_to_another_path(bench: Bench, simulator: Simulator, call_id: str) -> None:
    tag = bench.client.create_tag("VIP", None, None)
    with pytest.raises(NotFound):
        remove(bench.client, call_id, tag.id)
    assert simulator.tags.named("VIP")


@pytest.mark.parametrize("call_id", ["../tags/1", "a/b", "a?b=c", "a#b", "é", "%2e%2e", "a b"])
def test_an_id_with_signs_of_its_own_stays_one_part_of_the_path(http: httpx.Client, call_id: str) -> None:
    with answering([(204, b"")]) as (url, requests):
        remove(Bench(http, url, **FIXED).client, call_id, "1")
    assert requests[0]["raw_path"].count("/") == "/api/v2/calls/X/tags/1".count("/")
    assert requests[0]["raw_path"].isascii()


def test_a_token_is_asked_for_once_and_takes_no_slot(bench: Bench, simulator: Simulator) -> None:
    bench.client.list_tags()
    bench.client.list_tags()
    assert simulator.counters.tokens_issued == 1
    assert bench.slots == 2
    assert bench.tokens.lives == [7200.0]


def test_a_token_that_is_no_longer_taken_is_renewed_once(bench: Bench, simulator: Simulator) -> None:
    bench.client.list_tags()
    simulator.tokens.revoke_all()
    bench.client.list_tags()
    assert simulator.counters.tokens_issued == 2
    assert dict(simulator.counters.requests["GET /api/v2/tags"]) == {"200": 2, "401": 1}


def test_a_new_token_that_is_refused_too_is_the_end(bench: Bench, simulator: Simulator) -> None:
    simulator.plan(PlannedFault(kind="401", count=5))
    with pytest.raises(Unauthorized):
        bench.client.list_tags()
    assert dict(simulator.counters.requests["GET /api/v2/tags"]) == {"401": 2}


def test_a_fixed_token_is_used_and_not_renewed(http: httpx.Client, url: str, simulator: Simulator) -> None:
    bench = Bench(http, url, **FIXED)
    with pytest.raises(Unauthorized):
        bench.client.list_tags()
    assert simulator.counters.tokens_issued == 0
    assert dict(simulator.counters.requests["GET /api/v2/tags"]) == {"401": 1}


def test_a_wrong_secret_says_so_without_telling_it(http: httpx.Client, url: str) -> None:
    bench = Bench(http, url, client_secret=SecretStr("wrong-secret"))
    with pytest.raises(Unauthorized, match="the client id and secret brought no token") as fault:
        bench.client.list_tags()
    assert "wrong-secret" not in str(fault.value)


def test_without_credentials_nothing_is_sent(http: httpx.Client, url: str, simulator: Simulator) -> None:
    with pytest.raises(Unauthorized, match="neither"):
        Bench(http, url, client_id=None, client_secret=None).client.list_tags()
    assert not simulator.counters.requests


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("403", Forbidden), ("500", Unreachable), ("503", Unreachable), ("drop_before", Unreachable)],
)
def test_a_fault_of_the_platform_keeps_its_meaning(
    bench: Bench, simulator: Simulator, kind: str, fault: type[PlatformError]
) -> None:
    simulator.plan(PlannedFault(kind=kind, count=1))
    with pytest.raises(fault):
        bench.client.list_tags()
    assert bench.client.list_tags() == []


def test_a_write_that_took_effect_before_the_connection_broke_is_there_when_repeated(
    bench: Bench, simulator: Simulator
) -> None:
    tag = bench.client.create_tag("VIP", None, None)
    simulator.plan(PlannedFault(kind="drop_after", count=1))
    with pytest.raises(Unreachable):
        add(bench.client, "101", tag.id)
    assert add(bench.client, "101", tag.id) is False


def test_a_limit_is_told_to_the_fleet(bench: Bench, simulator: Simulator) -> None:
    simulator.plan(PlannedFault(kind="429", count=1, retry_after="7"))
    with pytest.raises(Limited) as fault:
        bench.client.list_tags()
    assert (fault.value.retry_after, bench.limits) == (7.0, [7.0])


def test_a_token_endpoint_that_is_down_is_tried_again_later(bench: Bench, simulator: Simulator) -> None:
    simulator.plan(PlannedFault(kind="503", count=1, route="POST /oauth/token"))
    with pytest.raises(Unreachable):
        bench.client.list_tags()
    assert bench.client.list_tags() == []


def test_a_lease_that_ends_lets_nothing_through(http: httpx.Client, url: str) -> None:
    def no_slot() -> None:
        raise OutOfTime("the lease ends")

    client = connect(Bench(http, url).settings, Link(http, no_slot, lambda _: None), Tokens())
    with pytest.raises(OutOfTime):
        client.list_tags()


def test_a_call_is_read_as_its_record(bench: Bench) -> None:
    tag = bench.client.create_tag("VIP", None, None)
    add(bench.client, "101", tag.id)
    record = bench.client.get_call("call_abc123")
    assert record.id == "101"
    assert record.event.references == (Reference("call_id", "101"), Reference("pbx_id", "call_abc123"))
    expected = {"direction": "inbound", "caller": CALLER, "receiver": RECEIVER, "duration": 1860}
    assert record.event.facts == expected
    assert record.event.tags == ("VIP",)
    assert record.event.ends
    assert read_record(bench.settings, record.body) == record.event


def test_calls_are_found_by_time_and_number(bench: Bench, simulator: Simulator) -> None:
    later = STARTED + timedelta(hours=1)
    simulator.add(Call(102, "call_b", "outbound", RECEIVER, "+4930123456", later.timestamp(), 60))
    minute = timedelta(minutes=1)

    def ids(since: datetime, until: datetime, number: str | None = None) -> list[str]:
        return [record.id for record in bench.client.list_calls(since, until, number)]

    assert ids(STARTED, later) == ["102", "101"]
    assert ids(STARTED, later, "+4930123456") == ["102"]
    assert ids(STARTED - minute, STARTED + minute) == ["101"]
    assert ids(later + minute, later + 2 * minute) == []
    assert ids(STARTED, STARTED) == ["101"]
    fraction = timedelta(microseconds=1)
    assert ids(STARTED + fraction, later - fraction) == ["102", "101"]


def test_a_long_list_is_read_page_by_page(http: httpx.Client) -> None:
    history = Series(count=2500, start=int(STARTED.timestamp()))
    simulator = Simulator(history=history)
    with serve(simulator) as url:
        bench = Bench(http, url)
        records = list(bench.client.list_calls(STARTED, STARTED + timedelta(days=1)))
    assert len({record.id for record in records}) == 2500
    assert bench.slots == 3


def test_a_page_is_one_request_and_names_the_next(http: httpx.Client) -> None:
    simulator = Simulator(history=Series(count=1500, start=int(STARTED.timestamp())))
    with serve(simulator) as url:
        bench = Bench(http, url)
        span = (STARTED, STARTED + timedelta(days=1))
        first = bench.client.list_page(*span)
        assert (len(first.records), bench.slots) == (1000, 1)
        last = bench.client.list_page(*span, first.next)
        assert (len(last.records), last.next, bench.slots) == (500, None, 2)
        assert bench.client.list_page(*span, first.next).records == last.records, "it may be asked for again"
    ids = [int(record.id) for record in (*first.records, *last.records)]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 1500


def test_a_page_holds_only_the_calls_with_a_tag_where_one_is_asked_for(
    bench: Bench, simulator: Simulator
) -> None:
    simulator.add(Call(102, "call_b", "inbound", CALLER, RECEIVER, STARTED.timestamp(), 60))
    tag, other = (bench.client.create_tag(name, None, None) for name in ("VIP", "Other"))
    add(bench.client, "102", tag.id)
    found = bench.client.list_page(STARTED, STARTED, tag=tag.id)
    assert [record.id for record in found.records] == ["102"]
    assert bench.client.list_page(STARTED, STARTED, tag=other.id).records == []


def test_a_page_that_has_expired_says_so(http: httpx.Client) -> None:
    simulator = Simulator(Config(), history=Series(count=1500, start=int(STARTED.timestamp())))
    span = (STARTED, STARTED + timedelta(days=1))
    with serve(simulator) as url:
        bench = Bench(http, url)
        first = bench.client.list_page(*span)
        simulator.config.change({"page_seconds": 0})
        with pytest.raises(PageExpired) as fault:
            bench.client.list_page(*span, first.next)
        assert not fault.value.permanent
        assert bench.client.list_page(*span).records == first.records


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_a_refusal_means_that_a_page_has_expired_only_where_its_token_was_sent(
    http: httpx.Client, status: int
) -> None:
    with answering([(status, b"{}")]) as (url, requests):
        client = Bench(http, url, **FIXED).client
        with pytest.raises(PageExpired):
            client.list_page(STARTED, STARTED, "a token")
        with pytest.raises((Refused, NotFound)):
            client.list_page(STARTED, STARTED)
    assert [request["query"].get("page") for request in requests] == ["a token", None]


@pytest.mark.parametrize(
    ("status", "fault"), [(401, Unauthorized), (403, Forbidden), (429, Limited), (500, Unreachable)]
)
def test_another_fault_at_a_later_page_keeps_its_meaning(
    http: httpx.Client, status: int, fault: type[PlatformError]
) -> None:
    with answering([(status, b"{}")]) as (url, _), pytest.raises(fault):
        Bench(http, url, **FIXED).client.list_page(STARTED, STARTED, "a token")


SAID = (Segment("I want a refund", 0.0, 1.5, "left"), Segment("Of course", 2.0, 2.5, "right"))


def transcribed_call(simulator: Simulator) -> None:
    simulator.add(Call(102, "call_b", "inbound", CALLER, RECEIVER, STARTED.timestamp(), 60, segments=SAID))


def test_a_call_is_read_with_its_transcript_and_its_body_alone_tells_it_again(
    bench: Bench, simulator: Simulator
) -> None:
    transcribed_call(simulator)
    plain = bench.client.get_call("102")
    record = bench.client.transcribed(plain)
    assert record.event.facts == {**plain.event.facts, "transcript": "I want a refund Of course"}
    assert (record.event.caller_speech, record.event.receiver_speech) == ("I want a refund", "Of course")
    assert read_record(bench.settings, record.body) == record.event
    assert bench.client.transcribed(record) == record


def test_a_call_without_a_transcript_stays_as_it_is(bench: Bench) -> None:
    record = bench.client.get_call("101")
    assert bench.client.transcribed(record) == record


@pytest.mark.parametrize(
    "data",
    [
        {"speech_state": "speech_sent_to_recognition", "payload": []},
        {"speech_state": "speech_recognition_failed"},
        {"speech_state": "speech_stored", "payload": None},
        {"speech_state": "speech_stored", "payload": "words"},
        {"speech_state": 1, "payload": []},
        {},
        [],
        None,
    ],
)
def test_a_transcript_that_is_not_there_yet_leaves_the_call_as_it_is(http: httpx.Client, data: Any) -> None:
    call = {"id": 101, "duration_sec": 61, "tags": []}
    with answering([good(call), good(data)]) as (url, requests):
        client = Bench(http, url, **FIXED).client
        record = client.get_call("101")
        assert client.transcribed(record) == record
    assert requests[1]["raw_path"] == "/api/v2/calls/101/transcription"


def test_transcripts_are_asked_for_by_a_token_of_their_own(bench: Bench, simulator: Simulator) -> None:
    transcribed_call(simulator)
    record = bench.client.get_call("102")
    bench.client.transcribed(record)
    bench.client.transcribed(record)
    assert simulator.counters.tokens_issued == 2
    assert bench.tokens.others[TRANSCRIPT_SCOPES].kept not in (None, bench.tokens.kept)


def test_many_tags_are_read_page_by_page(bench: Bench, simulator: Simulator) -> None:
    for number in range(1001):
        simulator.tags.create(f"tag {number}")
    assert [tag.name for tag in bench.client.list_tags()] == [f"tag {number}" for number in range(1001)]


def test_all_is_well_where_all_is_well(bench: Bench) -> None:
    bench.client.create_tag("VIP", None, None)
    checks = bench.client.check()
    assert [(check.subject, check.ok) for check in checks] == [
        ("token", True),
        ("tags", True),
        ("webhook events", True),
        ("transcripts of past calls", True),
    ]
    assert checks[1].detail == "1 on the platform"
    assert checks[3].detail == "can be had: calls.transcription.read is granted"


def test_events_that_are_off_are_named_and_switched_on(bench: Bench, simulator: Simulator) -> None:
    simulator.enabled = {"sms", "tags"}
    off = [event for event in NEEDED_EVENTS if event != "tags"]
    check = bench.client.check()[2]
    assert (check.ok, check.detail) == (False, f"switched off: {', '.join(off)}")
    assert bench.client.enable_events() == off
    assert simulator.enabled == {"sms", *NEEDED_EVENTS}
    assert bench.client.enable_events() == []
    assert bench.client.check()[2].ok


def test_a_wrong_secret_is_one_line_of_the_check(http: httpx.Client, url: str) -> None:
    (check,) = Bench(http, url, client_secret=SecretStr("wrong-secret")).client.check()
    assert (check.subject, check.ok) == ("token", False)
    assert "client secret" in check.detail


FIXED: dict[str, Any] = {"client_id": None, "client_secret": None, "access_token": SecretStr("a-fixed-token")}
Answer = tuple[int, bytes]


@contextmanager
def answering(answers: list[Answer]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that gives these answers in turn, the last one ever after, and notes what it was asked."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = urlsplit(self.path)
            status, content = answers[min(len(requests), len(answers) - 1)]
            requests.append(
                {
                    "method": self.command,
                    "raw_path": asked.path,
                    "query": {key: values[0] for key, values in parse_qs(asked.query).items()},
                    "form": {key: values[0] for key, values in parse_qs(body.decode()).items()},
                    "authorization": self.headers.get("authorization"),
                }
            )
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - named by http.server

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def good(data: Any, **more: Any) -> Answer:
    return 200, json.dumps({"status": 200, "data": data, **more}).encode()


ODD_LISTS: dict[str, list[Answer]] = {
    "no JSON": [(200, b"<html>We are back soon</html>")],
    "an empty body": [(200, b"")],
    "a list without its envelope": [(200, b"[]")],
    "no data": [(200, b"{}")],
    "data that is no list": [good({"items": []})],
    "data that is null": [good(None)],
    "an item that is no object": [good(["VIP"])],
    "an item without an id": [good([{"name": "VIP"}])],
    "an item without a name": [good([{"id": 1}])],
    "an id of another type": [good([{"id": 1.5, "name": "VIP"}])],
    "more without the next page": [good([], pagination={"has_more": True})],
    "pages that go round": [good([], pagination={"has_more": True, "page": "again"})],
}


@pytest.mark.parametrize("answers", ODD_LISTS.values(), ids=ODD_LISTS.keys())
def test_an_answer_that_is_not_documented_is_tried_again_later(
    http: httpx.Client, answers: list[Answer]
) -> None:
    with answering(answers) as (url, _), pytest.raises(Unreachable):
        Bench(http, url, **FIXED).client.list_tags()


@pytest.mark.parametrize(
    "pagination", [None, {}, {"has_more": False, "page": "x"}, {"count": 1}, {"page": None}]
)
def test_the_last_page_is_known(http: httpx.Client, pagination: Any) -> None:
    with answering([good([{"id": "a", "name": "VIP"}], pagination=pagination)]) as (url, requests):
        assert Bench(http, url, **FIXED).client.list_tags() == [Tag("a", "VIP")]
    assert len(requests) == 1


def test_the_next_page_is_asked_for_with_the_same_filters(http: httpx.Client) -> None:
    pages = [good([{"id": 1}], pagination={"page": "next/é"}), good([{"id": 2}])]
    with answering(pages) as (url, requests):
        found = list(Bench(http, url, **FIXED).client.list_calls(STARTED, STARTED, CALLER))
    assert [record.id for record in found] == ["1", "2"]
    first = {
        "limit": "1000",
        "start_time": "2026-11-20T21:10:00Z",
        "end_time": "2026-11-20T21:10:00Z",
        "search": CALLER,
    }
    assert [request["query"] for request in requests] == [first, {**first, "page": "next/é"}]


def test_what_was_changed_before_a_fault_is_told(bench: Bench, simulator: Simulator) -> None:
    one, other = (bench.client.create_tag(name, None, None) for name in ("One", "Other"))
    add(bench.client, "101", other.id)
    route = "DELETE /api/v2/calls/{call}/tags/{tag}"
    simulator.plan(PlannedFault(kind="503", route=route, count=1))
    changed = Changed()
    with pytest.raises(Unreachable):
        bench.client.change_tags("101", {"One": one.id}, {"Other": other.id}, changed)
    assert changed == Changed(added=["One"])


@pytest.mark.parametrize("status", [200, 202])
def test_a_write_that_is_answered_otherwise_than_documented_counts_as_not_done(
    http: httpx.Client, status: int
) -> None:
    with answering([(status, b"<html></html>")]) as (url, _):
        client = Bench(http, url, **FIXED).client
        with pytest.raises(Unreachable):
            add(client, "1", "2")
        with pytest.raises(Unreachable):
            remove(client, "1", "2")
        with pytest.raises(Unreachable):
            client.create_tag("VIP", None, None)


@pytest.mark.parametrize("data", [None, [], "call", {}, {"id": None}, {"id": True}, {"id": ""}])
def test_a_call_without_an_id_cannot_be_read(http: httpx.Client, data: Any) -> None:
    with answering([good(data)]) as (url, _), pytest.raises(Unreachable):
        Bench(http, url, **FIXED).client.get_call("1")


TOKEN = {"access_token": "fresh", "token_type": "Bearer", "expires_in": 7200, "scope": SCOPES}


def test_a_token_is_asked_for_as_documented(http: httpx.Client) -> None:
    with answering([(200, orjson.dumps(TOKEN)), good([])]) as (url, requests):
        Bench(http, url).client.list_tags()
    config = Config()
    assert (requests[0]["method"], requests[0]["raw_path"]) == ("POST", "/oauth/token")
    assert requests[0]["form"] == {
        "grant_type": "client_credentials",
        "client_id": config.client_id,
        "client_secret": config.client_secret,
        "scope": "tags.read tags.write calls.read calls.tags.write",
    }
    assert requests[0]["authorization"] is None
    assert requests[1]["authorization"] == "Bearer fresh"


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "line\r\nbreak"},
        {"expires_in": None},
        {"expires_in": "7200"},
    ],
)
def test_a_token_that_is_none_is_not_used(http: httpx.Client, change: dict[str, Any]) -> None:
    with answering([(200, orjson.dumps(TOKEN | change))]) as (url, requests), pytest.raises(Unreachable):
        Bench(http, url).client.list_tags()
    assert len(requests) == 1


def test_scopes_that_are_missing_are_named(http: httpx.Client) -> None:
    granted = orjson.dumps(TOKEN | {"scope": "tags.read calls.read"})
    with answering([(200, granted)]) as (url, _):
        (check,) = Bench(http, url).client.check()
    assert (check.subject, check.ok) == ("token", False)
    assert "calls.tags.write, tags.write" in check.detail


@pytest.mark.parametrize(
    "refusal", [(400, b'{"error": "invalid_scope"}'), (200, orjson.dumps(TOKEN | {"scope": "calls.read"}))]
)
def test_a_client_that_may_not_read_transcripts_is_told_and_is_well(
    http: httpx.Client, refusal: Answer
) -> None:
    granted = (200, orjson.dumps(TOKEN | {"scope": SCOPES}))
    with answering([granted, granted, good([]), granted, good([]), good([]), refusal]) as (url, _):
        check = Bench(http, url).client.check()[3]
    assert check.ok
    assert check.detail == "cannot be had: for that, grant the client calls.transcription.read in SIPSIM"


def test_events_that_are_switched_on_may_be_listed_as_names(http: httpx.Client) -> None:
    available = good([{"event": "tags"}, {"event": "voicemail"}, {"event": "sms"}])
    with answering([available, good({"events": ["tags"]}), good({})]) as (url, requests):
        assert Bench(http, url, **FIXED).client.enable_events() == ["voicemail"]
    assert (requests[-1]["method"], requests[-1]["raw_path"]) == ("POST", "/api/v2/webhooks/voicemail")


def test_a_check_of_a_platform_that_does_not_answer_says_where_it_asked(http: httpx.Client) -> None:
    with answering([good({})]) as (url, _):
        pass  # nobody listens there any longer
    _, tags, events = Bench(http, url, **FIXED).client.check()
    for check in (tags, events, *Bench(http, url).client.check()):
        assert not check.ok
        assert check.detail.endswith(f"; does {url} answer from this machine?")


def test_a_check_that_fails_says_what_is_missing(http: httpx.Client) -> None:
    with answering([(403, b"{}")]) as (url, _):
        checks = Bench(http, url, **FIXED).client.check()
    assert [check.ok for check in checks] == [True, False, False]
    assert "tags.read" in checks[1].detail
    assert "webhooks.read" in checks[2].detail
