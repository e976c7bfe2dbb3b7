"""A day of calls at the simulated company, and its facts, written from what was planned."""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from platforms.aircall.simulator.company import SUMMARIZED, TRANSCRIBED, Company
from platforms.aircall.simulator.records import Record
from platforms.simulated import Call, Fact
from platforms.simulated.day import plan_day
from platforms.simulated.talk import conversation

Told = tuple[float, Record, str, tuple[float, ...]]
"""When in the play (seconds), of which call, which event, and the delays of its deliveries."""


def play(company: Company, facts: dict[str, dict[str, Fact]], calls: int, calls_per_second: float) -> None:
    """Adds the calls at this pace and sends their webhooks; returns when the last one was sent."""
    chance = random.Random(company.next_id())  # noqa: S311 - chance for a simulation
    told: list[Told] = []
    for place, call in enumerate(plan_day(chance, calls)):
        record = _record(company, chance, call)
        company.add(record)
        facts[record.reference] = _facts(record)
        told += _told(chance, record, place / calls_per_second)
    began = time.monotonic()
    for at, record, event, delays in sorted(told, key=lambda each: each[0]):
        time.sleep(max(began + at - time.monotonic(), 0.0))
        company.tell(record, event, delays)


def _record(company: Company, chance: random.Random, call: Call) -> Record:
    answered, inbound = call.status == "answered", call.direction == "inbound"
    record = Record(
        company.next_id(),
        call,
        voicemail=inbound and not answered and chance.random() < 0.4,
        recorded=answered and chance.random() < 0.85,
    )
    if record.recorded and call.duration >= 20 and chance.random() < 0.5:
        topic, record.lines = conversation(chance, call.duration, "receiver" if inbound else "caller")
        record.summary = topic.summary if chance.random() < 0.7 else None
    return record


def _facts(record: Record) -> dict[str, Fact]:
    """Times as ISO 8601 text. The length counts the ringing, as Aircall's does."""
    call = record.call
    facts: dict[str, Fact] = {
        "platform": "aircall",
        "direction": call.direction,
        "status": _status(call),
        "duration": call.ring + call.duration if record.answered else 0,
        "caller": call.caller,
        "receiver": call.receiver,
        "started_at": _iso(call.started),
        "ended_at": _iso(call.ended),
        "has_recording": record.recorded,
        "has_voicemail": record.voicemail,
    }
    if record.answered:
        facts |= {"talk_time": call.duration, "wait_time": call.ring, "agent": record.agent}
    if record.lines:
        theirs = "caller" if call.direction == "inbound" else "receiver"
        facts["transcript"] = " ".join(line.text for line in record.lines)
        facts["transcript_caller"] = " ".join(line.text for line in record.lines if line.side == theirs)
        facts["transcript_agent"] = " ".join(line.text for line in record.lines if line.side != theirs)
    if record.summary:
        facts["summary"] = record.summary
    return facts


def _status(call: Call) -> str:
    if call.status == "answered" or call.direction == "outbound":
        return "answered" if call.status == "answered" else "no_answer"
    return "abandoned" if call.status == "no_answer" else "missed"


def _told(chance: random.Random, record: Record, at: float) -> Iterator[Told]:
    """The call's webhooks: of some calls one comes twice, of some they come in another order."""
    disorder = chance.random() < 0.1
    for place, event in enumerate(_events(chance, record)):
        delays = [chance.random() if disorder else 0.0]
        if chance.random() < 0.03:
            delays.append(0.2)
        yield at + 0.05 * place, record, event, tuple(delays)


def _events(chance: random.Random, record: Record) -> Iterator[str]:
    yield "call.created"
    if record.answered:
        yield "call.answered"
    if chance.random() < 0.9:
        yield "call.hungup"
    yield "call.ended"
    if record.voicemail:
        yield "call.voicemail_left"
    if record.recorded:
        yield "call.comm_assets_generated"
    if record.lines:
        yield TRANSCRIBED
    if record.summary:
        yield SUMMARIZED


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).isoformat()
