"""A body of every documented event, to try a deployment with."""

import secrets
from datetime import UTC, datetime
from typing import Any

import orjson

Body = dict[str, Any]

CALLER, RECEIVER = "+33612345678", "+33184800000"
RECORDING = "https://app.sipsim.com/recordings/call_abc123.mp3"
SEGMENTS = [
    {"text": "Hello, this is a test.", "start": 0.0, "end": 2.0, "start_sec": 0.0, "channel": "left"},
    {"text": "Good morning, how can I help?", "start": 2.0, "end": 4.0, "start_sec": 2.0, "channel": "right"},
]
SCORE = {"name": "Politeness", "score": 8, "feedback": "Friendly"}
END: Body = {"duration": 1860, "audio_path": RECORDING, "status": "ANSWER"}

INCOMING: Body = {"caller": CALLER, "receiver": RECEIVER}
OUTGOING: Body = {"caller": RECEIVER, "receiver": CALLER}
MEMBER: Body = {"caller": CALLER, "receiver": "101"}

CALLS: dict[str, Body] = {
    "incoming_call_start": INCOMING,
    "incoming_call_start_chain_member_call": MEMBER,
    "incoming_call_end_chain_member_call": MEMBER,
    "incoming_call_answer": INCOMING,
    "incoming_call_end": INCOMING | END,
    "outgoing_call_start": OUTGOING,
    "outgoing_call_answer": OUTGOING,
    "outgoing_call_end": OUTGOING | END,
    "voicemail": INCOMING | {"duration": 12, "audio_path": RECORDING},
    "tags": INCOMING | {"tags": ["Long Call"]},
}
"""The events about a call by `pbx_id`: what they hold beside event, time and pbx_id."""

OTHERS: dict[str, Body] = {
    "speech": {"call_id": 12345, "speech_state": "speech_stored", "payload": SEGMENTS},
    "summary": {"id": 1, "summary": "A test call.", "call_id": 12345},
    "rating": {
        "event": "rating",
        "call_id": 12345,
        "overall_score": 8,
        "criteria_scores": [SCORE],
        "highlights": ["Friendly"],
        "improvements": ["Shorter"],
    },
    "sms": {"event": "sms", **INCOMING, "message": "Hello", "time": "", "direction": "inbound"},
    "test": {"event": "test", "message": "A test.", "timestamp": "", "pbx_id": "test_000000"},
}
"""The other events, whole; times are filled in."""


def example(name: str, fields: dict[str, str]) -> Body:
    """The body of such an event, now, for a call of its own, with `fields` set (texts, read as they ask).

    Raises ValueError that says which names or values are possible.
    """
    body = _body(name)
    for key, value in fields.items():
        body[key] = _typed(key, value, body.get(key, ""))
    return body


def _body(name: str) -> Body:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if name in CALLS:
        pbx_id = f"call_{secrets.token_hex(6)}"
        return {"event": name, "time": now, "pbx_id": pbx_id, **CALLS[name]}
    if name in OTHERS:
        return {key: now if key in ("time", "timestamp") else value for key, value in OTHERS[name].items()}
    raise ValueError(f"unknown event '{name}'; the events are: {', '.join([*CALLS, *OTHERS])}")


def _typed(key: str, value: str, example: Any) -> Any:
    """`value` as the type that the documented field has."""
    if value == "null":
        return None
    try:
        if isinstance(example, int):
            return int(value)
        if isinstance(example, list):
            return _list(value, example)
    except ValueError:
        kind = "a whole number" if isinstance(example, int) else "a list in JSON"
        raise ValueError(f"'{key}' takes {kind}, not '{value}'") from None
    return value


def _list(value: str, example: list[Any]) -> list[Any]:
    if isinstance(example[0], str):
        return [part.strip() for part in value.split(",") if part.strip()]
    found = orjson.loads(value)
    if not isinstance(found, list):
        raise ValueError("no list")
    return found
