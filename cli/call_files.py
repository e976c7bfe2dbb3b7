"""Calls in files: CSV, JSON lines and Parquet, a line at a time, whatever their size."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cli.errors import UserError
from platforms.errors import Unreadable
from platforms.payload import decode
from rules import calls
from rules.facts import FactError
from worker.importing import ColumnError, Row, check_columns, is_reference, taken

BATCH = 1000
"""Lines of a Parquet file that are held at once."""
INSTALL = "pip install pyarrow, where calltag is installed, or write the file as CSV"
Reader = Callable[[BinaryIO, Mapping[str, str]], Iterator[Row]]


@contextmanager
def read_rows(file: Path, mapping: Mapping[str, str]) -> Iterator[Iterator[Row]]:
    """The lines of a file, of the kind that its name ends with; `mapping` is field to column.

    Raises `ColumnError` and `UserError`, also while it is read.
    """
    read = READERS.get(file.suffix.lower())
    if read is None:
        raise UserError(f"{file}: its name does not say what it is: {', '.join(READERS)}")
    try:
        with _shown(file) as opened:
            yield read(opened, mapping)
    except OSError as fault:
        raise UserError(f"{file} cannot be read: {fault.strerror}") from None


@contextmanager
def _shown(file: Path) -> Iterator[BinaryIO]:
    """The file, with a bar of progress on a terminal."""
    from rich.console import Console
    from rich.progress import wrap_file

    console = Console(stderr=True)
    with file.open("rb") as plain:
        if not console.is_terminal:
            yield plain
            return
        size = file.stat().st_size
        with wrap_file(plain, total=size, description="calls", console=console, transient=True) as shown:
            yield shown


def _csv(file: BinaryIO, mapping: Mapping[str, str]) -> Iterator[Row]:
    texts = (line.decode("utf-8", "surrogateescape") for line in file)
    csv.field_size_limit(calls.LARGEST_CELL)
    try:
        header = [column.removeprefix("\ufeff").strip() for column in next(csv.reader(texts), [])]
    except csv.Error as fault:
        raise ColumnError(f"line 1: {fault}") from None
    check_columns(header, mapping)
    places = {field: header.index(column) for field, column in taken(header, mapping).items()}
    return (
        _csv_row(line, cells, fault, places) for line, cells, fault in calls.read_rows(texts, len(header))
    )


def _csv_row(line: int, cells: list[str], fault: str | None, places: Mapping[str, int]) -> Row:
    if fault is not None:
        return Row(line, {}, fault)
    try:
        return Row(line, {field: _cell(field, cells[place]) for field, place in places.items()})
    except FactError as bad:
        return Row(line, {}, str(bad))


def _cell(field: str, cell: str) -> Any:
    return (cell.strip() or None) if is_reference(field) else calls.cell_value(field, cell)


def _json_lines(file: BinaryIO, mapping: Mapping[str, str]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if line.strip():
            yield _json_row(number, line, mapping)


def _json_row(number: int, line: bytes, mapping: Mapping[str, str]) -> Row:
    try:
        found = decode(line)
    except Unreadable as fault:
        return Row(number, {}, str(fault).replace("the body", "the line"))
    return Row(number, {field: found.get(column) for field, column in taken(found, mapping).items()})


def _parquet(file: BinaryIO, mapping: Mapping[str, str]) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UserError(f"Parquet needs pyarrow, which is not installed: {INSTALL}") from None
    try:
        table = ParquetFile(file)
        columns = list(table.schema_arrow.names)
        check_columns(columns, mapping)
        fields = taken(columns, mapping)
        batches = table.iter_batches(BATCH, columns=sorted(set(fields.values())))
        found = (values for batch in batches for values in batch.to_pylist())
        for number, values in enumerate(found, 1):
            yield Row(number, {field: values[column] for field, column in fields.items()})
    except ArrowException as fault:
        raise ColumnError(f"it cannot be read as Parquet: {str(fault).splitlines()[0]}") from None


READERS: Mapping[str, Reader] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
