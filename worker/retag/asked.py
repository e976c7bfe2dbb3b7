"""What a person or a program asks for, by the names of the command's options; read into a `Spec`."""

import time
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rules.words import did_you_mean, quote
from worker.moments import read_moment
from worker.retag.spec import BadSpec, Spec
from worker.settings import Account


class Asked(BaseModel):
    """A job as it is asked for; times as people write them (see `worker.moments`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    since: str
    until: str | None = None
    account: str | None = None
    """None: the one that is configured."""
    rule: list[str] = []
    tag: list[str] = []
    where: str | None = None
    having: str | None = None
    source: Literal["platform", "store"] = "platform"
    orphaned: Literal["keep", "remove"] = "keep"
    fetch: Literal["transcript"] | None = None


def read_asked(body: bytes) -> Asked:
    """Reads a JSON object; raises `BadSpec` with the first thing that is wrong."""
    try:
        return Asked.model_validate_json(body)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
    name = quote(".".join(map(str, first["loc"])))
    if first["type"] == "extra_forbidden":
        names = list(Asked.model_fields)
        raise BadSpec(f"'{name}' cannot be asked for{did_you_mean(name, names) or '; ' + ', '.join(names)}")
    if first["type"] == "missing":
        raise BadSpec(f"{name} is missing")
    raise BadSpec(f"{name or 'the body'}: {first['msg'][0].lower()}{first['msg'][1:]}")


def spec_of(asked: Asked) -> Spec:
    """The job's spec; what has not happened yet is left out. Raises `BadSpec`."""
    now = time.time()
    since = _moment("since", asked.since, now)
    if since >= now:
        raise BadSpec(f"since: '{quote(asked.since)}' is yet to come")
    until = now if asked.until is None else _moment("until", asked.until, now)
    fetch = asked.fetch is not None
    return Spec(since, min(until, now), tuple(asked.rule), tuple(asked.tag), asked.where, asked.having,
                asked.source, asked.orphaned, fetch)  # fmt: skip


def _moment(name: str, text: str, now: float) -> float:
    try:
        return read_moment(text, now)
    except ValueError as fault:
        raise BadSpec(f"{name}: {fault}") from None


def account_of(accounts: Mapping[str, Account], name: str | None) -> Account:
    """The account that is meant; raises `BadSpec`."""
    configured = ", ".join(accounts) or "none"
    if name is None and len(accounts) == 1:
        return next(iter(accounts.values()))
    if name is None:
        raise BadSpec(f"account: say of which one; configured: {configured}")
    if name not in accounts:
        near = did_you_mean(name, list(accounts)) or f"; configured: {configured}"
        raise BadSpec(f"no account is named '{quote(name)}'{near}")
    return accounts[name]
