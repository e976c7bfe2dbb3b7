"""What the settings of every platform's account have in common, as texts from the environment or a file."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from platforms.phones import known_region

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class AccountSettings(BaseModel):
    """What every account has, whatever its platform. Adapters add their own settings in a subclass."""

    model_config = {"frozen": True, "extra": "forbid", "hide_input_in_errors": True}

    base_url: str
    webhook_secrets: tuple[SecretStr, ...] = ()
    """Comma separated; a webhook that proves to know any of them is genuine. The first one is for ours."""
    rate: Positive = 10.0
    """Requests a second for the whole fleet."""
    default_region: str | None = None
    """The ISO 3166 code of the country whose national numbers are meant."""
    allow_http: bool = False

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value != ""}

    @field_validator("webhook_secrets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("base_url", mode="after")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.strip().rstrip("/")

    @field_validator("default_region", mode="after")
    @classmethod
    def _capitals(cls, value: str | None) -> str | None:
        return value and value.strip().upper()

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        """All faults at once, each at the setting that it is about."""
        faults = [
            InitErrorDetails(
                type=PydanticCustomError("setting", "{why}", {"why": why}), loc=(name,), input=None
            )
            for name, why in self._faults()
        ]
        if faults:
            raise ValidationError.from_exception_data("settings", faults)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        """Each setting that is wrong, with the reason; adapters add what they know of their own."""
        if (why := self._address_fault()) is not None:
            yield "base_url", why
        if not all(secret.get_secret_value() for secret in self.webhook_secrets):
            yield "webhook_secrets", "holds an empty secret"
        if self.default_region and not known_region(self.default_region):
            yield "default_region", "is no country code such as FR"

    def _address_fault(self, name: str = "base_url") -> str | None:
        """What is wrong with that address of the platform, if anything."""
        url = getattr(self, name)
        no_address = f"is no address such as {type(self).model_fields[name].default}"
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return no_address
        more = parts.username or parts.query or parts.fragment
        if parts.scheme not in ("http", "https") or not host or more or not sendable(url):
            return no_address
        if parts.scheme == "http" and not self.allow_http and not _loopback(host):
            return (
                "must begin with https:// (plain http only on this machine, or with CALLTAG_ALLOW_HTTP=true)"
            )
        return None


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def sendable(text: str) -> bool:
    """Whether an HTTP request can carry it as it is."""
    return text.isascii() and text.isprintable() and " " not in text
