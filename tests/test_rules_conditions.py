"""The meaning of every condition and operator, as the description of the language has it."""

from typing import Any

import pytest

from tests.rule_sets import outcome

TRUE, FALSE, UNKNOWN = "true", "false", "unknown"

TABLE: list[tuple[str, dict[str, Any], str]] = [
    # equality
    ("{field: queue, eq: sales}", {"queue": "sales"}, TRUE),
    ("{field: queue, eq: sales}", {"queue": "Sales"}, FALSE),
    ("{field: queue, eq: SALES, ignore_case: true}", {"queue": "sales"}, TRUE),
    ("{field: queue, eq: sales}", {}, UNKNOWN),
    ("{field: queue, ne: sales}", {"queue": "support"}, TRUE),
    ("{field: queue, ne: sales}", {}, UNKNOWN),
    ("{field: queue, eq: ''}", {"queue": ""}, TRUE),
    ("{field: queue, eq: no}", {"queue": "no"}, TRUE),
    ("{field: queue, eq: 010}", {"queue": "010"}, TRUE),
    ("{field: queue, eq: 12:30}", {"queue": "12:30"}, TRUE),
    ("{field: queue, eq: $$5}", {"queue": "$5"}, TRUE),
    ("{field: has_recording, eq: true}", {"has_recording": False}, FALSE),
    ("{field: rating, eq: 5}", {"rating": 5.0}, TRUE),
    # order
    ("{field: duration, gt: 30m}", {"duration": 1801}, TRUE),
    ("{field: duration, gt: 30m}", {"duration": 1800}, FALSE),
    ("{field: duration, gte: 1800}", {"duration": 1800}, TRUE),
    ("{field: duration, lt: 1h30m}", {"duration": 5399.5}, TRUE),
    ("{field: duration, lte: 90s}", {"duration": 91}, FALSE),
    ("{field: duration, gt: 0}", {"duration": 0}, FALSE),
    ("{field: duration, gt: 0}", {}, UNKNOWN),
    ("{field: duration, gt: 10, lt: 20}", {"duration": 15}, TRUE),
    ("{field: duration, gt: 10, lt: 20}", {"duration": 20}, FALSE),
    ("{field: rating, lt: -0.5}", {"rating": -1}, TRUE),
    ("{field: local_date, gt: 2026-11-19}", {"started_at": "2026-11-19T23:30:00Z"}, TRUE),
    ('{field: local_time, eq: "18:00"}', {"started_at": "2026-11-19T17:00:00.9Z"}, TRUE),
    ('{field: local_time, gte: "18:00"}', {"started_at": "2026-11-19T17:00:00.9Z"}, TRUE),
    ('{field: started_at, lt: "2026-11-20T10:00:00+01:00"}', {"started_at": "2026-11-20T08:59:59Z"}, TRUE),
    ('{field: started_at, eq: "2026-11-20T10:00:00+01:00"}', {"started_at": "2026-11-20T09:00:00Z"}, TRUE),
    # between
    ("{field: duration, between: [1m, 2m]}", {"duration": 60}, TRUE),
    ("{field: duration, between: [1m, 2m]}", {"duration": 120}, TRUE),
    ("{field: duration, between: [1m, 2m]}", {"duration": 121}, FALSE),
    ("{field: rating, between: [5, 5]}", {"rating": 5}, TRUE),
    ('{field: local_time, between: ["09:00", "18:00"]}', {"local_time": "09:00"}, TRUE),
    ('{field: local_time, between: ["09:00", "18:00"]}', {"local_time": "18:00"}, FALSE),
    ('{field: local_time, between: ["18:00", "09:00"]}', {"local_time": "23:00"}, TRUE),
    ('{field: local_time, between: ["18:00", "09:00"]}', {"local_time": "08:59:59"}, TRUE),
    ('{field: local_time, between: ["18:00", "09:00"]}', {"local_time": "09:00"}, FALSE),
    ('{field: local_time, between: ["18:00", "24:00"]}', {"local_time": "23:59:59"}, TRUE),
    # lists
    ("{field: queue, in: [a, b]}", {"queue": "b"}, TRUE),
    ("{field: queue, not_in: [a, b]}", {"queue": "b"}, FALSE),
    ("{field: queue, not_in: [a, b]}", {}, UNKNOWN),
    ("{field: queue, in: [A], ignore_case: true}", {"queue": "a"}, TRUE),
    ("{field: weekday, in: [sat, sun]}", {"started_at": "2026-11-20T23:30:00Z"}, TRUE),
    # parts of texts
    ("{field: transcript, contains: beta}", {"transcript": "alphabetagamma"}, TRUE),
    ("{field: transcript, contains: [x, beta]}", {"transcript": "alphabetagamma"}, TRUE),
    ("{field: transcript, contains: $words}", {"transcript": "my alpha"}, TRUE),
    ("{field: transcript, contains: beta}", {"transcript": ""}, FALSE),
    ("{field: status, contains: answer}", {"status": "no_answer"}, TRUE),
    ("{field: transcript, contains: Beta}", {"transcript": "beta"}, FALSE),
    ("{field: transcript, starts_with: [be, al]}", {"transcript": "alpha"}, TRUE),
    ("{field: transcript, ends_with: pha}", {"transcript": "alpha"}, TRUE),
    ("{field: transcript, ends_with: PHA, ignore_case: true}", {"transcript": "alpha"}, TRUE),
    # Unicode: NFC on both sides, full case folding
    ("{field: queue, eq: café}", {"queue": "cafe\u0301"}, TRUE),
    ("{field: queue, eq: STRASSE, ignore_case: true}", {"queue": "straße"}, TRUE),
    ("{field: queue, eq: ΣΑΣ, ignore_case: true}", {"queue": "σας"}, TRUE),
    ('{field: queue, contains: "e\u0301", ignore_case: true}', {"queue": "CAFÉ"}, TRUE),
    # mentions
    ("{field: transcript, mentions: cancel}", {"transcript": "Please CANCEL, now"}, TRUE),
    ("{field: transcript, mentions: cancel}", {"transcript": "cancellation"}, FALSE),
    ("{field: transcript, mentions: cancel}", {"transcript": "precancel cancel2 _cancel cancel_"}, FALSE),
    ("{field: transcript, mentions: cancel}", {"transcript": "cancelled, then cancel"}, TRUE),
    ("{field: transcript, mentions: ' my   contract '}", {"transcript": "My\u00a0\n contract."}, TRUE),
    ("{field: transcript, mentions: c++}", {"transcript": "I know C++, yes"}, TRUE),
    ("{field: transcript, mentions: c++}", {"transcript": "C++11"}, FALSE),
    ("{field: transcript, mentions: strasse}", {"transcript": "in der Straße"}, TRUE),
    ("{field: transcript, mentions: o}", {"transcript": "o\u0338"}, FALSE),
    ("{field: transcript, mentions: don't}", {"transcript": "I don t"}, FALSE),
    ("{field: transcript, mentions: [x, y z]}", {"transcript": "(y z)"}, TRUE),
    # matches
    ("{field: transcript, matches: 'or?der \\d+'}", {"transcript": "my oder 12"}, TRUE),
    ("{field: transcript, matches: '\\d'}", {"transcript": "٣"}, FALSE),
    ("{field: transcript, matches: '^a$'}", {"transcript": "b\na"}, FALSE),
    ("{field: transcript, matches: [x, CAFÉ], ignore_case: true}", {"transcript": "cafe\u0301"}, TRUE),
    ("{field: transcript, matches: STRASSE, ignore_case: true}", {"transcript": "straße"}, FALSE),
    # lists of texts
    ("{field: tags, includes: vip}", {"tags": ["a", "vip"]}, TRUE),
    ("{field: tags, includes: [x, VIP]}", {"tags": ["vip"]}, FALSE),
    ("{field: tags, includes: [x, VIP], ignore_case: true}", {"tags": ["vip"]}, TRUE),
    ("{field: tags, includes_all: [a, b]}", {"tags": ["b", "c", "a"]}, TRUE),
    ("{field: tags, includes_all: [a, b]}", {"tags": ["a"]}, FALSE),
    ("{field: tags, includes: a}", {"tags": []}, FALSE),
    ("{field: tags, includes: a}", {}, UNKNOWN),
    # exists
    ("{field: tags, exists: true}", {"tags": []}, TRUE),
    ("{field: queue, exists: true}", {"queue": ""}, TRUE),
    ("{field: queue, exists: true}", {"queue": None}, FALSE),
    ("{field: queue, exists: false}", {}, TRUE),
    ("{field: local_time, exists: true}", {}, FALSE),
    ("{field: queue, exists: false, eq: a}", {}, UNKNOWN),
    # phone numbers
    ('{field: caller, eq: "+33 6.12-34(56)78"}', {"caller": "+33 6 12 34 56 78"}, TRUE),
    ("{field: caller, in: $vips}", {"caller": "+33612345678"}, TRUE),
    ('{field: caller, starts_with: "+33"}', {"caller": "+33 612"}, TRUE),
    ("{field: remote_number, in: $vips}", {"direction": "inbound", "caller": "+33612345678"}, TRUE),
    ("{field: remote_number, in: $vips}", {"direction": "outbound", "receiver": "+33612345678"}, TRUE),
    ("{field: our_number, in: $vips}", {"direction": "outbound", "caller": "+33612345678"}, TRUE),
    ("{field: remote_number, exists: true}", {"direction": "internal", "caller": "12"}, FALSE),
    ("{field: remote_country, eq: GB}", {"direction": "inbound", "caller": "+442071838750"}, TRUE),
    ("{field: remote_country, eq: GB}", {"direction": "inbound", "caller": "0207"}, UNKNOWN),
    # custom fields: the literal's type decides
    ("{field: custom.n, eq: 1}", {"custom__n": 1}, TRUE),
    ("{field: custom.n, eq: 1}", {"custom__n": 1.0}, TRUE),
    ("{field: custom.n, eq: 1}", {"custom__n": True}, UNKNOWN),
    ("{field: custom.n, ne: 1}", {"custom__n": "1"}, UNKNOWN),
    ("{field: custom.n, eq: true}", {"custom__n": True}, TRUE),
    ('{field: custom.n, eq: "1"}', {"custom__n": "1"}, TRUE),
    ('{field: custom.n, in: [1, "a"]}', {"custom__n": "b"}, FALSE),
    ('{field: custom.n, in: [1, "a"]}', {"custom__n": False}, UNKNOWN),
    ('{field: custom.n, not_in: [1, "A"], ignore_case: true}', {"custom__n": "a"}, FALSE),
    ("{field: custom.n, gt: 1}", {"custom__n": 2}, TRUE),
    ("{field: custom.n, gt: 1}", {"custom__n": "2"}, UNKNOWN),
    ("{field: custom.n, gt: 0}", {"custom__n": True}, UNKNOWN),
    ("{field: custom.n, between: [1, 2]}", {"custom__n": 2}, TRUE),
    ("{field: custom.n, contains: a}", {"custom__n": "cat"}, TRUE),
    ("{field: custom.n, contains: a}", {"custom__n": 5}, UNKNOWN),
    ("{field: custom.n, exists: false}", {"custom__n": 5}, FALSE),
    ("{field: custom.a.b, mentions: x}", {"custom__a__b": "an X"}, TRUE),
]


@pytest.mark.parametrize(("condition", "facts", "expected"), TABLE)
def test_a_condition_means_what_its_description_says(
    condition: str, facts: dict[str, Any], expected: str
) -> None:
    assert outcome(condition, **facts) == expected


T, F, U = "{field: duration, gt: 0}", "{field: duration, lt: 0}", "{field: queue, eq: a}"
LOGIC = [
    (f"{{not: {T}}}", FALSE),
    (f"{{not: {F}}}", TRUE),
    (f"{{not: {U}}}", UNKNOWN),
    (f"{{all: [{T}, {T}]}}", TRUE),
    (f"{{all: [{T}, {U}]}}", UNKNOWN),
    (f"{{all: [{U}, {F}]}}", FALSE),
    (f"{{all: [{F}, {U}]}}", FALSE),
    (f"{{any: [{F}, {F}]}}", FALSE),
    (f"{{any: [{F}, {U}]}}", UNKNOWN),
    (f"{{any: [{U}, {T}]}}", TRUE),
    (f"{{not: {{any: [{U}, {F}]}}}}", UNKNOWN),
    ("{field: duration, gt: 0, lt: 0}", FALSE),
]


@pytest.mark.parametrize(("condition", "expected"), LOGIC)
def test_unknown_is_a_third_value(condition: str, expected: str) -> None:
    assert outcome(condition, duration=5) == expected


@pytest.mark.parametrize(
    ("schedule", "moment", "expected"),
    [
        ("office", "2026-11-20T09:00:00+01:00", TRUE),
        ("office", "2026-11-20T12:30:00+01:00", FALSE),
        ("office", "2026-11-20T12:29:59.999+01:00", TRUE),
        ("office", "2026-11-20T13:00:00+01:00", FALSE),
        ("office", "2026-11-20T17:59:59+01:00", TRUE),
        ("office", "2026-11-21T11:00:00+01:00", TRUE),
        ("office", "2026-11-22T11:00:00+01:00", FALSE),
        ("office", "2026-12-25T11:00:00+01:00", FALSE),
        ("office", "2026-11-20T08:30:00Z", TRUE),
        # across midnight: a span belongs to the day on which it starts
        ("night", "2026-11-21T22:00:00+01:00", TRUE),
        ("night", "2026-11-22T02:29:59+01:00", TRUE),
        ("night", "2026-11-22T02:30:00+01:00", FALSE),
        ("night", "2026-11-24T01:00:00+01:00", TRUE),  # Monday's, on Tuesday
        ("night", "2026-11-24T23:00:00+01:00", FALSE),
        ("night", "2026-11-20T23:00:00+01:00", FALSE),  # a closed Friday
        ("night", "2026-11-21T01:00:00+01:00", FALSE),  # and its night into Saturday
        # the local wall clock, on both days on which it is changed
        ("office", "2026-03-30T07:00:00Z", TRUE),
        ("office", "2026-03-27T07:30:00Z", FALSE),
        ("night", "2026-03-29T00:15:00Z", TRUE),  # 01:15, before the hour that is left out
        ("night", "2026-03-29T01:15:00Z", FALSE),  # 03:15
        ("night", "2026-10-25T00:15:00Z", TRUE),  # 02:15, the first
        ("night", "2026-10-25T01:15:00Z", TRUE),  # 02:15, the second
        ("night", "2026-10-25T01:45:00Z", FALSE),
    ],
)
def test_a_schedule_is_read_on_the_local_wall_clock(schedule: str, moment: str, expected: str) -> None:
    assert outcome(f"{{field: started_at, during: {schedule}}}", started_at=moment) == expected


def test_local_fields_follow_the_start_else_the_end_in_the_zone_of_the_set() -> None:
    weekday = "{field: weekday, eq: sat}"
    assert outcome(weekday, "Asia/Tokyo", started_at="2026-11-20T20:00:00Z") == TRUE
    assert outcome(weekday, "UTC", started_at="2026-11-20T20:00:00Z") == FALSE
    assert outcome(weekday, "Asia/Tokyo", ended_at="2026-11-20T20:00:00Z") == TRUE
    assert (
        outcome(weekday, "UTC", ended_at="2026-11-21T20:00:00Z", started_at="2026-11-20T20:00:00Z") == FALSE
    )


def test_a_derived_field_that_is_given_stays() -> None:
    given = {"started_at": "2026-11-20T20:00:00Z", "weekday": "mon"}
    assert outcome("{field: weekday, eq: mon}", **given) == TRUE
