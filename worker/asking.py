"""What people ask of lists of calls, read from what they typed."""

from collections.abc import Mapping

from store.calls import STATES
from store.listing import Filter
from worker.moments import read_moment
from worker.numbers import spellings
from worker.settings import Settings

NAMES = ("reference", "number", "tag", "rule", "state", "since", "until", "account")


def asked_for(settings: Settings, given: Mapping[str, str], now: float) -> Filter:
    """The calls that are asked for by `NAMES`; empty is no condition. A reference may be `ACCOUNT:REFERENCE`.

    Raises ValueError with what is wrong and what would be right.
    """
    asked = {name: given[name] for name in NAMES if given.get(name)}
    account, colon, rest = asked.get("reference", "").partition(":")
    if colon and rest and account in settings.accounts:
        asked |= {"reference": rest, "account": account}
    if (state := asked.get("state")) not in (None, *STATES):
        raise ValueError(f"state: '{state}' is none; it is one of {', '.join(STATES)}")
    return Filter(
        account=asked.get("account"),
        state=state,
        since=_moment(asked, "since", now),
        until=_moment(asked, "until", now),
        numbers=_numbers(settings, asked.get("number")),
        reference=asked.get("reference"),
        tag=asked.get("tag"),
        rule=asked.get("rule"),
    )


def _moment(asked: Mapping[str, str], name: str, now: float) -> float | None:
    if name not in asked:
        return None
    try:
        return read_moment(asked[name], now)
    except ValueError as fault:
        raise ValueError(f"{name}: {fault}") from None


def _numbers(settings: Settings, number: str | None) -> list[str] | None:
    if number is None:
        return None
    try:
        return spellings(settings, number)
    except ValueError as fault:
        raise ValueError(f"number: '{number}' {fault}") from None
