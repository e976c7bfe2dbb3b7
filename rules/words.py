"""Words of messages: what was written, and the name that was perhaps meant."""

from collections.abc import Collection
from difflib import get_close_matches

from rules.fields import FIELDS

LONGEST = 60
"""Characters; what is longer was not a slip of the finger, and comparing takes long."""
LONGEST_QUOTE = 60
"""Characters of what is quoted."""
MOST = 1000
"""Names that are compared; with more, a set full of faults would take too long."""


def did_you_mean(word: str, names: Collection[str]) -> str:
    """`, did you mean 'duration'?`, or nothing where no name is near."""
    if len(word) > LONGEST or len(names) > MOST:
        return ""
    near = get_close_matches(word, list(names), n=1) or get_close_matches(word.lower(), list(names), n=1)
    return f", did you mean '{near[0]}'?" if near else ""


def nearest_field(name: str) -> str:
    """What follows `unknown field '...'`."""
    return did_you_mean(name, FIELDS) or "; `calltag rules fields` lists them"


def quote(raw: str) -> str:
    """What the author wrote, on one line and not too long."""
    line = " ".join(raw.split())
    return line if len(line) <= LONGEST_QUOTE else line[:LONGEST_QUOTE] + "..."
