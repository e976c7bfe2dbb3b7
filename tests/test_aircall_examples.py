"""The events that `calltag send` makes."""

import re

import pytest

from platforms.aircall.examples import example


def test_fields_are_set_in_the_data_as_their_types() -> None:
    fields = {"id": "7", "tags": "Long Call, VIP", "voicemail": "https://a.test/v.mp3", "answered_at": "null"}
    data = example("call.ended", fields)["data"]
    assert (data["id"], data["tags"]) == (7, [{"name": "Long Call"}, {"name": "VIP"}])
    assert (data["voicemail"], data["answered_at"]) == ("https://a.test/v.mp3", None)


def test_each_example_is_of_a_call_of_its_own() -> None:
    first, second = (example("call.ended", {})["data"]["id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("call.end", {}, "unknown event 'call.end'; the events are: call.created, "),
        ("call.ended", {"duration": "30m"}, "'duration' takes a whole number, not '30m'"),
        ("call.ended", {"user": "x"}, "'user' holds several values"),
    ],
)
def test_an_example_that_cannot_be_made_says_why(name: str, fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        example(name, fields)
