"""The settings: read once at start from a TOML file, `.env` and the environment, then handed down frozen.

All three sources use the same names. In the TOML file `CALLTAG_PORT` is written `port`, and the settings of
an account stand in a table of its name: `[sipsim]` with `client_id` is `CALLTAG_SIPSIM_CLIENT_ID`. The
environment wins over `.env`, and `.env` over the file.
"""

import difflib
import hashlib
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from platforms.adapter import Platform
from platforms.phones import known_region
from platforms.registry import PLATFORMS
from platforms.settings import AccountSettings
from rules.literals import read_duration
from worker.addresses import broker_address, database_address, public_address, redis_address

PREFIX = "CALLTAG_"
NOT_SETTINGS = ("CALLTAG_TEST_",)
"""Names that begin like settings but are read by the project's own tests."""
SOCKET_PATH_LIMIT = 100
"""A unix socket's path ends at 104 (macOS) or 108 bytes."""
ACCOUNT_LIMIT = 40
TOKEN_AT_LEAST = 16
"""Characters of a token that somebody chose."""

Model = TypeVar("Model", bound=BaseModel)


class SettingsError(Exception):
    """A setting is wrong, missing or unknown; one line that names it."""


@dataclass(frozen=True)
class Account:
    """A configured account of a platform."""

    name: str
    platform: Platform
    settings: AccountSettings


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    """Seconds, as a number or as a rule would write them (`15m`)."""
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        return read_duration(value)
    return value


class Settings(BaseModel):
    """Everything that can be set, but the accounts' own settings, which their platforms define."""

    model_config = {
        "frozen": True,
        "extra": "forbid",
        "validate_default": True,
        "arbitrary_types_allowed": True,
        "hide_input_in_errors": True,
    }

    data_dir: Path = Path(".calltag")
    database_url: Annotated[str, AfterValidator(database_address)] = Field("", repr=False)
    redis_url: Annotated[str, AfterValidator(redis_address)] = Field("", repr=False)
    broker_url: Annotated[str, AfterValidator(broker_address)] = Field("", repr=False)
    rules: Path = Path("rules.yaml")
    rules_edit: bool = False
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    public_url: Annotated[str, AfterValidator(public_address)] = ""
    default_region: str | None = None
    admin_token: SecretStr | None = None
    viewer_token: SecretStr | None = None
    max_body: int = Field(4_194_304, ge=1024)
    allow_http: bool = False
    reconcile_every: Annotated[float, BeforeValidator(_duration), Field(ge=0)] = 900.0
    keep_bodies: int = Field(30, ge=0, le=36_500)
    """Days for which the raw events are kept; 0 is for ever."""
    keep_calls: int = Field(400, ge=0, le=36_500)
    """Days for which calls and all that belongs to them are kept; 0 is for ever."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_lower)] = "console"
    accounts: Mapping[str, Account] = Field(default_factory=dict)

    @field_validator("data_dir", "rules", mode="after")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        try:
            return path.expanduser().absolute()
        except RuntimeError:
            raise ValueError("begins with ~ and a name that is no user's") from None

    @field_validator("default_region")
    @classmethod
    def _region(cls, region: str | None) -> str | None:
        if region and not known_region(region.upper()):
            raise ValueError("is no country code such as FR")
        return region.upper() if region else None

    @field_validator("admin_token", "viewer_token")
    @classmethod
    def _sendable(cls, token: SecretStr | None) -> SecretStr | None:
        text = token.get_secret_value() if token else ""
        if token and len(text) < TOKEN_AT_LEAST:
            raise ValueError(f"has fewer than {TOKEN_AT_LEAST} characters")
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("holds a space or a character that no header can carry")
        return token

    @field_validator("viewer_token")
    @classmethod
    def _other(cls, token: SecretStr | None, values: ValidationInfo) -> SecretStr | None:
        if token and token == values.data.get("admin_token"):
            raise ValueError("is the admin token: whoever had it could change everything")
        return token

    @property
    def database(self) -> str:
        """The database's URL as SQLAlchemy takes it."""
        from sqlalchemy import URL  # 0.4 s

        file = URL.create("sqlite", database=str(self.data_dir / "calltag.db"))
        return self.database_url or file.render_as_string()

    @property
    def redis(self) -> str:
        """The Redis URL as redis-py takes it; the embedded server's socket when none is set."""
        return self.redis_url or f"unix://{quote(str(embedded_socket(self.data_dir)))}"

    @property
    def broker(self) -> str:
        """The broker's URL as Celery takes it."""
        url = self.broker_url or self.redis
        return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


def embedded_socket(data_dir: Path) -> Path:
    """Where the embedded Valkey listens: in the data folder, or a short private one if that is too long."""
    path = data_dir / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    short = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"calltag-{os.getuid()}-{short}" / "valkey.sock"


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Reads the settings. Raises `SettingsError` with one line that names what is wrong.

    `environ` stands for the environment; without it the real one is read, and `.env` in the working folder.
    """
    given = {**_dotenv(), **os.environ} if environ is None else environ
    values = _file(config) if config else {}
    values |= {name: text for name, text in given.items() if not name.startswith(NOT_SETTINGS)}
    values = {name: text.strip() for name, text in values.items() if name.startswith(PREFIX) and text.strip()}
    names = _account_names(values)
    common, per_account = _split(values, names)
    known = _known_names(names)
    settings = _validated(Settings, common, PREFIX, known)
    accounts = {name: _account(name, per_account[name], settings, known) for name in names}
    return settings.model_copy(update={"accounts": accounts})


def _dotenv() -> dict[str, str]:
    path = Path(".env")
    try:
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as fault:
        raise SettingsError(f"the file .env cannot be read: {fault}") from None
    for found in parse_stream(StringIO(text)):
        if found.value is None and found.original.string.strip().startswith(PREFIX):
            raise SettingsError(f"the file .env: line {found.original.line} is not NAME=value")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value is not None}


def _file(path: Path) -> dict[str, str]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as fault:
        raise SettingsError(f"the configuration file {path} cannot be read: {fault}") from None
    except tomllib.TOMLDecodeError as fault:
        raise SettingsError(f"the configuration file {path} is not TOML: {fault}") from None
    for name in table:
        if name.upper().startswith(PREFIX):
            right = name[len(PREFIX) :].lower()
            raise SettingsError(f"the configuration file {path}: {name} is written {right} there")
    return dict(_flat(table, PREFIX))


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = prefix + key.upper().replace("-", "_")
        if isinstance(value, dict):
            yield from _flat(value, name + "_")
        elif isinstance(value, list):
            yield name, ",".join(str(item) for item in value)
        else:
            yield name, str(value).lower() if isinstance(value, bool) else str(value)


def account_prefix(account: str) -> str:
    """The beginning of an account's settings: `sipsim-lyon` has `CALLTAG_SIPSIM_LYON_`."""
    return PREFIX + account.upper().replace("-", "_") + "_"


def _account_names(values: dict[str, str]) -> list[str]:
    """The configured accounts: those named, or each platform that has a setting."""
    if named := values.pop("CALLTAG_ACCOUNTS", ""):
        names = [name.strip() for name in named.split(",") if name.strip()]
        for name in names:
            if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > ACCOUNT_LIMIT:
                raise SettingsError(
                    f"CALLTAG_ACCOUNTS: '{name}' must be at most {ACCOUNT_LIMIT} small letters, digits and "
                    "'-', a letter first"
                )
            if any(other.startswith(account_prefix(name)) for other in (*_common_names(), *NOT_SETTINGS)):
                raise SettingsError(
                    f"CALLTAG_ACCOUNTS: '{name}' is how other settings begin; take another name"
                )
        return list(dict.fromkeys(names))
    return [name for name in PLATFORMS if any(key.startswith(account_prefix(name)) for key in values)]


def _split(
    values: Mapping[str, str], accounts: list[str]
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The common settings and each account's own, by lower-case key; an unknown common name is an error."""
    common: dict[str, str] = {}
    own: dict[str, dict[str, str]] = {name: {} for name in accounts}
    by_length = sorted(accounts, key=len, reverse=True)
    for name, text in values.items():
        account = next((a for a in by_length if name.startswith(account_prefix(a))), None)
        if account is not None:
            own[account][name.removeprefix(account_prefix(account)).lower()] = text
        else:
            common[name.removeprefix(PREFIX).lower()] = text
    return common, own


def _common_names() -> list[str]:
    return [PREFIX + field.upper() for field in Settings.model_fields]


def _known_names(accounts: list[str]) -> list[str]:
    """Every name that is a setting, for those that nearly are."""
    own = {field.upper() for platform in PLATFORMS.values() for field in platform.settings.model_fields}
    prefixes = {account_prefix(name) for name in (*accounts, *PLATFORMS)}
    return _common_names() + [prefix + field for prefix in sorted(prefixes) for field in sorted(own)]


def _account(name: str, values: dict[str, str], settings: Settings, known: Sequence[str]) -> Account:
    prefix = account_prefix(name)
    platform = PLATFORMS.get(values.pop("platform", name))
    if platform is None:
        known = ", ".join(PLATFORMS)
        raise SettingsError(f"{prefix}PLATFORM must say what account '{name}' is; one of: {known}")
    shared = {"default_region": settings.default_region, "allow_http": settings.allow_http}
    given = {
        key: value
        for key, value in shared.items()
        if key in platform.settings.model_fields and value is not None
    }
    return Account(name, platform, _validated(platform.settings, {**given, **values}, prefix, known))


def _validated(model: type[Model], values: Mapping[str, Any], prefix: str, known: Sequence[str]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        raise SettingsError("; ".join(_lines(fault, prefix, known))) from None


def _lines(fault: ValidationError, prefix: str, known: Sequence[str]) -> Iterator[str]:
    for error in fault.errors(include_url=False, include_input=False):
        message = error["msg"].removeprefix("Value error, ")
        name = prefix + str(error["loc"][0] if error["loc"] else "").upper()
        if error["type"] == "extra_forbidden":
            yield f"{name} is not a setting{_nearest(name, known)}"
        else:
            yield f"{name}: {message}"


def _nearest(name: str, known: Sequence[str]) -> str:
    names = [one.removeprefix(PREFIX) for one in known]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1, cutoff=0.7)
    return f"; did you mean {PREFIX}{near[0]}?" if near else ""
