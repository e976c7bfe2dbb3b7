"""`calltag calls import`, on a real store."""

import json
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from sqlalchemy import func, select

from store import erasure, linking
from store.database import Database
from store.keeping import PAST
from store.schema import calls, events
from tests.commands import Operator, operator, receive
from tests.rows import column
from tests.test_worker_history import kept, listed, tags
from tests.worker_bench import LONG

NO_ID = "calls.csv: no column is the call's id: say which, --map reference=COLUMN"
NOW = datetime.now(UTC).replace(microsecond=0)
YESTERDAY = (NOW - timedelta(days=1)).isoformat()
HEADER = "reference,duration,caller,started_at,tags,comment\n"
LINE = f"77,1900,+33 6 12 34 56 78,{YESTERDAY},VIP;Sales,whatever\n"


@pytest.fixture
def at(tmp_path: Path, database: Database) -> Operator:
    return operator(tmp_path, database)


def written(at: Operator, text: str | bytes, name: str = "calls.csv") -> str:
    body = text.encode() if isinstance(text, str) else text
    (at.folder / name).write_bytes(body)
    return name


def numbers(database: Database) -> tuple[int, int]:
    """How many calls and events there are."""
    with database.read() as connection:
        counts = [
            connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (calls, events)
        ]
    return counts[0], counts[1]


def row(database: Database, reference: str, kind: str = "call_id") -> int:
    ref = ("sipsim", kind, reference)
    with database.read() as connection:
        return linking.find(connection, [ref])[ref]


def test_a_line_becomes_a_call_that_nobody_works_on(at: Operator, database: Database) -> None:
    said = at.run("calls", "import", written(at, HEADER + LINE))
    assert (said.status, said.err) == (0, "")
    assert said.out == "calls.csv: 1 call; 1 new, 0 known already\n"
    call = row(database, "77")
    assert column(database, call, "facts") == {
        "platform": "sipsim",
        "account": "sipsim",
        "duration": 1900,
        "caller": "+33612345678",
        "started_at": YESTERDAY,
    }
    values = ("state", "reason", "ended", "others", "caller", "version", "decided_version")
    assert [column(database, call, name) for name in values] == [
        "done",
        PAST,
        True,
        ["VIP", "Sales"],
        "+33612345678",
        1,
        None,
    ]
    assert column(database, call, "first_at") == (NOW - timedelta(days=1)).timestamp()


def test_rules_can_be_tried_on_what_was_imported(at: Operator) -> None:
    at.run("calls", "import", written(at, HEADER + LINE + LINE.replace("77,1900", "78,60")))
    (at.folder / "rules.yaml").write_text(LONG)
    tried = ("rules", "backtest", "rules.yaml", "--calls", "store", "--format", "json")
    assert at.process(*tried).json["tags"] == {"Long Call": 1}
    assert at.process("rules", "explain", "rules.yaml", "--ref", "sipsim:77").json["tags"] == ["Long Call"]
    shown = at.process("calls", "show", "77", "--format", "json").json
    assert shown["events"][0]["source"] == "import"
    assert at.process("calls", "list", "--state", "due").status == 1


def test_the_same_file_twice_changes_nothing(at: Operator, database: Database) -> None:
    name = written(at, HEADER + LINE + LINE.replace("77,", "78,"))
    at.run("calls", "import", name)
    said = at.run("calls", "import", name, "--format", "json")
    assert said.json == {"account": "sipsim", "calls": 2, "new": 0, "known": 2, "too_old": 0, "bad": 0}
    assert numbers(database) == (2, 2)
    assert column(database, row(database, "77"), "version") == 1


def test_columns_of_other_names_are_mapped(at: Operator, database: Database) -> None:
    name = written(at, f"Call,Seconds,Team,When\n77,1900,Sales,{YESTERDAY}\n")
    maps = ["reference=Call", "duration=Seconds", "custom.team=Team", "started_at=When"]
    said = at.run("calls", "import", name, *(part for one in maps for part in ("--map", one)))
    assert said.status == 0
    facts = column(database, row(database, "77"), "facts")
    assert isinstance(facts, dict)
    assert (facts["duration"], facts["custom.team"]) == (1900, "Sales")


def test_lines_of_json_are_read_alike(at: Operator, database: Database) -> None:
    lines = [
        {"id": 77, "duration": "30m", "tags": ["VIP"], "rating": None, "other": [1]},
        {"id": "78", "started_at": YESTERDAY},
    ]
    name = written(at, "\n\n".join(json.dumps(line) for line in lines), "calls.jsonl")
    assert at.run("calls", "import", name, "--map", "reference=id").status == 0
    call = row(database, "77")
    assert column(database, call, "facts") == {"platform": "sipsim", "account": "sipsim", "duration": 1800}
    assert column(database, call, "others") == ["VIP"]
    assert column(database, row(database, "78"), "others") is None


def test_a_file_of_types_is_read_alike(at: Operator, database: Database) -> None:
    columns = {
        "Call": [77, 78],
        "Seconds": [Decimal("1900.5"), None],
        "started_at": [NOW - timedelta(days=1)] * 2,
        "local_date": [date(2026, 11, 20), None],
        "has_recording": [True, False],
        "tags": [["VIP"], None],
        "other": [{"a": 1}, None],
    }
    parquet.write_table(pyarrow.table(columns), at.folder / "calls.parquet")
    said = at.run("calls", "import", "calls.parquet", "--map", "reference=Call", "--map", "duration=Seconds")
    assert (said.status, said.out) == (0, "calls.parquet: 2 calls; 2 new, 0 known already\n")
    call = row(database, "77")
    assert column(database, call, "facts") == {
        "platform": "sipsim",
        "account": "sipsim",
        "duration": 1900.5,
        "started_at": YESTERDAY,
        "local_date": "2026-11-20",
        "has_recording": True,
    }
    assert column(database, call, "others") == ["VIP"]


def test_a_time_without_an_offset_is_told(at: Operator) -> None:
    columns = {"reference": ["77"], "started_at": [datetime(2026, 11, 20, 9)]}
    parquet.write_table(pyarrow.table(columns), at.folder / "calls.parquet")
    said = at.run("calls", "import", "calls.parquet")
    assert (said.status, said.err.startswith("line 1: 'started_at' ")) == (1, True)


def test_what_only_has_the_name_of_parquet_is_one_line(at: Operator) -> None:
    said = at.run("calls", "import", written(at, "not Parquet at all, and long enough", "calls.parquet"))
    assert said.status == 2
    assert said.err.startswith("calltag: calls.parquet: it cannot be read as Parquet: ")
    assert said.err.count("\n") == 1


def test_without_pyarrow_it_says_what_to_do(at: Operator) -> None:
    (at.folder / "pyarrow.py").write_text("raise ImportError")
    name = written(at, b"", "calls.parquet")
    at = Operator(at.folder, {**at.environment, "PYTHONPATH": str(at.folder)})
    said = at.process("calls", "import", name)
    assert said.status == 2
    assert said.err == (
        "calltag: Parquet needs pyarrow, which is not installed: pip install pyarrow, where calltag is "
        "installed, or write the file as CSV\n"
    )


def test_another_kind_of_reference_leads_to_the_call_that_webhooks_named(
    at: Operator, database: Database
) -> None:
    receive(database, {"event": "incoming_call_end", "pbx_id": "call_1", "caller": "+33612345678",
                       "receiver": "101", "duration": 60, "status": "ANSWER"}, time.time())  # fmt: skip
    name = written(at, "Ref,reference,duration,agent\ncall_1,77,1900,Ann\n")
    said = at.run("calls", "import", name, "--map", "reference.pbx_id=Ref")
    assert said.out == "calls.csv: 1 call; 0 new, 1 known already\n"
    call = row(database, "77")
    assert call == row(database, "call_1", "pbx_id")
    facts = column(database, call, "facts")
    assert isinstance(facts, dict)
    assert (facts["agent"], facts["duration"]) == ("Ann", 60), "what a webhook told counts more than a file"
    assert column(database, call, "state") == "due"


def test_the_tags_of_a_file_are_older_than_those_that_the_platform_listed(
    at: Operator, database: Database
) -> None:
    call = kept(database, listed(77, tags=tags("Listed")), at=time.time())["77"]
    at.run("calls", "import", written(at, HEADER + LINE))
    assert (column(database, call, "version"), column(database, call, "others")) == (2, ["Listed"])


def test_a_mark_before_the_first_column_is_no_part_of_its_name(at: Operator) -> None:
    assert at.run("calls", "import", written(at, "\ufeff" + HEADER + LINE)).status == 0


def test_national_numbers_are_read_as_those_of_the_account(at: Operator, database: Database) -> None:
    name = written(at, "reference,caller,receiver\n77,06 12 34 56 78,101\n")
    at.run("calls", "import", name, CALLTAG_DEFAULT_REGION="FR")
    call = row(database, "77")
    assert (column(database, call, "caller"), column(database, call, "receiver")) == ("+33612345678", "101")


def test_bad_lines_are_told_and_the_others_imported(at: Operator, database: Database) -> None:
    bad = ["78,long,,,,\n", "79,5\n", ",5,,,,\n", f"80,5,,{YESTERDAY[:10]},,\n"]
    said = at.run("calls", "import", written(at, HEADER + LINE + "".join(bad)))
    assert said.status == 1
    assert [line.partition(":")[0] for line in said.err.splitlines()] == [f"line {n}" for n in (3, 4, 5, 6)]
    assert "line 4: 2 cells, and the first line names 6 columns\n" in said.err
    assert "line 5: the call has no reference\n" in said.err
    assert said.out == "calls.csv: 1 call; 1 new, 0 known already; 4 lines could not be read\n"
    assert numbers(database) == (1, 1)


def test_of_many_bad_lines_the_first_are_told(at: Operator) -> None:
    said = at.run("calls", "import", written(at, HEADER + LINE.replace("1900", "-1") * 25))
    assert len(said.err.splitlines()) == 21
    assert said.err.splitlines()[-1] == "and 5 more lines"


def test_a_bad_line_quotes_nothing_personal(at: Operator) -> None:
    name = written(at, b'{"reference": "77", "duration": "+33612345678"}\n{"reference": +33612345678}\n[1]\n',
                   "calls.jsonl")  # fmt: skip
    said = at.run("calls", "import", name)
    assert said.status == 1
    assert len(said.err.splitlines()) == 3
    assert "612345678" not in said.err


def test_only_checked_nothing_is_imported(at: Operator, database: Database) -> None:
    name = written(at, HEADER + LINE + "78,long,,,,\n")
    said = at.run("calls", "import", name, "--check")
    assert said.status == 1
    assert said.out == (
        "calls.csv: 1 call; 1 line could not be read; nothing was imported: --check only looks\n"
    )
    assert numbers(database) == (0, 0)
    assert at.run("calls", "import", written(at, HEADER + LINE), "--check").status == 0


def test_calls_too_old_to_be_kept_are_left_out(at: Operator, database: Database) -> None:
    old = LINE.replace(YESTERDAY, (NOW - timedelta(days=401)).isoformat())
    said = at.run("calls", "import", written(at, HEADER + old + LINE))
    assert said.out == (
        "calls.csv: 1 call; 1 new, 0 known already; 1 left out, older than CALLTAG_KEEP_CALLS\n"
    )
    assert numbers(database) == (1, 1)
    assert "2 new" in at.run("calls", "import", written(at, HEADER + old.replace("77,", "78,") +
                             LINE.replace("77,", "79,")), CALLTAG_KEEP_CALLS="0").out  # fmt: skip


def test_a_forgotten_call_stays_forgotten(at: Operator, database: Database) -> None:
    name = written(at, HEADER + LINE)
    at.run("calls", "import", name)
    call = row(database, "77")
    with database.write() as connection:
        erasure.forget(connection, [call], time.time())
    at.run("calls", "import", written(at, HEADER + LINE.replace("1900", "1901")))
    assert column(database, call, "facts") == {}
    assert numbers(database) == (1, 1)


def test_many_lines_are_imported_block_by_block(at: Operator, database: Database) -> None:
    name = written(at, HEADER + "".join(LINE.replace("77,", f"{n},") for n in range(250)))
    assert at.run("calls", "import", name, "--format", "json").json["new"] == 250
    assert numbers(database) == (250, 250)


@pytest.mark.parametrize(
    ("name", "text", "arguments", "message"),
    [
        ("calls.csv", "duration\n5\n", [], NO_ID),
        ("calls.csv", "", [], NO_ID),
        ("calls.csv", "id,id\n", ["--map", "reference=id"], "calls.csv: the column 'id' stands twice"),
        ("calls.csv", "Ref\n", ["--map", "reference=Rev"],
         "calls.csv: reference=Rev: the file has no column 'Rev', did you mean 'Ref'?"),
        ("calls.csv", "a,b\n", ["--map", "reference=zzz"],
         "calls.csv: reference=zzz: the file has no column 'zzz'; its columns are 'a', 'b'"),
        ("calls.csv", HEADER, ["--map", "durration=comment"],
         "calls.csv: unknown field 'durration', did you mean 'duration'?"),
        ("calls.csv", HEADER, ["--map", "duration"],
         "calls.csv: 'duration' maps nothing; it is FIELD=COLUMN, such as duration=Seconds"),
        ("calls.csv", HEADER, ["--map", "duration=a", "--map", "duration=b"],
         "calls.csv: the field 'duration' is mapped twice"),
        ("calls.xlsx", "", [],
         "calls.xlsx: its name does not say what it is: .csv, .jsonl, .ndjson, .parquet"),
        ("calls.csv", HEADER, ["--account", "other"], "no account is named 'other'; configured: sipsim"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_imported_is_one_line(
    at: Operator, database: Database, name: str, text: str, arguments: list[str], message: str
) -> None:
    said = at.run("calls", "import", written(at, text, name), *arguments)
    assert (said.status, said.out, said.err) == (2, "", f"calltag: {message}\n")
    assert numbers(database) == (0, 0)


def test_a_file_that_is_not_there_is_one_line(at: Operator) -> None:
    said = at.run("calls", "import", "none.csv")
    assert (said.status, said.err) == (2, "calltag: none.csv cannot be read: No such file or directory\n")
