"""Tags from a file of another system: CSV with the columns name, color and description, or JSON."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from cli.errors import UserError
from cli.told import number
from rules.read_sections import COLOR
from rules.ruleset import CatalogueTag
from rules.words import did_you_mean, quote

KEYS = ("name", "color", "description")
LARGEST = 8 * 1024 * 1024
"""Bytes of such a file."""
SHOWN = 20
"""Faults that are told one by one."""

Place = str
"""`line 3` of a CSV file, `item 3` of a JSON list."""


def read_tags(path: Path) -> dict[str, CatalogueTag]:
    """The tags of the file by name, in its order.

    All that is wrong with it is told, a line each; then `UserError` is raised.
    """
    text = _text(path)
    rows = _json(path, text) if path.suffix.lower() == ".json" else _csv(path, text)
    tags: dict[str, CatalogueTag] = {}
    places: dict[str, Place] = {}
    faults: list[str] = []
    for place, row in rows:
        if (why := _fault(row, places)) is not None:
            faults.append(f"{path}: {place}: {why}")
            continue
        name, color, description = (str(row.get(key) or "").strip() for key in KEYS)
        tags[name] = CatalogueTag(name, color or None, description or None)
        places[name] = place
    if faults:
        for fault in faults[:SHOWN]:
            typer.echo(f"calltag: {fault}", err=True)
        raise UserError(f"{path}: {number(len(faults), 'tag')} cannot be read; nothing was done")
    if not tags:
        raise UserError(f"{path}: it holds no tag")
    return tags


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise UserError(f"{path} cannot be read: {fault.strerror}") from None
    if len(data) > LARGEST:
        raise UserError(f"{path}: the file is over 8 MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        raise UserError(f"{path}: line {line}: it is not UTF-8") from None


def _csv(path: Path, text: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The rows below the header; columns with other names are left out."""
    first = text.partition("\n")[0]
    separator = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if "name" not in header:
            hint = next((hint for column in header if (hint := did_you_mean(column, ["name"]))), "")
            raise UserError(
                f"{path}: line 1: no column is 'name'{hint}; the others are color and description"
            )
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(header):
                why = f"{number(len(cells), 'cell')}, and line 1 names {number(len(header), 'column')}"
                yield f"line {line}", {"fault": why}
            elif cells:
                yield f"line {line}", dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as fault:
        raise UserError(f"{path}: line {reader.line_num}: {fault}") from None


def _json(path: Path, text: str) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    shape = 'it is a list such as [{"name": "VIP", "color": "#EF4444", "description": "..."}]'
    try:
        found = json.loads(text)
    except json.JSONDecodeError as fault:
        raise UserError(f"{path}: line {fault.lineno}, column {fault.colno}: {fault.msg}; {shape}") from None
    except (RecursionError, ValueError):
        raise UserError(f"{path}: it cannot be read; {shape}") from None
    if not isinstance(found, list):
        raise UserError(f"{path}: {shape}")
    for at, item in enumerate(found, 1):
        yield f"item {at}", item if isinstance(item, dict) else {"fault": shape}


def _fault(row: Mapping[str, Any], places: Mapping[str, Place]) -> str | None:
    """What is wrong with a tag, if anything; those before it are in `places` by name."""
    if "name" not in row:
        return str(row.get("fault", "'name' is missing"))
    for key in KEYS:
        if row.get(key) is not None and not isinstance(row[key], str):
            return f"'{key}' is no text"
    name, color = ((row.get(key) or "").strip() for key in ("name", "color"))
    if not name or not name.isprintable():
        return "'name' is empty" if not name else f"'{quote(name)}' holds a character that no name has"
    if name in places:
        return f"the tag '{quote(name)}' is there already, {places[name]}"
    if color and not COLOR.fullmatch(color):
        return f"'{quote(color)}' is no colour; one is such as #EF4444"
    return None
