"""Aircall's webhooks: the token that proves them, and what each event says."""

import time
from typing import Any

import orjson
import pytest

from platforms.adapter import Phase, Reference
from platforms.aircall.examples import LATER, example
from platforms.aircall.settings import AircallSettings
from platforms.aircall.webhook import CALL_EVENTS, read_event, sign, verify
from platforms.errors import BadSignature, BadTimestamp, Unreadable

TOKEN = "df76g76dpziygs567f0"
SETTINGS = AircallSettings.model_validate({"webhook_secrets": f"new-token,{TOKEN}"})
NOW = 1_585_001_020.0
NUMBER_CLOSED = {
    "resource": "number",
    "event": "number.closed",
    "timestamp": 1_585_001_020,
    "token": TOKEN,
    "data": {"id": 456, "name": "My first Aircall Number", "digits": "+33 1 76 36 06 95", "open": False},
}
"""As the documents show one, with another token."""


def body(**changed: Any) -> bytes:
    return orjson.dumps({**NUMBER_CLOSED, **changed})


def test_the_documented_example_is_genuine() -> None:
    assert verify(SETTINGS, [], body(), NOW) == 1_585_001_020.0


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "tökèn", 5, None, [TOKEN]])
def test_any_other_token_is_refused(token: Any) -> None:
    with pytest.raises(BadSignature):
        verify(SETTINGS, [], body(token=token), NOW)


def test_a_token_in_a_header_proves_nothing() -> None:
    headers = [(b"x-aircall-token", TOKEN.encode()), (b"authorization", f"Bearer {TOKEN}".encode())]
    with pytest.raises(BadSignature):
        verify(SETTINGS, headers, body(token="another"), NOW)


def test_without_a_token_set_nothing_is_genuine() -> None:
    with pytest.raises(BadSignature):
        verify(AircallSettings(), [], body(token=""), NOW)


def test_a_timestamp_is_held_to_the_tolerance() -> None:
    for off in (-46_800.0, 46_800.0):
        assert verify(SETTINGS, [], body(), NOW + off) == NOW
    for off in (-46_801.0, 46_801.0):
        with pytest.raises(BadTimestamp):
            verify(SETTINGS, [], body(), NOW + off)


@pytest.mark.parametrize("stamp", [None, "1585001020", True])
def test_without_a_timestamp_the_receipt_counts(stamp: Any) -> None:
    assert verify(SETTINGS, [], body(timestamp=stamp), NOW + 10**6) == NOW + 10**6


def test_ours_are_genuine_by_the_first_token_and_what_is_no_object_is_left_alone() -> None:
    made = sign(SETTINGS, b'{"event": "test", "token": "another"}', NOW)
    assert verify(SETTINGS, [], made.body, NOW) == NOW
    assert orjson.loads(made.body)["token"] == "new-token"
    assert sign(SETTINGS, b"no json", NOW).body == b"no json"
    with pytest.raises(ValueError, match="no webhook token is set"):
        sign(AircallSettings(), b"{}", NOW)


@pytest.mark.parametrize("name", [*CALL_EVENTS, *LATER])
def test_every_example_is_read_as_the_event_that_it_is(name: str) -> None:
    made = sign(SETTINGS, orjson.dumps(example(name, {})), time.time())
    assert abs(verify(SETTINGS, [], made.body, time.time()) - time.time()) < 60
    event = read_event(SETTINGS, made.body)
    assert (event.name, event.ignored) == (name, None)
    assert [reference.kind for reference in event.references] == ["call_id"]


def read(name: str, **data: Any) -> Any:
    made = example(name, {})
    made["data"] |= data
    return read_event(SETTINGS, orjson.dumps(made))


def test_the_end_event_ends_a_call_whatever_its_status_says() -> None:
    event = read("call.ended", status=None)
    assert (event.phase, event.ends, event.facts["status"]) == (Phase.END, True, "answered")


def test_a_call_that_hung_up_is_not_yet_over() -> None:
    event = read("call.hungup")
    assert (event.phase, event.ends) == (Phase.ANSWER, False)


def test_a_tag_put_while_the_call_goes_on_does_not_end_it() -> None:
    event = read("call.tagged", status="answered", ended_at=None, tags=[{"id": 1, "name": "VIP"}])
    assert (event.phase, event.ends, event.tags) == (Phase.ANSWER, False, ("VIP",))


def test_after_the_last_tag_went_the_list_is_empty() -> None:
    assert read("call.untagged", tags=[]).tags == ()


def test_what_was_said_comes_later_and_names_the_call() -> None:
    event = read("transcription.created", id=9, call_id=123)
    assert (event.references, event.ends) == ((Reference("call_id", "123"),), True)
    assert event.facts["transcript_caller"] == "Hello, this is a test."
    assert read("summary.created", call_id=123).facts == {"summary": "A test call."}


def test_a_transcription_without_words_says_that_there_is_one() -> None:
    event = read("transcription.created", call_id=123, content=None)
    assert (event.facts, event.ignored, event.untold) == ({}, None, True)
    assert not read("transcription.created", call_id=123).untold


@pytest.mark.parametrize(
    "name", ["number.closed", "user.opened", "message.sent", "sentiment.created", "test"]
)
def test_an_event_of_something_else_is_kept_and_not_worked_on(name: str) -> None:
    event = read_event(SETTINGS, body(event=name))
    assert event.name == "unknown"
    assert event.ignored


@pytest.mark.parametrize(
    "changed",
    [
        {"event": None},
        {"event": 5},
        {"event": "call.ended", "data": None},
        {"event": "call.ended", "data": []},
        {"event": "call.ended", "data": {"id": {}}},
        {"event": "call.ended", "timestamp": "now", "data": {"id": 1}},
        {"event": "transcription.created", "data": {"id": 1}},
    ],
)
def test_a_body_that_cannot_be_read_says_so(changed: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_event(SETTINGS, body(**changed))
