"""Which fields of the catalogue a platform fills, and by what."""

from enum import StrEnum

from platforms.adapter import Platform
from rules.fields import CUSTOM_FIELD, DERIVED, Field


class Way(StrEnum):
    """How a fact comes from a platform."""

    WEBHOOK = "webhook"
    LIST = "list"
    """With the calls of its list: by reconciliation, in fetched calls and in re-tagging jobs."""
    REQUEST = "request"
    """By a request for each call: with `calls fetch --transcripts`, and in jobs that fetch them."""


def ways(platform: Platform, field: Field) -> list[Way]:
    """How the platform fills the field; one that follows from others comes as they do."""
    brought = {Way.WEBHOOK: platform.told, Way.LIST: platform.listed, Way.REQUEST: platform.fetched}
    if field.always or field is CUSTOM_FIELD:  # whatever an adapter does not know is kept as such
        return [Way.WEBHOOK, Way.LIST]
    names = set(DERIVED.get(field.name, (field.name,)))
    return [way for way, facts in brought.items() if names <= facts]
