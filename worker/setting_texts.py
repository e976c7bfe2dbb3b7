"""The settings as people may see them: secrets only as there or not."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from worker.settings import PREFIX, Settings, account_prefix


class Shown(NamedTuple):
    """A setting; `value` is None of a secret or where it is empty, `given`: it differs from the default."""

    name: str
    value: str | None
    secret: bool
    given: bool


NOT_SHOWN = ("accounts",)
FOR_ALL = ("default_region", "allow_http")
"""An account's settings that are those of the whole."""


def of_the_whole(settings: Settings) -> list[Shown]:
    """The settings that are no account's own."""
    return list(_shown(settings, PREFIX, NOT_SHOWN))


def of_accounts(settings: Settings) -> dict[str, list[Shown]]:
    """By account its own settings."""
    return {
        account.name: list(_shown(account.settings, account_prefix(account.name), FOR_ALL))
        for account in settings.accounts.values()
    }


def _shown(model: BaseModel, prefix: str, without: tuple[str, ...]) -> Iterator[Shown]:
    for name, field in type(model).model_fields.items():
        if name in without:
            continue
        value = getattr(model, name)
        secret = _is_secret(field.annotation)
        text = None if secret or value in (None, "", ()) else _text(value)
        there = value not in (None, "", ()) if secret else value != field.default
        yield Shown(prefix + name.upper(), text, secret, there)


def _is_secret(annotation: Any) -> bool:
    return "SecretStr" in str(annotation) or annotation is SecretStr


def _text(value: Any) -> str:
    """As it would be written; of an address neither the user nor the password, nor what follows a `?`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return _without_password(text) if "://" in text else text


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="", fragment="").geturl()
