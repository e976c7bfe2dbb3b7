"""A call as SIPSIM's own list has it: little is documented, so little is taken for granted."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.adapter import Event, Phase, Reference
from platforms.errors import Unreadable
from platforms.sipsim.records import read_record
from platforms.sipsim.settings import SipsimSettings

ITEM: dict[str, Any] = {
    "id": 12345,
    "direction": "outgoing",
    "caller_number": "+33 1 84 80 00 00",
    "receiver_number": "06 12 34 56 78",
    "duration_sec": 61,
    "tags": [{"id": 1, "name": "VIP", "color": "#6B7280"}],
}


def read(region: str | None = None, **changes: Any) -> Event:
    return read_record(SipsimSettings(default_region=region), orjson.dumps(ITEM | changes))


def test_a_call_of_the_list() -> None:
    assert read("FR") == Event(
        name="record",
        phase=Phase.AFTER,
        references=(Reference("call_id", "12345"),),
        facts={"direction": "outbound", "caller": "+33184800000", "receiver": "+33612345678", "duration": 61},
        tags=("VIP",),
        ends=True,
    )


def test_an_id_may_be_a_text() -> None:
    assert read(id="call_123", pbx_id="call_abc").references == (
        Reference("call_id", "call_123"),
        Reference("pbx_id", "call_abc"),
    )


def test_a_call_has_ended_once_it_has_a_duration_or_a_status() -> None:
    assert not read(duration_sec=None).ends
    assert read(duration_sec=0).ends
    assert read(duration_sec=None, status="missed").ends
    assert not read(duration_sec=None, status="ringing").ends


def test_undocumented_fields_are_facts_where_they_can_be() -> None:
    event = read(start_time="2026-11-20T10:00:00Z", employee={"name": "Ada"}, audio_path=None, status="odd")
    assert event.facts["started_at"] == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert event.facts["custom.employee.name"] == "Ada"
    assert event.facts["custom.status"] == "odd"
    assert event.facts["has_recording"] is False


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": 1},
        {"duration_sec": "61"},
        {"duration_sec": -1},
        {"caller_number": 33},
        {"receiver_number": ["x"]},
        {"tags": [1]},
        {"tags": [{"name": 1}]},
        {"tags": "VIP"},
        {"status": 1},
        {"start_time": "once"},
        {"pbx_id": 1.5},
        {"transcription": "words"},
        {"transcription": {"speech_state": "speech_stored", "payload": [1]}},
    ],
)
def test_one_odd_field_counts_as_missing(changes: dict[str, Any]) -> None:
    event = read(**changes)
    assert event.references == (Reference("call_id", "12345"),)
    assert len(event.facts) + (event.tags is not None) in (4, 5)


@pytest.mark.parametrize("call_id", [None, True, 1.5, "", [], {}])
def test_a_call_without_an_id_is_unreadable(call_id: Any) -> None:
    with pytest.raises(Unreadable):
        read(id=call_id)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text()
    | st.lists(st.text())
)


ODD = st.sampled_from([*ITEM, "pbx_id", "status", "start_time", "audio_path", "transcription", "x"])


@given(st.dictionaries(ODD, VALUES))
def test_any_other_fields_can_be_read(changes: dict[str, Any]) -> None:
    assert read(**{**changes, "id": 1}).references[0] == Reference("call_id", "1")
