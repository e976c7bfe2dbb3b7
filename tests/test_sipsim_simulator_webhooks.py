"""The webhooks of the simulated SIPSIM, received over a real socket, and the day that it plays."""

import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from platforms.sipsim.simulator import Config, DayCall, Record, Simulator, make_day, play, serve
from tests.waiting import eventually

SECRET = "a-webhook-secret"
DAY = date(2026, 11, 20)
STATUSES = {"ANSWER": "answered", "MISSED": "missed", "BUSY": "busy", "NOANSWER": "no_answer"}


class Receiver(ThreadingHTTPServer):
    """Takes webhooks; `answers` holds what to answer first (a status, or None for silence), then 202."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.url = f"http://127.0.0.1:{self.server_port}/webhooks/sipsim"
        self.answers: list[int | None] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.ended = threading.Event()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [body for body in self.bodies() if body.get("event") == event]


class Hook(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((headers, body))
        answer = self.server.answers.pop(0) if self.server.answers else 202
        if answer is None:
            self.server.ended.wait()
            self.close_connection = True
            return
        self.send_response(answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        receiver.ended.set()
        receiver.shutdown()
        thread.join()


@pytest.fixture
def simulator(receiver: Receiver) -> Iterator[Simulator]:
    simulator = Simulator(Config(webhook_url=receiver.url, webhook_secret=SECRET, retries=(0.05, 0.05)))
    simulator.add(Record(1, "call_1", "inbound", "+33612345678", "+33184800100", 1_790_000_000, 60))
    yield simulator
    simulator.close()


def settled(simulator: Simulator) -> None:
    assert simulator.sender.wait_idle(20)


def test_a_webhook_is_signed_over_its_timestamp_and_raw_body(
    simulator: Simulator, receiver: Receiver
) -> None:
    simulator.edit("call_1", add=["VIP", "Société"])
    settled(simulator)
    [(headers, body)] = receiver.received
    stamp = headers["x-webhook-timestamp"]
    expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-webhook-signature"] == expected
    assert abs(int(stamp) - time.time()) < 60
    assert headers["content-type"] == "application/json"


def test_a_persons_edit_sends_the_complete_list_of_names(simulator: Simulator, receiver: Receiver) -> None:
    simulator.edit("call_1", add=["VIP", "Long"])
    settled(simulator)
    simulator.edit("call_1", add=["VIP"])
    simulator.edit("1", remove=["VIP"])
    settled(simulator)
    assert [(body["pbx_id"], body["tags"]) for body in receiver.named("tags")] == [
        ("call_1", ["VIP", "Long"]),
        ("call_1", ["Long"]),
    ]


def test_an_edit_by_the_api_comes_back_unless_echoes_are_off(
    simulator: Simulator, receiver: Receiver
) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "simulated-client",
        "client_secret": "simulated-client-secret",
        "scope": "calls.tags.write",
    }
    simulator.tags.create("Long")
    with serve(simulator) as url, httpx.Client(base_url=url, trust_env=False) as client:
        token = client.post("/oauth/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for _ in range(2):
            client.put("/api/v2/calls/1/tags/1")
        settled(simulator)
        client.delete("/api/v2/calls/1/tags/1")
        settled(simulator)
        simulator.config.change({"echoes": False})
        client.put("/api/v2/calls/1/tags/1")
    assert [body["tags"] for body in receiver.named("tags")] == [["Long"], []]
    assert (simulator.counters.put_201, simulator.counters.put_204, simulator.counters.deleted) == (2, 1, 1)


def test_an_event_that_is_switched_off_is_not_sent(simulator: Simulator, receiver: Receiver) -> None:
    simulator.enabled.remove("tags")
    simulator.edit("call_1", add=["VIP"])
    settled(simulator)
    assert receiver.received == []


def test_a_failed_webhook_comes_again_until_it_is_taken(simulator: Simulator, receiver: Receiver) -> None:
    simulator.config.change({"webhook_timeout": 0.2})
    receiver.answers = [503, None]
    simulator.edit("call_1", add=["VIP"])
    settled(simulator)
    assert len({body for _, body in receiver.received}) == 1
    assert simulator.sender.counts.answers == {"503": 1, "failed": 1, "202": 1}
    assert simulator.sender.counts.delivered == 1


def test_a_webhook_that_is_never_taken_is_given_up(simulator: Simulator, receiver: Receiver) -> None:
    receiver.answers = [500] * 10
    simulator.edit("call_1", add=["VIP"])
    settled(simulator)
    assert (len(receiver.received), simulator.sender.counts.given_up) == (3, 1)


def test_deliveries_are_doubled_and_reordered_where_so_configured(
    simulator: Simulator, receiver: Receiver
) -> None:
    simulator.config.change({"duplicate_rate": 1, "reorder_rate": 1, "reorder_seconds": 0.5})
    for number in range(10):
        simulator.edit("call_1", add=[f"Tag {number}"])
    settled(simulator)
    sizes = [len(body["tags"]) for body in receiver.named("tags")]
    assert Counter(sizes) == dict.fromkeys(range(1, 11), 2)
    assert sizes != sorted(sizes)


def test_a_played_day_arrives_complete(simulator: Simulator, receiver: Receiver) -> None:
    day = make_day(60, on=DAY)
    play(simulator, day, calls_per_second=200)
    settled(simulator)
    sent = [json.dumps(sending.payload, sort_keys=True) for call in day for sending in call.sendings]
    assert Counter(json.dumps(body, sort_keys=True) for body in receiver.bodies()) == Counter(sent)
    assert set(simulator.call_tags()) == {"call_1"} | {call.record.reference for call in day}
    assert set(simulator.sent_at) == {call.record.id for call in day}


def test_a_day_is_played_and_its_facts_read_from_outside(simulator: Simulator, receiver: Receiver) -> None:
    with serve(simulator) as url, httpx.Client(base_url=url, trust_env=False) as client:
        asked = {"calls": 5, "calls_per_second": 100, "on": "2026-11-20"}
        references = client.post("/_control/play", json=asked).json()["references"]
        eventually(lambda: not client.get("/_control/state").json()["playing"], "the day is over")
        assert set(client.get("/_control/facts").json()) == set(references)
        assert len(references) == 5
        settled(simulator)
    assert {body["pbx_id"] for body in receiver.bodies() if "pbx_id" in body} == set(references)


def last(call: DayCall, kind: str) -> dict[str, Any]:
    """The call's payload of an event, by the end of its name or by a key that only it has; else empty."""
    found = [each.payload for each in call.sendings if str(each.payload.get("event", "")).endswith(kind)]
    found += [each.payload for each in call.sendings if kind in each.payload]
    return found[-1] if found else {}


def test_the_facts_of_a_day_agree_with_its_webhooks() -> None:
    for call in make_day(300, on=DAY):
        end, start = last(call, "_call_end"), last(call, "_call_start")
        facts = call.facts
        for name in ("caller", "receiver", "duration"):
            assert facts[name] == end[name]
        assert facts["status"] == STATUSES[end["status"]]
        assert facts["direction"] == {"i": "inbound", "o": "outbound"}[end["event"][0]]
        assert facts["ended_at"] == end["time"]
        assert facts["has_recording"] == (end["audio_path"] is not None)
        if start:
            assert facts["started_at"] == start["time"]
        assert facts.get("has_voicemail", False) == bool(last(call, "voicemail"))
        assert facts.get("summary") == last(call, "summary").get("summary")
        assert facts.get("rating") == last(call, "rating").get("overall_score")
        segments = last(call, "speech_state").get("payload", [])
        assert facts.get("transcript", "") == " ".join(part["text"] for part in segments)


def test_the_sides_of_a_transcript_are_named_from_the_direction() -> None:
    spoken = [call for call in make_day(200, on=DAY) if "transcript" in call.facts]
    assert {call.facts["direction"] for call in spoken} == {"inbound", "outbound"}
    for call in spoken:
        ours = "right" if call.facts["direction"] == "inbound" else "left"
        segments = last(call, "speech_state")["payload"]
        said = {
            side: " ".join(s["text"] for s in segments if s["channel"] == side) for side in ("left", "right")
        }
        assert call.facts["transcript_agent"] == said.pop(ours)
        assert [call.facts["transcript_caller"]] == list(said.values())


def test_a_day_is_the_same_for_the_same_seed_and_has_all_kinds_of_calls() -> None:
    day = make_day(200, seed=4, on=DAY)
    assert day == make_day(200, seed=4, on=DAY)
    assert day != make_day(200, seed=5, on=DAY)
    facts = [call.facts for call in day]
    assert {fact["status"] for fact in facts} == {"answered", "missed", "busy", "no_answer"}
    assert sum(int(fact["duration"]) > 1800 for fact in facts) >= 5
    hours = {str(fact["started_at"])[11:13] for fact in facts}
    assert any(hour < "06" for hour in hours)
    assert {"10", "15"} <= hours
    for name in ("transcript", "summary", "rating", "has_voicemail"):
        assert 3 <= sum(name in fact for fact in facts) <= 100
    events = [[json.dumps(sending.payload) for sending in call.sendings] for call in day]
    assert sum(len(set(sent)) < len(sent) for sent in events) >= 5
    ends_first = [
        call for call in day if str(call.sendings[0].payload.get("event", "")).endswith("_call_end")
    ]
    assert any(last(call, "_call_start") for call in ends_first)


def test_a_days_calls_are_told_apart_by_number_direction_and_duration_or_time() -> None:
    calls = make_day(1000, on=DAY)
    by_number: dict[frozenset[object], list[DayCall]] = {}
    for call in calls:
        by_number.setdefault(frozenset((call.facts["caller"], call.facts["receiver"])), []).append(call)
    assert sum(len(group) > 1 for group in by_number.values()) > 50
    for group in by_number.values():
        for one in group:
            for other in group:
                if one is not other:
                    apart = abs(one.record.started - other.record.started)
                    assert apart > 600 + 2 * max(one.record.duration, other.record.duration)
                    assert not one.record.duration or abs(one.record.duration - other.record.duration) > 2
