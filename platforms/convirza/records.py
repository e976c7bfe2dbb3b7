"""A call as Convirza's webhooks and its list have it.

No example of a call is published, so this is the one place that names its fields: `NAMES`, `DISPOSITIONS`,
`_transcript` and `_tag_names`. Only the id must be right: any other field that is not as expected counts as
missing, and one odd call does not keep a list from being read.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from platforms.adapter import Event, Reference
from platforms.convirza.settings import ConvirzaSettings
from platforms.errors import Unreadable
from platforms.payload import Payload, custom, decode, identifier, if_right, moment, present, seconds, text
from platforms.phones import reported
from rules.facts import Facts, Value

ID = ("call_id", "id")
NAMES: Mapping[str, tuple[Callable[[Payload, str], Any], tuple[str, ...]]] = {
    "direction": (text, ("direction",)),
    "caller": (text, ("caller_id",)),
    "receiver": (text, ("phone_number", "ring_to")),
    "duration": (seconds, ("duration",)),
    "status": (text, ("disposition",)),
    "started_at": (moment, ("start_time", "start_date")),
    "ended_at": (moment, ("end_time", "end_date")),
    "agent": (text, ("agent",)),
    "source": (text, ("source",)),
    "campaign": (text, ("campaign",)),
}
"""How each fact is read, and under which names, the first one that has a value. Named after the list's
documented parameters where those have one; the others are inferred."""
BLOCKS = ("tags", "recordings", "transcription")
"""What `include` asks for; their shape is not documented."""
INCLUDE = ",".join(BLOCKS)

DIRECTIONS = {"inbound": "inbound", "incoming": "inbound", "outbound": "outbound", "outgoing": "outbound"}
DISPOSITIONS = {
    "ANSWERED": "answered",
    "TRANSFERRED": "answered",
    "NO ANSWER": "no_answer",
    "BUSY": "busy",
    "FAILED": "failed",
    "VOICEMAIL": "voicemail",
    "ABANDONED": "abandoned",
}
LISTED = frozenset(
    {
        "direction",
        "caller",
        "receiver",
        "duration",
        "status",
        "started_at",
        "ended_at",
        "campaign",
        "has_recording",
        "tags",
        "transcript",
    }
)
"""The facts that a listed call is taken to carry."""
_READ = frozenset({*ID, *BLOCKS, *(name for _, names in NAMES.values() for name in names)})


def read_record(settings: ConvirzaSettings, body: bytes) -> Event:
    """What a stored item of the call list says; raises `Unreadable`."""
    return read_item(settings, decode(body))


def read_item(settings: ConvirzaSettings, item: Payload) -> Event:
    """What one listed call says; raises `Unreadable`."""
    facts = read_facts(settings, item)
    return Event(
        name="record",
        references=(reference(item),),
        facts=facts,
        tags=tag_names(item.get("tags")),
        ends=ended(facts),
    )


def reference(item: Payload) -> Reference:
    """The call's id; raises `Unreadable` where there is none."""
    found = next((value for name in ID if (value := identifier(item, name)) is not None), None)
    if found is None:
        raise Unreadable("the call has no id")
    return Reference("call_id", found)


def ended(facts: Facts) -> bool:
    """A call that goes on has neither yet."""
    return "duration" in facts or "status" in facts or "ended_at" in facts


def read_facts(
    settings: ConvirzaSettings, item: Payload, never_custom: Iterable[str] = ()
) -> dict[str, Value]:
    """The facts of a call, whatever brought it; what is not known by name becomes `custom.<key>`."""
    found = {fact: _first(read, item, names) for fact, (read, names) in NAMES.items()}
    direction, status = found["direction"], found["status"]
    facts: dict[str, Value | None] = {
        **found,
        "direction": DIRECTIONS.get((direction or "").strip().lower()),
        "status": DISPOSITIONS.get((status or "").strip().upper()),
        "caller": reported(found["caller"], settings.default_region),
        "receiver": reported(found["receiver"], settings.default_region),
        "has_recording": bool(item["recordings"]) if "recordings" in item else None,
        "transcript": _transcript(item.get("transcription")),
        "custom.disposition": status,
        "custom.direction": direction,
    }
    return {**custom(item, _READ.union(never_custom)), **present(facts)}


def _first(read: Callable[[Payload, str], Any], item: Payload, names: Iterable[str]) -> Any:
    return next((value for name in names if (value := if_right(read, item, name)) is not None), None)


def _transcript(found: Any) -> str | None:
    """What was said, as a text, as `{"text": ...}`, or as a list of segments with a `text` each: inferred."""
    if isinstance(found, dict):
        return _transcript(found.get("segments", found.get("text")))
    if isinstance(found, list):
        parts = [part for segment in found if (part := _transcript(segment))]
        return " ".join(parts) or None
    return found.strip() or None if isinstance(found, str) else None


def tags_on(item: Payload) -> dict[str, str | None] | None:
    """The names of the tags on a call with their ids, where those are told; None where it is no such list.

    `{tag_id, tag_name}`, as the tags' own answers have them, or names alone: inferred.
    """
    found = item.get("tags")
    if not isinstance(found, list):
        return None
    named: dict[str, str | None] = {}
    for tag in found:
        entry = {"tag_name": tag} if isinstance(tag, str) else tag
        name = if_right(_whole, entry, "tag_name") if isinstance(entry, dict) else None
        if name is None:
            return None
        named[name] = if_right(identifier, entry, "tag_id")
    return named


def tag_names(tags: Any) -> tuple[str, ...] | None:
    """The names in a list of tags; None where it is no such list."""
    found = tags_on({"tags": tags})
    return None if found is None else tuple(found)


def _whole(item: Payload, key: str) -> str | None:
    return text(item, key, limit=None)
