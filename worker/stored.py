"""The stored calls that ended, part by part, for backtests."""

from rules.reading import Calls, read_calls
from store.database import Database
from store.past import calls_of

SLACK = 2 * 86_400.0
"""Seconds by which the platform's clock may be ahead of ours: else no call is known before it was."""

Bounds = tuple[float | None, float | None]
"""From when and until when, Unix seconds."""


def known_since(asked: Bounds) -> float | None:
    """From when on the calls of that time became known; they may do so at any time later."""
    return None if asked[0] is None else asked[0] - SLACK


def stored_calls(database: Database, part: tuple[int, int], asked: Bounds) -> Calls:
    """Those of a part (as `store.past.parts` has them) that were in that time."""
    with database.read() as connection:
        found = calls_of(connection, part, known_since(asked))
    calls = read_calls([(call.name, call.facts) for call in found], [call.first_at for call in found])
    return calls.within(*asked)
