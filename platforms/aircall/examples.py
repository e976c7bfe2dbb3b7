"""A body of every event, to try a deployment with."""

import secrets
import time
from typing import Any

from platforms.aircall.webhook import CALL_EVENTS

Body = dict[str, Any]

TALK = 1860
"""Seconds of talk of the example call."""
STATUSES = {
    "call.created": "initial",
    "call.ringing_on_agent": "initial",
    "call.agent_declined": "initial",
    "call.ivr_option_selected": "initial",
    "call.answered": "answered",
    "call.transferred": "answered",
    "call.external_transferred": "answered",
    "call.unsuccessful_transfer": "answered",
    "call.hold": "answered",
    "call.unhold": "answered",
}
"""How far the call has come by then; by the other events it is done."""
UTTERANCES = [
    {"participant_type": "internal", "text": "Good morning, how can I help?", "start_time": 0.0},
    {"participant_type": "external", "text": "Hello, this is a test.", "start_time": 2.0},
]
LATER: dict[str, Body] = {
    "transcription.created": {"content": {"language": "en-US", "utterances": UTTERANCES}},
    "summary.created": {"content": "A test call."},
}
"""What events hold that come once the call was looked at, beside its id."""


def example(name: str, fields: dict[str, str]) -> Body:
    """The body of such an event, now, for a call of its own, with `fields` of its `data` set (texts, read as
    they ask); the token is added when it is signed.

    Raises ValueError that says which names or values are possible.
    """
    now = int(time.time())
    data = _data(name, now)
    for key, value in fields.items():
        data[key] = _typed(key, value, data.get(key, ""))
    return {"resource": name.partition(".")[0], "event": name, "timestamp": now, "data": data}


def _data(name: str, now: int) -> Body:
    number = 10**9 + secrets.randbelow(10**9)
    if name in LATER:
        return {"id": number + 1, "call_id": number, **LATER[name]}
    if name in CALL_EVENTS:
        return _call(number, now, STATUSES.get(name, "done"))
    if name == "test":
        return {}
    names = (*CALL_EVENTS, *LATER, "test")
    raise ValueError(f"unknown event '{name}'; the events are: {', '.join(names)}")


def _call(number: int, now: int, status: str) -> Body:
    answered, done = status != "initial", status == "done"
    return {
        "id": number,
        "direct_link": f"https://api.aircall.io/v1/calls/{number}",
        "call_uuid": f"CA{secrets.token_hex(16)}",
        "direction": "inbound",
        "status": status,
        "missed_call_reason": None,
        "started_at": now - TALK - 10,
        "answered_at": now - TALK if answered else None,
        "ended_at": now if done else None,
        "duration": TALK + 10 if done else 0,
        "raw_digits": "+33 6 12 34 56 78",
        "voicemail": None,
        "recording": None,
        "user": {"id": 456, "name": "Madelaine Dupont"} if answered else None,
        "number": {"id": 789, "name": "Service", "digits": "+33 1 84 80 00 00"},
        "teams": [],
        "comments": [],
        "tags": [],
    }


def _typed(key: str, value: str, example: Any) -> Any:
    """`value` as the type that the field has; times are Unix seconds."""
    if value == "null":
        return None
    if isinstance(example, list):
        return [{"name": part.strip()} for part in value.split(",") if part.strip()]
    if isinstance(example, dict):
        raise ValueError(f"'{key}' holds several values; write the event in a file and send it with --file")
    if isinstance(example, int) or key.endswith("_at"):
        try:
            return int(value)
        except ValueError:
            raise ValueError(f"'{key}' takes a whole number, not '{value}'") from None
    return value
