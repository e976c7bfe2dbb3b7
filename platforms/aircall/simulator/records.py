"""What the simulated platform knows of a call, and how it shows it in answers and webhooks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time_ns
from typing import Any, Literal

from platforms.simulated import Call
from platforms.simulated.talk import Line

Shown = dict[str, Any]
Stage = Literal["initial", "answered", "done"]

USERS = ("Madelaine Dupont", "John Doe", "Aline Petit")
MISSED = {"missed": "agents_did_not_answer", "busy": "no_available_agent", "no_answer": "short_abandoned"}
"""Why an incoming call was missed, by how it ended."""


@dataclass(slots=True)
class Tag:
    id: int
    name: str
    color: str
    description: str | None = None

    def shown(self) -> Shown:
        direct_link = f"https://api.aircall.io/v1/tags/{self.id}"
        brief = {"id": self.id, "name": self.name, "direct_link": direct_link}
        return brief | {"color": self.color, "description": self.description}


@dataclass(slots=True)
class Record:
    """A call that has ended; its earlier stages can be shown all the same."""

    id: int
    call: Call
    voicemail: bool = False
    recorded: bool = False
    lines: Sequence[Line] = ()
    summary: str | None = None
    tags: list[Tag] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return str(self.id)

    @property
    def ours(self) -> str:
        return self.call.receiver if self.call.direction == "inbound" else self.call.caller

    @property
    def theirs(self) -> str:
        return self.call.caller if self.call.direction == "inbound" else self.call.receiver

    @property
    def answered(self) -> bool:
        return self.call.status == "answered"

    @property
    def agent(self) -> str:
        return USERS[self.id % len(USERS)]

    def shown(self, stage: Stage = "done", assets: bool = True) -> Shown:
        """The call as it stood at that stage; its recording and voicemail come a while after the end."""
        call, done = self.call, stage == "done"
        begun, ended = int(call.started), int(call.ended)
        answered = self.answered and stage != "initial"
        inbound = call.direction == "inbound"
        link = f"https://api.aircall.io/v1/calls/{self.id}"
        short = f"until={time_ns()}"  # such an address is another one each time
        return {
            "id": self.id,
            "sid": f"CA{self.id:032x}",
            "direct_link": link,
            "direction": call.direction,
            "status": stage,
            "missed_call_reason": MISSED.get(call.status) if done and inbound else None,
            "started_at": begun,
            "answered_at": begun + call.ring if answered else None,
            "ended_at": ended if done else None,
            "duration": ended - begun if done else 0,
            "raw_digits": spaced(self.theirs),
            "voicemail": f"{link}/voicemail.mp3?{short}" if self.voicemail and assets else None,
            "recording": f"{link}/recording.mp3?{short}" if self.recorded and assets else None,
            "cost": "0.0",
            "user": {"id": 400 + self.id % 3, "name": self.agent} if answered else None,
            "contact": None,
            "number": {"id": 700, "name": "Service", "digits": spaced(self.ours), "country": "FR"},
            "teams": [{"id": 9, "name": "Support"}] if inbound else [],
            "comments": [],
            "conference_participants": [],
            "tags": [tag.shown() for tag in self.tags],
        }

    def transcription(self) -> Shown:
        theirs = "caller" if self.call.direction == "inbound" else "receiver"
        utterances = [
            {
                "start_time": line.start,
                "end_time": line.end,
                "text": line.text,
                "participant_type": "external" if line.side == theirs else "internal",
            }
            for line in self.lines
        ]
        return {"language": "en-US", "utterances": utterances}


def in_webhook(shown: Shown) -> Shown:
    """The same call as webhooks show it: two of its fields go by other names there."""
    other = {"sid": "call_uuid", "conference_participants": "participants"}
    return {other.get(name, name): value for name, value in shown.items()}


def spaced(number: str) -> str:
    """A number as people write it."""
    return " ".join((number[:3], *(number[place : place + 2] for place in range(3, len(number), 2))))
