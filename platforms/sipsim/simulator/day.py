"""A realistic day of calls: what the platform knows of each, the webhooks it sends, and the facts by hand.

The facts are written here from what was planned, not read out of the webhooks: with them a demonstration can
tell what the rules should have said, whatever the adapter understood.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from platforms.simulated import Call, Fact
from platforms.simulated.day import plan_day
from platforms.simulated.sender import Payload
from platforms.simulated.talk import TOPICS, conversation
from platforms.sipsim.simulator import events
from platforms.sipsim.simulator.records import Record, Segment, iso

STATUSES = {"answered": "ANSWER", "missed": "MISSED", "busy": "BUSY", "no_answer": "NOANSWER"}
CHANNELS = {"caller": "left", "receiver": "right"}
RECORDINGS = "https://app.sipsim.com/recordings"
LATER = 0.5
"""The first of the events that come after the end, in seconds of the play."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A webhook, `delay` seconds of the play after its call's turn came."""

    delay: float
    payload: Payload


@dataclass(frozen=True, slots=True)
class DayCall:
    """A call, its webhooks by delay, and its facts once all of them arrived (times as ISO 8601 text)."""

    record: Record
    sendings: tuple[Sending, ...]
    facts: dict[str, Fact]


Day = tuple[DayCall, ...]


def make_day(calls: int = 200, seed: int = 1, on: date | None = None, first_id: int = 100_001) -> Day:
    """That many calls of this day (UTC; default yesterday) by their end, the same for the same arguments.

    Some with voicemail, transcript, summary or rating afterwards, some sent twice, some in the wrong order.
    """
    chance = random.Random(f"{seed} {first_id}")  # noqa: S311 - chance for a simulation
    plans = plan_day(chance, calls, on)
    return tuple(_call(chance, plan, first_id + place) for place, plan in enumerate(plans))


def _call(chance: random.Random, plan: Call, call_id: int) -> DayCall:
    record = _record(chance, plan, call_id)
    answered = plan.status == "answered"
    audio = _audio(record) if answered and chance.random() < 0.85 else None
    ended = plan.ended
    facts: dict[str, Fact] = {
        "platform": "sipsim",
        "direction": plan.direction,
        "status": plan.status,
        "duration": plan.duration,
        "caller": record.caller,
        "receiver": record.receiver,
        "started_at": iso(ended - plan.duration),
        "ended_at": iso(ended),
        "has_recording": audio is not None,
    }
    during = [events.end(record, ended, audio)]
    if chance.random() < 0.9:
        facts["started_at"] = iso(record.started)
        during = _before_the_end(chance, record, plan) + during
    if record.voicemail:
        facts["has_voicemail"] = True
        during.append(events.voicemail(record, ended, chance.randint(4, 60), _audio(record)))
    after = _afterwards(chance, record, plan, facts) if audio and plan.duration >= 20 else []
    return DayCall(record, _sendings(chance, during, after), facts)


def _record(chance: random.Random, plan: Call, call_id: int) -> Record:
    inbound = plan.direction == "inbound"
    segments: tuple[Segment, ...] = ()
    if plan.duration >= 20 and chance.random() < 0.4:
        _, said = conversation(chance, plan.duration, "receiver" if inbound else "caller")
        segments = tuple(Segment(line.text, line.start, line.end, CHANNELS[line.side]) for line in said)
    return Record(
        id=call_id,
        reference=f"call_{chance.getrandbits(48):012x}",
        direction=plan.direction,
        caller=plan.caller,
        receiver=plan.receiver,
        started=plan.started,
        duration=plan.duration,
        status=STATUSES[plan.status],
        voicemail=inbound and plan.status != "answered" and chance.random() < 0.4,
        segments=segments,
    )


def _before_the_end(chance: random.Random, record: Record, plan: Call) -> list[Payload]:
    """Start, the members that were rung one after the other, and the answer."""
    sent = [events.step(record, "start", record.started)]
    if plan.direction == "inbound":
        at = record.started
        for member in chance.sample(("101", "102", "103"), chance.choice((0, 0, 0, 1, 2))):
            sent.append(events.step(record, "start_chain_member_call", at, member))
            at = min(at + 10, record.started + plan.ring)
            sent.append(events.step(record, "end_chain_member_call", at, member))
    if plan.status == "answered":
        sent.append(events.step(record, "answer", record.started + plan.ring))
    return sent


def _afterwards(chance: random.Random, record: Record, plan: Call, facts: dict[str, Fact]) -> list[Payload]:
    """Transcript, summary and rating, which name the call by its integer; their facts are added."""
    sent: list[Payload] = []
    if record.segments:
        ours, theirs = ("right", "left") if plan.direction == "inbound" else ("left", "right")
        facts["transcript"] = spoken(record.segments)
        facts["transcript_agent"] = spoken(record.segments, ours)
        facts["transcript_caller"] = spoken(record.segments, theirs)
        sent.append(events.speech(record.id, record.segments))
        if chance.random() < 0.7:
            said = spoken(record.segments, theirs)
            text = next(topic.summary for topic in TOPICS if topic.customer[0] in said)
            facts["summary"] = text
            sent.append(events.summary(record.id + 500_000, record.id, text))
    if chance.random() < 0.3:
        facts["rating"] = score = chance.randint(20, 100)
        sent.append(events.rating(record.id, score))
    return sent


def _sendings(chance: random.Random, during: list[Payload], after: list[Payload]) -> tuple[Sending, ...]:
    """The webhooks in their order with pauses; for some calls two of them twice, or all backwards."""
    delays = [0.03 * place for place in range(len(during))]
    delays += [LATER + 0.4 * place + chance.random() for place in range(len(after))]
    sent = [Sending(delay, payload) for delay, payload in zip(delays, during + after, strict=True)]
    if chance.random() < 0.1:
        backwards = reversed(delays)
        sent = [replace(each, delay=delay) for each, delay in zip(sent, backwards, strict=True)]
    if chance.random() < 0.1:
        sent += [replace(each, delay=each.delay + 0.2) for each in sent[-2:]]
    return tuple(sorted(sent, key=lambda each: each.delay))


def _audio(record: Record) -> str:
    return f"{RECORDINGS}/{record.reference}.mp3"


def spoken(segments: Sequence[Segment], channel: str | None = None) -> str:
    """All texts in order, joined by a space; those of one channel where one is named."""
    return " ".join(segment.text for segment in segments if channel in (None, segment.channel))
