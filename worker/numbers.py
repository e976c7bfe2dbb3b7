"""Phone numbers as people write them, and where they stand in what the platforms sent."""

import re
from collections.abc import Collection, Iterator
from typing import Any

import orjson

from platforms.phones import e164
from rules.text import bare_phone
from worker.settings import Settings

WRITTEN = re.compile(r"\+?[0-9(][0-9 ().\u00a0\u202f-]*[0-9]|[0-9]")
"""What may be a number within a text."""


def regions(settings: Settings) -> set[str | None]:
    """The countries whose national numbers some account may mean; None is none."""
    own = {account.settings.default_region for account in settings.accounts.values()}
    return {None, settings.default_region, *own}


def spellings(settings: Settings, number: str) -> list[str]:
    """The number as the facts of the accounts' calls may have it, also where the platform leaves `+` out.

    Raises ValueError when it has no digit.
    """
    if not any(sign.isdigit() for sign in number):
        raise ValueError("is no phone number")
    found = {e164(number, region) for region in regions(settings)}
    return sorted(found | {one.removeprefix("+") for one in found})


def mentions(body: bytes, numbers: Collection[str], countries: Collection[str | None]) -> bool:
    """Whether the body holds one of the numbers (as `spellings` gives them), however it is written there."""
    return any(
        bare_phone(written) in numbers or any(e164(written, country) in numbers for country in countries)
        for text in _texts(body)
        for written in WRITTEN.findall(text)
    )


def _texts(body: bytes) -> Iterator[str]:
    """Every text and number in the body; the body itself where it is no JSON."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        yield body.decode(errors="replace")
        return
    yield from _within(found)


def _within(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str | int | float):
            yield str(one)
