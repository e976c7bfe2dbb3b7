"""A call as Convirza's list has it: the few fields that are known by name, and all others."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from platforms.adapter import Reference
from platforms.convirza.records import LISTED, read_item, read_record, tags_on
from platforms.convirza.settings import ConvirzaSettings
from platforms.errors import Unreadable
from rules.fields import FIELDS

SETTINGS = ConvirzaSettings(default_region="US")
ITEM = {
    "call_id": 123,
    "caller_id": "(312) 555-0123",
    "phone_number": "+13125550199",
    "disposition": "NO ANSWER",
    "duration": 0,
    "start_date": "2026-11-20T21:10:00Z",
    "recordings": [],
    "transcription": None,
    "tags": [{"tag_id": 1, "tag_name": "VIP"}],
    "org_unit_id": 4711,
    "provisioned_route": {"name": "Front desk"},
}


def facts(**more: Any) -> dict[str, Any]:
    return dict(read_item(SETTINGS, {"call_id": 1, **more}).facts)


def test_a_listed_call_is_read_and_read_again_from_its_body() -> None:
    event = read_item(SETTINGS, ITEM)
    assert event == read_record(SETTINGS, orjson.dumps(ITEM))
    assert event.references == (Reference("call_id", "123"),)
    assert (event.tags, event.ends) == (("VIP",), True)
    assert event.facts == {
        "caller": "+13125550123",
        "receiver": "+13125550199",
        "status": "no_answer",
        "custom.disposition": "NO ANSWER",
        "duration": 0,
        "started_at": datetime(2026, 11, 20, 21, 10, tzinfo=UTC),
        "has_recording": False,
        "custom.org_unit_id": 4711,
        "custom.provisioned_route.name": "Front desk",
    }


def test_the_list_brings_facts_of_the_catalogue() -> None:
    assert set(FIELDS) >= LISTED


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        ("ANSWERED", "answered"),
        ("answered", "answered"),
        ("NO ANSWER", "no_answer"),
        ("BUSY", "busy"),
        ("FAILED", "failed"),
        ("VOICEMAIL", "voicemail"),
        ("ABANDONED", "abandoned"),
        ("TRANSFERRED", "answered"),
        ("PARKED", None),
    ],
)
def test_every_documented_disposition_is_a_status_and_stays_readable(
    disposition: str, status: str | None
) -> None:
    found = facts(disposition=disposition)
    assert (found.get("status"), found["custom.disposition"]) == (status, disposition)


def test_a_field_goes_by_its_other_name_where_the_first_has_no_value() -> None:
    assert facts(phone_number=None, ring_to="+13125550100")["receiver"] == "+13125550100"
    assert (
        facts(start_time="2026-11-20T21:10:00Z", start_date="2026-01-01T00:00:00Z")["started_at"].month == 11
    )


@pytest.mark.parametrize(
    ("transcription", "expected"),
    [
        ("I would like a refund. ", "I would like a refund."),
        ({"text": "Hello."}, "Hello."),
        ({"segments": [{"text": "Hello."}, {"text": " "}, {"text": "Goodbye."}]}, "Hello. Goodbye."),
        ([{"text": "Hello."}, "Goodbye."], "Hello. Goodbye."),
        ([], None),
        ("", None),
        ({"id": 7}, None),
        (7, None),
    ],
)
def test_a_transcript_is_read_in_each_shape_that_it_may_have(
    transcription: Any, expected: str | None
) -> None:
    assert facts(transcription=transcription).get("transcript") == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([{"tag_id": 1, "tag_name": "VIP"}], {"VIP": "1"}),
        ([{"tag_name": "VIP"}], {"VIP": None}),
        (["VIP", "Refund"], {"VIP": None, "Refund": None}),
        ([], {}),
        ([{"name": "VIP"}], None),
        ("VIP", None),
        (None, None),
    ],
)
def test_the_tags_of_a_call_have_names_and_perhaps_ids(
    tags: Any, expected: dict[str, str | None] | None
) -> None:
    assert tags_on({"tags": tags}) == expected


def test_an_odd_field_counts_as_missing_and_hides_no_other() -> None:
    assert facts(duration="long", caller_id=7, start_time="noon", agent=["a"], direction="sideways") == {
        "custom.direction": "sideways"
    }


def test_a_call_that_goes_on_has_not_ended() -> None:
    assert not read_item(SETTINGS, {"call_id": 1, "start_time": "2026-11-20T21:10:00Z"}).ends


def test_a_call_without_an_id_cannot_be_read() -> None:
    with pytest.raises(Unreadable, match="the call has no id"):
        read_item(SETTINGS, {"call_id": None, "duration": 3})
