"""The stored calls that ended, part by part, for backtests."""

from collections.abc import Iterator

from rules.reading import PART, Calls, read_calls
from store import past
from store.database import Database

SLACK = 2 * 86_400.0
"""Seconds by which the platform's clock may be ahead of ours: else no call is known before it was."""

Part = tuple[int, int]
"""First and last row."""
Bounds = tuple[float | None, float | None]
"""From when and until when, Unix seconds."""


def parts(database: Database) -> Iterator[Part]:
    """Those of all calls."""
    return past.parts(database, PART)


def known_since(asked: Bounds) -> float | None:
    """From when on the calls of that time became known; they may do so at any time later."""
    return None if asked[0] is None else asked[0] - SLACK


def stored_calls(database: Database, part: Part, asked: Bounds) -> Calls:
    """Those of a part that may be of that time."""
    with database.read() as connection:
        found = past.calls_of(connection, part, known_since(asked))
    return read_calls([(call.name, call.facts) for call in found], [call.first_at for call in found])
