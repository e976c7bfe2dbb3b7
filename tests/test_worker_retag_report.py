"""What a job did to each call, as a file."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.retag_job import plan
from tests.worker_bench import Bench
from worker.retag import report

Make = Callable[..., Bench]
IN = """
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
"""
ROW: dict[str, Any] = {
    "reference": 'a "b", c', "account": "sipsim", "before": ["VIP"], "after": ["VIP", "Long, very"],
    "added": ["Long, very"], "removed": [], "state": "done", "reason": None,
}  # fmt: skip


@pytest.mark.parametrize("calls", [0, 1, 2, 4, 5])
def test_every_call_is_told_once_whatever_the_size_of_a_page(
    make_bench: Make, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    monkeypatch.setattr(report, "PAGE", 2)
    bench = make_bench(rules=IN)
    for number in range(1, calls + 1):
        bench.call(number, duration=60, receiver=f"+3318480{number:04d}")
    job = plan(bench)
    found = [row["reference"] for row in report.rows(bench.database, job.row)]
    assert found == [str(10_000 + number) for number in range(1, calls + 1)]


def test_the_tags_afterwards_are_those_that_are_planned_and_then_those_that_were_put(
    make_bench: Make,
) -> None:
    bench = make_bench(rules=IN)
    bench.call(1)
    job = plan(bench)
    (before,) = report.rows(bench.database, job.row)
    job.run()
    (after,) = report.rows(bench.database, job.row)
    assert (before["state"], after["state"]) == ("planned", "done")
    assert (before["added"], before["after"]) == (["Inbound"], ["Inbound"])
    assert before | {"state": "done"} == after


def test_json_is_an_array_of_a_line_each() -> None:
    for rows in ([], [ROW], [ROW, ROW]):
        text = "".join(report.as_json(rows))
        assert json.loads(text) == rows
        assert text.endswith("]\n")


def test_csv_reads_back_whatever_the_names_have_in_them() -> None:
    text = "".join(report.as_csv([ROW, ROW]))
    found = list(csv.DictReader(io.StringIO(text)))
    assert len(found) == 2
    tags = {"before": "VIP", "after": "VIP; Long, very", "added": "Long, very", "removed": ""}
    assert found[0] == {**ROW, **tags, "reason": ""}
    assert "".join(report.as_csv([])) == ",".join(report.COLUMNS) + "\n"


@pytest.mark.parametrize(
    "begins", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_no_cell_of_the_csv_is_run_as_a_formula(begins: str) -> None:
    evil = begins + 'HYPERLINK("http://x";A1)'
    row = ROW | {"reference": evil, "before": [evil, "VIP"], "added": ["VIP", evil], "reason": evil}
    (found,) = csv.DictReader(io.StringIO("".join(report.as_csv([row])), newline=""))
    assert (found["reference"], found["reason"]) == (f"'{evil}", f"'{evil}")
    assert (found["before"], found["added"]) == (f"'{evil}; VIP", f"VIP; '{evil}"), "each tag, wherever it is"
    assert json.loads("".join(report.as_json([row]))) == [row], "programs find names as they are"


@pytest.mark.parametrize("text", ["+33612345678", "-5", "10001", "a=b", "Plan-B", "l'été", "'quoted'", ""])
def test_what_is_no_formula_is_as_it_is_in_the_csv(text: str) -> None:
    row = ROW | {"reference": text, "before": [text], "reason": text}
    (found,) = csv.DictReader(io.StringIO("".join(report.as_csv([row]))))
    assert (found["reference"], found["before"], found["reason"]) == (text, text, text)
