"""The playground over HTTP, without JavaScript and as its own script asks it."""

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from store import rulesets
from store.database import Database, migrate
from tests.pages import VIEWER, Person, visiting, words
from tests.test_cli_rules_store import add
from tests.test_worker_publishing import LONG, SHORT
from worker.playground import LONGEST_TEXT
from worker.settings import Settings, load_settings

FACTS = {"duration": 1900, "caller": "+33612345678", "transcript": "<b>I am Jane</b>", "custom.score": 5}


def made_settings(tmp_path: Path) -> Settings:
    """Rules in one file, which may be published, and one call in the store."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(LONG)
    given = {
        "CALLTAG_DATA_DIR": str(tmp_path / "data"),
        "CALLTAG_RULES": str(rules),
        "CALLTAG_RULES_EDIT": "on",
    }
    made = load_settings(None, given)
    made.data_dir.mkdir()
    database = Database(made.database)
    migrate(database)
    add(database, "call_1", FACTS)
    database.close()
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return made_settings(tmp_path)


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with visiting(made_settings(tmp_path_factory.mktemp("playground"))) as person:
        yield person


@pytest.fixture
def viewer(settings: Settings) -> Iterator[Person]:
    with visiting(settings, VIEWER) as person:
        yield person


def told(person: Person, text: str, call: str = "", **more: str) -> dict[str, Any]:
    """What the page's own script is told."""
    person.get("/playground")
    data = {"file": "rules.yaml", "text": text, "call": call, "do": "try", **more}
    heads = {"accept": "application/json", "x-csrf-token": person.csrf}
    answered = person.client.post("/playground", data=data, headers=heads)
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    return found


def test_the_page_begins_with_the_rules_and_the_call_that_is_named(person: Person) -> None:
    html = person.get("/playground?call=sipsim/call_1").text
    assert LONG in unescape(html)
    assert '"duration": 1900' in unescape(html)
    sent = person.send("/playground", file="rules.yaml", text=LONG, call='{"duration": 1900}', do="try")
    read = words(sent.text)
    assert "No faults; 1 test, 1 passed." in read
    assert "true long" in read
    assert "{field: duration, gt: 30m} found 1900 decides" in read


def test_without_javascript_a_form_tries_the_rules(person: Person) -> None:
    person.get("/playground")
    text = LONG.replace("30m", "40m")
    answered = person.send("/playground", file="rules.yaml", text=text, call='{"duration": 1900}', do="try")
    assert "1 failed" in words(answered.text)
    assert "This call gets no tag." in words(answered.text)
    assert text in unescape(answered.text)


def test_the_script_is_told_where_faults_are(person: Person) -> None:
    found = told(person, LONG.replace("duration, gt", "durration, gt"))
    (mark,) = found["marks"]
    assert (mark["line"], mark["column"], mark["warning"]) == (4, 19, False)
    assert "did you mean 'duration'" in mark["message"]
    assert "1 fault: the rules cannot be used" in found["html"]
    assert found["summary"] == "1 fault"
    assert told(person, LONG, '{"duration": 1900}')["summary"] == "No faults. Tags: Long."
    assert told(person, LONG, '{"duration": 19}')["summary"] == "No faults. Tags: none."
    assert told(person, LONG.replace("30m", "1h"), "1")["summary"] == "1 test failed. not a JSON object"


def test_a_stored_call_and_a_sample_are_loaded(person: Person) -> None:
    assert json.loads(told(person, LONG, do="load-ref", ref="sipsim/call_1")["call"]) == FACTS
    assert json.loads(told(person, LONG, do="load-ref", ref=" sipsim:call_1")["call"]) == FACTS
    sample = "opening-hours/missed-while-open: Friday ends earlier"
    assert json.loads(told(person, LONG, do="load-sample", sample=sample)["call"])["status"] == "missed"


@pytest.mark.parametrize("asked", [{"do": "load-ref", "ref": "sipsim/<x>"}, {"do": "load-ref", "ref": "x"}])
def test_a_call_that_is_not_there_is_one_line(person: Person, asked: dict[str, str]) -> None:
    found = told(person, LONG, '{"duration": 5}', **asked)
    assert "there is no call" in found["said"]
    assert "<x>" not in found["said"]
    assert found["call"] == '{"duration": 5}'


def test_a_sample_that_is_not_there_is_one_line(person: Person) -> None:
    assert "there is no such sample" in told(person, LONG, do="load-sample", sample="x/y")["said"]


def test_a_call_is_kept_as_a_test_without_what_is_personal(person: Person) -> None:
    found = told(person, LONG, json.dumps(FACTS), do="test", name="a long one")
    assert found["text"].startswith(LONG)
    assert 'name: "a long one"' in found["text"]
    assert "Jane" not in found["text"]
    assert "left out as personal: caller, transcript" in found["said"]
    assert "2 tests, 2 passed" in found["html"]


def test_the_time_of_the_call_is_set(person: Person) -> None:
    text = LONG.replace("field: duration, gt: 30m", "field: weekday, eq: fri").replace(
        "duration: 1801", "weekday: fri"
    )
    assert "gets no tag" in told(person, text, "{}", at="2026-11-21T10:00")["html"]
    assert "gets no tag" not in told(person, text, "{}", at="2026-11-20T10:00")["html"]


def test_what_is_too_long_is_not_tried(person: Person) -> None:
    found = told(person, LONG + "#" * LONGEST_TEXT, '{"duration": 1900}')
    assert f"of at most {LONGEST_TEXT:,}" in found["html"]
    assert found["marks"] == []


def test_markup_in_values_names_and_faults_is_text(person: Person) -> None:
    found = told(person, LONG.replace("Long", "'<i>x</i>'"), json.dumps({"duration": 1900, "agent": "<b>"}))
    assert "<i>" not in found["html"]
    assert "&lt;i&gt;" in found["html"]
    assert "<u>" not in told(person, LONG.replace("field: duration", "field: <u>"))["html"]
    assert "</textarea><i>" not in person.send("/playground", file="rules.yaml", text="</textarea><i>").text


def test_a_viewer_tries_and_sees_nothing_personal(viewer: Person) -> None:
    html = unescape(viewer.get("/playground?call=sipsim/call_1").text)
    assert '"custom.score": 5' in html
    assert "Jane" not in html
    assert "612345678" not in html
    assert "Publish" not in words(html)
    assert "Backtest this" not in html
    assert "Long" in told(viewer, LONG, '{"duration": 1900}')["html"]


def test_nothing_is_tried_without_the_token_of_the_session(person: Person) -> None:
    person.get("/playground")
    assert person.client.post("/playground", data={"text": LONG}).status_code == 403


def test_the_files_of_a_folder_are_edited_one_by_one_and_tried_together(settings: Settings) -> None:
    settings.rules.unlink()
    settings.rules.mkdir()
    (settings.rules / "a.yaml").write_text(LONG)
    (settings.rules / "b.yaml").write_text(SHORT)
    with visiting(settings) as person:
        assert "id: short" in person.get("/playground?file=b.yaml").text
        assert "there is no file" in person.get("/playground?file=c.yaml").text
        found = told(person, SHORT.replace("20s", "1h"), '{"duration": 1900}', file="b.yaml")
        assert ">Long<" in found["html"]
        assert ">Short<" in found["html"]
        broken = told(person, LONG, file="b.yaml")
        assert broken["marks"][0]["file"] == "b.yaml"
        assert "duplicate rule id" in broken["marks"][0]["message"]


def test_a_set_up_without_rules_begins_with_a_first_one(settings: Settings) -> None:
    settings.rules.unlink()
    with visiting(settings) as person:
        html = person.get("/playground").text
        assert "Calls over 30 minutes" in html
        assert "CALLTAG_RULES_EDIT" not in html


def test_where_the_rules_are_elsewhere_those_in_force_are_tried_together(settings: Settings) -> None:
    database = Database(settings.database)
    files = {"a.yaml": LONG.encode(), "b/c.yaml": SHORT.encode()}
    with database.write() as connection:
        rulesets.activate(connection, "a" * 64, files, 0.0)
    database.close()
    settings.rules.unlink()
    with visiting(settings) as person:
        assert "these are the rules in force" in person.reads("/playground")
        html = told(person, SHORT.replace("20s", "1h"), '{"duration": 1900}', file="b/c.yaml")["html"]
        assert ">Long<" in html
        assert ">Short<" in html


def test_why_nothing_can_be_published_is_said(settings: Settings) -> None:
    with visiting(settings.model_copy(update={"rules_edit": False})) as person:
        assert "CALLTAG_RULES_EDIT=on switches it on" in person.reads("/playground")


def test_a_sample_set_or_an_earlier_version_is_opened(person: Person) -> None:
    assert "guinea" not in person.get("/playground?sample=none").text
    assert "opening hours" in person.get("/playground?sample=opening-hours").text
    assert "no rule set of that hash" in person.reads("/playground?version=abc")
