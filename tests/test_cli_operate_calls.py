"""`calltag calls` and `calltag status`, as processes of their own on a real store."""

import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from cli.valkey import Valkey
from rules.loader import parse
from store import rulesets
from store.calls import lease
from store.database import Database
from store.schema import applied_tags, calls, decisions
from tests.commands import ACCOUNTS, Operator, ended, operator, receive
from tests.rows import column
from worker.retention import DAY, Retention
from worker.settings import Settings

RULES = b"""version: 1
rules:
  - id: long-call
    when: {field: duration, gt: 30m}
    tag: Long Call
"""
MINUTES = 60.0


@pytest.fixture
def at(tmp_path: Path, database: Database) -> Operator:
    return operator(tmp_path, database)


def decided(database: Database, name: str = "call_1") -> int:
    """A call with a decision, a tag of ours, one that a person took off, and one that is somebody else's."""
    now = time.time()
    ruleset = parse({"rules.yaml": RULES})
    facts = {"caller": "+33612345678", "duration": 1900}
    call = ended(database, name, now, state="done", reason=None, facts=facts, others=["VIP"],
                 caller="+33612345678", receiver="101")  # fmt: skip
    tag = {"call_id": call, "rule": "long-call", "ruleset": ruleset.hash, "at": now}
    with database.write() as connection:
        rulesets.activate(connection, ruleset.hash, ruleset.files, now)
        connection.execute(insert(applied_tags).values(**tag, tag="Long Call", state="ours"))
        connection.execute(insert(applied_tags).values(**tag, tag="Wrong", state="blocked"))
        connection.execute(
            insert(decisions).values(
                call_id=call,
                at=now,
                version=1,
                ruleset=ruleset.hash,
                received_at=now,
                outcomes={"long-call": "true"},
                tags=["Long Call"],
                added=["Long Call"],
                removed=[],
            )
        )
    return call


def test_status_says_how_it_goes_and_what_is_amiss(at: Operator, database: Database) -> None:
    ended(database, "call_1", time.time(), state="dead", reason="PUT was answered 403")
    found = at.run("status", "--format", "json").json
    assert found["calls"] == {"due": 0, "running": 0, "done": 0, "decided": 0, "parked": 0, "dead": 1}
    assert found["amiss"]["sweeper"] == "no sweeper runs"
    said = at.run("status")
    assert said.status == 0
    assert ["calls dead", "1"] in said.rows
    assert ["AMISS rules", "no rule set is in force yet"] in said.rows


def test_calls_are_listed_filtered_and_counted(at: Operator, database: Database) -> None:
    now = time.time()
    old = ended(database, "old", now - 3 * 3600, state="dead", reason="PUT was answered 403")
    new = ended(database, "new", now - MINUTES, state="done", reason=None, caller="+33612345678")
    assert [row[0] for row in at.run("calls", "list").rows] == [str(new), str(old)]
    assert [row[0] for row in at.run("calls", "list", "--since", "2h").rows] == [str(new)]
    assert [row[0] for row in at.run("calls", "list", "--until", "1h", "--state", "dead").rows] == [str(old)]
    assert [row[0] for row in at.run("calls", "list", "--number", "+33 6 12 34 56 78").rows] == [str(new)]
    assert at.run("calls", "list", "--count").rows == [
        ["1", "dead", "PUT was answered 403"],
        ["1", "done", ""],
    ]
    page = at.run("calls", "list", "--limit", "1", "--format", "json").json
    assert [row["references"] for row in page["calls"]] == [["new"]]
    assert page["next"] == new
    following = at.run("calls", "list", "--before", str(new), "--format", "json").json
    assert ([row["id"] for row in following["calls"]], following["next"]) == ([old], None)


def test_no_call_that_fits_exits_with_1(at: Operator, database: Database) -> None:
    said = at.run("calls", "list", "--state", "parked")
    assert (said.status, said.out, said.err) == (1, "", "calltag: no call fits\n")
    assert at.run("calls", "list", "--format", "json").json == {"calls": [], "next": None}


def test_one_call_is_told_with_its_tags_and_why(at: Operator, database: Database) -> None:
    decided(database)
    said = at.run("calls", "show", "call_1")
    assert said.status == 0
    for line in (
        "sipsim:call_1: done",
        "Long Call\trule\tlong-call\t",
        "Wrong\ttaken off by a person\tlong-call\t",
        "VIP\tsomebody else\t\t",
        "true    long-call",
        "true      {field: duration, gt: 30m}  found 1900  rules.yaml:4:11",
        "\tincoming_call_end\twebhook\tlinked\t",
    ):
        assert line in said.out
    found = at.run("calls", "show", "sipsim:call_1", "--format", "json").json
    assert found["decisions"][0]["no_trace"] is None
    assert [tag["name"] for tag in found["tags"]] == ["Long Call", "Wrong", "VIP"]
    assert [event["name"] for event in found["events"]] == ["incoming_call_end"]


def test_a_tag_that_was_taken_off_says_why(at: Operator, database: Database) -> None:
    decided(database)
    took_off = [
        {"tag": "Wrong", "rule": "long-call", "why": "rule 'long-call' no longer names it"},
        {"tag": "Odd", "rule": "odd", "why": "rule 'odd' is false"},
    ]
    with database.write() as connection:
        decision = connection.execute(select(decisions)).one()._asdict()
        del decision["id"]
        for _ in range(2):
            connection.execute(insert(decisions).values(decision | {"added": [], "removed": took_off}))
    told = "Wrong, since rule 'long-call' no longer names it; Odd, since rule 'odd' is false"
    out = at.run("calls", "show", "call_1").out
    assert f"removed: {told}\n" in out
    assert f"\tLong Call\t\t{told}\t\n" in out, "so does an older decision"
    found = at.run("calls", "show", "call_1", "--format", "json").json
    assert [one["removed"] for one in found["decisions"]] == [took_off, took_off, []]


@pytest.mark.parametrize("ref", ["nobody", "sipsim:nobody", "sipsim-lyon:call_1"])
def test_a_call_that_is_not_there_is_told_in_a_line(at: Operator, database: Database, ref: str) -> None:
    ended(database, "call_1", time.time())
    said = at.run("calls", "show", ref)
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("calltag: no call of the account 'sipsim' has the reference '")


def test_with_several_accounts_the_account_must_be_said(at: Operator, database: Database) -> None:
    ended(database, "call_1", time.time(), account="sipsim-lyon")
    two = {
        "CALLTAG_ACCOUNTS": "sipsim,sipsim-lyon",
        "CALLTAG_SIPSIM_LYON_PLATFORM": "sipsim",
        "CALLTAG_SIPSIM_LYON_WEBHOOK_SECRETS": "b",
    }
    said = at.run("calls", "show", "call_1", **two)
    assert said.status == 2
    assert said.err == (
        "calltag: 'call_1' names no account: say ACCOUNT:REF; configured: sipsim, sipsim-lyon\n"
    )
    assert at.run("calls", "show", "sipsim-lyon:call_1", **two).status == 0


def test_a_call_of_an_account_that_is_no_longer_configured_is_found(at: Operator, database: Database) -> None:
    ended(database, "call_1", time.time(), account="sipsim-lyon")
    assert at.run("calls", "show", "sipsim-lyon:call_1").status == 0


def test_a_retry_makes_the_call_due_and_says_who_takes_it_up(at: Operator, database: Database) -> None:
    call = ended(database, "call_1", time.time(), state="dead", reason="PUT was answered 403")
    said = at.process("calls", "retry", "call_1")
    assert said.status == 0
    assert said.out == (
        "'call_1' is due again; the broker cannot be reached: the sweeper sends it on as soon as it can be\n"
    )
    assert column(database, call, "state") == "due"


def test_the_workers_are_told_where_the_broker_is_there(
    tmp_path: Path, database: Database, valkey: Valkey
) -> None:
    ended(database, "call_1", time.time(), state="dead")
    at = operator(tmp_path, database, valkey.url)
    assert at.process("calls", "retry", "call_1").out == "'call_1' is due again; the workers have been told\n"


def test_a_retry_of_a_call_that_a_worker_has_is_refused(at: Operator, database: Database) -> None:
    call = ended(database, "call_1", time.time() - 1)
    with database.write() as connection:
        assert lease(connection, [call], "worker", time.time())[0]
    said = at.process("calls", "retry", "call_1")
    assert (said.status, said.err) == (1, "calltag: 'call_1' is not tried again: a worker has it now\n")


def test_a_tag_that_a_person_took_off_is_unblocked(at: Operator, database: Database) -> None:
    call = decided(database)
    said = at.run("calls", "unblock", "call_1", "Long Call")
    assert said.status == 1
    assert said.err == "calltag: the tag 'Long Call' is not blocked on 'call_1'; blocked on it: Wrong\n"
    assert at.process("calls", "unblock", "call_1", "Wrong", "--format", "json").json["unblocked"] == "Wrong"
    assert column(database, call, "state") == "due"


def test_a_person_is_forgotten_after_being_asked(at: Operator, database: Database) -> None:
    call = decided(database)
    other = ended(database, "call_2", time.time(), caller="+33600000000", receiver="102", state="done")
    loose = receive(database, b'{"caller": "+33612345678"', time.time())
    ask = "Erase 1 call and 2 events for ever?"
    said = at.run("calls", "forget", "--number", "+33 6 12 34 56 78", answer="n\n")
    assert said.status == 1
    assert ask in said.err
    assert "nothing was done" in said.err
    assert at.run("calls", "forget", "--number", "+33612345678").status == 1, "nobody is there to answer"
    assert column(database, call, "forgotten_at") is None
    said = at.run("calls", "forget", "--number", "+33612345678", answer="y\n")
    assert (said.status, said.out) == (0, "erased: 1 call and 2 events\n")
    assert column(database, call, "facts") == {}
    assert column(database, other, "forgotten_at") is None
    assert "body\temptied" not in at.run("events", "show", str(loose)).out
    shown = at.run("calls", "show", "call_1")
    assert "forgotten at 20" in shown.out
    assert "why cannot be told any more: the call was forgotten" in shown.out
    said = at.run("calls", "forget", "--number", "+33612345678", "--yes")
    assert (said.status, said.err) == (1, "calltag: nothing is known of that number\n")


def test_one_call_is_forgotten_by_its_reference(at: Operator, database: Database) -> None:
    call = decided(database)
    found = at.run("calls", "forget", "call_1", "--yes", "--format", "json").json
    assert found == {"calls": 1, "events": 1, "left": 0}
    assert column(database, call, "state") == "done"


WRONG = [
    (["calls", "forget"], "say which call (REF), or whose calls (--number), and not both"),
    (
        ["calls", "forget", "x", "--number", "1"],
        "say which call (REF), or whose calls (--number), and not both",
    ),
    (["calls", "forget", "--number", "anonymous"], "--number: 'anonymous' is no phone number"),
    (["calls", "list", "--since", "yesterday"], "--since: 'yesterday' is no time; it is 2h or 3d (ago)"),
    (["calls", "list", "--since", "2026-11-20T10:00:00"], "--since: '2026-11-20T10:00:00' is no time"),
    (["calls", "list", "--account", "nobody"], "no account is named 'nobody'; configured: sipsim"),
    (["calls", "list", "--state", "lost"], "Invalid value for '--state'"),
    (["calls", "list", "--limit", "0"], "Invalid value for '--limit'"),
]


@pytest.mark.parametrize(("arguments", "why"), WRONG)
def test_wrong_usage_is_told_and_exits_with_2(tmp_path: Path, arguments: list[str], why: str) -> None:
    at = operator(tmp_path, Database(f"sqlite:///{tmp_path / 'calltag.db'}"))
    (tmp_path / "calltag.db").touch()
    said = at.run(*arguments, COLUMNS="200")
    assert (said.status, said.out) == (2, "")
    assert why in said.err


@pytest.mark.parametrize("when", ["2h", "3d", "1d12h", "90s", "2026-11-20", "2026-11-20T10:00:00+01:00"])
def test_times_are_written_in_several_ways(tmp_path: Path, when: str) -> None:
    at = operator(tmp_path, Database(f"sqlite:///{tmp_path / 'calltag.db'}"))
    (tmp_path / "calltag.db").touch()
    assert at.run("calls", "list", "--since", when).err == "calltag: no call fits\n"


def test_without_a_database_none_is_made(tmp_path: Path) -> None:
    at = Operator(tmp_path, {"CALLTAG_DATA_DIR": str(tmp_path / "data")})
    said = at.run("status")
    assert said.status == 2
    assert said.err.startswith(f"calltag: there is no database {tmp_path / 'data' / 'calltag.db'}; ")
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_cannot_be_looked_into_is_told_in_a_line(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)  # no name of a file is so long
    said = Operator(tmp_path, {"CALLTAG_DATA_DIR": str(folder)}).run("status")
    assert said.status == 2
    assert said.err == f"calltag: the database {folder}/calltag.db cannot be used: File name too long\n"


def test_a_database_that_cannot_be_used_is_told_in_a_line(tmp_path: Path) -> None:
    at = Operator(tmp_path, {"CALLTAG_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    said = at.run("status")
    assert said.status == 2
    assert said.err.startswith("calltag: the database cannot be used: ")
    assert len(said.err.splitlines()) == 1


def test_a_decision_whose_events_were_dropped_is_told_without_its_trace(
    at: Operator, database: Database
) -> None:
    decided(database)
    receive(database, {"event": "summary", "pbx_id": "call_1", "summary": "hello"}, time.time())
    with database.write() as connection:
        connection.execute(calls.update().values(state="done"))
    settings = Settings.model_validate({}).model_copy(update={"accounts": ACCOUNTS})
    assert Retention(database, settings).step(time.time() + 31 * DAY) == {"bodies": 2}
    (decision,) = at.run("calls", "show", "call_1", "--format", "json").json["decisions"]
    assert decision["trace"] == []
    assert decision["no_trace"] == ("the events that it rests on were dropped after CALLTAG_KEEP_BODIES days")
    assert decision["rules"] == {"long-call": "true"}
    assert "why cannot be told any more: the events" in at.run("calls", "show", "call_1").out
