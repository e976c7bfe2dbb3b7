"""Convirza's webhooks: the token in the static parameters, the signed subscription, and what they say."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from platforms.adapter import Phase, Reference
from platforms.convirza import CONVIRZA
from platforms.convirza.examples import NAMES, example
from platforms.convirza.settings import ConvirzaSettings
from platforms.convirza.webhook import identity, read_event, sign, verify
from platforms.errors import BadSignature, Unreadable

SETTINGS = ConvirzaSettings.model_validate({"webhook_secrets": "new secret,old secret"})
NOW = 1_790_000_000.0
SECRET = "new secret"
VECTOR = "a97b8dd4d0adef88c5f9a587b073825a99b3bb90f4c4cd5cef50401bd536b14e"
CALL = {
    "caller_id": "+13125550123",
    "phone_number": "+13125550199",
    "ring_to": "+13125550100",
    "disposition": "ANSWERED",
    "duration": 1860,
    "start_time": "2026-11-20T21:10:00Z",
    "end_time": "2026-11-20T21:41:00Z",
    "campaign": "Spring",
}
FACTS = {
    "caller": "+13125550123",
    "receiver": "+13125550199",
    "status": "answered",
    "custom.disposition": "ANSWERED",
    "duration": 1860,
    "started_at": datetime(2026, 11, 20, 21, 10, tzinfo=UTC),
    "ended_at": datetime(2026, 11, 20, 21, 41, tzinfo=UTC),
    "campaign": "Spring",
}


def body(**more: Any) -> bytes:
    return orjson.dumps(more)


def post_call(**more: Any) -> bytes:
    return body(
        **{"call_id": 123, **CALL, "static_parameters": {"token": "new secret", "desk": "west"}, **more}
    )


def subscribed(event_type: Any = "add", **more: Any) -> bytes:
    event = {"event_type": event_type, "entity_type": "Calls", "entity_id": 123, "data": CALL}
    return body(**{**event, "delivery_timestamp": "2026-11-20T21:41:05Z", "idempotency_key": "key-1", **more})


def signature(raw: bytes, secret: str = SECRET) -> list[tuple[bytes, bytes]]:
    digest = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return [(b"x-webhook-signature", digest.encode())]


def test_the_signature_of_a_fixed_body_is_the_one_that_was_reckoned_elsewhere() -> None:
    raw = b'{"event_type":"add","entity_id":1}'  # openssl dgst -sha256 -hmac "new secret"
    assert sign(SETTINGS, raw, NOW).headers["X-Webhook-Signature"] == VECTOR
    assert verify(SETTINGS, [(b"x-webhook-signature", VECTOR.upper().encode())], raw, NOW) == NOW


@pytest.mark.parametrize("secret", ["new secret", "old secret"])
def test_a_subscription_is_genuine_by_its_signature_over_the_body(secret: str) -> None:
    raw = subscribed()
    assert verify(SETTINGS, signature(raw, secret), raw, NOW) == NOW
    with pytest.raises(BadSignature, match="signature is wrong"):
        verify(SETTINGS, signature(raw, secret), raw + b" ", NOW)


def test_two_signatures_are_none() -> None:
    raw = subscribed()
    with pytest.raises(BadSignature, match="came 2 times"):
        verify(SETTINGS, signature(raw) * 2, raw, NOW)


def test_a_wrong_signature_is_not_made_good_by_a_token() -> None:
    raw = post_call()
    with pytest.raises(BadSignature, match="signature is wrong"):
        verify(SETTINGS, signature(raw, "another"), raw, NOW)


@pytest.mark.parametrize("secret", ["new secret", "old secret"])
def test_a_call_webhook_is_genuine_by_its_token(secret: str) -> None:
    assert verify(SETTINGS, [], post_call(static_parameters={"token": secret}), NOW) == NOW
    assert verify(SETTINGS, [], body(call_id=1, token=secret), NOW) == NOW


@pytest.mark.parametrize(
    "raw",
    [
        post_call(static_parameters={"token": "wrong"}),
        post_call(static_parameters={"token": ""}),
        post_call(static_parameters={"token": None}),
        post_call(static_parameters={"token": ["new secret"]}),
        post_call(static_parameters={"other": "new secret"}),
        post_call(static_parameters="new secret"),
        subscribed(),
        b"[]",
        b"",
    ],
)
def test_a_body_without_the_token_is_refused(raw: bytes) -> None:
    with pytest.raises(BadSignature):
        verify(SETTINGS, [], raw, NOW)


def test_without_secrets_nothing_is_genuine() -> None:
    for headers, raw in (([], post_call(static_parameters={"token": ""})), (signature(b"{}", ""), b"{}")):
        with pytest.raises(BadSignature):
            verify(ConvirzaSettings(), headers, raw, NOW)
    with pytest.raises(ValueError, match="no webhook secret is set"):
        sign(ConvirzaSettings(), b"{}", NOW)


def test_the_parameter_of_the_token_can_have_another_name() -> None:
    settings = ConvirzaSettings.model_validate({"webhook_secrets": "s", "webhook_parameter": "auth"})
    raw = post_call(static_parameters={"auth": "s", "token": "x"})
    assert verify(settings, [], raw, NOW) == NOW
    assert "s" not in read_event(settings, raw).facts.values()


def test_a_call_webhook_tells_the_call() -> None:
    event = read_event(SETTINGS, post_call())
    assert (event.name, event.phase, event.ends) == ("call", Phase.END, True)
    assert event.references == (Reference("call_id", "123"),)
    assert event.facts == {**FACTS, "custom.static_parameters.desk": "west"}


def test_the_token_is_no_fact_wherever_it_stands() -> None:
    raw = body(call_id=1, token="new secret", static_parameters={"token": "new secret"})
    assert read_event(SETTINGS, raw).facts == {}


def test_a_webhook_before_the_call_does_not_end_it() -> None:
    event = read_event(
        SETTINGS, body(call_id=123, caller_id="+13125550123", start_time="2026-11-20T21:10:00Z")
    )
    assert (event.phase, event.ends) == (Phase.START, False)


@pytest.mark.parametrize(
    ("event_type", "name", "phase"),
    [("add", "calls.add", Phase.END), ("Update", "calls.update", Phase.AFTER)],
)
def test_a_subscription_tells_the_call(event_type: str, name: str, phase: Phase) -> None:
    event = read_event(SETTINGS, subscribed(event_type))
    assert (event.name, event.phase, event.ends) == (name, phase, True)
    assert event.references == (Reference("call_id", "123"),)
    assert event.time == datetime(2026, 11, 20, 21, 41, 5, tzinfo=UTC)
    assert event.facts == FACTS


def test_the_call_may_stand_beside_the_fields_of_the_event() -> None:
    raw = body(
        event_type="add",
        entity_id="123",
        delivery_timestamp="2026-11-20T21:41:05Z",
        idempotency_key="k",
        **CALL,
    )
    assert read_event(SETTINGS, raw).facts == FACTS


def test_the_tags_that_an_event_tells_are_the_call_s() -> None:
    tags = [{"tag_id": 1, "tag_name": "VIP"}, {"tag_id": 2, "tag_name": "Refund"}]
    assert read_event(SETTINGS, subscribed("update", data={"tags": tags})).tags == ("VIP", "Refund")
    assert read_event(SETTINGS, subscribed("update", data={})).tags is None


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (subscribed("delete"), "calls.delete"),
        (subscribed(entity_type="Campaigns"), "unknown"),
        (subscribed("merge"), "unknown"),
        (body(event_type="test"), "test"),
    ],
)
def test_what_concerns_no_call_is_kept_and_not_worked_on(raw: bytes, name: str) -> None:
    event = read_event(SETTINGS, raw)
    assert (event.name, event.references) == (name, ())
    assert event.ignored


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (body(caller_id="+13125550123"), "the call has no id"),
        (subscribed(entity_id=None), "entity_id is missing"),
        (subscribed(entity_id={"a": 1}), "call_id is no id"),
        (subscribed(event_type=7), "event_type is no text"),
        (b"[]", "no JSON object"),
        (b'{"call_id": 1, "call_id": 2}', "a key comes twice"),
    ],
)
def test_what_cannot_be_read_says_why(raw: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_event(SETTINGS, raw)


def test_an_event_is_the_same_by_its_idempotency_key_whenever_it_is_delivered() -> None:
    later = subscribed(delivery_timestamp="2026-11-20T21:45:00Z")
    assert identity(subscribed()) == identity(later) != identity(subscribed(idempotency_key="key-2"))
    assert identity(subscribed()) != identity(subscribed("update"))


@pytest.mark.parametrize("raw", [post_call(), b"no JSON", b"[]", subscribed(idempotency_key=7)])
def test_an_event_without_a_key_is_known_by_its_body(raw: bytes) -> None:
    assert identity(raw) == raw


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_read_as_the_event_that_it_is(name: str) -> None:
    raw = orjson.dumps(example(name, {}))
    signed = CONVIRZA.sign(SETTINGS, raw, NOW)
    headers = [(key.lower().encode(), value.encode()) for key, value in signed.headers.items()]
    assert CONVIRZA.verify(SETTINGS, headers, signed.body, NOW) == NOW
    event = read_event(SETTINGS, raw)
    assert event.name == name
    assert bool(event.references) != bool(event.ignored)


def test_an_example_takes_fields_as_their_types() -> None:
    fields = {"call_id": "7", "duration": "1900", "campaign": "null", "tags": "VIP, Refund"}
    event = read_event(SETTINGS, orjson.dumps(example("calls.add", fields)))
    assert event.references == (Reference("call_id", "7"),)
    assert (event.facts["duration"], event.tags) == (1900, ("VIP", "Refund"))
    assert "campaign" not in event.facts


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("calls.adds", {}, "unknown event 'calls.adds'; the events are: call, calls.add"),
        ("call", {"duration": "30m"}, "'duration' takes a whole number, not '30m'"),
    ],
)
def test_an_example_that_cannot_be_made_says_why(name: str, fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        example(name, fields)
