"""Phone numbers as people write them, and where they stand in what the platforms sent."""

import orjson
import pytest

from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from worker.numbers import mentions, regions, spellings
from worker.settings import Account, Settings

NUMBER = "+33612345678"


def settings(*countries: str | None) -> Settings:
    accounts = {
        f"account-{n}": Account(f"account-{n}", PLATFORMS["sipsim"], SipsimSettings(default_region=country))
        for n, country in enumerate(countries)
    }
    return Settings.model_validate({}).model_copy(update={"accounts": accounts})


@pytest.mark.parametrize(
    ("written", "countries", "expected"),
    [
        ("+33 6 12 34 56 78", [], {NUMBER, "33612345678"}),
        ("06 12 34 56 78", ["FR"], {NUMBER, "33612345678", "0612345678"}),
        ("06 12 34 56 78", [None], {"0612345678"}),
        ("030 123456", ["DE", "AT"], {"+4930123456", "4930123456", "030123456"}),
        ("101", ["FR"], {"101"}),
    ],
)
def test_a_number_is_looked_for_as_the_accounts_may_have_it(
    written: str, countries: list[str | None], expected: set[str]
) -> None:
    assert expected <= set(spellings(settings(*countries), written))


@pytest.mark.parametrize("text", ["anonymous", "", "+"])
def test_what_has_no_digit_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="is no phone number"):
        spellings(settings(), text)


def mentioned(body: bytes, country: str | None = "FR") -> bool:
    known = settings(country)
    return mentions(body, spellings(known, NUMBER), regions(known))


@pytest.mark.parametrize(
    "said",
    [
        {"caller": NUMBER},
        {"caller": "06.12.34.56.78"},
        {"a": [{"deep": ["0033 6 12 34 56 78"]}]},
        {"from": 33612345678},
        {"text": "please call (06) 12 34 56 78, thank you"},
        {NUMBER: "as a key"},
    ],
)
def test_a_number_is_found_however_a_body_writes_it(said: object) -> None:
    assert mentioned(orjson.dumps(said))


def test_a_number_is_found_in_what_is_no_json() -> None:
    assert mentioned(b'{"caller": "+33612345678", ')
    assert mentioned("\xe9 06 12 34 56 78".encode("latin-1"))


@pytest.mark.parametrize(
    "said", [{"caller": "+33612345679"}, {"id": "9933612345678"}, {"caller": "+44612345678"}, {"n": 7}, None]
)
def test_another_number_is_not_taken_for_it(said: object) -> None:
    assert not mentioned(orjson.dumps(said))


def test_a_body_nested_deep_is_searched_as_text() -> None:
    assert mentioned(b'{"a":' * 5000 + b'"+33612345678"')
