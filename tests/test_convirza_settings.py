"""Convirza's settings: what goes together, and what stands in the way."""

import pytest
from pydantic import ValidationError

from platforms.adapter import Apply
from platforms.convirza import CONVIRZA
from platforms.convirza.settings import ConvirzaSettings

V2 = {
    "email": "a@example.com",
    "password": "secret",
    "apply": "v2",
    "apply_path": "call/{call_id}/tag",
    "client_id": "client",
    "client_secret": "client secret",
}


def make(**values: str) -> ConvirzaSettings:
    return ConvirzaSettings.model_validate(values)


def test_nothing_need_be_set_and_no_tag_is_put_on_a_call() -> None:
    settings = make()
    assert settings.base_url == "https://platform-api.convirza.com"
    assert CONVIRZA.apply(settings) is Apply.NONE


def test_putting_tags_on_calls_is_switched_on() -> None:
    assert CONVIRZA.apply(make(**V2)) is Apply.SEVERAL


def test_secrets_are_masked() -> None:
    shown = repr(make(**V2, webhook_secrets="hidden one,hidden two"))
    assert "secret'" not in shown
    assert "hidden" not in shown


def test_addresses_lose_their_last_slash() -> None:
    settings = make(base_url="https://a.test/", oauth_url="https://b.test/", apply_url="https://c.test/")
    assert (settings.base_url, settings.oauth_url, settings.apply_url) == (
        "https://a.test",
        "https://b.test",
        "https://c.test",
    )


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"email": "a@example.com"}, "password"),
        ({"password": "secret"}, "email"),
        ({"org_unit_id": "west"}, "org_unit_id"),
        ({"webhook_parameter": " "}, "webhook_parameter"),
        ({"oauth_url": "http://convirza.test"}, "oauth_url"),
        ({"apply_url": "convirza.test"}, "apply_url"),
        ({"apply": "v3"}, "apply"),
        ({key: value for key, value in V2.items() if key != "apply_path"}, "apply_path"),
        ({key: value for key, value in V2.items() if key != "client_secret"}, "client_secret"),
        ({key: value for key, value in V2.items() if key not in ("email", "password")}, "email"),
        ({**V2, "apply_path": "https://elsewhere.test/tag"}, "apply_path"),
        ({**V2, "apply_path": "../admin"}, "apply_path"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(values: dict[str, str], place: str) -> None:
    with pytest.raises(ValidationError) as fault:
        make(**values)
    assert [error["loc"] for error in fault.value.errors()] == [(place,)]
