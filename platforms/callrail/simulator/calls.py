"""The platform's own record of a call, and how it shows in the API and in webhooks."""

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from platforms.simulated import Call
from platforms.simulated.talk import Line

Shown = dict[str, object]

COMPANY_ZONE = ZoneInfo("America/New_York")
ALWAYS = (
    "answered",
    "business_phone_number",
    "customer_city",
    "customer_country",
    "customer_name",
    "customer_phone_number",
    "customer_state",
    "direction",
    "duration",
    "id",
    "recording",
    "recording_duration",
    "start_time",
    "tracking_phone_number",
    "voicemail",
)
"""The fields of every call of the API; others must be asked for."""
ON_REQUEST = (
    "agent_email",
    "call_summary",
    "call_type",
    "campaign",
    "company_id",
    "company_name",
    "first_call",
    "keywords",
    "lead_status",
    "medium",
    "note",
    "source",
    "source_name",
    "tags",
    "transcription",
    "value",
)
ALONE = "conversational_transcript"
"""Only a single call can be asked for it."""
BEFORE_THE_END = (
    "call_type",
    "customer_name",
    "customer_phone_number",
    "direction",
    "source",
    "start_time",
    "tags",
    "tracking_phone_number",
)
WHEN_ROUTED = (*BEFORE_THE_END, "answered", "business_phone_number")
CALL_EVENTS = ("pre_call", "call_routing_complete", "post_call")
MODIFIED = "call_modified"


@dataclass(slots=True)
class Kept:
    """One call; `id` as in `resource_id`."""

    id: str
    call: Call
    voicemail: bool = False
    recorded: bool = True
    lines: tuple[Line, ...] = ()
    summary: str | None = None
    attached: bool = True
    """Transcript and summary are there already."""
    tags: list[str] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        return self.call.status == "answered"

    @property
    def start_time(self) -> str:
        at = datetime.fromtimestamp(self.call.started, COMPANY_ZONE)
        return at.isoformat(timespec="milliseconds")

    @property
    def call_type(self) -> str:
        if self.call.direction == "outbound":
            return "outbound"
        return "answered" if self.answered else "voicemail" if self.voicemail else "missed"

    def said(self, side: str | None = None) -> str:
        return " ".join(line.text for line in self.lines if side in (None, line.side))

    def all(self) -> Shown:
        """Every field, once the call is over."""
        inbound = self.call.direction == "inbound"
        customer, tracking = self.call.caller, self.call.receiver
        if not inbound:
            customer, tracking = tracking, customer
        ours = "receiver" if inbound else "caller"
        talk = [
            {"speaker": "agent" if line.side == ours else "caller", "phrase": line.text, "start": line.start}
            for line in self.lines
        ]
        recorded = self.recorded and (self.answered or self.voicemail)
        return {
            "answered": self.answered,
            "business_phone_number": "+14045550100" if self.answered else None,
            "customer_city": "Atlanta",
            "customer_country": "US",
            "customer_name": "Jimmy Pesto",
            "customer_phone_number": customer,
            "customer_state": "GA",
            "direction": self.call.direction,
            "duration": self.call.duration if self.answered else self.call.ring,
            "id": self.id,
            "recording": f"https://api.callrail.com/v3/a/1/calls/{self.id}/recording.json"
            if recorded
            else None,
            "recording_duration": str(self.call.duration) if recorded else None,
            "start_time": self.start_time,
            "tracking_phone_number": tracking,
            "voicemail": self.voicemail,
            "agent_email": "gil@example.com" if self.answered else None,
            "call_summary": self.summary if self.attached else None,
            "call_type": self.call_type,
            "campaign": "Summer",
            "company_id": "COM8154748ae6bd4e278a7cddd38a662f4f",
            "company_name": "Boost Marketing",
            "first_call": False,
            "keywords": None,
            "lead_status": None,
            "medium": None,
            "note": "",
            "source": "Google Ads",
            "source_name": "Website Pool",
            "tags": list(self.tags),
            "transcription": (self.said() or None) if self.attached else None,
            "value": None,
            ALONE: (talk or None) if self.attached else None,
        }

    def shown(self, asked: str, alone: bool) -> Shown:
        """As the API answers; `asked` is the parameter `fields`."""
        wanted = {name for name in asked.split(",") if name in ON_REQUEST or (alone and name == ALONE)}
        return {name: value for name, value in self.all().items() if name in ALWAYS or name in wanted}

    def webhook(self, event: str, changes: tuple[str, ...] = ()) -> Shown:
        """The body of a webhook: lengths are texts, and nothing is an empty one, as in CallRail's example."""
        everything = {name: "" if value is None else value for name, value in self.all().items()}
        everything["duration"] = str(everything["duration"])
        if event == "pre_call":
            everything = {name: everything[name] for name in BEFORE_THE_END} | {"call_type": "in_progress"}
        elif event == "call_routing_complete":
            everything = {name: everything[name] for name in WHEN_ROUTED} | {"call_type": "in_progress"}
        elif event == MODIFIED:
            everything["changes"] = list(changes)
        everything.pop("id", None)
        return everything | {"resource_id": self.id, "timestamp": self.start_time}
