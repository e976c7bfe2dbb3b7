"""Calls in files: JSON lines as `eval` reads them, or CSV with field names as columns."""

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from rules import fields
from rules.facts import FactError
from rules.fields import Type
from rules.lines import split_line
from rules.nodes import resolve
from rules.words import nearest_field

LARGEST_CELL = 64 * 1024 * 1024
"""Characters."""


Raw = tuple[str, Mapping[str, Any] | str]
"""A call's name, and its facts as JSON has them, or what is wrong with it."""


def read_json(line: tuple[int, bytes]) -> Raw:
    """The call of a JSON line, which comes with its number."""
    number, text = line
    try:
        return f"line {number}", split_line(text)[0]
    except FactError as fault:
        return f"line {number}", str(fault)


class HeaderError(ValueError):
    """A CSV file whose columns are not the fields of calls."""


def read_header(lines: Iterator[str]) -> list[str]:
    """The columns of a CSV file; raises `HeaderError`."""
    try:
        header = [column.strip() for column in next(csv.reader(lines), [])]
    except csv.Error as fault:
        raise HeaderError(f"line 1: {fault}") from None
    if not header:
        raise HeaderError("line 1: no columns; the first line names the fields")
    for at, column in enumerate(header):
        if any("\udc80" <= sign <= "\udcff" for sign in column):  # bytes as `surrogateescape` leaves them
            raise HeaderError("line 1: not UTF-8")
        if fields.find(column) is None:
            hint = _separator(column) or nearest_field(column)
            raise HeaderError(f"line 1: unknown column '{column}'{hint}")
        if column in header[:at]:
            raise HeaderError(f"line 1: the column '{column}' stands twice")
    return header


def _separator(column: str) -> str:
    """A word on columns that something else than a comma separates, as some spreadsheets do."""
    for sign, name in {";": "semicolons", "\t": "tabs"}.items():
        if sign in column and fields.find(column.split(sign)[0].strip()):
            return f"; columns are separated by commas, not by {name}"
    return ""


Row = tuple[int, list[str], str | None]
"""Number and cells of a line of CSV, or what is wrong with it."""


def read_rows(lines: Iterator[str], width: int) -> Iterator[Row]:
    """The lines after the header."""
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num + 1, [], str(error)
            continue
        if len(cells) not in (0, width):
            fault = f"{len(cells)} cells, and the first line names {width} columns"
            yield reader.line_num + 1, [], fault
        elif cells:
            yield reader.line_num + 1, cells, None


def read_row(row: Row, header: list[str]) -> Raw:
    """The call of a row. An empty cell is a missing value; `tags` are divided by `;`."""
    number, cells, fault = row
    name = f"line {number}"
    if fault:
        return name, fault
    try:
        return name, {column: cell_value(column, cell) for column, cell in zip(header, cells, strict=True)}
    except FactError as wrong:
        return name, str(wrong)


def cell_value(column: str, cell: str) -> Any:
    """What a cell of a field's column holds, as JSON has it; raises `FactError`."""
    field = fields.find(column)
    if not cell or field is None:
        return None
    if field.type is Type.TEXTS:
        return [item.strip() for item in cell.split(";") if item.strip()]
    if field.type in (Type.NUMBER, Type.DURATION, Type.BOOLEAN, Type.SCALAR):
        try:
            return resolve(cell)
        except ValueError as fault:
            raise FactError(f"'{column}': {fault}") from None
    return cell
