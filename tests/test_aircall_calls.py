"""What a call of Aircall says, as its documents show one and as it comes at every stage."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from platforms.adapter import Phase, Reference
from platforms.aircall.calls import FETCHED, LISTED, read_call, read_record
from platforms.aircall.settings import AircallSettings
from platforms.errors import Unreadable

SETTINGS = AircallSettings()
BEGAN = 1_732_622_895
DOCUMENTED: dict[str, Any] = {
    "id": 123,
    "direct_link": "https://api.aircall.io/v1/calls/123",
    "direction": "outbound",
    "call_uuid": "CAed058bba60a84d62c77cee898a852b05",
    "status": "initial",
    "missed_call_reason": None,
    "started_at": BEGAN,
    "answered_at": None,
    "ended_at": None,
    "duration": 0,
    "cost": "0",
    "hangup_cause": None,
    "voicemail": None,
    "recording": None,
    "raw_digits": "+1 800-123-4567",
}
"""The documents' own example of a call that begins."""
DONE: dict[str, Any] = {
    **DOCUMENTED,
    "direction": "inbound",
    "status": "done",
    "answered_at": BEGAN + 12,
    "ended_at": BEGAN + 72,
    "duration": 72,
    "raw_digits": "+33 6 12 34 56 78",
    "user": {"id": 456, "name": "Madelaine Dupont"},
    "number": {"id": 1, "name": "Service", "digits": "+33 1 76 36 06 95"},
    "tags": [{"id": 8, "name": "VIP"}],
}


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(BEGAN + seconds, UTC)


def facts(**changed: Any) -> dict[str, Any]:
    event = read_call(SETTINGS, "record", {**DONE, **changed})
    return {**event.defaults, **event.facts}


def test_the_documented_example_is_read() -> None:
    event = read_call(SETTINGS, "call.created", DOCUMENTED, at(1))
    assert (event.references, event.time, event.phase) == ((Reference("call_id", "123"),), at(1), Phase.START)
    assert event.facts == {
        "direction": "outbound",
        "receiver": "+18001234567",
        "started_at": at(0),
        "custom.sid": "CAed058bba60a84d62c77cee898a852b05",
        "custom.duration": 0,
        "custom.cost": "0",
    }
    assert (event.defaults, event.tags, event.ends) == ({}, None, False)


def test_a_call_that_is_done_says_all() -> None:
    event = read_call(SETTINGS, "record", DONE)
    told = {name: value for name, value in event.facts.items() if not name.startswith("custom.")}
    assert told == {
        "direction": "inbound",
        "status": "answered",
        "duration": 72,
        "talk_time": 60,
        "wait_time": 12,
        "caller": "+33612345678",
        "receiver": "+33176360695",
        "started_at": at(0),
        "ended_at": at(72),
        "agent": "Madelaine Dupont",
    }
    assert event.defaults == {"has_recording": False, "has_voicemail": False}
    assert (event.tags, event.ends, event.phase) == (("VIP",), True, Phase.AFTER)
    assert {*told, *event.defaults, "tags"} == LISTED


def test_our_side_of_an_outgoing_call_is_the_caller() -> None:
    told = facts(direction="outbound")
    assert (told["caller"], told["receiver"]) == ("+33176360695", "+33612345678")


def test_the_number_without_spaces_that_webhooks_have_is_preferred() -> None:
    assert facts(number={"digits": "01 76", "e164_digits": "+33176360695"})["receiver"] == "+33176360695"


@pytest.mark.parametrize(
    ("direction", "reason", "status"),
    [
        ("inbound", "no_available_agent", "missed"),
        ("inbound", "agents_did_not_answer", "missed"),
        ("inbound", "out_of_opening_hours", "missed"),
        ("inbound", "short_abandoned", "abandoned"),
        ("inbound", "abandoned_in_ivr", "abandoned"),
        ("inbound", "abandoned_in_classic", "abandoned"),
        ("inbound", None, "missed"),
        ("inbound", "a_new_one", "missed"),
        ("outbound", None, "no_answer"),
    ],
)
def test_a_call_that_nobody_answered_lasted_for_none_and_says_why(
    direction: str, reason: str | None, status: str
) -> None:
    told = facts(answered_at=None, duration=40, direction=direction, missed_call_reason=reason)
    assert (told["status"], told["duration"], told["custom.duration"]) == (status, 0, 40)
    assert told.get("custom.missed_call_reason") == reason
    assert not {"talk_time", "wait_time"} & told.keys()


def test_what_is_known_only_at_the_end_is_not_read_of_a_call_that_goes_on() -> None:
    event = read_call(SETTINGS, "call.tagged", {**DONE, "status": "answered", "ended_at": None})
    assert (event.phase, event.ends, event.defaults) == (Phase.ANSWER, False, {})
    assert not {"status", "duration", "talk_time", "wait_time", "ended_at"} & event.facts.keys()
    assert event.tags == ("VIP",)


def test_a_recording_s_address_is_no_fact_and_that_there_is_one_is() -> None:
    told = facts(
        recording="https://assets.aircall.io/r.mp3?sig=1", voicemail="https://assets.aircall.io/v.mp3"
    )
    assert (told["has_recording"], told["has_voicemail"]) == (True, True)
    assert not any("https://assets" in str(value) for value in told.values())


def test_other_values_of_the_call_are_custom() -> None:
    told = facts(cost="0.02", archived=True, comments=[{"content": "Hello"}])
    assert (told["custom.cost"], told["custom.archived"], told["custom.number.name"]) == (
        "0.02",
        True,
        "Service",
    )
    assert "custom.comments" not in told


@pytest.mark.parametrize(
    ("changed", "lacking"),
    [
        ({"duration": "72"}, "duration"),
        ({"raw_digits": 5}, "caller"),
        ({"number": "x"}, "receiver"),
        ({"user": None}, "agent"),
        ({"started_at": 1e300}, "started_at"),
        ({"started_at": -5e9}, "started_at"),
        ({"ended_at": "soon"}, "ended_at"),
        ({"ended_at": BEGAN}, "talk_time"),
        ({"direction": "sideways"}, "direction"),
    ],
)
def test_a_field_that_is_not_as_documented_is_missing_and_the_rest_is_read(
    changed: dict[str, Any], lacking: str
) -> None:
    told = facts(**changed)
    assert lacking not in told
    assert told["status"] == "answered"


@pytest.mark.parametrize("tags", [None, "VIP", [{"id": 8}], [8]])
def test_tags_that_cannot_be_read_are_no_empty_list(tags: Any) -> None:
    assert read_call(SETTINGS, "record", {**DONE, "tags": tags}).tags is None


@pytest.mark.parametrize("call", [{}, {"id": None}, {"id": True}, {"id": " "}])
def test_a_call_without_an_id_cannot_be_read(call: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_record(SETTINGS, orjson.dumps(call))


def test_a_stored_record_says_what_was_said() -> None:
    content = {"utterances": [{"text": "A refund, please.", "participant_type": "external"}]}
    body = orjson.dumps({**DONE, "transcription": {"transcription": {"content": content}}})
    event = read_record(SETTINGS, body)
    assert event.name == "record"
    assert {name: event.facts[name] for name in FETCHED} == {
        "transcript": "A refund, please.",
        "transcript_caller": "A refund, please.",
        "transcript_agent": "",
    }
