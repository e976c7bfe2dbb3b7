"""The settings of an Aircall account."""

import pytest
from pydantic import ValidationError

from platforms.aircall.settings import AircallSettings

KEY = {"api_id": "an-id", "api_token": "a-token"}


def test_everything_comes_as_text() -> None:
    settings = AircallSettings.model_validate(
        {
            **KEY,
            "webhook_secrets": "new, old",
            "rate": "2.5",
            "requests_a_minute": "120",
            "timestamp_tolerance": "60",
            "default_region": "fr",
        }
    )
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == ["new", "old"]
    assert (settings.rate, settings.requests_a_minute, settings.timestamp_tolerance) == (2.5, 120, 60.0)
    assert settings.base_url == "https://api.aircall.io"


def test_a_webhook_that_is_repeated_for_twelve_hours_is_young_enough_by_default() -> None:
    assert AircallSettings().timestamp_tolerance > 12 * 3600


def test_secrets_are_masked() -> None:
    settings = AircallSettings.model_validate({**KEY, "webhook_secrets": "hook-token"})
    assert "a-token" not in repr(settings)
    assert "hook-token" not in repr(settings)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"api_id": "an-id"}, "api_token"),
        ({"api_token": "a-token"}, "api_id"),
        ({"requests_a_minute": "1"}, "requests_a_minute"),
        ({"timestamp_tolerance": "0"}, "timestamp_tolerance"),
        ({"base_url": "http://api.aircall.io"}, "base_url"),
        ({"access_token": "x"}, "access_token"),
    ],
)
def test_a_wrong_setting_is_named(values: dict[str, str], name: str) -> None:
    with pytest.raises(ValidationError) as fault:
        AircallSettings.model_validate(values)
    assert [error["loc"][0] for error in fault.value.errors()] == [name]
