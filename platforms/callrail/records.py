"""A call as CallRail describes it, in its webhooks and in its API alike.

Webhooks write numbers and booleans as text here and there, and an empty text where there is nothing; a field
that is not as documented counts as missing, so that it never costs the rest of a call. What the documents
leave open is decided in one named place each: `has_ended`, `_status`, `payload.tag_names` (tags are texts in
webhooks, and not shown in the API).
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from platforms.adapter import Event, Phase, Reference
from platforms.callrail.settings import CallrailSettings
from platforms.errors import Unreadable
from platforms.payload import (
    Payload,
    custom,
    decode,
    identifier,
    if_right,
    moment,
    present,
    seconds,
    tag_names,
    text,
)
from platforms.phones import reported
from rules.facts import Value

CALL = "call_id"
"""The kind of a call's one name: `id` in the API, `resource_id` in webhooks."""

STATUSES = {
    "answered": "answered",
    "missed": "missed",
    "abandoned": "abandoned",
    "abandonded": "abandoned",  # as the documents have it
    "voicemail": "voicemail",
    "voicemail_transcription": "voicemail",
}
"""By `call_type`, which also has `outbound` and `in_progress`."""
UNDER_WAY = "in_progress"
BOOLEANS = {"true": True, "false": False}
TEXTS = {"agent_email": "agent", "source": "source", "campaign": "campaign", "transcription": "transcript"}
TALK = "conversational_transcript"
SPEAKERS = {"caller": "transcript_caller", "agent": "transcript_agent"}
"""Whoever began the call, `caller` is the customer."""
READ = (
    "id",
    "resource_id",
    "timestamp",
    "direction",
    "start_time",
    "customer_phone_number",
    "tracking_phone_number",
    "call_summary",
    TALK,
    *TEXTS,
)
"""The keys that are facts of their own, or none."""

LISTED = frozenset(
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
        "agent",
        "source",
        "campaign",
        "tags",
        "transcript",
        "summary",
    }
)
FETCHED = frozenset(SPEAKERS.values())
"""Only a single call can be asked for who said what."""


def read_record(settings: CallrailSettings, body: bytes) -> Event:
    """What a stored item of the call list says; raises `Unreadable`."""
    return read_item(settings, decode(body))


def read_item(settings: CallrailSettings, item: Payload) -> Event:
    """What one call of the API says; raises `Unreadable`."""
    return call_event(settings, "record", Phase.AFTER, item, "id")


def call_event(settings: CallrailSettings, name: str, phase: Phase, item: Payload, key: str) -> Event:
    """What a call says that is named by `key`; raises `Unreadable` when it is not named.

    No time: what a call tells of it is when it began, not when it was as it is told.
    """
    call_id = identifier(item, key)
    if call_id is None:
        raise Unreadable(f"the call has no {key}")
    call = plain(item)
    ended = has_ended(call)
    facts, defaults = _facts(settings, call), _derived(call)
    return Event(
        name=name,
        phase=phase,
        references=(Reference(CALL, call_id),),
        facts={**custom(call, READ), **present(facts), **(_outcome(call) if ended else {})},
        defaults=present(defaults) if ended else {},
        tags=tag_names(item.get("tags")),
        ends=ended,
    )


def plain(item: Payload) -> dict[str, Any]:
    """The call without empty texts, and with what webhooks write as text in the type that the API has."""
    given = {key: value for key, value in item.items() if value not in (None, "")}
    for key in ("duration", "recording_duration"):
        value = given.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            given[key] = int(value)
    for key in ("answered", "voicemail"):
        if isinstance(given.get(key), str):
            given[key] = BOOLEANS.get(given[key])
    return given


def has_ended(call: Payload) -> bool:
    """Whether the call is over; inferred: while it goes on it has no duration, which the documents say of the
    Pre-Call event, or the type `in_progress`. One that nobody answered may have no duration either, and
    `outbound` is the type of every outbound one."""
    kind = str(call.get("call_type"))
    unanswered = kind in STATUSES or (kind == "outbound" and call.get("answered") is False)
    return kind != UNDER_WAY and ("duration" in call or unanswered)


def _facts(settings: CallrailSettings, call: Payload) -> dict[str, Value | None]:
    direction = if_right(text, call, "direction")
    told = [if_right(text, call, f"{side}_phone_number") for side in ("customer", "tracking")]
    ends = [reported(number, settings.default_region) for number in told]
    caller, receiver = ends if direction != "outbound" else ends[::-1]
    return {
        "direction": direction if direction in ("inbound", "outbound") else None,
        "caller": caller,
        "receiver": receiver,
        "started_at": if_right(moment, call, "start_time"),
        **{fact: if_right(_long, call, key) for key, fact in TEXTS.items()},
        "summary": _summary(call.get("call_summary")),
        **_said(call.get(TALK)),
    }


def _outcome(call: Payload) -> dict[str, Value]:
    """How a call ended; its length is CallRail's if it was answered, which `custom.duration` is always."""
    status = _status(call)
    length = if_right(seconds, call, "duration")
    answered = status == "answered"
    voicemail = call.get("voicemail")
    found: dict[str, Value | None] = {
        "status": status,
        "duration": length if answered else 0,
        "has_recording": "recording" in call,
        "has_voicemail": voicemail if isinstance(voicemail, bool) else None,
    }
    return present(found)


def _status(call: Payload) -> str | None:
    """By its type, else by its flags: not every way to a call tells both."""
    if call.get("voicemail") is True:
        return "voicemail"
    known = STATUSES.get(str(call.get("call_type")))
    answered = call.get("answered")
    if known or not isinstance(answered, bool):
        return known
    unanswered = "no_answer" if call.get("direction") == "outbound" else "missed"
    return "answered" if answered else unanswered


def _derived(call: Payload) -> dict[str, Value | None]:
    started, length = if_right(moment, call, "start_time"), if_right(seconds, call, "duration")
    if started is None or length is None:
        return {}
    return {"ended_at": started + timedelta(seconds=length)}


def _long(call: Payload, key: str) -> str | None:
    return text(call, key, limit=None)


def _summary(value: Any) -> str | None:
    """A text in one place of the documents, an array in another."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = " ".join(value)
    return value if isinstance(value, str) and value else None


def _said(talk: Any) -> dict[str, Value | None]:
    """What each side said, from `[{speaker, phrase, start}]`; nothing where it is no such list."""
    if not isinstance(talk, list) or not all(isinstance(part, Mapping) for part in talk):
        return {}
    phrases = [(part.get("speaker"), part.get("phrase")) for part in talk]
    sides = {
        fact: " ".join(phrase for who, phrase in phrases if who == speaker and isinstance(phrase, str))
        for speaker, fact in SPEAKERS.items()
    }
    return dict(sides) if any(sides.values()) else {}
