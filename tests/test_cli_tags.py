"""`calltag tags`, as a process of its own, on a real store and the simulated platform."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from platforms.sipsim.simulator import Config, PlannedFault, Simulator, serve
from rules.loader import parse
from store import rulesets
from store.database import Database, migrate
from store.schema import applied_tags
from tests.commands import Operator, Said, ended, operator
from tests.rows import tag_states

RULES = """
version: 1
tags:
  Long Call: {color: "#EF4444", description: Calls over 30 minutes}
  VIP: {color: "#112233"}
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
  - {id: refund, when: {field: transcript, contains: refund}, tag: Refund}
"""


@dataclass
class Desk:
    """An operator, the platform, and the store between them."""

    at: Operator
    simulator: Simulator
    database: Database

    def run(self, *arguments: str, answer: str = "") -> Said:
        return self.at.process("tags", *arguments, answer=answer)

    def rules(self, text: str = RULES) -> None:
        ruleset = parse({"rules.yaml": text.encode()})
        with self.database.write() as connection:
            rulesets.activate(connection, ruleset.hash, ruleset.files, time.time())

    def tagged(self, name: str, tag: str = "Long Call") -> int:
        """A call on which the tag stands by us."""
        call = ended(self.database, name, time.time())
        row = {"tag": tag, "state": "ours", "rule": "long-call", "ruleset": "h", "at": time.time()}
        with self.database.write() as connection:
            connection.execute(insert(applied_tags).values(call_id=call, **row))
        return call

    def names(self) -> list[str]:
        return [tag.name for tag in self.simulator.tags.tags.values()]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """On one kind of database: the store's own tests are run on each."""
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}", busy=5.0)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def desk(tmp_path: Path, database: Database) -> Iterator[Desk]:
    simulator = Simulator(Config())
    with serve(simulator) as url:
        at = operator(tmp_path, database)
        account = {
            "CALLTAG_SIPSIM_BASE_URL": url,
            "CALLTAG_SIPSIM_CLIENT_ID": simulator.config.client_id,
            "CALLTAG_SIPSIM_CLIENT_SECRET": simulator.config.client_secret,
            "CALLTAG_SIPSIM_RATE": "1000",
        }
        made = Desk(replace(at, environment={**at.environment, **account}), simulator, database)
        made.rules()
        yield made


def test_the_rules_tags_are_made_and_what_is_amiss_is_told(desk: Desk) -> None:
    desk.simulator.tags.create("VIP", "#000000")
    desk.simulator.tags.create("Foreign")
    said = desk.run("sync")
    assert (said.status, said.err) == (0, "")
    assert said.rows == [
        ["made", "Long Call", "id 3"],
        ["differs", "VIP", "color '#000000', wanted '#112233'"],
        ["no rule gives it", "Foreign", "id 2"],
        ["no rule gives it", "VIP", "id 1"],
        ["not there", "Refund", "given by refund; it is made when a rule first gives it"],
    ]
    found = desk.run("sync", "--apply", "--format", "json").json
    assert found["ids"] == {"Long Call": "3", "VIP": "1"}
    assert found["changed"] == [{"name": "VIP", "field": "color", "there": "#000000", "wanted": "#112233"}]
    assert (found["made"], found["differing"], found["missing"]) == ([], [], {"Refund": ["refund"]})
    assert desk.simulator.tags.tags[1].color == "#112233"
    assert desk.names() == ["VIP", "Foreign", "Long Call"]


def test_where_all_is_as_it_should_be_that_is_said(desk: Desk) -> None:
    desk.rules(
        RULES.partition("rules:")[0].replace('  VIP: {color: "#112233"}\n', "")
        + """rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
"""
    )
    desk.run("sync")
    assert desk.run("sync").out == "all is as it should be: 1 tag of the rules' `tags`\n"


def test_a_tag_that_the_platform_refuses_exits_with_1_and_the_others_are_made(desk: Desk) -> None:
    desk.simulator.plan(PlannedFault(kind="403", route="POST /api/v2/tags", count=1))
    said = desk.run("sync")
    assert said.status == 1
    assert said.err == "calltag: the platform refused 1 tag, the first: 'Long Call': POST was answered 403\n"
    assert desk.names() == ["VIP"]


CRM = """name,id,Color,color,description
VIP,77,x,#445566,Our best customers
"Hot, lead",78,x,,
"""


def crm(desk: Desk, text: str = CRM, name: str = "crm.csv") -> str:
    (desk.at.folder / name).write_text(text)
    return name


def test_the_tags_of_a_crm_are_made_and_their_ids_printed(desk: Desk) -> None:
    desk.simulator.tags.create("VIP", "#445566")
    file = crm(desk)
    said = desk.run("sync", "--from", file, "--format", "csv")
    assert said.out == 'name,id\nVIP,1\n"Hot, lead",2\n'
    assert said.err.splitlines() == [
        "made: 'Hot, lead', id 2",
        "differs: 'VIP', description '', wanted 'Our best customers'",
    ]
    assert desk.run("sync", "--from", file, "--format", "json", "--apply").json == {
        "VIP": "1",
        "Hot, lead": "2",
    }
    assert desk.simulator.tags.tags[1].description == "Our best customers"
    said = desk.run("sync", "--from", file)
    assert (said.rows, said.err) == ([["VIP", "1"], ["Hot, lead", "2"]], "")


def test_names_like_formulas_are_printed_as_they_are_for_the_program_that_keeps_the_ids(desk: Desk) -> None:
    file = crm(desk, "name\n=VIP\n@home\n+1\n")
    said = desk.run("sync", "--from", file, "--format", "csv")
    assert [line.partition(",")[0] for line in said.out.splitlines()] == ["name", "=VIP", "@home", "+1"]
    again = desk.run("sync", "--from", crm(desk, said.out, "ids.csv"), "--format", "csv")
    assert (again.out, again.err) == (said.out, ""), "read again, it makes no tag of another name"


def test_the_tags_of_a_crm_may_come_as_json(desk: Desk) -> None:
    tags = [{"name": "VIP", "color": "#445566", "id": 7}, {"name": "Été", "description": None}]
    said = desk.run("sync", "--from", crm(desk, json.dumps(tags), "crm.json"), "--format", "json")
    assert said.json == {"VIP": "1", "Été": "2"}
    assert desk.simulator.tags.tags[1].color == "#445566"


def test_the_platforms_tags_are_listed_with_our_calls_and_the_rules_that_give_them(desk: Desk) -> None:
    desk.run("sync")
    desk.simulator.tags.create("Foreign", "#ABCDEF")
    desk.simulator.tags.tags[1].name = "Longer"
    for number in range(3):
        desk.tagged(f"call_{number}")
    said = desk.run("list")
    assert said.rows == [
        ["Foreign", "3", "#ABCDEF", "0", "", ""],
        ["Longer", "1", "#EF4444", "3", "long-call", "Long Call"],
        ["VIP", "2", "#112233", "0", "", ""],
    ]
    assert desk.run("list", "--format", "json").json[1] == {
        "id": "1", "name": "Longer", "color": "#EF4444", "description": "Calls over 30 minutes",
        "calls": 3, "rules": ["long-call"], "named": ["Long Call", "Longer"],
    }  # fmt: skip


def test_no_tags_at_all_exits_with_1(desk: Desk) -> None:
    said = desk.run("list")
    assert (said.status, said.out, said.err) == (1, "", "calltag: the platform has no tags\n")


def test_a_tag_is_renamed_and_what_that_means_for_the_rules_is_said(desk: Desk) -> None:
    desk.run("sync")
    said = desk.run("rename", "Long Call", "Longer")
    words = [
        "the tag with the id 1 is named 'Longer' on the platform",
        "given by long-call by the name 'Long Call', which goes on: it is found by its id; leave the rules",
    ]
    assert (said.status, said.out.splitlines(), said.err) == (0, words, "")
    assert desk.names() == ["Longer", "VIP"]
    assert desk.run("rename", "Long Call", "Longer").out.splitlines() == words, "it may be repeated"
    assert ["renamed there", "Long Call", "to 'Longer'; found by its id 1"] in desk.run("sync").rows
    said = desk.run("rename", "Long Call", "VIP")
    assert (said.status, said.err) == (1, "calltag: another tag is named 'VIP' already\n")


def test_a_tag_is_deleted_after_it_was_said_what_that_takes(desk: Desk) -> None:
    desk.run("sync")
    calls = [desk.tagged(f"call_{number}") for number in range(2)]
    said = desk.run("delete", "Long Call", answer="n\n")
    assert said.status == 1
    assert said.err == (
        "The tag 'Long Call' (id 1) stands on 2 calls by calltag, and perhaps on others by people.\n"
        "It is given by long-call: when a rule gives it next, it is made again.\n"
        "The platform takes it off every call, for good. Delete it? [y/N] "
        "calltag: nothing was done; --yes does it without asking\n"
    )
    assert desk.names() == ["Long Call", "VIP"]
    said = desk.run("delete", "Long Call", answer="y\n")
    assert (said.status, said.out) == (0, "deleted 'Long Call'; noted on 2 calls of ours that it is off\n")
    assert desk.names() == ["VIP"]
    assert [tag_states(desk.database, call) for call in calls] == [{"Long Call": "off"}] * 2
    said = desk.run("delete", "Long Call", "--yes")
    assert said.status == 1
    assert said.err.startswith("calltag: no tag on the platform is named 'Long Call'")


def test_a_deletion_that_was_cut_off_is_finished_by_repeating_it(desk: Desk) -> None:
    desk.run("sync")
    call = desk.tagged("call_1")
    desk.simulator.plan(PlannedFault(kind="drop_after", route="DELETE /api/v2/tags/{tag}", count=1))
    said = desk.run("delete", "Long Call", "--yes")
    assert said.status == 1
    assert tag_states(desk.database, call) == {"Long Call": "ours"}
    said = desk.run("delete", "Long Call", "--yes", "--format", "json")
    assert (said.status, said.json) == (0, {"deleted": None, "calls": 1})
    assert tag_states(desk.database, call) == {"Long Call": "off"}


WRONG_FILES: dict[str, tuple[str, str, list[str]]] = {
    "no name column": ("a.csv", "nam,color\nVIP,\n", [
        "a.csv: line 1: no column is 'name', did you mean 'name'?; the others are color and description"]),
    "all bad rows": ("a.csv", 'name,color\nVIP,red\n"A\nB",\nVIP,\nOne,#112233,x\nVIP,#112233\n,#112233\n', [
        "a.csv: line 2: 'red' is no colour; one is such as #EF4444",
        "a.csv: line 3: 'A B' holds a character that no name has",
        "a.csv: line 6: 3 cells, and line 1 names 2 columns",
        "a.csv: line 7: the tag 'VIP' is there already, line 5",
        "a.csv: line 8: 'name' is empty",
        "a.csv: 5 tags cannot be read; nothing was done"]),
    "a quote that does not end": ("a.csv", 'name\n"VIP\n', ["a.csv: line 2: unexpected end of data"]),
    "nothing": ("a.csv", "", ["a.csv: line 1: no column is 'name'; the others are color and description"]),
    "no rows": ("a.csv", "name\n", ["a.csv: it holds no tag"]),
    "no JSON": ("a.json", '[{"name": "VIP",}]', ["a.json: line 1, column 17: "]),
    "no list": ("a.json", '{"VIP": 1}', ['a.json: it is a list such as [{"name": ']),
    "bad items": ("a.json", '[1, {"color": "#112233"}, {"name": 7}]', [
        "a.json: item 1: it is a list such as ",
        "a.json: item 2: 'name' is missing",
        "a.json: item 3: 'name' is no text",
        "a.json: 3 tags cannot be read; nothing was done"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "text", "words"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_what_is_wrong_with_a_file_is_told_with_its_lines_and_nothing_is_done(
    desk: Desk, name: str, text: str, words: list[str]
) -> None:
    said = desk.at.run("tags", "sync", "--from", crm(desk, text, name))
    assert (said.status, said.out) == (2, "")
    for line, start in zip(said.err.splitlines(), words, strict=True):
        assert line.startswith(f"calltag: {start}")
    assert not desk.simulator.counters.requests


def test_a_file_that_is_not_there_or_not_utf8_is_told_in_a_line(desk: Desk) -> None:
    assert desk.at.run("tags", "sync", "--from", "none.csv").err == (
        "calltag: none.csv cannot be read: No such file or directory\n"
    )
    (desk.at.folder / "latin.csv").write_bytes("name\nVIP\nÉté\n".encode("latin-1"))
    assert (
        desk.at.run("tags", "sync", "--from", "latin.csv").err
        == "calltag: latin.csv: line 3: it is not UTF-8\n"
    )


WRONG: list[tuple[list[str], int, str]] = [
    (["rename", "Long Cal", "X"], 1, "no tag on the platform is named 'Long Cal', did you mean 'Long Call'?"),
    (["delete", "Zzz", "--yes"], 1, "no tag on the platform is named 'Zzz'; `calltag tags list` lists them"),
    (["rename", "Long Call", " "], 2, "NEW: '' is no name of a tag"),
    (["list", "--account", "sipsin"], 2,
     "--account: no account is named 'sipsin', did you mean 'sipsim'?; configured: sipsim"),
    (["sync", "--format", "csv"], 2, "--format csv is for --from; here it is text or json"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "status", "words"), WRONG)
def test_what_was_asked_wrongly_is_told_in_a_line(
    desk: Desk, arguments: list[str], status: int, words: str
) -> None:
    desk.simulator.tags.create("Long Call")
    said = desk.run(*arguments)
    assert (said.status, said.out, said.err) == (status, "", f"calltag: {words}\n")
    assert desk.names() == ["Long Call"]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "down": ({"kind": "503"}, "GET was answered 503"),
    "no token": (
        {"kind": "400", "route": "POST /oauth/token"},
        "the client id and secret brought no token for tags.read tags.write calls.read calls.tags.write: "
        "POST was answered 400",
    ),
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_a_platform_that_does_not_answer_is_told_in_a_line(
    desk: Desk, fault: dict[str, Any], words: str
) -> None:
    desk.simulator.plan(PlannedFault(**fault))
    said = desk.run("sync")
    assert (said.status, said.out) == (1, "")
    assert said.err == f"calltag: the platform of the account 'sipsim' does not do it: {words}\n"


def test_before_a_rule_set_is_in_force_that_is_said(tmp_path: Path, database: Database) -> None:
    said = operator(tmp_path, database).process("tags", "list")
    assert said.status == 1
    assert said.err == (
        "calltag: no rule set is in force yet; `calltag up` puts the one of CALLTAG_RULES in force\n"
    )


def test_with_several_accounts_the_account_must_be_said(desk: Desk) -> None:
    two = {
        "CALLTAG_ACCOUNTS": "sipsim,sipsim-lyon",
        "CALLTAG_SIPSIM_LYON_PLATFORM": "sipsim",
        "CALLTAG_SIPSIM_LYON_WEBHOOK_SECRETS": "b",
    }
    at = replace(desk.at, environment={**desk.at.environment, **two})
    said = at.process("tags", "sync")
    assert said.status == 2
    assert said.err == ("calltag: --account is needed to say whose tags; configured: sipsim, sipsim-lyon\n")
    assert at.process("tags", "sync", "--account", "sipsim").status == 0
    assert desk.names() == ["Long Call", "VIP"]
