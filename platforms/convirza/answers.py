"""What Convirza answers. Where the documents are silent or of two minds it is decided here, once: `items` and
`total` (where a list's items and their number are), `either` (an array with two names)."""

import time
from collections.abc import Mapping
from typing import Any

from platforms.adapter import Grant, Tag
from platforms.errors import Unreachable, Unreadable
from platforms.payload import Payload, moment, seconds, text
from platforms.rest import tag_of
from platforms.settings import sendable

V2_REFRESH_LIFE = 30 * 86_400.0
"""Seconds for which the old API's refresh token is good."""


def items(answer: Mapping[str, Any]) -> list[Any]:
    """The items of a list: `data`, or the only list in it; not documented."""
    data = answer["data"]
    lists = [data] if isinstance(data, list) else [each for each in data.values() if isinstance(each, list)]
    if len(lists) != 1:
        raise Unreachable("a list was answered without its items")
    return lists[0]


def total(answer: Mapping[str, Any]) -> int | None:
    """How many items there are in all; its name is not documented."""
    data = answer["data"] if isinstance(answer["data"], dict) else {}
    found = (place.get(name) for place in (data, answer) for name in ("total", "total_count", "count"))
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), None)


def either(data: Any, *names: str) -> list[Any]:
    """The list under one of these names: the documents' text and its example have different ones."""
    found = (data.get(name) for name in names) if isinstance(data, dict) else ()
    return next((value for value in found if isinstance(value, list)), [])


def tag(item: Any) -> Tag:
    return tag_of(item, "tag_id", "tag_name")


def grant(answer: Payload) -> Grant:
    """`expires_in` and `refresh_expires_in` are times, not lengths."""
    try:
        token, until = text(answer, "access_token", limit=None), moment(answer, "expires_in")
        refresh = text(answer, "refresh_token", limit=None)
        refresh_until = moment(answer, "refresh_expires_in")
    except Unreadable as fault:
        raise Unreachable(f"a token was answered that cannot be read: {fault}") from None
    if not token or not sendable(token) or until is None:
        raise Unreachable("a token was answered without access_token and expires_in")
    return Grant(token, until.timestamp(), refresh, refresh_until.timestamp() if refresh_until else 0.0)


def v2_grant(answer: Payload) -> Grant:
    """`expires_in` is a length here, as in RFC 6749: inferred."""
    try:
        token, life = text(answer, "access_token", limit=None), seconds(answer, "expires_in")
        refresh = text(answer, "refresh_token", limit=None)
    except Unreadable as fault:
        raise Unreachable(f"a token was answered that cannot be read: {fault}") from None
    if not token or not sendable(token) or life is None:
        raise Unreachable("a token was answered without access_token and expires_in")
    now = time.time()
    return Grant(token, now + life, refresh, now + V2_REFRESH_LIFE)
