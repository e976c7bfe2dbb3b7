"""A body of every documented event, to try a deployment with."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

Body = dict[str, Any]

CUSTOMER, TRACKING, BUSINESS = "+12148654559", "+14045558514", "+14045550100"
RECORDING = "https://app.callrail.com/calls/766970532/recording/redirect"
TALK = [
    {"speaker": "agent", "phrase": "Good morning, how can I help?", "start": 0.5},
    {"speaker": "caller", "phrase": "Hello, this is a test.", "start": 2.5},
]
LENGTH = 1860

RINGS: Body = {
    "direction": "inbound",
    "customer_phone_number": CUSTOMER,
    "tracking_phone_number": TRACKING,
    "customer_name": "Kaylah Mills",
    "source": "Google Ads",
    "campaign": "Summer",
    "tags": [],
}
ROUTED: Body = RINGS | {"answered": True, "business_phone_number": BUSINESS}
OVER: Body = ROUTED | {
    "call_type": "answered",
    "duration": str(LENGTH),
    "voicemail": False,
    "recording": RECORDING,
    "agent_email": "gil@example.com",
    "transcription": " ".join(str(part["phrase"]) for part in TALK),
    "conversational_transcript": TALK,
    "call_summary": "A test call.",
    "lead_status": "",
}
OUTBOUND: Body = {"direction": "outbound", "call_type": "outbound"}

CALLS: dict[str, Body] = {
    "pre_call": RINGS,
    "call_routing_complete": ROUTED,
    "post_call": OVER,
    "call_modified": OVER | {"changes": ["tags"], "tags": ["Long Call"]},
    "outbound_post_call": OVER | OUTBOUND,
    "outbound_call_modified": OVER | OUTBOUND | {"changes": ["tags"], "tags": ["Long Call"]},
}
"""The events about a call: what they hold beside its id and its times."""

OTHERS: dict[str, Body] = {
    "text_message": {
        "resource_id": "MSG8154748ae6bd4e278a7cddd38a662f4f",
        "message_type": "sms",
        "conversation_id": "KZaGY",
        "source_number": CUSTOMER,
        "destination_number": TRACKING,
        "content": "Hello",
    },
    "form_submission": {"id": 1, "form_url": "https://www.example.com/contact", "form_data": {"name": "A"}},
}


def example(name: str, fields: dict[str, str]) -> Body:
    """The body of such an event, for a call of its own that ends now, with `fields` set (texts, read as they
    ask). Raises ValueError that says which names or values are possible."""
    body = _body(name)
    for key, value in fields.items():
        body[key] = _typed(key, value, body.get(key, ""))
    return body


def _body(name: str) -> Body:
    now = datetime.now(UTC)
    if name in CALLS:
        started = (now - timedelta(seconds=LENGTH)).isoformat(timespec="milliseconds")
        named = {"resource_id": f"CAL{secrets.token_hex(16)}", "start_time": started, "timestamp": started}
        return {**CALLS[name], **named}
    if name in OTHERS:
        return {**OTHERS[name], "timestamp": now.isoformat(timespec="milliseconds")}
    if name == "test":  # of ours: it is about no call
        return {"message": "A test.", "timestamp": now.isoformat(timespec="milliseconds")}
    raise ValueError(f"unknown event '{name}'; the events are: {', '.join([*CALLS, *OTHERS, 'test'])}")


def _typed(key: str, value: str, example: Any) -> Any:
    """`value` as the type that the documented field has."""
    if value == "null":
        return None
    try:
        if isinstance(example, bool):
            return {"true": True, "false": False}[value]
        if isinstance(example, int):
            return int(value)
        if key in ("tags", "changes"):
            return [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(example, list | dict):
            return orjson.loads(value)
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "a whole number"}.get(type(example), "JSON")
        raise ValueError(f"'{key}' takes {kind}, not '{value}'") from None
    return value
