"""The bodies of the platform's webhooks, field by field as documented."""

from collections.abc import Sequence

from platforms.simulated.sender import Payload
from platforms.sipsim.simulator.records import Record, Segment, iso

DIRECTION_WORDS = {"inbound": "incoming", "outbound": "outgoing"}


def name_of(payload: Payload) -> str:
    """The name under which this event is switched on: speech and summary do not say theirs."""
    given = payload.get("event")
    if isinstance(given, str):
        return given
    return "speech" if "speech_state" in payload else "summary"


def step(record: Record, kind: str, at: float, receiver: str | None = None) -> Payload:
    """A start, answer or chain event: `kind` as in the event's name after the direction."""
    return {
        "event": f"{DIRECTION_WORDS[record.direction]}_call_{kind}",
        "caller": record.caller,
        "receiver": record.receiver if receiver is None else receiver,
        "time": iso(at),
        "pbx_id": record.reference,
    }


def end(record: Record, at: float, audio_path: str | None) -> Payload:
    """The end event; its `time` is the end of the call."""
    closing = {"duration": record.duration, "audio_path": audio_path, "status": record.status}
    return step(record, "end", at) | closing


def voicemail(record: Record, at: float, duration: int, audio_path: str) -> Payload:
    return step(record, "end", at) | {"event": "voicemail", "duration": duration, "audio_path": audio_path}


def tags(record: Record, at: float, names: Sequence[str]) -> Payload:
    """The complete list of the call's tags after an edit."""
    return step(record, "end", at) | {"event": "tags", "tags": list(names)}


def speech(call_id: int, segments: Sequence[Segment]) -> Payload:
    payload = [
        {
            "text": segment.text,
            "start": segment.start,
            "end": segment.end,
            "start_sec": segment.start,
            "channel": segment.channel,
        }
        for segment in segments
    ]
    return {"call_id": call_id, "speech_state": "speech_stored", "payload": payload}


def summary(summary_id: int, call_id: int, text: str) -> Payload:
    return {"id": summary_id, "summary": text, "call_id": call_id}


def rating(call_id: int, score: int) -> Payload:
    return {
        "event": "rating",
        "call_id": call_id,
        "overall_score": score,
        "criteria_scores": [{"name": "Politeness", "score": score, "feedback": "See highlights"}],
        "highlights": ["Greeted the customer"],
        "improvements": [],
    }
