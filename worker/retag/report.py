"""What a job did to each call, as a file: read and written page by page, whatever its size."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from rules.cells import as_text
from store import job_changes
from store.database import Database
from store.job_changes import Change
from store.jobs import CallState, Job

PAGE = 1000
COLUMNS = ("reference", "account", "before", "after", "added", "removed", "state", "reason")
NOT_YET = (CallState.PLANNED, CallState.TODO)
"""Of these calls `added` and `removed` are what is to be done."""


def rows(database: Database, job: Job) -> Iterator[dict[str, Any]]:
    """Each call that the job changes, or that failed or was skipped; raises `Unavailable`."""
    after = ""
    while True:
        with database.read() as connection:
            page = job_changes.changes(connection, job.id, after, PAGE)
        yield from (_row(job, change) for change in page)
        if len(page) < PAGE:
            return
        after = page[-1].reference


def _row(job: Job, change: Change) -> dict[str, Any]:
    to_come = change.state in NOT_YET
    added = change.add if to_come else change.added
    removed = change.remove if to_come else change.removed
    after = [tag for tag in dict.fromkeys([*change.before, *added]) if tag not in removed]
    return {
        "reference": change.reference,
        "account": job.account,
        "before": list(change.before),
        "after": after,
        "added": list(added),
        "removed": list(removed),
        "state": change.state.value,
        "reason": change.reason,
    }


def as_json(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """An array, one call a line."""
    mark = "[\n"
    for row in found:
        yield mark + orjson.dumps(row).decode()
        mark = ",\n"
    yield "[]\n" if mark == "[\n" else "\n]\n"


def as_csv(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """With a line of column names; several tags in one cell are parted by `; `. It is for spreadsheets: of a
    text that one would run as a formula the cell is `as_text`; `as_json` has all as it is."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in found:
        writer.writerow(_cell(row[name]) for name in COLUMNS)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: str | list[str] | None) -> str:
    texts = value if isinstance(value, list) else [value or ""]
    return "; ".join(map(as_text, texts))  # each tag: a spreadsheet that parts cells by `;` begins one there


FORMATS: dict[str, Callable[[Iterable[dict[str, Any]]], Iterator[str]]] = {"csv": as_csv, "json": as_json}
