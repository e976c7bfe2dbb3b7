"""`calltag rules` on the calls of the store."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert

from cli.errors import UserError
from cli.rules_store import stored_parts
from rules.loader import parse
from rules.reading import PART
from store import rulesets
from store.database import Database, migrate
from store.past import calls_of
from store.schema import applied_tags, call_refs, calls
from tests.test_cli_rules import RULES
from worker.stored import parts

STARTED = 1_795_165_200.0
FACTS = {
    "direction": "inbound",
    "duration": 1801,
    "caller": "+33612345678",
    "transcript": "I am Jane Doe",
    "custom.note": "Jane",
    "custom.score": 5,
    "queue": "sales \u0085 line",
    "started_at": "2026-11-20T10:00:00+01:00",
}


def add(database: Database, reference: str, facts: dict[str, Any], **columns: Any) -> int:
    with database.write() as connection:
        row = {
            "account": "sipsim",
            "state": "done",
            "facts": facts,
            "first_at": 0.0,
            "next_at": 0.0,
            "ended": True,
        }
        key = connection.execute(insert(calls).values(**row | columns).returning(calls.c.id)).scalar_one()
        connection.execute(
            insert(call_refs).values(account="sipsim", kind="pbx_id", reference=reference, call_id=key)
        )
    return int(key)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder as `calltag up` leaves it: one call with a tag of ours, and a rule set in force."""
    folder = tmp_path / "data"
    folder.mkdir()
    database = Database(f"sqlite:///{folder}/calltag.db")
    migrate(database)
    call = add(database, "call_1", FACTS, others=["Customer"], first_at=STARTED)
    add(database, "call_2", {"duration": 5})
    add(database, "call_3", {"duration": 2000}, ended=False)
    add(database, "call_4", {"duration": 2000}, forgotten_at=1.0)
    ruleset = parse({"rules.yaml": RULES.encode()})
    with database.write() as connection:
        ours = {
            "call_id": call,
            "tag": "Short Call",
            "state": "ours",
            "rule": "long-call",
            "ruleset": "x",
            "at": 0.0,
        }
        connection.execute(insert(applied_tags).values(**ours))
        rulesets.activate(connection, ruleset.hash, dict(ruleset.files), 0.0)
    database.close()
    return folder


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def calltag(data_dir: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", "rules", *map(str, arguments)],
        env=kept | {"CALLTAG_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_stored_call_is_explained_with_what_must_go(data_dir: Path, rules: Path) -> None:
    done = calltag(data_dir, "explain", rules, "--ref", "sipsim:call_1")
    told = json.loads(done.stdout)
    assert told["tags"] == ["Long Call"]
    assert told["remove"] == [
        {"tag": "Short Call", "rule": "long-call", "why": "rule 'long-call' no longer names it"}
    ]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("call_1", "'call_1' is no reference; one is ACCOUNT:REFERENCE, such as sipsim:call_abc123"),
        ("sipsim:call_9", "no call of the account 'sipsim' has the reference 'call_9'"),
        ("other:call_1", "no call of the account 'other' has the reference 'call_1'"),
    ],
)
def test_a_reference_that_names_no_call_is_one_line(
    data_dir: Path, rules: Path, reference: str, message: str
) -> None:
    done = calltag(data_dir, "explain", rules, "--ref", reference)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"calltag: {message}\n")


def test_the_calls_of_the_store_that_ended_are_counted(data_dir: Path, rules: Path) -> None:
    done = calltag(data_dir, "backtest", rules, "--calls", "store", "--against", rules, "--format", "json")
    told = json.loads(done.stdout)
    assert (told["calls"], told["rules"]["long-call"]["true"]) == (2, 1)
    assert told["changes"]["Long Call"]["samples"]["unchanged"] == ["sipsim:call_1"]


def test_a_call_that_tells_no_time_is_of_when_it_became_known(data_dir: Path, rules: Path) -> None:
    database = Database(f"sqlite:///{data_dir}/calltag.db")
    add(database, "call_5", {"duration": 2000}, first_at=1_600_000_000.0)  # 2020-09-13
    database.close()
    told = [
        json.loads(calltag(data_dir, "backtest", rules, "--calls", "store", "--format", "json", *span).stdout)
        for span in (("--since", "2020-09-13"), ("--since", "2020-09-13", "--until", "2020-09-13"), ())
    ]
    assert [one["calls"] for one in told] == [2, 1, 3]


def test_a_new_test_has_nothing_personal_and_passes(data_dir: Path, rules: Path) -> None:
    done = calltag(data_dir, "new-test", "--ref", "sipsim:call_1")
    assert done.returncode == 0
    assert "left out as personal: caller, transcript, custom.note" in done.stdout
    for personal in ("612345678", "Jane"):
        assert personal not in done.stdout
    tested = RULES.partition("\ntests:")[0] + "\n" + done.stdout
    rules.write_text(tested)
    assert calltag(data_dir, "test", rules).stdout == "4 tests, 4 passed, 0 failed\n"


def test_without_a_store_that_is_said(tmp_path: Path, rules: Path) -> None:
    done = calltag(tmp_path / "none", "new-test", "--ref", "sipsim:call_1")
    assert done.returncode == 2
    assert done.stderr.startswith("calltag: nothing is stored yet: there is no ")
    assert not (tmp_path / "none").exists()


def test_ended_calls_come_part_by_part_each_once_whatever_their_rows(database: Database) -> None:
    row = {"account": "a", "state": "done", "first_at": 0.0, "next_at": 0.0, "ended": True, "others": None}
    with database.write() as connection:
        connection.execute(insert(calls), [row | {"facts": {"duration": at}} for at in range(PART + 5)])
        connection.execute(insert(calls), row | {"facts": {}, "ended": False})
        connection.execute(delete(calls).where(calls.c.id == 3))
        connection.execute(insert(calls), row | {"facts": {"duration": 9999}, "id": 10**12})
    with database.read() as connection:
        found = [call.facts["duration"] for part in parts(database) for call in calls_of(connection, part)]
    assert len(list(parts(database))) == 2
    assert found == [0, 1, *range(3, PART + 5), 9999]


def test_parts_are_read_by_connections_of_their_own_and_no_store_is_made_where_it_is_gone(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLTAG_DATA_DIR", str(data_dir))
    read = next(stored_parts(None, (None, None)))
    opened = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert not [path for path in opened if "calltag.db" in path], "a process that is forked would inherit it"
    assert list(read().names) == ["sipsim:call_1", "sipsim:call_2"]
    for path in data_dir.glob("calltag.db*"):
        path.unlink()
    with pytest.raises(UserError, match="nothing is stored yet"):
        read()
    assert list(data_dir.glob("calltag.db*")) == []
