"""A call from a file as the inbox keeps it: its facts as JSON, with its references and the tags on it."""

from collections.abc import Sequence
from typing import Any

import orjson

from platforms.adapter import Event, Reference
from platforms.errors import Unreadable
from platforms.payload import decode
from rules.facts import FactError, Facts, facts_from_json, facts_to_json

SOURCE = "import"


def write(references: Sequence[Reference], facts: Facts, tags: Sequence[str] | None) -> bytes:
    """The body of the event; the same for the same call."""
    body = {"references": [list(one) for one in references], "facts": facts_to_json(facts), "tags": tags}
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def read(body: bytes) -> Event:
    """What it says; raises `Unreadable`."""
    said: dict[str, Any] = decode(body)
    try:
        facts = facts_from_json(said["facts"])
        references = tuple(Reference(kind, value) for kind, value in said["references"])
        tags = None if said["tags"] is None else tuple(said["tags"])
    except (FactError, KeyError, TypeError, ValueError):
        raise Unreadable("it is no call of a file") from None
    return Event("import", references=references, facts=facts, tags=tags, ends=True)
