"""Convirza's webhooks: are they genuine, and what do they say?

There are two kinds. A *call webhook* carries the call's fields and the static parameters that somebody wrote
in its settings, one of which holds a secret. An *event subscription* is signed over its body and tells that
an entity was added, updated or deleted. What the documents leave open is decided in one place each: `_token`
(where the static parameters are), `_entity` (where an event's call is), `records.NAMES` (its fields).
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from platforms.adapter import Event, Headers, Phase, Signed
from platforms.convirza.records import LISTED, ended, read_facts, reference, tag_names
from platforms.convirza.settings import ConvirzaSettings
from platforms.errors import BadSignature, Unreadable
from platforms.payload import Payload, decode, if_right, moment, text

SIGNATURE = b"x-webhook-signature"
STATIC = "static_parameters"
CALLS = ("calls", "call")
ACTIONS = {"add": "calls.add", "update": "calls.update"}
"""What an event of a call is named here, by its `event_type`."""
TOLD = LISTED - {"has_recording", "tags"}
"""The facts that an event is taken to bring: recordings and tags are named for the list alone."""
ENVELOPE = ("event_type", "entity_type", "entity_id", "delivery_timestamp", "idempotency_key")


def verify(settings: ConvirzaSettings, headers: Headers, body: bytes, now: float) -> float:
    """`now`: no time is proved, and a body that came before is known by its hash. Raises `BadSignature`."""
    secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
    signatures = [value for key, value in headers if key == SIGNATURE]
    if len(signatures) > 1:
        raise BadSignature(f"{SIGNATURE.decode()} came {len(signatures)} times instead of once")
    if signatures:
        received = signatures[0].strip().lower()
        if not any(hmac.compare_digest(_digest(secret, body), received) for secret in secrets):
            raise BadSignature("the signature is wrong")
        return now
    token = _token(settings, body)
    if not any(hmac.compare_digest(secret.encode(), token) for secret in secrets):
        raise BadSignature("the token in the static parameters is wrong")
    return now


def _digest(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()


def _token(settings: ConvirzaSettings, body: bytes) -> bytes:
    """The secret in a call webhook's static parameters: below `static_parameters`, or beside the call's
    fields; not documented which."""
    payload = _object(body)
    places = (payload.get(STATIC), payload)
    found = (place.get(settings.webhook_parameter) for place in places if isinstance(place, dict))
    token = next((value for value in found if isinstance(value, str)), None)
    if token is None:
        raise BadSignature("there is neither a signature nor a token")
    return token.encode("utf-8", "surrogatepass")


def _object(body: bytes) -> Mapping[str, Any]:
    """The body's JSON object, an empty one where there is none; its faults are seen later."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def identity(body: bytes) -> bytes:
    """A subscription's event is known by its idempotency key, whenever and however it is delivered."""
    payload = _object(body)
    key = payload.get("idempotency_key")
    if not isinstance(key, str):
        return body
    return orjson.dumps([key, *(payload.get(name) for name in ("event_type", "entity_type", "entity_id"))])


def sign(settings: ConvirzaSettings, body: bytes, _now: float) -> Signed:
    """The webhook as an event subscription sends it; raises ValueError when no secret is set."""
    if not settings.webhook_secrets:
        raise ValueError("no webhook secret is set")
    signature = _digest(settings.webhook_secrets[0].get_secret_value(), body).decode()
    return Signed(body, {"X-Webhook-Signature": signature, "Content-Type": "application/json"})


def read_event(settings: ConvirzaSettings, body: bytes) -> Event:
    """What the webhook says; raises `Unreadable`."""
    payload = decode(body)
    if "event_type" not in payload:
        return _call(settings, payload)
    action = (text(payload, "event_type") or "").strip().lower()
    entity = (text(payload, "entity_type") or CALLS[0]).strip().lower()
    if action == "test":
        return Event(name="test", ignored="a test")
    if entity not in CALLS:
        return Event(name="unknown", ignored="it is about no call")
    if action == "delete":
        return Event(name="calls.delete", ignored="a call that is gone keeps what was decided")
    if action not in ACTIONS:
        return Event(name="unknown", ignored="an event that is not known")
    return _subscribed(settings, action, payload)


def _call(settings: ConvirzaSettings, payload: Payload) -> Event:
    """A call webhook, sent before the call or after it. Its parameters are facts too, but for the secret."""
    call = _without_secret(settings, payload)
    facts = read_facts(settings, call)
    over = ended(facts)
    return Event(
        name="call",
        phase=Phase.END if over else Phase.START,
        references=(reference(call),),
        facts=facts,
        tags=tag_names(call.get("tags")),
        ends=over,
    )


def _without_secret(settings: ConvirzaSettings, payload: Payload) -> dict[str, Any]:
    left = {key: value for key, value in payload.items() if key != settings.webhook_parameter}
    if isinstance(static := payload.get(STATIC), dict):
        left[STATIC] = {key: value for key, value in static.items() if key != settings.webhook_parameter}
    return left


def _subscribed(settings: ConvirzaSettings, action: str, payload: Payload) -> Event:
    call = _entity(payload)
    facts = read_facts(settings, call, ENVELOPE)
    over = ended(facts)
    return Event(
        name=ACTIONS[action],
        phase=Phase.AFTER if action == "update" else Phase.END if over else Phase.START,
        references=(reference(call),),
        time=if_right(moment, payload, "delivery_timestamp"),
        facts=facts,
        tags=tag_names(call.get("tags")),
        ends=over,
    )


def _entity(payload: Payload) -> Mapping[str, Any]:
    """The fields of the call: under `data` or `entity`, else beside the event's own; not documented.
    `entity_id` is the call's id, whatever they say."""
    data = next((found for key in ("data", "entity") if isinstance(found := payload.get(key), dict)), payload)
    if payload.get("entity_id") is None:
        raise Unreadable("entity_id is missing")
    return {**data, "call_id": payload["entity_id"]}
