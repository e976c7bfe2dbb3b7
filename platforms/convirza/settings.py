"""The settings of one Convirza account."""

from collections.abc import Iterator
from typing import Literal

from pydantic import SecretStr, field_validator

from platforms.settings import AccountSettings


class ConvirzaSettings(AccountSettings):
    """A user's `email` and `password` open the API; without them no request can be made."""

    base_url: str = "https://platform-api.convirza.com"
    oauth_url: str = "https://platform-oauth.convirza.com"
    email: str | None = None
    password: SecretStr | None = None
    org_unit_id: int | None = None
    """The organisation unit in which tags are made, and to which lists are kept where it is set."""
    webhook_parameter: str = "token"
    """The static parameter of a call webhook that holds one of the secrets."""
    apply: Literal["none", "v2"] = "none"
    """How tags are put on calls: the documented API has no way; that of the old one is unknown."""
    apply_path: str | None = None
    """Where that request goes, below `/v2/`, with `{call_id}` where the id belongs in the path."""
    apply_url: str = "https://apicfa.convirza.com"
    """The old API's address."""
    client_id: str | None = None
    client_secret: SecretStr | None = None
    """Of the old API, beside the user's e-mail and password."""

    @field_validator("oauth_url", "apply_url", mode="after")
    @classmethod
    def _no_slash_either(cls, value: str) -> str:
        return value.strip().rstrip("/")

    def _faults(self) -> Iterator[tuple[str, str]]:
        yield from super()._faults()
        for name in ("oauth_url", "apply_url"):
            if (why := self._address_fault(name)) is not None:
                yield name, why
        if self.email and not self.password:
            yield "password", "is missing; it belongs to the e-mail"
        if self.password and not self.email:
            yield "email", "is missing; it belongs to the password"
        if not self.webhook_parameter.strip():
            yield "webhook_parameter", "is empty"
        if self.apply == "v2":
            yield from self._v2_faults()

    def _v2_faults(self) -> Iterator[tuple[str, str]]:
        needed = ("apply_path", "email", "client_id", "client_secret")
        for name in (name for name in needed if not getattr(self, name)):
            yield name, "is missing; putting tags on calls by the old API needs it"
        path = self.apply_path or ""
        if not path.isascii() or not path.isprintable() or " " in path or "://" in path or ".." in path:
            yield "apply_path", "is no path such as call/{call_id}/tag"
