"""The settings of a CallRail account."""

import pytest
from pydantic import ValidationError

from platforms.adapter import Limit
from platforms.callrail import CALLRAIL
from platforms.callrail.settings import CallrailSettings

ACCOUNT = {"api_key": "a-key", "account_id": "ACC8154748ae6bd4e278a7cddd38a662f4f"}


def faults(**values: object) -> list[str]:
    with pytest.raises(ValidationError) as fault:
        CallrailSettings.model_validate(values)
    return [str(error["loc"][0]) for error in fault.value.errors()]


def test_everything_comes_as_text() -> None:
    given = {
        **ACCOUNT,
        "webhook_secrets": "one, two",
        "timestamp_tolerance": "1800",
        "rate": "2.5",
        "requests_per_hour": "5000",
        "requests_per_day": "50000",
    }
    settings = CallrailSettings.model_validate(given)
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["one", "two"]
    assert (settings.timestamp_tolerance, settings.rate) == (1800.0, 2.5)
    assert list(CALLRAIL.limits(settings)) == [Limit(5000, 3600), Limit(50_000, 86_400)]


def test_the_defaults_are_callrails_own() -> None:
    settings = CallrailSettings()
    assert settings.base_url == "https://api.callrail.com"
    assert list(CALLRAIL.limits(settings)) == [Limit(1000, 3600), Limit(10_000, 86_400)]
    assert settings.timestamp_tolerance is None


def test_the_key_is_masked() -> None:
    assert "a-key" not in repr(CallrailSettings.model_validate(ACCOUNT))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"api_key": "a-key"}, "account_id"),
        ({"account_id": "ACC1"}, "api_key"),
        ({**ACCOUNT, "api_key": "two words"}, "api_key"),
        ({**ACCOUNT, "api_key": 'a"key'}, "api_key"),
        ({**ACCOUNT, "account_id": "../ACC1"}, "account_id"),
        ({**ACCOUNT, "account_id": "ACC 1"}, "account_id"),
        ({"requests_per_hour": "0"}, "requests_per_hour"),
        ({"requests_per_day": "many"}, "requests_per_day"),
        ({"timestamp_tolerance": "0"}, "timestamp_tolerance"),
        ({"base_url": "http://api.callrail.com"}, "base_url"),
        ({"no_such_setting": "1"}, "no_such_setting"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, str], name: str) -> None:
    assert faults(**values) == [name]
