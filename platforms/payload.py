"""Reading a platform's JSON: strict about what is wrong, and never another exception than `Unreadable`.

The reasons name the field and never quote its value. `null` and a missing key are the same: no value.
"""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from platforms.errors import Unreadable
from rules.facts import Value

Payload = Mapping[str, Any]
Found = TypeVar("Found")

SHORT = 200
"""Characters of an id, a number or a status, and of a custom field's name, at most."""
YEARS = (1970, 2200)
SECONDS = 1e9
"""Bounds that keep every later sum of times inside what a datetime holds."""


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises `Unreadable`, also for keys that come twice in one object."""
    try:
        found = orjson.loads(body)
        json.loads(body, object_pairs_hook=_once)
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("the body is nested too deep") from None
    except ValueError as fault:
        raise Unreadable(_reason(fault)) from None
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Unreadable("a key comes twice in one object")


def _reason(fault: ValueError) -> str:
    """The parser's own words end at the place: what stands before it never quotes the body."""
    if isinstance(fault, json.JSONDecodeError):
        return f"the body is no JSON: {fault.msg} at character {fault.pos}"
    return "the body is no JSON"


def mapping(item: Any) -> Payload:
    """An item that must be a JSON object."""
    if not isinstance(item, dict):
        raise Unreadable("it is no JSON object")
    return item


def text(payload: Payload, key: str, limit: int | None = SHORT) -> str | None:
    value = payload.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unreadable(f"{key} is no text")
    if limit is not None and len(value) > limit:
        raise Unreadable(f"{key} has more than {limit} characters")
    return value


def number(payload: Payload, key: str) -> int | float | None:
    value = payload.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{key} is no number")
    return value


def seconds(payload: Payload, key: str) -> int | float | None:
    """A length of time, zero or more."""
    value = number(payload, key)
    if value is not None and not 0 <= value <= SECONDS:
        raise Unreadable(f"{key} is out of range")
    return value


def moment(payload: Payload, key: str) -> datetime | None:
    """An ISO 8601 time, in UTC; one without an offset is taken as UTC."""
    value = text(payload, key)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"{key} is no ISO 8601 time") from None
    if not YEARS[0] <= found.year < YEARS[1]:
        raise Unreadable(f"{key} is out of range")
    return found


def identifier(payload: Payload, key: str) -> str | None:
    """An id as text; platforms write the same one as a number here and as a text there."""
    value = payload.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Unreadable(f"{key} is no id")
    found = str(value)
    if not found.strip() or not found.isprintable() or len(found) > SHORT:
        raise Unreadable(f"{key} is no id")
    return found


def texts(payload: Payload, key: str) -> tuple[str, ...] | None:
    value = payload.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unreadable(f"{key} is no list of texts")
    return tuple(value)


def custom(payload: Payload, mapped: Collection[str]) -> dict[str, Value]:
    """`custom.<key>` for every scalar that is not `mapped`; nested keys join with dots, arrays are left out.

    A key without a name and names over `SHORT` characters are left out too, which bounds the work that a deep
    body makes.
    """
    found: dict[str, Value] = {}
    for key, value in payload.items():
        if key and key not in mapped:
            _flatten(f"custom.{key}", value, found)
    return found


def present(facts: Mapping[str, Value | None]) -> dict[str, Value]:
    """The facts that have a value."""
    return {name: value for name, value in facts.items() if value is not None}


def if_right(read: Callable[[Mapping[str, Any], str], Found | None], item: Payload, key: str) -> Found | None:
    """What `read` finds at the key; a value that is not as expected counts as missing."""
    try:
        return read(item, key)
    except Unreadable:
        return None


def _flatten(name: str, value: Any, found: dict[str, Value]) -> None:
    if len(name) > SHORT:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, found)
    elif isinstance(value, str | int | float):
        found[name] = value


def tag_names(tags: Any) -> tuple[str, ...] | None:
    """The names of a call's tags, in a list of texts or of objects with a `name`; None where it is no such
    list."""
    if not isinstance(tags, list):
        return None
    named = [tag.get("name") if isinstance(tag, dict) else tag for tag in tags]
    names = tuple(name for name in named if isinstance(name, str))
    return names if len(names) == len(tags) else None
