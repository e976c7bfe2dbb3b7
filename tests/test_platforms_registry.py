"""The registry, and that each platform in it keeps its word."""

import re
import time

import orjson
import pytest

from platforms.adapter import Platform
from platforms.registry import PLATFORMS
from platforms.sipsim.examples import CALLS, OTHERS
from rules.fields import FIELDS

SIPSIM = PLATFORMS["sipsim"]
SETTINGS = SIPSIM.settings.model_validate({"webhook_secrets": "secret"})


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS.keys())
def test_a_platform_is_found_by_its_name(platform: Platform) -> None:
    assert PLATFORMS[platform.name] is platform
    assert re.fullmatch("[a-z][a-z0-9]*", platform.name)
    assert {"base_url", "rate", "webhook_secrets"} <= set(platform.settings.model_fields)


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS.keys())
def test_a_platform_says_which_facts_of_the_catalogue_its_list_brings(platform: Platform) -> None:
    assert platform.listed
    assert platform.listed | platform.fetched <= set(FIELDS)
    assert not platform.listed & platform.fetched


@pytest.mark.parametrize("name", [*CALLS, *OTHERS])
def test_every_example_is_read_as_the_event_that_it_is(name: str) -> None:
    body = orjson.dumps(SIPSIM.example(name, {}))
    signed = SIPSIM.sign(SETTINGS, body, time.time())
    headers = [(key.lower().encode(), text.encode()) for key, text in signed.headers.items()]
    SIPSIM.verify(SETTINGS, headers, signed.body, time.time())
    event = SIPSIM.read_event(SETTINGS, body)
    assert event.name == name
    assert bool(event.references) != bool(event.ignored)


def test_an_example_takes_fields_as_their_types() -> None:
    fields = {
        "duration": "1900",
        "audio_path": "null",
        "caller": "+4912345678",
        "deal": "7",
        "pbx_id": "call_1",
    }
    body = SIPSIM.example("incoming_call_end", fields)
    assert (body["duration"], body["audio_path"], body["deal"], body["pbx_id"]) == (1900, None, "7", "call_1")
    assert SIPSIM.example("tags", {"tags": "Long Call, VIP"})["tags"] == ["Long Call", "VIP"]
    assert SIPSIM.example("rating", {"overall_score": "3"})["overall_score"] == 3
    assert SIPSIM.example("speech", {"payload": '[{"text": "hi"}]'})["payload"] == [{"text": "hi"}]


def test_each_example_is_of_a_call_of_its_own() -> None:
    first, second = (SIPSIM.example("incoming_call_end", {})["pbx_id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        (
            "incoming_call_ends",
            {},
            "unknown event 'incoming_call_ends'; the events are: incoming_call_start, ",
        ),
        ("incoming_call_end", {"duration": "30m"}, "'duration' takes a whole number, not '30m'"),
        ("speech", {"payload": "hello"}, "'payload' takes a list in JSON, not 'hello'"),
        ("speech", {"payload": "{}"}, "'payload' takes a list in JSON"),
    ],
)
def test_an_example_that_cannot_be_made_says_why(name: str, fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SIPSIM.example(name, fields)
