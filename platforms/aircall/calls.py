"""A call as Aircall shows it: the same object in its webhooks, in its list and by its id.

Only the id must be right: any other field that is not as expected counts as missing, so that one odd call
neither keeps a list from being read nor a webhook from being worked on. Every copy of a call shows it as it
stood then, and `status` says how far it had come; the facts of the end are read of a call that is done.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from platforms.adapter import Event, Phase, Reference
from platforms.aircall.settings import AircallSettings
from platforms.aircall.spoken import SUMMARY, TRANSCRIPTION, spoken, summary
from platforms.errors import Unreadable
from platforms.payload import (
    YEARS,
    Payload,
    custom,
    decode,
    identifier,
    if_right,
    mapping,
    number,
    present,
    seconds,
    tag_names,
    text,
)
from platforms.phones import reported
from rules.facts import Facts, Value

ID = "call_id"
DIRECTIONS = ("inbound", "outbound")
PHASES = {"initial": Phase.START, "answered": Phase.ANSWER, "done": Phase.AFTER}
"""By how far the call had come; a status that is not known tells of no end."""
ADDRESSES = ("recording", "recording_short_url", "voicemail", "voicemail_short_url", "asset")
"""Where sound can be had for an hour: others each time that the call is shown, so no record keeps them."""
MAPPED = frozenset(
    {
        *ADDRESSES,
        "id",
        "sid",
        "call_uuid",
        "direct_link",
        "direction",
        "status",
        "started_at",
        "answered_at",
        "ended_at",
        "raw_digits",
        TRANSCRIPTION,
        SUMMARY,
    }
)
"""The keys of which facts of their own are made, or none."""

LISTED = frozenset(
    {
        "direction",
        "status",
        "duration",
        "talk_time",
        "wait_time",
        "caller",
        "receiver",
        "started_at",
        "ended_at",
        "agent",
        "has_recording",
        "has_voicemail",
        "tags",
    }
)
FETCHED = frozenset({"transcript", "transcript_caller", "transcript_agent"})


def read_record(settings: AircallSettings, body: bytes) -> Event:
    """What a stored item of the call list says; raises `Unreadable`."""
    return read_call(settings, "record", decode(body))


def kept(call: Payload) -> Payload:
    """The call as a record keeps it: with that there is a recording, and not where."""
    return {**call, **{key: bool(call[key]) for key in ADDRESSES if key in call}}


def read_call(settings: AircallSettings, name: str, call: Payload, time: datetime | None = None) -> Event:
    """What one copy of a call says, told by an event of that name and time; raises `Unreadable`."""
    call_id = identifier(call, "id")
    if call_id is None:
        raise Unreadable("the call has no id")
    phase = PHASES.get(if_right(text, call, "status") or "", Phase.START)
    done = phase is Phase.AFTER
    return Event(
        name=name,
        phase=phase,
        references=(Reference(ID, call_id),),
        time=time,
        facts={**custom(call, MAPPED), **present(_facts(settings, call, done))},
        defaults=_lacking(call) if done else {},
        tags=tag_names(call.get("tags")),
        ends=done,
    )


def _facts(settings: AircallSettings, call: Payload, done: bool) -> dict[str, Value | None]:
    direction = if_right(text, call, "direction")
    known = direction in DIRECTIONS
    theirs = reported(if_right(text, call, "raw_digits"), settings.default_region)
    ours = _own_number(settings, call)
    facts: dict[str, Value | None] = {
        "direction": direction if known else None,
        "custom.direction": None if known else direction,
        "custom.sid": if_right(identifier, call, "sid") or if_right(identifier, call, "call_uuid"),
        "caller": ours if direction == "outbound" else theirs if known else None,
        "receiver": theirs if direction == "outbound" else ours if known else None,
        "started_at": _moment(call, "started_at"),
        "agent": if_right(text, _part(call, "user"), "name"),
        "has_recording": bool(call.get("recording")) or None,
        "has_voicemail": bool(call.get("voicemail")) or None,
        **spoken(call.get(TRANSCRIPTION)),
        "summary": summary(call.get(SUMMARY)),
    }
    return facts | _end(call) if done else facts


def _end(call: Payload) -> dict[str, Value | None]:
    """What is known of a call that is done. Its own `duration` counts the ringing too; one that nobody
    answered lasted for none, as on every platform."""
    started, answered, ended = (_moment(call, key) for key in ("started_at", "answered_at", "ended_at"))
    return {
        "status": _status(call, answered is not None),
        "duration": if_right(seconds, call, "duration") if answered else 0,
        "talk_time": _between(answered, ended),
        "wait_time": _between(started, answered),
        "ended_at": ended,
    }


def _status(call: Payload, answered: bool) -> str:
    """How the call ended. Aircall itself says `done` of every call, and why an incoming one was missed."""
    if answered:
        return "answered"
    if call.get("direction") == "outbound":
        return "no_answer"
    return "abandoned" if "abandoned" in (if_right(text, call, "missed_call_reason") or "") else "missed"


def _lacking(call: Payload) -> Facts:
    """A recording or voicemail that is not there yet may be in a later copy of the call."""
    return {f"has_{kind}": False for kind in ("recording", "voicemail") if kind in call}


def _between(first: datetime | None, last: datetime | None) -> float | None:
    length = (last - first).total_seconds() if first and last else None
    return length if length is not None and length >= 0 else None


def _own_number(settings: AircallSettings, call: Payload) -> str | None:
    """The company's number that the call went through; webhooks may have it without spaces beside."""
    line = _part(call, "number")
    told = if_right(text, line, "e164_digits") or if_right(text, line, "digits")
    return reported(told, settings.default_region)


def _moment(call: Payload, key: str) -> datetime | None:
    return if_right(moment, call, key)


def moment(payload: Payload, key: str) -> datetime | None:
    """A time in Unix seconds, in UTC; raises `Unreadable`."""
    value = number(payload, key)
    if value is None:
        return None
    try:
        found = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unreadable(f"{key} is out of range") from None
    if not YEARS[0] <= found.year < YEARS[1]:
        raise Unreadable(f"{key} is out of range")
    return found


def _part(call: Payload, key: str) -> Mapping[str, Any]:
    return if_right(lambda payload, name: mapping(payload.get(name)), call, key) or {}
