"""SIPSIM's webhooks: which are genuine, and what each says."""

import hashlib
import hmac
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from platforms.adapter import Event, Headers, Phase, Reference
from platforms.errors import BadSignature, BadTimestamp, Unreadable
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.webhook import read_event, sign, verify
from rules.facts import facts_from_json, facts_to_json

NOW = 1_700_000_000.0
BODY = b'{"event": "test"}'
PLAIN = SipsimSettings()
TWO_SECRETS = SipsimSettings(webhook_secrets=(SecretStr("new"), SecretStr("old")))
AT = "2026-11-20T22:10:00+01:00"
TIME = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)


def digest(secret: str, stamp: bytes, body: bytes = BODY) -> bytes:
    return hmac.new(secret.encode(), stamp + b"." + body, hashlib.sha256).hexdigest().encode()


def signed(key: str = "new", stamp: bytes = b"1700000000") -> list[tuple[bytes, bytes]]:
    return [(b"x-webhook-signature", digest(key, stamp)), (b"x-webhook-timestamp", stamp)]


@pytest.mark.parametrize("secret", ["new", "old"])
def test_either_of_two_secrets_passes_during_rotation(secret: str) -> None:
    assert verify(TWO_SECRETS, signed(secret), BODY, NOW) == NOW


def test_what_we_sign_ourselves_passes() -> None:
    made = sign(TWO_SECRETS, BODY, NOW)
    assert made.body == BODY
    headers = [(key.lower().encode(), value.encode()) for key, value in made.headers.items()]
    assert verify(TWO_SECRETS, headers, BODY, NOW + 299) == NOW


def test_a_signature_in_capitals_between_spaces_passes() -> None:
    (name, signature), stamp = signed()
    assert verify(TWO_SECRETS, [(name, b" " + signature.upper() + b" "), stamp], BODY, NOW) == NOW


def test_signing_without_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="no webhook secret"):
        sign(PLAIN, BODY, NOW)


SIGNATURE, STAMP = signed()
BAD_HEADERS: dict[str, list[tuple[bytes, bytes]]] = {
    "none at all": [],
    "no signature": [STAMP],
    "no timestamp": [SIGNATURE],
    "the signature twice": [SIGNATURE, SIGNATURE, STAMP],
    "the timestamp twice": [SIGNATURE, STAMP, STAMP],
    "an empty signature": [(SIGNATURE[0], b""), STAMP],
    "a signature that is not ASCII": [(SIGNATURE[0], "é".encode() * 32), STAMP],
    "a prefix before the signature": [(SIGNATURE[0], b"sha256=" + SIGNATURE[1]), STAMP],
    "another secret": signed("stolen"),
    "an empty secret": signed(""),
    "another timestamp than the signed one": [SIGNATURE, (STAMP[0], b"1700000001")],
    "NaN as timestamp": signed(stamp=b"NaN"),
    "an underscore in the timestamp": signed(stamp=b"1_700_000_000"),
    "a sign before the timestamp": signed(stamp=b"+1700000000"),
    "a fraction in the timestamp": signed(stamp=b"1700000000.0"),
    "other digits than ASCII's": signed(stamp="١٧٠٠٠٠٠٠٠٠".encode()),
    "a timestamp of 5,000 digits": signed(stamp=b"1" * 5000),
    "an empty timestamp": signed(stamp=b""),
}


@pytest.mark.parametrize("headers", BAD_HEADERS.values(), ids=BAD_HEADERS.keys())
def test_a_bad_signature_is_refused(headers: Headers) -> None:
    with pytest.raises(BadSignature):
        verify(TWO_SECRETS, headers, BODY, NOW)


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(TWO_SECRETS, signed(), BODY + b" ", NOW)


def test_without_a_secret_nothing_is_genuine() -> None:
    with pytest.raises(BadSignature):
        verify(PLAIN, signed(""), BODY, NOW)


@pytest.mark.parametrize("off", [-301.0, 301.0])
def test_an_old_or_future_timestamp_is_told_apart_from_a_bad_signature(off: float) -> None:
    with pytest.raises(BadTimestamp):
        verify(TWO_SECRETS, signed(), BODY, NOW + off)
    with pytest.raises(BadSignature):
        verify(TWO_SECRETS, signed("stolen"), BODY, NOW + off)


def test_the_tolerance_is_a_setting() -> None:
    wide = TWO_SECRETS.model_copy(update={"timestamp_tolerance": 1000.0})
    assert verify(wide, signed(), BODY, NOW + 999) == NOW


@given(st.lists(st.tuples(st.sampled_from([SIGNATURE[0], STAMP[0], b"host"]), st.binary(max_size=80))))
def test_no_header_breaks_the_verification(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises((BadSignature, BadTimestamp)):
        verify(TWO_SECRETS, headers, BODY, NOW)


def read(config: SipsimSettings = PLAIN, **payload: Any) -> Event:
    return read_event(config, orjson.dumps(payload))


def call(name: str, **payload: Any) -> dict[str, Any]:
    ends = {"caller": "+33 6 12 34 56 78", "receiver": "+33 1 84 80 00 00"}
    return {"event": name, "pbx_id": "call_abc123", "time": AT, **ends, **payload}


NUMBERS = {"caller": "+33612345678", "receiver": "+33184800000"}


def test_an_incoming_call_that_was_answered() -> None:
    event = read(**call("incoming_call_end", duration=1860, audio_path="https://x/y.mp3", status="ANSWER"))
    assert event == Event(
        name="incoming_call_end",
        phase=Phase.END,
        references=(Reference("pbx_id", "call_abc123"),),
        time=TIME,
        facts={
            **NUMBERS,
            "direction": "inbound",
            "status": "answered",
            "duration": 1860,
            "has_recording": True,
            "ended_at": TIME,
        },
        defaults={"started_at": datetime(2026, 11, 20, 20, 39, tzinfo=UTC)},
        ends=True,
    )


def test_the_time_of_an_end_event_may_be_the_start() -> None:
    event = read(SipsimSettings(time="start"), **call("outgoing_call_end", duration=60))
    assert event.facts["started_at"] == TIME
    assert "ended_at" not in event.facts
    assert event.defaults == {"ended_at": datetime(2026, 11, 20, 21, 11, tzinfo=UTC)}
    assert event.facts["direction"] == "outbound"


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        ("ANSWER", "answered"),
        ("MISSED", "missed"),
        ("BUSY", "busy"),
        ("NOANSWER", "no_answer"),
        ("answer", "answered"),
        (" NoAnswer ", "no_answer"),
    ],
)
def test_statuses_are_known_in_any_letter_case(reported: str, status: str) -> None:
    assert read(**call("incoming_call_end", status=reported)).facts["status"] == status


def test_a_status_that_nobody_knows_stays_readable() -> None:
    event = read(**call("incoming_call_end", status="unavailable"))
    assert "status" not in event.facts
    assert event.facts["custom.status"] == "unavailable"


def test_a_call_without_a_recording() -> None:
    assert read(**call("incoming_call_end", audio_path=None)).facts["has_recording"] is False
    assert "has_recording" not in read(**call("incoming_call_end")).facts


def test_null_is_missing() -> None:
    event = read(event="incoming_call_end", pbx_id="a", time=None, duration=None, status=None, caller=None)
    assert (event.time, event.facts, event.defaults) == (None, {"direction": "inbound"}, {})


def test_a_start_says_when_and_an_answer_only_who() -> None:
    start, answer = read(**call("incoming_call_start")), read(**call("outgoing_call_answer"))
    assert (start.phase, start.facts) == (
        Phase.START,
        {**NUMBERS, "direction": "inbound", "started_at": TIME},
    )
    assert (answer.phase, answer.facts) == (Phase.ANSWER, {**NUMBERS, "direction": "outbound"})
    assert not start.ends
    assert not answer.ends


@pytest.mark.parametrize("kind", ["start", "end"])
def test_the_member_that_is_rung_is_not_the_number_that_was_called(kind: str) -> None:
    event = read(**call(f"incoming_call_{kind}_chain_member_call", receiver="101"))
    assert (event.phase, event.facts, event.ends) == (Phase.START, {}, False)
    assert event.defaults == {"direction": "inbound", "caller": "+33612345678"}


def test_a_voicemail_never_replaces_the_calls_duration_and_status() -> None:
    event = read(**call("voicemail", duration=12, audio_path="https://x/y.mp3"))
    expected = {**NUMBERS, "direction": "inbound", "has_voicemail": True, "custom.voicemail_duration": 12}
    assert event.facts == expected
    assert event.defaults == {"status": "voicemail", "ended_at": TIME}
    assert event.ends


def test_a_tags_event_holds_the_complete_list() -> None:
    event = read(**call("tags", tags=["Long Call", "VIP"]))
    assert (event.tags, event.facts, event.ends) == (("Long Call", "VIP"), {}, False)
    assert read(**call("tags", tags=[])).tags == ()


SEGMENTS = [
    {"text": " Hello. ", "start": 0, "channel": "left"},
    {"text": "Good morning.", "start": 2, "channel": "right"},
    {"text": None, "start": 3, "channel": "right"},
    {"text": "A question.", "start": 4, "channel": 0},
    {"text": "An answer.", "start": 6, "channel": 1},
]


@pytest.mark.parametrize("state", ["speech_stored", "speech_recognized"])
def test_speech_is_known_by_its_shape_and_split_by_side(state: str) -> None:
    event = read(call_id=12345, speech_state=state, payload=SEGMENTS)
    assert event.name == "speech"
    assert event.references == (Reference("call_id", "12345"),)
    assert event.facts["transcript"] == "Hello. Good morning. A question. An answer."
    assert event.caller_speech == "Hello. A question."
    assert event.receiver_speech == "Good morning. An answer."
    assert event.ends


def test_speech_without_sides_is_nobodys() -> None:
    event = read(
        call_id=1, speech_state="speech_stored", payload=[{"text": "Hm.", "channel": "middle"}, {"text": "?"}]
    )
    assert (event.facts["transcript"], event.caller_speech, event.receiver_speech) == ("Hm. ?", None, None)


@pytest.mark.parametrize("channel", [True, False, 0.0, ["left"], {}])
def test_a_channel_of_another_type_is_no_side(channel: Any) -> None:
    event = read(call_id=1, speech_state="speech_stored", payload=[{"text": "Hm.", "channel": channel}])
    assert (event.facts["transcript"], event.caller_speech) == ("Hm.", None)


def test_silence_is_a_transcript_and_a_failed_recognition_is_none() -> None:
    assert read(call_id=1, speech_state="speech_stored", payload=[]).facts["transcript"] == ""
    for event in (
        read(call_id=1, speech_state="speech_recognition_failed", payload=SEGMENTS),
        read(call_id=1, speech_state="speech_stored", payload=None),
        read(call_id=1, speech_state="speech_stored"),
    ):
        assert "transcript" not in event.facts
        assert event.caller_speech is None
        assert event.ends


def test_a_summary_is_known_by_its_shape() -> None:
    event = read(id=7, summary="They spoke.", call_id=12345)
    assert (event.name, event.facts, event.ends) == ("summary", {"summary": "They spoke."}, True)
    assert event.references == (Reference("call_id", "12345"),)


def test_a_rating() -> None:
    event = read(
        event="rating", call_id=12345, overall_score=8.5, highlights=["a"], criteria_scores=[{"score": 1}]
    )
    assert (event.facts, event.ends) == ({"rating": 8.5}, True)
    assert event.references == (Reference("call_id", "12345"),)


def test_both_ids_are_references_where_both_are_given() -> None:
    event = read(**call("incoming_call_end", call_id=7))
    assert event.references == (Reference("pbx_id", "call_abc123"), Reference("call_id", "7"))


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("sms", {"event": "sms", "message": "hi", "direction": "inbound"}),
        ("test", {"event": "test", "pbx_id": "test_000000"}),
        ("unknown", {"event": "incoming_fax_end", "pbx_id": "a"}),
        ("unknown", {"event": ""}),
        ("unknown", {"event": "x" * 100_000}),
    ],
)
def test_what_is_no_call_is_kept_and_not_worked_on(name: str, payload: dict[str, Any]) -> None:
    event = read(**payload)
    assert event.name == name
    assert event.ignored
    assert event.references == ()


def test_every_other_scalar_is_a_custom_fact() -> None:
    event = read(
        **call(
            "incoming_call_end",
            id=9,
            score=1.5,
            vip=True,
            nothing=None,
            items=[1],
            deal={"id": 7, "stage": {"name": "won"}},
            **{"": "nameless"},
        )
    )
    custom = {name: value for name, value in event.facts.items() if name.startswith("custom.")}
    assert custom == {
        "custom.score": 1.5,
        "custom.vip": True,
        "custom.deal.id": 7,
        "custom.deal.stage.name": "won",
    }


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"event=incoming_call_end", "no JSON"),
    "empty": (b"", "no JSON"),
    "not UTF-8": (b'{"event": "\xff"}', "no JSON"),
    "nested deep": (b"[" * 100_000 + b"]" * 100_000, "no JSON"),
    "nested up to the parser's limit": (
        b'{"event":"tags","a":' + b"[" * 1022 + b"]" * 1022 + b"}",
        "too deep",
    ),
    "a number of 5,000 digits": (b'{"event": "tags", "n": ' + b"9" * 5000 + b"}", "no JSON"),
    "NaN": (b'{"event": "tags", "n": NaN}', "no JSON"),
    "a lone surrogate": (b'{"event": "\\ud800"}', "no JSON"),
    "a key twice": (b'{"event": "tags", "event": "test"}', "twice"),
    "a key twice, deep inside": (b'{"event": "test", "a": [{"b": {"c": 1, "\\u0063": 1}}]}', "twice"),
    "a list": (b"[]", "no JSON object"),
    "no event": (b"{}", "neither speech nor summary"),
    "a summary of no call": (b'{"summary": "x"}', "neither speech nor summary"),
    "an event that is no text": (b'{"event": 1}', "event is no text"),
    "no id": (b'{"event": "incoming_call_end"}', "no id"),
    "an id that is null": (b'{"event": "incoming_call_end", "pbx_id": null}', "no id"),
    "an empty id": (b'{"event": "incoming_call_end", "pbx_id": " "}', "pbx_id is no id"),
    "an id with a fraction": (b'{"event": "rating", "call_id": 1.0}', "call_id is no id"),
    "an id that is true": (b'{"event": "rating", "call_id": true}', "call_id is no id"),
    "an id with a control character": (
        b'{"event": "tags", "tags": [], "pbx_id": "a\\u0000"}',
        "pbx_id is no id",
    ),
    "an id without end": (
        b'{"event": "tags", "tags": [], "pbx_id": "' + b"a" * 300 + b'"}',
        "pbx_id is no id",
    ),
}


@pytest.mark.parametrize(("body", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_says_why(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_event(PLAIN, body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", "12"),
        ("duration", True),
        ("duration", -1),
        ("duration", 1e300),
        ("time", 1_700_000_000),
        ("time", "yesterday"),
        ("time", "1969-12-31T23:59:59Z"),
        ("time", "9999-12-31T23:59:59Z"),
        ("time", "0001-01-01T00:00:00+14:00"),
        ("time", "9999-12-31T23:59:59-14:00"),
        ("status", 1),
        ("caller", 33612345678),
        ("receiver", "1" * 1000),
        ("audio_path", 5),
    ],
)
def test_a_field_of_a_wrong_type_is_named_and_its_value_is_not(field: str, value: Any) -> None:
    with pytest.raises(Unreadable) as fault:
        read(**call("incoming_call_end", **{field: value}))
    assert field in str(fault.value)
    assert str(value) not in str(fault.value)


@pytest.mark.parametrize("tags", [None, "VIP", [1], [None], {"a": "b"}])
def test_tags_that_are_no_list_of_names_are_unreadable(tags: Any) -> None:
    with pytest.raises(Unreadable, match="tags"):
        read(**call("tags", tags=tags))


@pytest.mark.parametrize("payload", ["hello", [1], [{"text": 5}], {"text": "x"}])
def test_speech_of_another_shape_is_unreadable(payload: Any) -> None:
    with pytest.raises(Unreadable):
        read(call_id=1, speech_state="speech_stored", payload=payload)


def test_a_time_without_offset_is_utc() -> None:
    assert read(**call("incoming_call_start", time="2026-11-20T21:10:00")).time == TIME


def test_national_numbers_need_a_region() -> None:
    french = SipsimSettings(default_region="FR")
    national = call("incoming_call_end", caller="06 12 34 56 78", receiver="101")
    assert read(french, **national).facts["caller"] == "+33612345678"
    assert read(french, **national).facts["receiver"] == "101"
    assert read(**national).facts["caller"] == "0612345678"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.datetimes().map(lambda moment: moment.isoformat()),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner), max_leaves=6
)
NAMES = st.sampled_from(
    [
        "incoming_call_start",
        "incoming_call_end_chain_member_call",
        "incoming_call_answer",
        "outgoing_call_end",
        "voicemail",
        "tags",
        "speech",
        "summary",
        "rating",
        "sms",
        "other",
    ]
)
SEGMENT = st.fixed_dictionaries({}, optional={"text": VALUES, "channel": VALUES})
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "event": NAMES | VALUES,
        "pbx_id": VALUES,
        "call_id": VALUES,
        "time": VALUES,
        "caller": VALUES,
        "receiver": VALUES,
        "duration": VALUES,
        "status": VALUES,
        "audio_path": VALUES,
        "tags": VALUES | st.lists(st.text()),
        "speech_state": st.just("speech_stored") | VALUES,
        "payload": VALUES | st.lists(SEGMENT),
        "summary": VALUES,
        "overall_score": VALUES,
        "extra": VALUES,
    },
)


@settings(max_examples=400, deadline=None)
@given(PAYLOADS, st.sampled_from(["end", "start"]), st.sampled_from([None, "FR"]))
def test_any_json_is_read_or_refused(payload: dict[str, Any], time: Any, region: str | None) -> None:
    config = SipsimSettings(time=time, default_region=region)
    try:
        event = read_event(config, orjson.dumps(payload))
    except Unreadable:
        return
    assert event.references or event.ignored
    for facts in (event.facts, event.defaults):
        assert facts_from_json(orjson.loads(orjson.dumps(facts_to_json(facts)))) == facts


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(Unreadable):
        read_event(PLAIN, body)
