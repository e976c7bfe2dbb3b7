"""Snapshots: what the events of a call said, kept when their bodies are dropped.

A snapshot holds of each event what no later one replaces, each part at its own place in the order of folding.
So a call whose bodies are gone folds to the same facts as ever, also when an event comes that belongs before
some of those that were dropped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from platforms.adapter import Event, Phase
from rules.facts import facts_from_json, facts_to_json

SOURCE = "snapshot"
Place = tuple[bool, int, float, bytes]
"""Where an event stands in the order of folding: webhooks after records, phase, time, hash of the body."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event at its place."""

    place: Place
    event: Event
    version: int = 0
    """That of the call's facts which it made."""
    received_at: float = 0.0

    @property
    def recorded(self) -> bool:
        """The platform's own list told it, no webhook."""
        return not self.place[0]

    @property
    def time(self) -> float:
        return self.place[2]


def newest_tags(told: Iterable[Told]) -> list[Told]:
    """Who told the newest complete list of tags, in the order of folding: all those of one time, since any of
    them may be the last. The time decides, whatever the phase."""
    lists = [one for one in told if one.event.tags is not None]
    newest = max((one.time for one in lists), default=None)
    return sorted((one for one in lists if one.time == newest), key=lambda one: one.place)


def write(told: Iterable[Told], version: int) -> bytes:
    """The snapshot of these events, for a row of that version: the newest of theirs."""
    parts = [_to_json(part, version) for part in reduced(told)]
    return orjson.dumps({"parts": parts}, option=orjson.OPT_SORT_KEYS)


def read(body: bytes, version: int) -> list[Told]:
    """The parts of a snapshot, to be folded like events; the row's version may have been raised since."""
    return [_from_json(part, version) for part in orjson.loads(body)["parts"]]


def reduced(told: Iterable[Told]) -> list[Told]:
    """Of each event what no later one replaces; folds to the same, alone and with any further events."""
    order = sorted(told, key=lambda one: one.place)
    tags = newest_tags(order)
    last_end = next((o for o in reversed(order) if o.event.phase is Phase.END and not o.recorded), None)
    last_record = next((o for o in reversed(order) if o.recorded), None)
    facts, defaults, sides = set[str](), set[str](), set[str]()
    parts = []
    for one in reversed(order):
        event = Event(
            one.event.name,
            one.event.phase,
            time=one.event.time,
            facts=_unseen(one.event.facts, facts),
            defaults=_unseen(one.event.defaults, defaults),
            tags=one.event.tags if one in tags else None,
            **_unseen(_speech(one.event), sides),
        )
        if one in tags or any(one is kept for kept in (last_end, last_record)) or _says_something(event):
            parts.append(replace(one, event=event))
    return parts[::-1]


def _unseen(given: Mapping[str, Any], seen: set[str]) -> dict[str, Any]:
    found = {name: value for name, value in given.items() if name not in seen}
    seen.update(found)
    return found


def _speech(event: Event) -> dict[str, str]:
    sides = {"caller_speech": event.caller_speech, "receiver_speech": event.receiver_speech}
    return {side: text for side, text in sides.items() if text is not None}


def _says_something(event: Event) -> bool:
    return bool(event.facts or event.defaults or _speech(event))


def _to_json(part: Told, version: int) -> dict[str, Any]:
    is_webhook, phase, at, digest = part.place
    event = part.event
    return {
        "place": [is_webhook, int(phase), at, digest.hex()],
        "name": event.name,
        "time": event.time.isoformat() if event.time else None,
        "facts": facts_to_json(event.facts),
        "defaults": facts_to_json(event.defaults),
        "speech": _speech(event),
        "tags": event.tags,
        "behind": version - part.version,
        "received_at": part.received_at,
    }


def _from_json(part: Mapping[str, Any], version: int) -> Told:
    is_webhook, phase, at, digest = part["place"]
    event = Event(
        part["name"],
        Phase(phase),
        time=datetime.fromisoformat(part["time"]) if part["time"] else None,
        facts=facts_from_json(part["facts"]),
        defaults=facts_from_json(part["defaults"]),
        tags=None if part["tags"] is None else tuple(part["tags"]),
        **part["speech"],
    )
    place = (is_webhook, phase, at, bytes.fromhex(digest))
    return Told(place, event, version - part["behind"], part["received_at"])
