"""Facts: what is known of one call, by field name, as the rules see it."""

import math
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

from rules import fields
from rules.fields import WEEKDAYS, Field, Type
from rules.literals import read_date, read_duration, read_time, read_time_of_day, write_time_of_day
from rules.text import bare_phone
from rules.words import did_you_mean, nearest_field, quote

Value = str | int | float | bool | datetime | date | time | list[str]
Facts = Mapping[str, Value]
"""Field name to value: texts, numbers (durations in seconds), booleans, aware datetimes, lists of texts."""


class FactError(ValueError):
    """A fact that no call can have: one line that names the field, and quotes no personal data."""


def facts_from_json(obj: Mapping[str, Any]) -> Facts:
    """The facts written as JSON values: times as ISO 8601 texts with an offset, durations in seconds.

    Phone numbers lose spaces and punctuation, and what is None is missing. Raises `FactError`.
    """
    known = [(name, _known(name), value) for name, value in obj.items()]
    return {name: _read(name, field, value) for name, field, value in known if value is not None}


def read_fact(name: str, value: Any) -> Value:
    """One fact from its JSON value; raises `FactError`."""
    return _read(name, _known(name), value)


def reader_of(name: str) -> Callable[[Any], Value]:
    """What reads the facts of a field, as `read_fact` does."""
    return partial(_read, name, _known(name))


def _read(name: str, field: Field, value: Any) -> Value:
    try:
        fact = READER_OF[field.name](value)
    except ValueError as fault:
        raise FactError(f"'{name}' {fault}") from None
    if field.values and fact not in field.values:
        raise FactError(outside(name, str(fact), field.values))
    return fact


def outside(name: str, value: str, values: tuple[str, ...]) -> str:
    """What is said of a value that is none of a field's fixed ones."""
    return (
        f"'{name}' is never '{quote(value)}', it is one of {', '.join(values)}{did_you_mean(value, values)}"
    )


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """The facts as values that JSON can write; `facts_from_json` reads them back."""
    return {name: value_to_json(value) for name, value in facts.items()}


def value_to_json(value: Value) -> Any:
    if isinstance(value, time):
        return write_time_of_day(value)
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date


def derive(facts: Facts, timezone: ZoneInfo, wanted: Collection[str] = fields.DERIVED) -> Facts:
    """The facts with the derived fields that follow from them; what is given already stays.

    Those that are not `wanted` may be left out.
    """
    if facts.keys() >= set(wanted):
        return facts
    derived = {**_parties(facts), **facts}
    if not LOCAL.keys().isdisjoint(wanted):
        derived = {**_local(facts, timezone), **derived}
    if "remote_country" in wanted and "remote_country" not in derived:
        country = country_of(str(derived.get("remote_number")))
        return {**derived, "remote_country": country} if country else derived
    return derived


ENDS = {
    "inbound": {"remote_number": "caller", "our_number": "receiver"},
    "outbound": {"remote_number": "receiver", "our_number": "caller"},
}
"""By direction, which end of a call each party is at."""

LOCAL: Mapping[str, Callable[[datetime], Value]] = {
    "local_time": lambda local: local.time().replace(microsecond=0, fold=0),
    "local_date": datetime.date,
    "weekday": lambda local: WEEKDAYS[local.weekday()],
}
"""What follows from the time of a call in the zone of the rule set."""


def _parties(facts: Facts) -> dict[str, Value]:
    ends = ENDS.get(str(facts.get("direction")), {})
    return {party: facts[end] for party, end in ends.items() if end in facts}


def moment_of(facts: Facts) -> datetime | None:
    """When the call began, else when it ended."""
    moment = facts.get("started_at", facts.get("ended_at"))
    return moment if isinstance(moment, datetime) else None


def _local(facts: Facts, timezone: ZoneInfo) -> dict[str, Value]:
    moment = moment_of(facts)
    if moment is None:
        return {}
    local = moment.astimezone(timezone)
    return {name: part(local) for name, part in LOCAL.items()}


@lru_cache(maxsize=65536)
def country_of(number: str) -> str | None:
    """The ISO 3166 code of an E.164 number's country, or None."""
    if not number.startswith("+"):
        return None
    import phonenumbers  # its tables are large, and most rule sets need no country

    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    return region if region and region.isalpha() and region != "ZZ" else None  # 001 is no country


def _known(name: str) -> Field:
    field = fields.find(name)
    if field is None:
        raise FactError(f"unknown field '{quote(name)}'{nearest_field(name)}")
    return field


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is a text, not {kind_of(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # it holds half of a surrogate pair
            raise ValueError("is no valid Unicode") from None
    return value


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is a number, not {kind_of(value)}")
    if not math.isfinite(value):
        raise ValueError("is a number, and this one is not finite")
    return value


def _duration(value: Any) -> int | float:
    if isinstance(value, str):
        return read_duration(value)
    seconds = _number(value)
    if seconds < 0:
        raise ValueError("is never negative")
    return seconds


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is true or false, not {kind_of(value)}")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"is a list of texts, not {kind_of(value)}")
    if not all(isinstance(item, str) for item in value):
        raise ValueError("is a list of texts, and holds something else")
    return [_text(item) for item in value]


def _scalar(value: Any) -> Value:
    if not isinstance(value, str | bool | int | float):
        raise ValueError(f"is a text, a number or a boolean, not {kind_of(value)}")
    return _text(value) if isinstance(value, str) else value if isinstance(value, bool) else _number(value)


READERS: Mapping[Type, Callable[[Any], Value]] = {
    Type.TEXT: _text,
    Type.PHONE: lambda value: bare_phone(_text(value)),
    Type.NUMBER: _number,
    Type.DURATION: _duration,
    Type.TIME: lambda value: read_time(_text(value)),
    Type.DATE: lambda value: read_date(_text(value)),
    Type.TIME_OF_DAY: lambda value: read_time_of_day(_text(value)),
    Type.BOOLEAN: _boolean,
    Type.TEXTS: _texts,
    Type.SCALAR: _scalar,
}

READER_OF: Mapping[str, Callable[[Any], Value]] = {
    field.name: READERS[field.type] for field in (*fields.CATALOGUE, fields.CUSTOM_FIELD)
}

KINDS: Mapping[type, str] = {
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


def kind_of(value: Any) -> str:
    """What a message calls a JSON value: `a text`, `a number`..."""
    return KINDS.get(type(value), type(value).__name__)
