"""What a call of CallRail's says, in its API and in its webhooks."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.adapter import Event, Reference
from platforms.callrail.records import FETCHED, LISTED, read_record
from platforms.callrail.settings import CallrailSettings
from platforms.errors import Unreadable
from platforms.payload import tag_names
from rules.facts import facts_from_json, facts_to_json

CALL: dict[str, Any] = {
    "id": "CAL8154748ae6bd4e278a7cddd38a662f4f",
    "answered": True,
    "business_phone_number": "+14045550100",
    "customer_name": "Jimmy Pesto",
    "customer_phone_number": "+13036231131",
    "direction": "inbound",
    "duration": 1860,
    "recording": "https://api.callrail.com/v3/a/1/calls/1/recording.json",
    "recording_duration": "1855",
    "start_time": "2017-01-24T11:27:48.119-05:00",
    "tracking_phone_number": "+13038163491",
    "voicemail": False,
    "agent_email": "gil@example.com",
    "call_type": "answered",
    "campaign": "US_branded",
    "source": "Google Ads",
    "transcription": "I want a refund",
    "call_summary": "A refund was asked for.",
    "lead_status": "good_lead",
    "tags": ["VIP"],
}
BEGAN = datetime(2017, 1, 24, 16, 27, 48, 119_000, tzinfo=UTC)


def read(**values: Any) -> Event:
    return read_record(CallrailSettings(), orjson.dumps(CALL | values))


def told(**values: Any) -> dict[str, Any]:
    event = read(**values)
    return {**event.defaults, **event.facts}


def test_a_call_says_all_that_is_declared_of_a_listed_one() -> None:
    event = read()
    assert event.references == (Reference("call_id", CALL["id"]),)
    assert event.ends
    assert event.tags == ("VIP",)
    facts = {**event.defaults, **event.facts}
    assert {name: facts[name] for name in LISTED - {"tags"}} == {
        "direction": "inbound",
        "status": "answered",
        "duration": 1860,
        "caller": "+13036231131",
        "receiver": "+13038163491",
        "started_at": BEGAN,
        "ended_at": datetime(2017, 1, 24, 16, 58, 48, 119_000, tzinfo=UTC),
        "has_recording": True,
        "has_voicemail": False,
        "agent": "gil@example.com",
        "source": "Google Ads",
        "campaign": "US_branded",
        "transcript": "I want a refund",
        "summary": "A refund was asked for.",
    }
    assert not FETCHED & set(facts)
    assert facts["custom.lead_status"] == "good_lead"
    assert facts["custom.business_phone_number"] == "+14045550100"


@pytest.mark.parametrize(
    ("values", "status", "duration"),
    [
        ({}, "answered", 1860),
        ({"call_type": None}, "answered", 1860),
        ({"answered": False, "call_type": "missed"}, "missed", 0),
        ({"answered": False, "call_type": None}, "missed", 0),
        ({"answered": False, "call_type": "abandoned"}, "abandoned", 0),
        ({"answered": False, "call_type": "abandonded"}, "abandoned", 0),
        ({"answered": False, "call_type": "voicemail", "voicemail": True}, "voicemail", 0),
        ({"answered": False, "call_type": "voicemail_transcription"}, "voicemail", 0),
        ({"answered": False, "call_type": None, "voicemail": True}, "voicemail", 0),
        ({"direction": "outbound", "call_type": "outbound"}, "answered", 1860),
        ({"direction": "outbound", "call_type": "outbound", "answered": False}, "no_answer", 0),
        (
            {"direction": "outbound", "call_type": "outbound", "answered": False, "duration": None},
            "no_answer",
            0,
        ),
        ({"answered": False, "call_type": "missed", "duration": None}, "missed", 0),
    ],
)
def test_how_a_call_ended(values: dict[str, Any], status: str, duration: int) -> None:
    facts = told(**values)
    assert (facts["status"], facts["duration"]) == (status, duration)


def test_the_length_that_callrail_tells_is_kept_for_calls_that_nobody_answered() -> None:
    assert told(answered=False, call_type="abandoned", duration=15)["custom.duration"] == 15


@pytest.mark.parametrize(
    "values",
    [
        {"duration": None, "call_type": None},
        {"duration": 5, "call_type": "in_progress"},
        {"duration": None, "direction": "outbound", "call_type": "outbound", "answered": None},
    ],
)
def test_a_call_that_goes_on_has_not_ended(values: dict[str, Any]) -> None:
    assert not read(**values).ends
    assert not {"status", "duration", "ended_at", "has_recording"} & set(told(**values))


def test_who_said_what_is_by_the_customer_and_by_us_whoever_began() -> None:
    talk = [
        {"speaker": "agent", "phrase": "Good morning.", "start": 0.1},
        {"speaker": "caller", "phrase": "A refund, please.", "start": 1.5},
        {"speaker": "agent", "phrase": "Certainly.", "start": 3},
    ]
    for direction in ("inbound", "outbound"):
        facts = told(direction=direction, conversational_transcript=talk)
        assert facts["transcript_caller"] == "A refund, please."
        assert facts["transcript_agent"] == "Good morning. Certainly."


def test_a_summary_may_be_several_sentences() -> None:
    assert told(call_summary=["One.", "Two."])["summary"] == "One. Two."


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (["A", "B"], ("A", "B")),
        ([{"id": 1, "name": "A"}], ("A",)),
        ([], ()),
        (None, None),
        ("A", None),
        ([{"id": 1}], None),
        ([1], None),
    ],
)
def test_tags_are_names_or_have_names(tags: Any, names: Any) -> None:
    assert tag_names(tags) == names


@pytest.mark.parametrize(
    ("key", "value", "fact"),
    [
        ("duration", "long", "ended_at"),
        ("duration", -5, "ended_at"),
        ("start_time", "yesterday", "started_at"),
        ("direction", "sideways", "direction"),
        ("customer_phone_number", 5, "caller"),
        ("call_summary", {"text": "a"}, "summary"),
        ("transcription", ["a"], "transcript"),
        ("conversational_transcript", ["a"], "transcript_caller"),
        ("conversational_transcript", [{"speaker": "a", "phrase": 1}], "transcript_caller"),
        ("voicemail", "perhaps", "has_voicemail"),
    ],
)
def test_a_field_that_is_not_as_documented_costs_only_itself(key: str, value: Any, fact: str) -> None:
    facts = told(**{key: value})
    assert fact not in facts
    assert facts["agent"] == "gil@example.com"


@pytest.mark.parametrize("value", [None, "", 5.5, {}, "a\nb"])
def test_a_call_without_an_id_is_unreadable(value: Any) -> None:
    with pytest.raises(Unreadable):
        read(id=value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*CALL, "conversational_transcript"]), JSON))
def test_whatever_a_field_holds_the_facts_are_such_as_rules_take(values: dict[str, Any]) -> None:
    values.pop("id", None)
    event = read(**values)
    for facts in (event.facts, event.defaults):
        assert facts_from_json(facts_to_json(facts)) == facts
