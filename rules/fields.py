"""The catalogue of fields: what a rule can ask about a call. One table; everything else is made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The type of a field's values; its text is what messages call it."""

    TEXT = "text"
    PHONE = "phone number"
    NUMBER = "number"
    DURATION = "duration"
    TIME = "time"
    DATE = "date"
    TIME_OF_DAY = "time of day"
    BOOLEAN = "true or false"
    TEXTS = "list of texts"
    SCALAR = "text, number or boolean"


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the catalogue. `values` are the only ones the field can have, where it has fixed ones."""

    name: str
    type: Type
    meaning: str
    unit: str | None = None
    values: tuple[str, ...] = ()
    always: bool = False
    """Every call has it."""


CUSTOM = "custom."
"""How the names of the fields begin that hold a platform's own values."""

CUSTOM_FIELD = Field("custom.<key>", Type.SCALAR, "any scalar of the platform's own payload")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DIRECTIONS = ("inbound", "outbound", "internal")
STATUSES = ("answered", "missed", "busy", "no_answer", "voicemail", "failed", "abandoned")

CATALOGUE: tuple[Field, ...] = (
    Field("platform", Type.TEXT, "the platform's name, such as sipsim", always=True),
    Field("account", Type.TEXT, "the configured account, by default the platform's name", always=True),
    Field("direction", Type.TEXT, "who called whom", values=DIRECTIONS),
    Field("status", Type.TEXT, "how the call ended", values=STATUSES),
    Field("duration", Type.DURATION, "length of the call; 0 when not answered", unit="s"),
    Field("talk_time", Type.DURATION, "time spent talking", unit="s"),
    Field("wait_time", Type.DURATION, "time until the call was answered", unit="s"),
    Field("caller", Type.PHONE, "the number that called"),
    Field("receiver", Type.PHONE, "the number that was called"),
    Field("remote_number", Type.PHONE, "the outside party's number; none for internal calls"),
    Field("our_number", Type.PHONE, "our own number; none for internal calls"),
    Field("remote_country", Type.TEXT, "ISO 3166 code of the outside party's country, such as FR"),
    Field("started_at", Type.TIME, "when the call began"),
    Field("ended_at", Type.TIME, "when the call ended"),
    Field("local_time", Type.TIME_OF_DAY, "hour of the start, else the end, in the set's zone"),
    Field("local_date", Type.DATE, "day of the start, else the end, in the set's zone"),
    Field("weekday", Type.TEXT, "day of the week, as `local_date`", values=WEEKDAYS),
    Field("agent", Type.TEXT, "who took or made the call"),
    Field("queue", Type.TEXT, "the queue the call went through"),
    Field("source", Type.TEXT, "where the caller found the number"),
    Field("campaign", Type.TEXT, "the campaign the call belongs to"),
    Field("has_recording", Type.BOOLEAN, "the platform has a recording of the call"),
    Field("has_voicemail", Type.BOOLEAN, "the caller left a voicemail"),
    Field("tags", Type.TEXTS, "the tags on the call that are not ours; none until seen once"),
    Field("transcript", Type.TEXT, "what was said, all segments joined by a space"),
    Field("transcript_caller", Type.TEXT, "what the caller's side said"),
    Field("transcript_agent", Type.TEXT, "what our side said"),
    Field("summary", Type.TEXT, "the platform's summary of the call"),
    Field("rating", Type.NUMBER, "the platform's overall score"),
)

FIELDS: Mapping[str, Field] = {field.name: field for field in CATALOGUE}

PARTIES = ("direction", "caller", "receiver")
START = ("started_at",)
DERIVED: Mapping[str, tuple[str, ...]] = {
    "remote_number": PARTIES,
    "our_number": PARTIES,
    "remote_country": PARTIES,
    "local_time": START,
    "local_date": START,
    "weekday": START,
}
"""The fields that follow from others where they are not given, and from which; the end stands for a start
that is not known."""


def find(name: str) -> Field | None:
    """The field of that name, `custom.<key>` for any key, or None."""
    field = FIELDS.get(name)
    if field is None and name.startswith(CUSTOM) and len(name) > len(CUSTOM):
        return CUSTOM_FIELD
    return field
