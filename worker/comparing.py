"""What a backtest on the pages is asked for: which rules, against which, over what time, and to what end."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from worker.moments import DAYS, read_moment
from worker.publishing import Edit


class BadRange(ValueError):
    """The time that was asked for is none; one line."""


def read_range(since: str, until: str, now: float) -> dict[str, Any]:
    """`since` and `until` in Unix seconds, None where nothing was asked for; a last day counts as a whole.

    Raises `BadRange`.
    """
    first, last = _bound("from", since, now), _bound("to", until, now)
    if last is not None and until.strip().count("-") == 2 and len(until.strip()) == len("2026-12-25"):
        last += DAYS - 1
    if first is not None and last is not None and first > last:
        raise BadRange("from: it is after 'to'")
    return {"since": first, "until": last, "from": since.strip(), "to": until.strip()}


def _bound(name: str, text: str, now: float) -> float | None:
    if not text.strip():
        return None
    try:
        return read_moment(text.strip(), now)
    except ValueError as fault:
        raise BadRange(f"{name}: {fault}") from None


def to_publish(edit: Edit, hash_: str) -> dict[str, Any]:
    """What a backtest keeps of the edit that it is made for, with the hash of the set that is looked at."""
    return {"edit": asdict(edit), "hash": hash_}


def edit_of(asked: Mapping[str, Any]) -> Edit | None:
    """The edit that a backtest was made for."""
    return Edit(**asked["edit"]) if "edit" in asked else None
