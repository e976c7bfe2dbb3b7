"""What was said on a call, and its summary, as the Aircall AI tells them.

Which shape an event carries is not documented; the API's own answers are known from others who read them. So
both are looked for, with and without the key around them, and anything else counts as nothing said.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rules.facts import Value

TRANSCRIPTION, SUMMARY = "transcription", "summary"
SIDES = {"external": "transcript_caller", "internal": "transcript_agent"}
"""The fact of each side, by an utterance's `participant_type`: the outside party is the customer."""


def spoken(told: Any) -> dict[str, Value | None]:
    """The facts of a transcription; none where nothing was said. The sides only where any is named."""
    said = list(_utterances(told))
    if not said:
        return {}
    facts: dict[str, Value | None] = {"transcript": " ".join(words for _, words in said)}
    if any(side in SIDES for side, _ in said):
        facts |= {
            fact: " ".join(words for side, words in said if side == wanted) for wanted, fact in SIDES.items()
        }
    return facts


def summary(told: Any) -> str | None:
    """The text of a summary; None where there is none."""
    while isinstance(told, Mapping):
        told = told.get(SUMMARY) or told.get("content")
    return told.strip() or None if isinstance(told, str) else None


def _utterances(told: Any) -> Iterator[tuple[str, str]]:
    """Whose side, and what was said, of each utterance that holds a text."""
    inner = _of(_of(told, TRANSCRIPTION), "content")
    found = inner.get("utterances") if isinstance(inner, Mapping) else None
    for each in found if isinstance(found, list) else ():
        words = each.get("text") if isinstance(each, Mapping) else None
        if isinstance(words, str) and words.strip():
            yield str(each.get("participant_type")), words.strip()


def _of(told: Any, key: str) -> Any:
    """What stands under the key, or the same where it has none."""
    return told[key] if isinstance(told, Mapping) and key in told else told
