"""`calltag rules backtest`: files of calls, counted."""

import csv
import io
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.rules_backtest import bars
from rules.reading import PART
from tests.processes import alive, descendants
from tests.test_cli_rules import RULES, calltag
from tests.waiting import eventually

START = datetime(2026, 11, 1, 9, tzinfo=UTC)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A hundred calls, one every six hours; each third is long."""
    path = tmp_path / "calls.jsonl"
    lines = [
        {
            "direction": "inbound",
            "duration": 2000 if number % 3 == 0 else 60,
            "started_at": (START + timedelta(hours=6 * number)).isoformat(),
        }
        for number in range(100)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_backtest_counts_rules_days_and_tags(rules: Path, calls: Path) -> None:
    told = json.loads(calltag("backtest", rules, "--calls", calls, "--format", "json").stdout)
    assert told["calls"] == 100
    long = told["rules"]["long-call"]
    assert (long["true"], long["false"], long["unknown"], long["share"]) == (34, 66, 0, 0.34)
    assert sum(long["days"].values()) == 34
    assert min(long["days"]) == "2026-11-01"
    assert told["tags"] == {"Long Call": 34}
    assert told["rules"]["night"]["true"] == 50


def test_a_backtest_shows_a_table(rules: Path, calls: Path) -> None:
    shown = calltag("backtest", rules, "--calls", calls).stdout
    assert shown.startswith("100 calls, 2026-11-01 to 2026-11-26")
    assert "34.0%" in shown


def test_a_backtest_can_be_a_csv(rules: Path, calls: Path) -> None:
    text = calltag("backtest", rules, "--calls", calls, "--format", "csv", "--against", rules).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["long-call", "night", "Long Call"]
    assert (rows[0]["true"], rows[2]["unchanged"]) == ("34", "34")


def test_a_backtest_keeps_to_the_time_asked_for(rules: Path, calls: Path) -> None:
    only = ["--since", "2026-11-02", "--until", "2026-11-02", "--format", "json"]
    assert json.loads(calltag("backtest", rules, "--calls", calls, *only).stdout)["calls"] == 4
    since = ["--since", "2026-11-25T00:00:00Z", "--format", "json"]
    assert json.loads(calltag("backtest", rules, "--calls", calls, *since).stdout)["calls"] == 5
    assert calltag("backtest", rules, "--calls", calls, "--since", "monday").returncode == 2


def test_a_backtest_against_older_rules_names_what_changes(rules: Path, calls: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.yaml"
    old.write_text(RULES.replace("gt: 30m", "lt: 30m").replace("mode: shadow", "mode: live"))
    told = json.loads(
        calltag("backtest", rules, "--calls", calls, "--against", old, "--format", "json").stdout
    )["changes"]
    assert {kind: told["Long Call"][kind] for kind in ("gained", "lost", "unchanged")} == {
        "gained": 34,
        "lost": 66,
        "unchanged": 0,
    }
    assert told["Long Call"]["samples"]["gained"] == ["line 1", "line 4", "line 7", "line 10", "line 13"]
    assert told["Night"]["lost"] == 50


def test_a_backtest_warns_of_rules_that_take_all_or_none(rules: Path, calls: Path) -> None:
    rules.write_text(
        RULES.replace("gt: 30m", "gt: 3s").replace('["08:00", "20:00"]', '["00:00", "23:59:59"]')
    )
    told = calltag("backtest", rules, "--calls", calls).stderr
    assert "warning: rule 'long-call' matches almost every call (100%)" in told
    assert "warning: rule 'night' matches no call" in told


def test_a_csv_file_is_read_by_its_columns(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(
        "\ufeffdirection,duration,started_at,tags,custom.n\n"
        'inbound,2000,2026-11-20T10:00:00Z,"a;b",5\n'
        "inbound,,,,\n"
    )
    told = json.loads(calltag("backtest", rules, "--calls", path, "--format", "json").stdout)
    assert (told["calls"], told["rules"]["long-call"]["true"], told["rules"]["long-call"]["unknown"]) == (
        2,
        1,
        1,
    )


def test_a_broken_line_is_told_and_not_counted(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(
        b"direction,duration\n"
        b"inbound,2000\n"
        b"inbound\n"
        b"inbound,long\n"
        b"in,5\n"
        b"\xff\xfe,5\n"
        b"inbound,60\n"
        b'inbound,"60\n'
    )
    done = calltag("backtest", rules, "--calls", path, "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["calls"] == 2
    told = done.stderr.splitlines()
    assert "line 3: 1 cells, and the first line names 2 columns" in told
    assert any(line.startswith("line 4: 'duration' is a duration") for line in told)
    assert "line 5: 'direction' is never 'in', it is one of inbound, outbound, internal" in told
    assert "line 8: unexpected end of data" in told
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("direction,durration", "line 1: unknown column 'durration', did you mean 'duration'?"),
        ("duration,duration", "line 1: the column 'duration' stands twice"),
        ("", "line 1: no columns; the first line names the fields"),
        (
            "duration;direction",
            "line 1: unknown column 'duration;direction'; columns are separated by commas, not by semicolons",
        ),
    ],
)
def test_a_bad_header_is_refused(rules: Path, tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(header)
    done = calltag("backtest", rules, "--calls", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"calltag: {path}: {message}\n"


def test_a_header_of_another_encoding_is_refused(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("duration,direction\n", encoding="utf-16")
    assert calltag("backtest", rules, "--calls", path).stderr == f"calltag: {path}: line 1: not UTF-8\n"


def test_a_missing_column_is_told(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text("duration\n5\n")
    done = calltag("backtest", rules, "--calls", path)
    assert f"{path}: no column direction; the rules find no value there" in done.stderr


def test_many_calls_are_counted_in_several_processes_and_told_as_from_one(
    rules: Path, tmp_path: Path
) -> None:
    path = tmp_path / "calls.jsonl"
    good = '{"direction": "inbound", "duration": %d, "started_at": "2026-11-20T10:00:00Z"}\n'
    lines = [good % (2000 if number % 3 == 0 else 60) for number in range(3 * PART)]
    lines[PART + 1] = '{"direction": "in"}\n'
    lines[2 * PART] = "{}\n"  # nothing is known of it
    lines[2 * PART + 5] = "nothing\n"
    path.write_text("".join(lines))
    done = calltag("backtest", rules, "--calls", path, "--against", rules, "--format", "json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["calls"] == 3 * PART - 2
    assert told["rules"]["long-call"] == {
        "true": PART,
        "false": 2 * PART - 3,
        "unknown": 1,
        "skipped": 0,
        "off": 0,
        "share": round(PART / (3 * PART - 2), 6),
        "days": {"2026-11-20": PART},
    }
    assert told["changes"]["Long Call"]["samples"]["unchanged"] == [f"line {n}" for n in (1, 4, 7, 10, 13)]
    assert [line.split(":")[0] for line in done.stderr.splitlines()[:2]] == [
        f"line {PART + 2}",
        f"line {2 * PART + 6}",
    ]


def test_a_backtest_that_is_stopped_by_hand_leaves_nothing_running(rules: Path) -> None:
    line = b'{"direction": "inbound", "duration": 2000}\n'
    command = [sys.executable, "-m", "cli", "rules", "backtest", str(rules), "--calls", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(line * 2 * PART)
        process.stdin.flush()
        eventually(lambda: descendants(process.pid), "other processes count", 60)
        below = [one.pid for one in descendants(process.pid)]
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        assert process.wait(60) != 0
    eventually(lambda: not alive(*below), "no process is left", 10)
    assert b"Traceback" not in told, told.decode()


def test_a_page_is_written_whole_or_not_at_all(rules: Path, calls: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert calltag("backtest", rules, "--calls", calls, "--plot", page).returncode == 0
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert text.count("<svg") == 3  # days of two rules, and the threshold of one
    assert 'class="mark"' in text
    assert "http" not in text
    nowhere = calltag("backtest", rules, "--calls", calls, "--plot", tmp_path / "none" / "page.html")
    assert nowhere.returncode == 2
    assert "cannot be written" in nowhere.stderr


def test_bars_have_one_sign_a_day_up_to_forty() -> None:
    assert bars([0, 1, 8]) == " ▁█"
    assert bars([0, 0]) == "  "
    assert len(bars([1] * 400)) == 40
    assert bars([]) == ""
