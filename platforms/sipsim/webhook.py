"""SIPSIM's webhooks: is it genuine, and what does it say?

The facts come from SIPSIM's public guides (`docs/platforms/sipsim.md`). What those leave open is
decided in one named place each: `_span` (an end event's time), `_side` (whose a transcript's channels are),
`payload.moment` (times without offset).
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from platforms.adapter import Event, Headers, Phase, Reference, Signed
from platforms.errors import BadSignature, BadTimestamp, Unreadable
from platforms.payload import (
    Payload,
    custom,
    decode,
    identifier,
    moment,
    number,
    present,
    seconds,
    text,
    texts,
)
from platforms.phones import reported
from platforms.sipsim.settings import SipsimSettings
from rules.facts import Value

SIGNATURE = b"x-webhook-signature"
TIMESTAMP = b"x-webhook-timestamp"

DIRECTIONS = {"incoming": "inbound", "outgoing": "outbound"}
STATUSES = {"answer": "answered", "missed": "missed", "busy": "busy", "noanswer": "no_answer"}
"""By the status in lower case."""
TRANSCRIBED = ("speech_stored", "speech_recognized")
SIDES = {"left": "caller", "right": "receiver", 0: "caller", 1: "receiver"}
NEVER_CUSTOM = ("event", "pbx_id", "call_id", "id", "time", "caller", "receiver")
SHAPES = {"speech_state": "speech", "summary": "summary"}
"""The events that come without a name, by the key that only they have."""
Segment = tuple[str | None, str]
"""Whose side of the call (`caller`, `receiver` or not known), and what was said."""
TOLD = frozenset(
    {
        "direction",
        "status",
        "duration",
        "caller",
        "receiver",
        "started_at",
        "ended_at",
        "has_recording",
        "has_voicemail",
        "tags",
        "transcript",
        "transcript_caller",
        "transcript_agent",
        "summary",
        "rating",
    }
)
"""The facts that the documented events bring."""
IGNORED = {"sms": "a text message is no call", "test": "a test"}


def verify(settings: SipsimSettings, headers: Headers, body: bytes, now: float) -> float:
    """The signed timestamp, in Unix seconds.

    Raises `BadSignature`, or `BadTimestamp` when the signature is right and its time is too far from `now`.
    """
    received = _only(headers, SIGNATURE).strip().lower()
    stamp = _only(headers, TIMESTAMP).strip()
    if not (stamp.isdigit() and len(stamp) <= 12):  # of bytes: ASCII digits alone
        raise BadSignature("the timestamp is no number of seconds")
    secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
    if not any(hmac.compare_digest(_digest(secret, stamp, body), received) for secret in secrets):
        raise BadSignature("the signature is wrong")
    signed = float(stamp)
    if abs(now - signed) > settings.timestamp_tolerance:
        raise BadTimestamp("the signed timestamp is too old or too new")
    return signed


def sign(settings: SipsimSettings, body: bytes, now: float) -> Signed:
    """A webhook with that body; raises ValueError when no secret is set."""
    if not settings.webhook_secrets:
        raise ValueError("no webhook secret is set")
    stamp = str(int(now))
    signature = _digest(settings.webhook_secrets[0].get_secret_value(), stamp.encode(), body).decode()
    headers = {
        "X-Webhook-Signature": signature,
        "X-Webhook-Timestamp": stamp,
        "Content-Type": "application/json",
    }
    return Signed(body, headers)


def _only(headers: Headers, name: bytes) -> bytes:
    values = [value for key, value in headers if key == name]
    if len(values) != 1:
        raise BadSignature(f"{name.decode()} came {len(values)} times instead of once")
    return values[0]


def _digest(secret: str, stamp: bytes, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), stamp + b"." + body, "sha256").hex().encode()


def read_event(settings: SipsimSettings, body: bytes) -> Event:
    """What the webhook says; raises `Unreadable`."""
    payload = decode(body)
    name = _name(payload)
    if name in IGNORED:
        return Event(name=name, ignored=IGNORED[name])
    if name not in READERS:
        return Event(name="unknown", ignored="an event that is not known")
    return READERS[name](settings, name, payload)


def _name(payload: Payload) -> str:
    """The event's name; speech and summary come without one and are known by their shape."""
    name = text(payload, "event", limit=None)
    if name is not None:
        return name
    shape = next((key for key in SHAPES if key in payload), None)
    if shape is None or "call_id" not in payload:
        raise Unreadable("the body has no event name, and is neither speech nor summary")
    return SHAPES[shape]


def _start(settings: SipsimSettings, name: str, payload: Payload) -> Event:
    facts = {**_ends(settings, payload), "direction": _direction(name), "started_at": moment(payload, "time")}
    return _event(name, Phase.START, payload, facts)


def _chain(settings: SipsimSettings, name: str, payload: Payload) -> Event:
    """A member of a ring group is rung: its `receiver` is that member, not the number that was called."""
    defaults = {
        "direction": _direction(name),
        "caller": reported(text(payload, "caller"), settings.default_region),
    }
    return _event(name, Phase.START, payload, {}, defaults)


def _answer(settings: SipsimSettings, name: str, payload: Payload) -> Event:
    return _event(name, Phase.ANSWER, payload, {**_ends(settings, payload), "direction": _direction(name)})


def _end(settings: SipsimSettings, name: str, payload: Payload) -> Event:
    duration = seconds(payload, "duration")
    exact, derived = _span(settings, moment(payload, "time"), duration)
    facts = {
        **_ends(settings, payload),
        **status_facts(text(payload, "status")),
        **exact,
        "direction": _direction(name),
        "duration": duration,
    }
    if "audio_path" in payload:
        facts["has_recording"] = bool(text(payload, "audio_path", limit=None))
    mapped = ("duration", "status", "audio_path")
    return _event(name, Phase.END, payload, facts, derived, mapped, ends=True)


def _span(
    settings: SipsimSettings, time: datetime | None, duration: float | None
) -> tuple[dict[str, Value], dict[str, Value]]:
    """What an end event's time says of start and end, and what follows from the duration.

    Undocumented whether it is the start or the end: hence the setting, and hence the derived one gives way.
    """
    if time is None:
        return {}, {}
    at_end = settings.time == "end"
    exact: dict[str, Value] = {"ended_at" if at_end else "started_at": time}
    if duration is None:
        return exact, {}
    length = timedelta(seconds=duration)
    return exact, {"started_at": time - length} if at_end else {"ended_at": time + length}


def _voicemail(settings: SipsimSettings, name: str, payload: Payload) -> Event:
    """Its duration is the message's, and the call's own end event knows its status better."""
    facts = {
        **_ends(settings, payload),
        "direction": "inbound",
        "has_voicemail": True,
        "custom.voicemail_duration": seconds(payload, "duration"),
    }
    defaults = {"status": "voicemail", "ended_at": moment(payload, "time")}
    mapped = ("duration", "audio_path")
    return _event(name, Phase.AFTER, payload, facts, defaults, mapped, ends=True)


def _tags(_settings: SipsimSettings, name: str, payload: Payload) -> Event:
    tags = texts(payload, "tags")
    if tags is None:
        raise Unreadable("tags is missing")
    return _event(name, Phase.AFTER, payload, {}, tags=tags)


def _rating(_settings: SipsimSettings, name: str, payload: Payload) -> Event:
    facts = {"rating": number(payload, "overall_score")}
    return _event(name, Phase.AFTER, payload, facts, mapped=("overall_score",), ends=True)


def _summary(_settings: SipsimSettings, name: str, payload: Payload) -> Event:
    facts = {"summary": text(payload, "summary", limit=None)}
    return _event(name, Phase.AFTER, payload, facts, mapped=("summary",), ends=True)


def _speech(_settings: SipsimSettings, name: str, payload: Payload) -> Event:
    said = speech(payload)
    return _event(
        name,
        Phase.AFTER,
        payload,
        {"transcript": said.transcript},
        ends=True,
        caller_speech=said.caller,
        receiver_speech=said.receiver,
    )


class Speech(NamedTuple):
    """A transcript: the whole of it, and what each side said; None where that is not known."""

    transcript: str | None = None
    caller: str | None = None
    receiver: str | None = None


def speech(payload: Payload) -> Speech:
    """The transcript in a speech event, or in what the API answers about one; raises `Unreadable`.

    Where no segment names a side, nobody's side is known.
    """
    segments = _segments(payload) if text(payload, "speech_state") in TRANSCRIBED else None
    if segments is None:
        return Speech()
    whole = " ".join(words for _, words in segments)
    sided = any(side for side, _ in segments)
    return Speech(whole, *(_said(segments, side) if sided else None for side in ("caller", "receiver")))


def _said(segments: list[Segment], wanted: str) -> str:
    return " ".join(words for side, words in segments if side == wanted)


def _segments(payload: Payload) -> list[Segment] | None:
    """Every segment that holds a text; None where there is no transcript."""
    segments = payload.get("payload")
    if segments is None:
        return None
    if not isinstance(segments, list) or not all(isinstance(segment, dict) for segment in segments):
        raise Unreadable("payload is no list of segments")
    said = [(_side(segment), (text(segment, "text", limit=None) or "").strip()) for segment in segments]
    return [(side, words) for side, words in said if words]


def _side(segment: Payload) -> str | None:
    """Whose words they are: a webhook writes left and right, the API 0 and 1; that 0 is left is inferred."""
    channel = segment.get("channel")
    return SIDES.get(channel) if isinstance(channel, str | int) and not isinstance(channel, bool) else None


Reader = Callable[[SipsimSettings, str, dict[str, Any]], Event]
READERS: Mapping[str, Reader] = {
    "incoming_call_start": _start,
    "incoming_call_start_chain_member_call": _chain,
    "incoming_call_end_chain_member_call": _chain,
    "incoming_call_answer": _answer,
    "incoming_call_end": _end,
    "outgoing_call_start": _start,
    "outgoing_call_answer": _answer,
    "outgoing_call_end": _end,
    "voicemail": _voicemail,
    "tags": _tags,
    "speech": _speech,
    "summary": _summary,
    "rating": _rating,
}


def status_facts(status: str | None) -> dict[str, Value]:
    """The call's status in calltag's words; one that is not known stays readable as `custom.status`."""
    if status is None:
        return {}
    known = STATUSES.get(status.strip().casefold())
    return {"status": known} if known else {"custom.status": status}


def _references(payload: Payload) -> tuple[Reference, ...]:
    """The names that the payload has for its call; raises `Unreadable` when there is none."""
    found = [(kind, identifier(payload, kind)) for kind in ("pbx_id", "call_id")]
    named = tuple(Reference(kind, value) for kind, value in found if value is not None)
    if not named:
        raise Unreadable("the call has no id")
    return named


def _direction(name: str) -> str:
    return DIRECTIONS[name.partition("_")[0]]


def _ends(settings: SipsimSettings, payload: Payload) -> dict[str, Value | None]:
    return {side: reported(text(payload, side), settings.default_region) for side in ("caller", "receiver")}


def _event(
    name: str,
    phase: Phase,
    payload: Payload,
    facts: Mapping[str, Value | None],
    defaults: Mapping[str, Value | None] | None = None,
    mapped: tuple[str, ...] = (),
    **more: Any,
) -> Event:
    """An event about a call; facts without a value are left out, unmapped scalars become custom facts."""
    return Event(
        name=name,
        phase=phase,
        references=_references(payload),
        time=moment(payload, "time"),
        facts={**custom(payload, (*NEVER_CUSTOM, *mapped)), **present(facts)},
        defaults=present(defaults or {}),
        **more,
    )
