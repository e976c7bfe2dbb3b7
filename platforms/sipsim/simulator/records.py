"""The platform's own record of a call, and how it shows to those who ask the API."""

from dataclasses import dataclass
from datetime import UTC, datetime

Key = tuple[float, int]
"""The order of the list: start (Unix seconds), then id."""

CHANNEL_NUMBERS = {"left": 0, "right": 1}


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of speech; `channel` is `left` (the caller) or `right` (the receiver), times in seconds."""

    text: str
    start: float
    end: float
    channel: str


@dataclass(frozen=True, slots=True)
class Record:
    """One call: `direction` inbound or outbound, `started` in Unix seconds, `status` as in the end event."""

    id: int
    reference: str
    direction: str
    caller: str
    receiver: str
    started: float
    duration: int
    status: str = "ANSWER"
    voicemail: bool = False
    segments: tuple[Segment, ...] = ()

    @property
    def key(self) -> Key:
        return (self.started, self.id)

    @property
    def kinds(self) -> frozenset[str]:
        """The `call_types` of the list that this call belongs to."""
        outgoing = self.direction == "outbound"
        found = {"outgoing" if outgoing else "inbound"}
        if not outgoing and self.status != "ANSWER":
            found.add("missed")
        if self.voicemail:
            found.add("voicemail")
        return frozenset(found)

    def shown(self, tags: list[dict[str, object]], with_reference: bool) -> dict[str, object]:
        """The Call object: the documented fields alone, `duration_sec` null when nobody answered."""
        call: dict[str, object] = {
            "id": self.id,
            "direction": self.direction,
            "caller_number": self.caller,
            "receiver_number": self.receiver,
            "duration_sec": self.duration if self.status == "ANSWER" else None,
            "tags": tags,
        }
        if with_reference:
            call["pbx_id"] = self.reference
        return call


def digits(number: str) -> str:
    """What two spellings of one number have in common."""
    return "".join(filter(str.isdigit, number))


def iso(seconds: float) -> str:
    """Unix seconds as the platform writes times: UTC, whole seconds, `Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
