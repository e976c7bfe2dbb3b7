"""The settings of a SIPSIM account."""

import pytest
from pydantic import ValidationError

from platforms.sipsim.settings import SipsimSettings

CLIENT = {"client_id": "an-id", "client_secret": "a-secret"}


def faults(**values: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as fault:
        SipsimSettings.model_validate(values)
    return {str(error["loc"][0]): error["msg"] for error in fault.value.errors()}


def test_everything_comes_as_text() -> None:
    settings = SipsimSettings.model_validate(
        {
            **CLIENT,
            "base_url": "https://app.sipsim.com/",
            "webhook_secrets": " new , old,",
            "timestamp_tolerance": "60",
            "rate": "2.5",
            "call_lookup": "search",
            "time": "start",
            "default_region": "fr",
            "allow_http": "true",
        }
    )
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["new", "old"]
    assert (settings.timestamp_tolerance, settings.rate, settings.allow_http) == (60.0, 2.5, True)
    assert (settings.base_url, settings.default_region) == ("https://app.sipsim.com", "FR")


def test_the_defaults_need_nothing() -> None:
    settings = SipsimSettings()
    assert (settings.base_url, settings.call_lookup, settings.time) == (
        "https://app.sipsim.com",
        "auto",
        "end",
    )
    assert (settings.timestamp_tolerance, settings.rate, settings.webhook_secrets) == (300.0, 10.0, ())


def test_an_empty_setting_is_not_set() -> None:
    empty = dict.fromkeys(SipsimSettings.model_fields, "")
    assert SipsimSettings.model_validate(empty) == SipsimSettings()


def test_secrets_are_masked() -> None:
    settings = SipsimSettings.model_validate({**CLIENT, "webhook_secrets": "hook-secret"})
    assert "a-secret" not in repr(settings)
    assert "hook-secret" not in repr(settings)
    for values in ({"access_token": "the token"}, {"client_secret": "the token"}, {"webhook_secrets": 5}):
        with pytest.raises(ValidationError) as fault:
            SipsimSettings.model_validate(values)
        assert "the token" not in str(fault.value)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"client_id": "an-id"}, "client_secret"),
        ({"client_secret": "a-secret"}, "client_id"),
        ({**CLIENT, "access_token": "token"}, "access_token"),
        ({"access_token": "two words"}, "access_token"),
        ({"access_token": "tökèn"}, "access_token"),
        ({"rate": "0"}, "rate"),
        ({"rate": "nan"}, "rate"),
        ({"rate": "fast"}, "rate"),
        ({"timestamp_tolerance": "-1"}, "timestamp_tolerance"),
        ({"timestamp_tolerance": "inf"}, "timestamp_tolerance"),
        ({"call_lookup": "guess"}, "call_lookup"),
        ({"time": "middle"}, "time"),
        ({"default_region": "France"}, "default_region"),
        ({"default_region": "ZZ"}, "default_region"),
        ({"no_such_setting": "1"}, "no_such_setting"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, str], name: str) -> None:
    assert list(faults(**values)) == [name]


@pytest.mark.parametrize(
    "url",
    [
        "http://app.sipsim.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "app.sipsim.com",
        "ftp://app.sipsim.com",
        "https://",
        "https://user@app.sipsim.com",
        "https://app.sipsim.com?x=1",
        "https://app.sipsim.com#x",
        "https://app.sipsim.com:port",
        "https://[::1",
        "https://two words.example",
    ],
)
def test_an_address_that_is_not_safe_is_refused(url: str) -> None:
    assert list(faults(base_url=url)) == ["base_url"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8010", "http://127.9.9.9", "http://localhost:1", "http://[::1]:8010"]
)
def test_plain_http_is_for_this_machine(url: str) -> None:
    assert SipsimSettings(base_url=url).base_url == url


def test_plain_http_elsewhere_must_be_allowed() -> None:
    assert (
        SipsimSettings(base_url="http://simulator:8010", allow_http=True).base_url == "http://simulator:8010"
    )


def test_several_faults_come_at_once() -> None:
    assert list(faults(base_url="http://example.com", client_id="an-id")) == ["base_url", "client_secret"]
