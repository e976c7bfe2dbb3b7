"""`calltag send`: signs one event as the platform does and posts it, to try a deployment."""

import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import orjson
import typer

from cli.errors import UserError
from cli.parts import read_settings
from worker.settings import Account, Settings, account_prefix

PATIENCE = 10.0
"""Seconds to wait for the answer."""
SHOWN = 500
"""Characters of an answer's body that are shown."""


def send(
    account: str, event: str, options: Sequence[str], file: Path | None, url: str | None, config: Path | None
) -> None:
    """Posts the event and prints the answer's status and body in one line; exits with 1 unless it is 2xx."""
    settings = read_settings(config)
    chosen = chosen_account(settings, account)
    body = event_body(chosen, event, fields(options), file)
    answer = post(chosen, body, url or webhook_url(settings, account))
    print(answer.status_code, " ".join(answer.text.split())[:SHOWN])
    if not answer.is_success:
        raise typer.Exit(1)


def chosen_account(settings: Settings, name: str) -> Account:
    if name in settings.accounts:
        return settings.accounts[name]
    known = f"; configured: {', '.join(settings.accounts)}" if settings.accounts else ""
    raise UserError(f"account '{name}' is not configured; set {account_prefix(name)}WEBHOOK_SECRETS{known}")


def webhook_url(settings: Settings, account: str) -> str:
    """Where `calltag up` with these settings takes the account's webhooks, on this machine."""
    if not settings.port:
        raise UserError("CALLTAG_PORT is 0, any free port: say with --url where to send to")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/webhooks/{account}"


def fields(options: Sequence[str]) -> dict[str, str]:
    """`--duration 1900`, `--duration=1900` and `--field duration=1900`, in any mixture, as name to value."""
    found: dict[str, str] = {}
    rest = iter(options)
    for option in rest:
        if not option.startswith("--") or option == "--":
            raise UserError(f"'{option}' stands alone: a field is written --name value")
        name, equals, value = option[2:].partition("=")
        if not equals:
            value = _value(option, next(rest, None))
        if name == "field":
            name, equals, value = value.partition("=")
            if not equals:
                raise UserError(f"--field takes name=value, not '{name}'")
        found[name] = value
    return found


def _value(option: str, value: str | None) -> str:
    if value is None:
        raise UserError(f"{option} has no value")
    return value


def event_body(account: Account, event: str, given: dict[str, str], file: Path | None) -> bytes:
    """The file as it is, or the event's example with the given fields."""
    if file is None:
        try:
            return orjson.dumps(account.platform.example(event, given))
        except (ValueError, orjson.JSONEncodeError) as fault:
            raise UserError(str(fault)) from None
    if given:
        raise UserError(f"--file is sent as it is: it goes with no field, such as --{next(iter(given))}")
    try:
        return file.read_bytes()
    except OSError as fault:
        raise UserError(f"{file} cannot be read: {fault.strerror}") from None


def post(account: Account, body: bytes, url: str) -> httpx.Response:
    """Signs and posts; says in one line, and exits with 1, when there is no answer."""
    try:
        signed = account.platform.sign(account.settings, body, time.time())
    except ValueError as fault:
        raise UserError(f"{fault}; set {account_prefix(account.name)}WEBHOOK_SECRETS") from None
    try:
        return httpx.post(url, content=signed.body, headers=signed.headers, timeout=PATIENCE, trust_env=False)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise UserError(
            f"--url: '{url}' is no address such as http://127.0.0.1:8000/webhooks/sipsim"
        ) from None
    except httpx.ConnectError:
        typer.echo(f"calltag: nothing answers at {url}; is `calltag up` running?", err=True)
    except httpx.HTTPError as fault:
        typer.echo(f"calltag: no answer from {url} ({type(fault).__name__})", err=True)
    raise typer.Exit(1)
