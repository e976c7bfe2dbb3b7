"""Facts from JSON, back to JSON, and what follows from them."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rules.facts import FactError, derive, facts_from_json, facts_to_json

PARIS = ZoneInfo("Europe/Paris")


def test_facts_come_back_from_json_as_they_went() -> None:
    line = {
        "direction": "inbound",
        "duration": 12.5,
        "caller": "+33612345678",
        "started_at": "2026-11-20T22:10:00.250000+01:00",
        "local_time": "22:10:30",
        "local_date": "2026-11-20",
        "has_recording": False,
        "tags": ["a", "b"],
        "custom.a.b": 1,
    }
    assert facts_to_json(facts_from_json(line)) == line


def test_facts_have_the_types_of_their_fields() -> None:
    facts = facts_from_json(
        {
            "started_at": "2026-11-20T10:00:00Z",
            "local_time": "09:00",
            "local_date": "2026-11-20",
            "duration": "2m",
        }
    )
    assert facts == {
        "started_at": datetime(2026, 11, 20, 10, tzinfo=UTC),
        "local_time": time(9),
        "local_date": date(2026, 11, 20),
        "duration": 120,
    }


def test_what_is_null_is_missing_and_what_is_empty_is_a_value() -> None:
    assert facts_from_json({"queue": None, "agent": "", "tags": []}) == {"agent": "", "tags": []}


@pytest.mark.parametrize(
    ("written", "bare"),
    [
        ("+33 6.12-34 (56)/78", "+3361234" + "5678"),
        ("+33\u00a06\u20091", "+3361"),
        ("*21#", "*21#"),
        ("Anonymous", "Anonymous"),
        ("-", ""),
    ],
)
def test_a_phone_number_loses_spaces_and_punctuation(written: str, bare: str) -> None:
    assert facts_from_json({"caller": written}) == {"caller": bare}


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ({"durration": 5}, "unknown field 'durration', did you mean 'duration'?"),
        ({"durration": None}, "unknown field 'durration', did you mean 'duration'?"),
        ({"custom.": 5}, "unknown field 'custom.'; `calltag rules fields` lists them"),
        ({"duration": -1}, "'duration' is never negative"),
        ({"duration": True}, "'duration' is a number, not a boolean"),
        ({"rating": float("nan")}, "'rating' is a number, and this one is not finite"),
        ({"queue": 5}, "'queue' is a text, not a number"),
        ({"caller": 33612345678}, "'caller' is a text, not a number"),
        ({"queue": "\ud800"}, "'queue' is no valid Unicode"),
        ({"has_recording": "yes"}, "'has_recording' is true or false, not a text"),
        ({"tags": "a"}, "'tags' is a list of texts, not a text"),
        ({"tags": ["a", 5]}, "'tags' is a list of texts, and holds something else"),
        ({"custom.x": {"y": 1}}, "'custom.x' is a text, a number or a boolean, not a mapping"),
        ({"direction": "in"}, "'direction' is never 'in', it is one of inbound, outbound, internal"),
        (
            {"started_at": "2026-11-20T10:00:00"},
            "'started_at' is a time: ISO 8601 with an offset, such as 2026-12-25T18:00:00+01:00",
        ),
        ({"local_date": "2026-02-30"}, "'local_date' is a date, such as 2026-12-25"),
        ({"local_time": "24:00"}, '\'local_time\' is a time of day, such as "09:00" or "18:00:30"'),
    ],
)
def test_a_fact_that_no_call_can_have_is_refused_in_one_line(fact: dict[str, Any], message: str) -> None:
    with pytest.raises(FactError) as refused:
        facts_from_json(fact)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:00:00-05:00",
        "0001-01-01T00:00:00+05:00",
        "2026-11-20 10:00:00Z",
        "2026-11-20",
        "now",
        "",
    ],
)
def test_a_time_that_cannot_be_placed_is_refused(text: str) -> None:
    with pytest.raises(FactError):
        facts_from_json({"started_at": text})


def test_the_parties_follow_from_the_direction() -> None:
    inbound = derive({"direction": "inbound", "caller": "+441", "receiver": "+331"}, PARIS)
    outbound = derive({"direction": "outbound", "caller": "+331", "receiver": "+441"}, PARIS)
    assert inbound["remote_number"] == outbound["remote_number"] == "+441"
    assert inbound["our_number"] == outbound["our_number"] == "+331"
    assert "remote_number" not in derive({"direction": "internal", "caller": "12"}, PARIS)
    assert "remote_number" not in derive({"caller": "+441"}, PARIS)


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+33612345678", "FR"),
        ("+12125550100", "US"),
        ("+14165550100", "CA"),
        ("+80012345678", None),
        ("0612", None),
        ("+", None),
    ],
)
def test_the_country_is_that_of_the_number(number: str, country: str | None) -> None:
    facts = derive({"direction": "inbound", "caller": number}, PARIS)
    assert facts.get("remote_country") == country


def test_the_country_follows_from_a_remote_number_that_is_given() -> None:
    assert derive({"remote_number": "+33612345678"}, PARIS)["remote_country"] == "FR"


def test_what_is_given_stays_and_the_rest_is_derived() -> None:
    given = facts_from_json({"started_at": "2026-11-20T10:00:00Z", "weekday": "sun"})
    assert derive(given, PARIS) == {
        **given,
        **facts_from_json({"local_time": "11:00", "local_date": "2026-11-20"}),
    }
    assert derive(given, PARIS, ["weekday"]) == given


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2026-03-29T00:59:59Z", "01:59:59"),
        ("2026-03-29T01:00:00Z", "03:00"),
        ("2026-10-25T00:59:59Z", "02:59:59"),
        ("2026-10-25T01:00:00Z", "02:00"),
        ("2026-10-25T02:00:00Z", "03:00"),
    ],
)
def test_local_time_is_the_wall_clock_on_both_days_of_its_change(utc: str, local: str) -> None:
    assert facts_to_json(derive(facts_from_json({"started_at": utc}), PARIS))["local_time"] == local


def test_the_local_day_is_that_of_the_zone() -> None:
    facts = facts_to_json(derive(facts_from_json({"ended_at": "2026-11-20T23:30:00Z"}), PARIS))
    assert (facts["local_date"], facts["weekday"]) == ("2026-11-21", "sat")
