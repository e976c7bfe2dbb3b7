"""Aircall's webhooks: is it genuine, and what does it say?

Aircall signs nothing. It puts the token that it made with the webhook into every body; who knows the token
can send anything, at any time, again and again.
"""

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from platforms.adapter import Event, Headers, Phase, Reference, Signed
from platforms.aircall.calls import FETCHED, ID, LISTED, moment, read_call
from platforms.aircall.settings import AircallSettings
from platforms.aircall.spoken import spoken, summary
from platforms.errors import BadSignature, BadTimestamp, Unreadable
from platforms.payload import Payload, decode, identifier, mapping, present, text

CALL_EVENTS = (
    "call.created",
    "call.ringing_on_agent",
    "call.agent_declined",
    "call.ivr_option_selected",
    "call.answered",
    "call.transferred",
    "call.external_transferred",
    "call.unsuccessful_transfer",
    "call.hold",
    "call.unhold",
    "call.hungup",
    "call.ended",
    "call.voicemail_left",
    "call.assigned",
    "call.archived",
    "call.tagged",
    "call.untagged",
    "call.commented",
    "call.comm_assets_generated",
)
TOLD = LISTED | FETCHED | {"summary"}
"""The facts that the events bring."""
HUNG_UP, ENDED = "call.hungup", "call.ended"


def verify(settings: AircallSettings, _headers: Headers, body: bytes, now: float) -> float:
    """The timestamp in the body, in Unix seconds; `now` where there is none.

    Raises `BadSignature`, or `BadTimestamp` when the token is right and the time is too far from `now`.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadSignature("the body is no JSON that could hold the token") from None
    given = payload.get("token") if isinstance(payload, dict) else None
    if not isinstance(given, str):
        raise BadSignature("the body holds no token")
    secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]
    if not any(hmac.compare_digest(secret, given.encode()) for secret in secrets):
        raise BadSignature("the token is wrong")
    stamp = payload.get("timestamp")
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        return now
    if abs(now - stamp) > settings.timestamp_tolerance:
        raise BadTimestamp("the timestamp is too old or too new")
    return float(stamp)


def sign(settings: AircallSettings, body: bytes, now: float) -> Signed:
    """The webhook with the token and the time in it; raises ValueError when no token is set.

    What is no JSON object is left as it is, and is then not genuine.
    """
    if not settings.webhook_secrets:
        raise ValueError("no webhook token is set")
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    if isinstance(payload, dict):
        token = settings.webhook_secrets[0].get_secret_value()
        body = orjson.dumps({"timestamp": int(now), **payload, "token": token})
    return Signed(body, {"Content-Type": "application/json"})


def read_event(settings: AircallSettings, body: bytes) -> Event:
    """What the webhook says; raises `Unreadable`."""
    payload = decode(body)
    name = text(payload, "event", limit=None)
    if name is None:
        raise Unreadable("the body has no event name")
    if name not in READERS:
        return Event(name="unknown", ignored="an event that tells nothing of a call's facts")
    data = payload.get("data")
    return READERS[name](settings, name, {} if data is None else mapping(data), moment(payload, "timestamp"))


def _call(settings: AircallSettings, name: str, data: Payload, time: datetime | None) -> Event:
    return read_call(settings, name, data, time)


def _hung_up(settings: AircallSettings, name: str, data: Payload, time: datetime | None) -> Event:
    """The call is not yet fully over: its end event follows, with all that is then known."""
    return replace(read_call(settings, name, data, time), phase=Phase.ANSWER, ends=False)


def _end(settings: AircallSettings, name: str, data: Payload, time: datetime | None) -> Event:
    return replace(read_call(settings, name, {**data, "status": "done"}, time), phase=Phase.END)


def _transcription(_settings: AircallSettings, name: str, data: Payload, time: datetime | None) -> Event:
    """Whether the event carries what was said is not documented: where it does not, it is asked for."""
    said = spoken(data)
    return replace(_of_call(name, data, time, said), untold=not said)


def _summary(_settings: AircallSettings, name: str, data: Payload, time: datetime | None) -> Event:
    return _of_call(name, data, time, {"summary": summary(data)})


def _of_call(name: str, data: Payload, time: datetime | None, facts: Any) -> Event:
    """An event that names its call; the `id` beside is its own."""
    call_id = identifier(data, ID)
    if call_id is None:
        raise Unreadable("the event names no call")
    references = (Reference(ID, call_id),)
    return Event(name, Phase.AFTER, references, time, facts=present(facts), ends=True)


READERS: dict[str, Callable[[AircallSettings, str, Payload, datetime | None], Event]] = {
    **dict.fromkeys(CALL_EVENTS, _call),
    HUNG_UP: _hung_up,
    ENDED: _end,
    "transcription.created": _transcription,
    "summary.created": _summary,
}
