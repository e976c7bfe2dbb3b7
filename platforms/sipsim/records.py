"""A call as SIPSIM's own list has it.

Only a few of its fields are documented, so only the id must be right: any other field that is not as expected
counts as missing, and one odd call does not keep a list from being read. `_TIMES` are named after the list's
parameters and not documented.
"""

from typing import Any

import orjson

from platforms.adapter import Event, Phase, Reference
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
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.webhook import Speech, speech, status_facts
from rules.facts import Value

DIRECTIONS = {"inbound": "inbound", "outbound": "outbound", "outgoing": "outbound", "internal": "internal"}
_TIMES = {"start_time": "started_at", "end_time": "ended_at"}
TRANSCRIPT = "transcription"
"""The key under which an item carries what the API answered about its transcript; it is ours."""
MAPPED = (
    "id",
    "pbx_id",
    "caller_number",
    "receiver_number",
    "duration_sec",
    "tags",
    "audio_path",
    TRANSCRIPT,
)
_READ = frozenset({*MAPPED, "direction", "status", *_TIMES})
"""The keys of an item of which facts of their own are made, or none."""

LISTED = frozenset({"direction", "caller", "receiver", "duration", "tags"})
"""The facts in the documented fields of a listed call."""
FETCHED = frozenset({"transcript", "transcript_caller", "transcript_agent"})


def read_record(settings: SipsimSettings, body: bytes) -> Event:
    """What a stored item of the call list says; raises `Unreadable`."""
    return read_item(settings, decode(body))


def read_item(settings: SipsimSettings, item: Payload) -> Event:
    """What one call says; it has ended once it has a duration or a status. Raises `Unreadable`."""
    call_id = identifier(item, "id")
    if call_id is None:
        raise Unreadable("the call has no id")
    pbx_id = if_right(identifier, item, "pbx_id")
    said = if_right(_speech, item, TRANSCRIPT) or Speech()
    facts = {**_facts(settings, item), **present({"transcript": said.transcript})}
    return Event(
        name="record",
        phase=Phase.AFTER,
        references=(Reference("call_id", call_id), *([Reference("pbx_id", pbx_id)] if pbx_id else [])),
        facts=facts,
        tags=tag_names(item.get("tags")),
        ends="duration" in facts or "status" in facts,
        caller_speech=said.caller,
        receiver_speech=said.receiver,
    )


def with_transcript(body: bytes, answer: Any) -> bytes | None:
    """An item with what the API answered about its transcript; None where the answer holds no transcript."""
    said = if_right(_speech, {TRANSCRIPT: answer}, TRANSCRIPT)
    if said is None or said.transcript is None:
        return None
    return orjson.dumps({**orjson.loads(body), TRANSCRIPT: answer})


def _speech(item: Payload, key: str) -> Speech | None:
    answer = item.get(key)
    return speech(answer) if isinstance(answer, dict) else None


def _facts(settings: SipsimSettings, item: Payload) -> dict[str, Value]:
    direction = if_right(text, item, "direction")
    known = DIRECTIONS.get((direction or "").lower())
    facts: dict[str, Value | None] = {
        "direction": known,
        "custom.direction": None if known else direction,
        "duration": if_right(seconds, item, "duration_sec"),
        "caller": reported(if_right(text, item, "caller_number"), settings.default_region),
        "receiver": reported(if_right(text, item, "receiver_number"), settings.default_region),
        **status_facts(if_right(text, item, "status")),
        **{fact: if_right(moment, item, key) for key, fact in _TIMES.items()},
    }
    if "audio_path" in item:
        facts["has_recording"] = bool(item["audio_path"])
    return {**custom(item, _READ), **present(facts)}
