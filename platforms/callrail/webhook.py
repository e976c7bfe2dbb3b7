"""CallRail's webhooks: is it genuine, and what does it say?

The facts come from CallRail's public documents (`docs/platforms/callrail.md`). A webhook about a call is the
call object itself and does not say which event it is: `_name` infers that.
"""

import base64
import hashlib
import hmac

from platforms.adapter import Event, Headers, Phase, Signed
from platforms.callrail.records import FETCHED, LISTED, call_event, has_ended, plain
from platforms.callrail.settings import CallrailSettings
from platforms.errors import BadSignature, BadTimestamp, Unreadable
from platforms.payload import Payload, decode, moment

SIGNATURE = b"signature"

PHASES = {
    "pre_call": Phase.START,
    "call_routing_complete": Phase.ANSWER,
    "post_call": Phase.END,
    "outbound_post_call": Phase.END,
    "call_modified": Phase.AFTER,
    "outbound_call_modified": Phase.AFTER,
}
"""The events about a call."""
IGNORED = {"text_message": "a text message is no call", "form_submission": "a form is no call"}
TOLD = LISTED | FETCHED
"""The facts that the events bring."""
SHAPES = {
    "text_message": ("message_type", "conversation_id"),
    "form_submission": ("form_data", "form_url"),
}
"""The keys that only other events have."""
OF_A_CALL = ("resource_id", "tracking_phone_number", "start_time")


def verify(settings: CallrailSettings, headers: Headers, body: bytes, now: float) -> float:
    """The time of receipt in Unix seconds: the events come once and in their order, and none tells when it
    was sent. `timestamp` is when the call began (CallRail's own example shows it so), and looked at only
    where a tolerance is set; repeating a webhook has no effect in any case.

    Raises `BadSignature`, or `BadTimestamp` when the signature is right and the time is not near enough.
    """
    received = [value for key, value in headers if key == SIGNATURE]
    if len(received) != 1:
        raise BadSignature(f"signature came {len(received)} times instead of once")
    keys = [secret.get_secret_value() for secret in settings.webhook_secrets]
    if not any(hmac.compare_digest(_digest(key, body), received[0].strip()) for key in keys):
        raise BadSignature("the signature is wrong")
    if settings.timestamp_tolerance is not None and not _near(body, now, settings.timestamp_tolerance):
        raise BadTimestamp("the timestamp is missing, too old or too new")
    return now


def sign(settings: CallrailSettings, body: bytes, _now: float) -> Signed:
    """A webhook with that body; raises ValueError when no signing key is set."""
    if not settings.webhook_secrets:
        raise ValueError("no webhook secret is set")
    signature = _digest(settings.webhook_secrets[0].get_secret_value(), body).decode()
    return Signed(body, {"Signature": signature, "Content-Type": "application/json"})


def _digest(key: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha1).digest())


def _near(body: bytes, now: float, tolerance: float) -> bool:
    try:
        stamp = moment(decode(body), "timestamp")
    except Unreadable:
        return False
    return stamp is not None and abs(now - stamp.timestamp()) <= tolerance


def read_event(settings: CallrailSettings, body: bytes) -> Event:
    """What the webhook says; raises `Unreadable`."""
    payload = decode(body)
    name = _name(payload)
    if name in IGNORED:
        return Event(name=name, ignored=IGNORED[name])
    if name not in PHASES:
        return Event(name="unknown", ignored="an event that is not known")
    return call_event(settings, name, PHASES[name], payload, "resource_id")


def _name(payload: Payload) -> str:
    """The event's name, by what it holds: only what changed has `changes`, and only what ended a duration."""
    for name, keys in SHAPES.items():
        if any(key in payload for key in keys):
            return name
    if not any(key in payload for key in OF_A_CALL):
        return "unknown"
    prefix = "outbound_" if payload.get("direction") == "outbound" else ""
    if "changes" in payload:
        return f"{prefix}call_modified"
    call = plain(payload)
    if has_ended(call):
        return f"{prefix}post_call"
    return "call_routing_complete" if "answered" in call else "pre_call"
