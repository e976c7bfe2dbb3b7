"""Backtests for the pages: what they count, in a process of their own, and how one ends early."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from rules.loader import parse
from store import backtests, rulesets
from store.backtests import Backtest
from store.database import Database, migrate
from tests.processes import descendants
from tests.test_cli_rules_store import add
from tests.test_worker_publishing import LONG
from tests.waiting import eventually
from worker import backtesting
from worker.backtesting import Runner, run

DAY = 86_400.0
FIRST = 1_795_000_000.0
ASKED = {"since": None, "until": None}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Ten calls of ten days, each ten minutes longer than the one before; of one the length is not known."""
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}")
    migrate(database)
    for n in range(10):
        add(database, f"call_{n}", {"duration": 600 * n, "started_at": iso(n)}, first_at=FIRST + n * DAY)
    add(database, "call_x", {"queue": "sales"}, first_at=FIRST)
    yield database
    database.close()


def iso(day: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(FIRST + day * DAY))


def begun(database: Database, text: str = LONG, against: str | None = None, **asked: Any) -> str:
    with database.write() as connection:
        older = known(connection, against) if against else None
        return backtests.begin(connection, {"rules.yaml": text}, older, ASKED | asked, time.time())


def known(connection: Connection, text: str) -> str:
    """The hash of a set that was in force once."""
    ruleset = parse({"rules.yaml": text.encode()})
    rulesets.announce(connection, ruleset.hash, ruleset.files, FIRST)
    return ruleset.hash


def found(database: Database, id_: str) -> Backtest:
    with database.read() as connection:
        row = backtests.find(connection, id_, time.time())
    assert row is not None
    return row


def counted(database: Database, *args: str, **asked: Any) -> dict[str, Any]:
    id_ = begun(database, *args, **asked)
    run(database, id_)
    row = found(database, id_)
    assert row.result is not None, row.reason
    return json.loads(json.dumps(row.result))  # type: ignore[no-any-return] # as the database gave it


def test_the_stored_calls_are_counted(database: Database) -> None:
    result = counted(database)
    (rule,) = result["rules"]
    assert (result["calls"], result["tags"], result["changes"]) == (11, {"Long": 6}, None)
    assert rule["outcomes"] == {"true": 6, "false": 4, "unknown": 1, "skipped": 0, "off": 0}
    assert rule["unknown"] == ["sipsim:call_x"]
    assert result["days"] == [iso(n)[:10] for n in range(10)]
    assert rule["days"] == [[n, 1] for n in range(4, 10)]
    assert rule["thresholds"] == [{"field": "duration", "text": "gt: 30m", "marks": [1800.0]}]
    assert result["fields"]["duration"]["values"] == [[600.0 * n, 1] for n in range(10)]
    assert sum(result["fields"]["duration"]["bars"]) == 10


def test_what_other_rules_gave_is_compared(database: Database) -> None:
    (change,) = counted(database, LONG, LONG.replace("30m", "50m"))["changes"]
    assert {kind: change[kind] for kind in ("tag", "gained", "lost", "unchanged")} == {
        "tag": "Long",
        "gained": 2,
        "lost": 0,
        "unchanged": 4,
    }
    assert change["samples"]["gained"] == ["sipsim:call_4", "sipsim:call_5"]


def test_the_tags_that_change_come_first(database: Database) -> None:
    every = "  - {id: all, when: {field: duration, gte: 0}, tag: All}\n"
    changes = counted(database, LONG + every, LONG.replace("30m", "50m") + every)["changes"]
    assert [change["tag"] for change in changes] == ["Long", "All"]


def test_a_set_is_known_by_its_hash(database: Database) -> None:
    with database.write() as connection:
        id_ = backtests.begin(connection, known(connection, LONG), None, ASKED, time.time())
    run(database, id_)
    assert found(database, id_).result == counted(database)


def test_of_very_many_rules_those_that_match_most_have_their_days(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtesting, "MOST_DATED", 1)
    more = LONG + "  - {id: all, when: {field: duration, gte: 0}, tag: All}\n"
    long, every = counted(database, more)["rules"]
    assert (long["days"], long["outcomes"]["true"], len(every["days"])) == ([], 6, 10)


def test_only_calls_of_the_time_asked_for_are_counted(database: Database) -> None:
    assert counted(database, since=FIRST + 3 * DAY)["calls"] == 7
    assert counted(database, until=FIRST + 3 * DAY)["calls"] == 5  # with the one that has no time of its own
    assert counted(database, since=FIRST + 3 * DAY, until=FIRST + 3 * DAY)["calls"] == 1


def test_rules_with_a_fault_fail_in_one_line(database: Database) -> None:
    id_ = begun(database, LONG.replace("version: 1", "version: 2"))
    run(database, id_)
    row = found(database, id_)
    assert (row.state, row.reason) == (
        "failed",
        "the rules have a fault: rules.yaml:1:10: 'version' must be the number 1",
    )


def test_one_that_was_stopped_ends_and_leaves_no_result(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = begun(database)

    def stopped(*_: object) -> int:
        with database.write() as connection:
            backtests.end(connection, id_, "stopped")
        return 11

    monkeypatch.setattr(backtesting, "number", stopped)
    run(database, id_)
    assert (found(database, id_).state, found(database, id_).result) == ("stopped", None)


def test_a_process_of_its_own_counts_the_same(database: Database) -> None:
    runner = Runner(database, str(database.engine.url))
    id_ = runner.begin({"rules.yaml": LONG}, None, ASKED)
    eventually(lambda: found(database, id_).state != "running", "it has ended")
    assert found(database, id_).result == counted(database)


def test_one_whose_process_is_killed_has_failed(database: Database) -> None:
    eventually(lambda: counting() is None, "those of other tests have ended")
    id_ = Runner(database, str(database.engine.url)).begin({"rules.yaml": LONG}, None, ASKED)
    with database.write():  # so that it cannot end by itself
        process = eventually(counting, "it runs")
        assert process is not None
        os.kill(process, signal.SIGKILL)
    eventually(lambda: found(database, id_).state != "running", "its end is noted")
    assert (found(database, id_).state, found(database, id_).reason) == ("failed", backtesting.TOO_DEAR)


def counting() -> int | None:
    """The process that counts."""
    own = descendants(os.getpid())
    return next((one.pid for one in own if one.command.endswith("-m worker.backtesting")), None)
