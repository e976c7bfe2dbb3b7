"""A body of every event, to try a deployment with; a call has the fields that `records.NAMES` reads."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

Body = dict[str, Any]

LENGTH = 1860
CALL: Body = {
    "caller_id": "+13125550123",
    "phone_number": "+13125550199",
    "ring_to": "+13125550100",
    "direction": "inbound",
    "disposition": "ANSWERED",
    "duration": LENGTH,
    "start_time": "",
    "end_time": "",
    "campaign": "Spring",
}
SUBSCRIBED = {"calls.add": "add", "calls.update": "update", "calls.delete": "delete"}
NAMES = ("call", *SUBSCRIBED, "test")


def example(name: str, fields: dict[str, str]) -> Body:
    """The body of such an event, now, for a call of its own, with `fields` set (texts, read as they ask).

    Raises ValueError that says which names or values are possible.
    """
    if name not in NAMES:
        raise ValueError(f"unknown event '{name}'; the events are: {', '.join(NAMES)}")
    now = datetime.now(UTC).replace(microsecond=0)
    call_id = fields.get("call_id", str(secrets.randbelow(10**9)))
    call = CALL | {"start_time": _iso(now - timedelta(seconds=LENGTH)), "end_time": _iso(now)}
    call |= {key: _typed(key, value) for key, value in fields.items() if key != "call_id"}
    if name == "call":
        return {"call_id": call_id, **call, "static_parameters": {}}
    key = secrets.token_hex(16)
    event = {"idempotency_key": key, "delivery_timestamp": _iso(now)}
    if name == "test":
        return {"event_type": "test", **event}
    return {
        "event_type": SUBSCRIBED[name],
        "entity_type": "Calls",
        "entity_id": call_id,
        "data": call,
        **event,
    }


def _typed(key: str, value: str) -> Any:
    if value == "null":
        return None
    if key == "tags":
        return [{"tag_name": part.strip()} for part in value.split(",") if part.strip()]
    if key != "duration":
        return value
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"'{key}' takes a whole number, not '{value}'") from None


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
