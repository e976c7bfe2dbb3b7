"""CallRail's webhooks: which are genuine, and which event each is."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from platforms.adapter import Phase, Reference
from platforms.callrail.examples import CALLS, OTHERS, example
from platforms.callrail.settings import CallrailSettings
from platforms.callrail.webhook import PHASES, read_event, sign, verify
from platforms.errors import BadSignature, BadTimestamp, Unreadable

NOW = 1_700_000_000.0
DOCUMENTED = (Path(__file__).parent / "data" / "callrail" / "documented-webhook.json").read_bytes()
DOCUMENTED_KEY, DOCUMENTED_SIGNATURE = "072e77e426f92738a72fe23c4d1953b4", b"UZAHbUdfm3GqL7qzilGozGzWV64="
"""The example of CallRail's documents, with the key and the signature that they give for it."""
BODY = b'{"resource_id": "CAL1", "timestamp": "2023-11-14T22:13:20.000Z"}'
CALL_ID = "CAL09c8a75d189149a482e881a9590ac1ba"


def keyed(*keys: str, **more: Any) -> CallrailSettings:
    return CallrailSettings.model_validate({"webhook_secrets": ",".join(keys), **more})


def digest(key: str, body: bytes = BODY) -> bytes:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha1).digest())


def signed(key: str = "new") -> list[tuple[bytes, bytes]]:
    return [(b"signature", digest(key))]


def told(**payload: Any) -> Any:
    return read_event(CallrailSettings(), orjson.dumps(payload))


def test_the_example_of_the_documents_is_genuine() -> None:
    assert verify(keyed(DOCUMENTED_KEY), [(b"signature", DOCUMENTED_SIGNATURE)], DOCUMENTED, NOW) == NOW
    with pytest.raises(BadSignature):
        verify(keyed(DOCUMENTED_KEY), [(b"signature", DOCUMENTED_SIGNATURE)], DOCUMENTED + b"\n", NOW)


@pytest.mark.parametrize("key", ["new", "old"])
def test_the_key_of_any_company_passes(key: str) -> None:
    assert verify(keyed("new", "old"), signed(key), BODY, NOW) == NOW


def test_what_we_sign_ourselves_passes() -> None:
    made = sign(keyed("new", "old"), BODY, NOW)
    headers = [(name.lower().encode(), value.encode()) for name, value in made.headers.items()]
    assert verify(keyed("new"), headers, made.body, NOW) == NOW


def test_signing_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="no webhook secret"):
        sign(CallrailSettings(), BODY, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"signature", b"")],
        signed("stolen"),
        signed() * 2,
        [(b"signature", digest("new").rstrip(b"="))],
        [(b"signature", hmac.new(b"new", BODY, hashlib.sha1).hexdigest().encode())],
        [(b"signature", base64.b64encode(hmac.new(b"new", BODY, hashlib.sha256).digest()))],
        [(b"signature", "é".encode() * 14)],
    ],
    ids=["none", "empty", "another key", "twice", "cut", "hex", "SHA-256", "not ASCII"],
)
def test_a_wrong_signature_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(BadSignature):
        verify(keyed("new"), headers, BODY, NOW)


def test_without_a_key_no_webhook_passes() -> None:
    with pytest.raises(BadSignature):
        verify(CallrailSettings(), [(b"signature", digest(""))], BODY, NOW)


def test_a_call_that_began_long_ago_passes_unless_a_tolerance_is_set() -> None:
    assert verify(keyed("new"), signed(), BODY, NOW + 90_000) == NOW + 90_000
    strict = keyed("new", timestamp_tolerance="1800")
    assert verify(strict, signed(), BODY, NOW + 1800) == NOW + 1800
    for at in (NOW + 1801, NOW - 1801):
        with pytest.raises(BadTimestamp):
            verify(strict, signed(), BODY, at)


@pytest.mark.parametrize(
    "body", [b"no JSON", b"{}", b'{"timestamp": "soon"}', b'{"timestamp": 5}', b"[" * 9999]
)
def test_with_a_tolerance_a_body_without_a_time_is_refused(body: bytes) -> None:
    with pytest.raises(BadTimestamp):
        verify(keyed("new", timestamp_tolerance="60"), [(b"signature", digest("new", body))], body, NOW)


@pytest.mark.parametrize("name", CALLS)
def test_every_event_of_a_call_is_told_by_what_it_holds(name: str) -> None:
    body = example(name, {"resource_id": CALL_ID})
    event = read_event(CallrailSettings(), orjson.dumps(body))
    assert (event.name, event.phase) == (name, PHASES[name])
    assert event.references == (Reference("call_id", CALL_ID),)
    assert event.ends == (event.phase >= Phase.END)
    assert event.tags == tuple(body["tags"])
    assert event.time is None


@pytest.mark.parametrize("name", OTHERS)
def test_other_events_are_kept_and_not_worked_on(name: str) -> None:
    event = read_event(CallrailSettings(), orjson.dumps(example(name, {})))
    assert event.name == name
    assert event.ignored


def test_an_event_of_another_shape_is_not_known() -> None:
    assert told(id=1, kind="convert_assist").name == "unknown"
    assert told().ignored


def test_a_call_without_its_id_is_a_dead_letter() -> None:
    with pytest.raises(Unreadable, match="the call has no resource_id"):
        read_event(CallrailSettings(), DOCUMENTED)


def test_numbers_and_flags_written_as_text_are_read() -> None:
    event = told(
        resource_id=CALL_ID,
        direction="outbound",
        call_type="outbound",
        answered="true",
        duration="75",
        start_time="2023-01-24T17:53:25.443-05:00",
        customer_phone_number="+17144758933",
        tracking_phone_number="+19493037465",
        recording="",
        tags=["goodtag"],
    )
    assert event.name == "outbound_post_call"
    began = datetime(2023, 1, 24, 22, 53, 25, 443_000, tzinfo=UTC)
    assert {key: value for key, value in event.facts.items() if not key.startswith("custom.")} == {
        "direction": "outbound",
        "caller": "+19493037465",
        "receiver": "+17144758933",
        "started_at": began,
        "status": "answered",
        "duration": 75,
        "has_recording": False,
    }
    assert event.defaults["ended_at"].timestamp() == began.timestamp() + 75


def test_a_call_that_goes_on_tells_nothing_of_its_end() -> None:
    event = told(
        resource_id=CALL_ID, direction="inbound", answered=True, call_type="in_progress", duration="5"
    )
    assert event.name == "call_routing_complete"
    assert not event.ends
    assert not {"status", "duration", "ended_at"} & {*event.facts, *event.defaults}
