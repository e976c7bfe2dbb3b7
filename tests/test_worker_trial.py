"""What the playground answers: faults in place, tags, and why; bounded whatever is typed."""

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rules.facts import facts_from_json
from rules.loader import parse
from store import rulesets
from store.database import Database, migrate
from tests.test_cli_rules_store import add
from tests.test_worker_publishing import LONG, settings
from tests.waiting import eventually
from worker import aside
from worker.aside import Aside, TooDear
from worker.known import known_call
from worker.playground import FIRST, call_text, opened, samples, words
from worker.publishing import fingerprint
from worker.trial import LONGEST_VALUE, answer

LATE = """\
version: 1
timezone: Europe/Paris
rules:
  - id: late
    when: {field: local_time, between: ["18:00", "24:00"]}
    tag: Late
"""


def tried(text: str, call: object = "", at: str = "") -> dict[str, Any]:
    given = call if isinstance(call, str) else json.dumps(call)
    return answer({"ask": "try", "files": {"rules.yaml": text}, "call": given, "at": at})


def test_a_call_gets_its_tags_and_every_rule_says_why() -> None:
    found = tried(LONG, {"duration": 1900})
    assert found["decision"] == {"tags": ["Long"], "shadow_tags": [], "remove": []}
    assert found["rules"][0]["condition"]["value"] == 1900
    assert (found["faults"], found["tests"], found["failed"]) == ([], 1, 0)
    assert found["hash"] == parse({"rules.yaml": LONG.encode()}).hash


def test_faults_come_with_their_place_and_no_answer() -> None:
    (fault,) = tried(LONG.replace("duration, gt", "durration, gt"), {"duration": 1900})["faults"]
    assert (fault["file"], fault["line"], fault["column"], fault["warning"]) == ("rules.yaml", 4, 19, False)
    assert "did you mean 'duration'" in fault["message"]


def test_of_very_many_faults_the_first_are_told_and_the_number_of_the_others() -> None:
    rules = "".join(f"  - {{id: r{n}, when: {{field: x, eq: 1}}, tag: T}}\n" for n in range(150))
    found = tried(f"version: 1\nrules:\n{rules}")
    assert (len(found["faults"]), found["more"]) == (100, 50)


def test_a_test_that_fails_is_marked_at_its_place_as_a_warning() -> None:
    found = tried(LONG.replace("30m", "40m"))
    (fault,) = found["faults"]
    assert (fault["line"], fault["warning"], found["failed"]) == (6, True, 1)
    assert "expected true, got false" in fault["message"]


BAD_CALLS = {
    "[1]": "not a JSON object",
    '{"durration": 1}': "unknown field 'durration', did you mean 'duration'?",
    '{"duration": "long"}': "'duration' is a duration: a number of seconds, or such as 90s, 30m, 2h, 1h30m",
    '{"duration": 1': "not JSON: unexpected end of data",
    '{"applied": 1}': '\'applied\' is a list of {"tag": ..., "rule": ...}',
    "\ud800": "not JSON: str is not valid UTF-8",
    "[" * 9999: "not JSON: depth limit exceeded",
}


@pytest.mark.parametrize("call", BAD_CALLS)
def test_a_bad_call_is_one_clear_line(call: str) -> None:
    found = tried(LONG, call)
    assert found["call_fault"].startswith(BAD_CALLS[call])
    assert "\n" not in found["call_fault"]
    assert "decision" not in found


def test_the_time_of_a_call_can_be_set_in_the_zone_of_the_rules() -> None:
    call = {"started_at": "2026-07-20T08:00:00Z", "ended_at": "2026-07-20T08:05:00Z", "weekday": "mon"}
    assert tried(LATE, call)["decision"]["tags"] == []
    assert tried(LATE, call, "2026-07-20T18:00")["decision"]["tags"] == ["Late"]
    assert tried(LATE, call, "2026-07-20T17:59")["decision"]["tags"] == []
    assert tried(LATE, call, "2026-07-20T16:00:00Z")["decision"]["tags"] == ["Late"]
    assert tried(LATE, {"local_time": "08:00"}, "2026-07-20T18:00")["decision"]["tags"] == ["Late"]


def test_the_end_of_a_call_goes_along_with_its_beginning() -> None:
    ends = LATE.replace('local_time, between: ["18:00", "24:00"]', "ended_at, gte: 2026-07-20T16:05:00Z")
    call = {"started_at": "2026-07-20T08:00:00Z", "ended_at": "2026-07-20T08:05:00Z"}
    assert tried(ends, call, "2026-07-20T18:00")["decision"]["tags"] == ["Late"]
    assert tried(ends, call, "2026-07-20T17:59")["decision"]["tags"] == []


def test_a_time_that_is_none_is_one_clear_line() -> None:
    assert tried(LATE, {}, "tonight")["call_fault"].startswith("'tonight' is no time of a call; one is 2026-")


def test_a_long_text_is_cut_wherever_it_is_shown() -> None:
    text = LONG.replace("{field: duration, gt: 30m}", "{not: {field: transcript, contains: [x]}}")
    (rule,) = tried(text.replace("duration: 1801", "transcript: y"), {"transcript": "ä" * 5000})["rules"]
    assert rule["condition"]["items"][0]["value"] == "ä" * LONGEST_VALUE + "… (5000 characters)"


def test_of_very_many_rules_those_that_are_not_false_are_shown_first() -> None:
    rules = "".join(
        f"  - {{id: r{n}, when: {{field: duration, gt: {n}}}, tag: T{n}}}\n" for n in reversed(range(300))
    )
    found = tried(f"version: 1\nrules:\n{rules}", {"duration": 50})
    assert (len(found["rules"]), found["others"]) == (200, 100)
    assert [rule["outcome"] for rule in found["rules"]] == ["true"] * 50 + ["false"] * 150
    asked = {"ask": "try", "files": {"a": f"version: 1\nrules:\n{rules}"}, "call": "{}", "at": ""}
    assert [rule["rule"] for rule in answer(asked | {"only": " t299 "})["rules"]] == ["r299"]


def test_a_test_is_made_of_a_call_without_what_is_personal() -> None:
    files = {"rules.yaml": LONG, "other.yaml": "version: 1\n"}
    call = json.dumps({"duration": 1900, "caller": "+33612345678", "transcript": "I am Jane"})
    asked = {
        "ask": "test",
        "files": files,
        "file": "rules.yaml",
        "call": call,
        "at": "",
        "name": "a long one",
    }
    found = answer(asked)
    assert found["note"] == "left out as personal: caller, transcript"
    (test,) = parse({"rules.yaml": found["text"].encode()}).tests
    assert test.facts == {"duration": 1900}
    assert test.name == "a long one"
    assert test.expect == {"Long"}


def test_of_what_is_broken_no_test_is_made() -> None:
    asked = {"ask": "test", "file": "rules.yaml", "at": "", "name": "x", "call": "{}"}
    assert "mend it first" in answer(asked | {"files": {"rules.yaml": "version: 2"}})["fault"]
    assert "not a JSON object" in answer(asked | {"files": {"rules.yaml": LONG}, "call": "1"})["fault"]


@pytest.fixture
def beside() -> Iterator[Aside]:
    beside = Aside()
    yield beside
    beside.close()


ASKED = {"ask": "try", "files": {"rules.yaml": LONG}, "call": '{"duration": 1900}', "at": ""}


def test_a_process_of_its_own_answers_the_same(beside: Aside) -> None:
    assert beside.ask(ASKED) == answer(ASKED)
    first = beside._process
    assert beside.ask(ASKED) == answer(ASKED)
    assert beside._process is first


def test_rules_that_cost_too_much_end_that_process_alone(beside: Aside) -> None:
    call = json.dumps({"transcript": "x" * 100_000})
    patterns = ", ".join(f"'(x{{500}}){{2}}{n}'" for n in range(9000))
    dear = LONG.replace("field: duration, gt: 30m", f"field: transcript, matches: [{patterns}]")
    with pytest.raises(TooDear, match="more time or memory"):
        beside.ask(ASKED | {"files": {"rules.yaml": dear}, "call": call})
    assert beside.ask(ASKED)["decision"]["tags"] == ["Long"]


def test_a_process_that_ended_of_idleness_is_started_again(beside: Aside) -> None:
    beside.ask(ASKED)
    process = beside._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    eventually(lambda: process.poll() == 0, "it ends when nobody can ask any more")
    assert beside.ask(ASKED)["decision"]["tags"] == ["Long"]


def test_a_process_that_is_killed_is_told_once_and_started_again(beside: Aside) -> None:
    beside.ask(ASKED)
    process = beside._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(beside.ask, ASKED)
        eventually(beside._lock.locked, "it is asked")
        process.kill()
        assert isinstance(asking.exception(), TooDear) or asking.result()
    assert beside.ask(ASKED)["decision"]["tags"] == ["Long"]


def test_who_asks_while_others_keep_it_busy_is_told(beside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "SECONDS", 0.05)
    with beside._lock, pytest.raises(TooDear, match="others are trying"):
        beside.ask(ASKED)
    assert beside.ask(ASKED)
    with ExitStack() as places:
        for _ in range(aside.MOST_WAITING):
            places.enter_context(beside._room)
        with pytest.raises(TooDear, match="others are trying"):
            beside.ask(ASKED)


def test_every_call_of_a_sample_can_be_tried() -> None:
    assert {"first-rules", "opening-hours"} <= set(samples())
    for sample in samples().values():
        assert len(sample.calls) > 5
        for call in sample.calls.values():
            assert "decision" in tried(sample.text, call)


def test_the_first_rules_are_good() -> None:
    assert tried(FIRST)["faults"] == []


def test_the_words_are_those_of_the_catalogue() -> None:
    assert "duration" in [field["name"] for field in words()["fields"]]
    assert "mentions" in [operator["name"] for operator in words()["operators"]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}")
    migrate(database)
    yield database
    database.close()


def test_a_stored_call_is_shown_with_our_tags_and_to_viewers_without_what_is_personal(
    database: Database,
) -> None:
    facts = {"duration": 1900, "caller": "+33612345678", "custom.note": "Jane", "custom.score": 5}
    add(database, "call_1", facts, others=["Customer"])
    with database.read() as connection:
        known = known_call(connection, "sipsim", "call_1")
        assert known_call(connection, "sipsim", "call_2") is None
    assert known is not None
    assert json.loads(call_text(known)) == facts | {"tags": ["Customer"]}
    shown = json.loads(call_text(known, personal=False))
    assert shown == {"duration": 1900, "custom.score": 5, "tags": ["Customer"]}
    assert facts_from_json(shown)


def test_the_editor_begins_with_the_files_at_the_path(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    with database.read() as connection:
        assert opened(settings(path), connection).files == {"rules.yaml": FIRST}
        path.write_bytes(b"\xef\xbb\xbf" + LONG.encode())
        found = opened(settings(path), connection)
    assert found.files == {"rules.yaml": LONG}
    assert found.began == {"rules.yaml": fingerprint(path.read_bytes())}


def test_where_the_path_cannot_be_read_it_begins_with_the_rules_in_force(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with database.write() as connection:
        rulesets.activate(connection, "a" * 64, {"rules.yaml": LONG.encode()}, 0.0)
    with database.read() as connection:
        found = opened(settings(folder), connection)
    assert (found.files, found.began) == ({"rules.yaml": LONG}, {})
    assert str(found.fault).endswith("no *.yaml or *.yml file in this folder; these are the rules in force")
