"""Calls from a file into the store: which column is which field, and keeping them as calls of the past."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any

from platforms.adapter import Reference
from platforms.errors import Unreadable
from platforms.payload import identifier
from platforms.phones import e164
from rules import fields
from rules.facts import FactError, Facts, facts_from_json
from rules.words import did_you_mean, quote
from store.database import Database
from store.inbox import Arrival
from store.keeping import Kept, Past
from worker import imported
from worker.history import keep_past, own_time
from worker.settings import Account

REFERENCE = "reference"
"""The name of the column in which the platform's own id of the call is."""
OF_KIND = REFERENCE + "."
"""How the names of those begin in which another reference of it is, such as `reference.pbx_id`."""
GIVEN = ("platform", "account")
"""Fields that follow from where the calls are kept."""
PHONES = ("caller", "receiver")


class ColumnError(ValueError):
    """The columns do not say what is needed: one line."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file: field to value, as JSON or a typed file has it, or what is wrong with it."""

    number: int
    values: Mapping[str, Any]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the file, or what is wrong with its line."""

    number: int
    references: tuple[Reference, ...] = ()
    facts: Facts | None = None
    tags: tuple[str, ...] | None = None
    fault: str | None = None


def read_mapping(texts: Iterable[str]) -> dict[str, str]:
    """Field to column, from `FIELD=COLUMN`; raises `ColumnError`."""
    mapping: dict[str, str] = {}
    for text in texts:
        field, equals, column = (part.strip() for part in text.partition("="))
        if not (field and equals and column):
            raise ColumnError(f"'{text}' maps nothing; it is FIELD=COLUMN, such as duration=Seconds")
        if not is_field(field):
            near = did_you_mean(field, [REFERENCE, *fields.FIELDS]) or "; `calltag rules fields` lists them"
            raise ColumnError(f"unknown field '{quote(field)}'{near}")
        if field in mapping:
            raise ColumnError(f"the field '{field}' is mapped twice")
        mapping[field] = column
    return mapping


def is_field(name: str) -> bool:
    """Whether a column can be that: a field of calls, or a reference."""
    return is_reference(name) or (fields.find(name) is not None and name not in GIVEN)


def is_reference(name: str) -> bool:
    return name == REFERENCE or (name.startswith(OF_KIND) and name.removeprefix(OF_KIND).isidentifier())


def check_columns(columns: Sequence[str], mapping: Mapping[str, str]) -> None:
    """Raises `ColumnError` where a mapped column is not there, or none has a reference."""
    for field, column in mapping.items():
        if column not in columns:
            near = did_you_mean(column, columns) or f"; its columns are {', '.join(map(repr, columns))}"
            raise ColumnError(f"{field}={column}: the file has no column '{quote(column)}'{near}")
    for column in columns:
        if columns.count(column) > 1:
            raise ColumnError(f"the column '{quote(column)}' stands twice")
    if not any(map(is_reference, taken(columns, mapping))):
        raise ColumnError("no column is the call's id: say which, --map reference=COLUMN")


def taken(columns: Collection[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Field to column: as mapped, and where a column has a field's name and is not mapped otherwise."""
    mapped = set(mapping.values())
    return {column: column for column in columns if is_field(column) and column not in mapped} | dict(mapping)


def calls_of(rows: Iterable[Row], account: Account) -> Iterator[Call]:
    """The calls that the lines are; what is wrong with one is told in its place."""
    for row in rows:
        try:
            yield Call(row.number, fault=row.fault) if row.fault else _call(row, account)
        except (FactError, Unreadable) as fault:
            yield Call(row.number, fault=str(fault))


def _call(row: Row, account: Account) -> Call:
    references = tuple(_references(row.values, account.platform.id_kind))
    if not references:
        raise Unreadable("the call has no reference")
    given = {name: _plain(value) for name, value in row.values.items() if not is_reference(name)}
    facts = dict(facts_from_json(given))
    for side in PHONES:
        if side in facts:
            facts[side] = e164(str(facts[side]), account.settings.default_region)
    tags = facts.pop("tags", None)
    return Call(row.number, references, facts, tuple(tags) if isinstance(tags, list) else None)


def _references(named: Mapping[str, Any], id_kind: str) -> Iterator[Reference]:
    for name in (REFERENCE, *sorted(name for name in named if name.startswith(OF_KIND))):
        value = identifier(named, name)
        if value is not None:
            yield Reference(id_kind if name == REFERENCE else name.removeprefix(OF_KIND), value)


def _plain(value: Any) -> Any:
    """A value as JSON has it: files with types have times and exact numbers of their own."""
    if isinstance(value, date | time_of_day):  # a datetime is a date
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def keep(database: Database, account: Account, calls: Sequence[Call]) -> Kept:
    """Keeps the calls as those of the past, in one transaction: at most `history.PART`.

    The file's list of tags counts as older than any that the platform told. Raises `Unavailable`.
    """
    now = time.time()
    past = [_past(account, call, now) for call in calls]
    with database.write() as connection:
        return keep_past(connection, account, past)


def _past(account: Account, call: Call, now: float) -> Past:
    facts = call.facts or {}
    refs = [(account.name, kind, value) for kind, value in call.references]
    at = own_time(facts)
    body = imported.write(call.references, facts, call.tags)
    told = Arrival(account.name, body, at or 0.0, now, imported.SOURCE)
    return Past(refs, told, "import", min(at or now, now))
