"""Backtests over HTTP: begun, watched, read, and published after a look at what they change."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rules.loader import load, parse
from store import backtests, rulesets
from store.database import Database
from tests.pages import VIEWER, Person, visiting, words
from tests.test_cli_rules_store import add
from tests.test_web_playground import made_settings
from tests.test_worker_publishing import LONG, LONGER
from tests.waiting import eventually
from worker.comparing import BadRange, read_range
from worker.settings import Settings
from worker.sweeper import RulesWatch

NOW = 1_800_000_000.0


def counted_settings(tmp_path: Path) -> Settings:
    """LONG in force, and calls of today of 10 to 50 minutes; of one the length is not known."""
    made = made_settings(tmp_path)
    database = Database(made.database)
    for minutes in range(10, 60, 10):
        facts = {"duration": minutes * 60, "started_at": datetime.now(UTC).isoformat()}
        add(database, f"call/{minutes}", facts, first_at=time.time())
    add(database, "call_<b>", {"queue": "sales"}, first_at=time.time())
    RulesWatch(database, made.rules).look()
    database.close()
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return counted_settings(tmp_path)


@pytest.fixture
def person(settings: Settings) -> Iterator[Person]:
    with visiting(settings) as person:
        person.get("/backtest")
        yield person


def ended(person: Person, path: str) -> str:
    """The page of a backtest that has ended."""

    def look() -> str | None:
        html = person.get(path).text
        return None if 'id="progress"' in html else html

    return str(eventually(look, "the backtest has ended"))


def from_playground(person: Person, text: str, do: str = "backtest", began: str | None = None) -> str:
    """The path of the backtest that the playground leads to, or what the page says."""
    html = person.get("/playground").text
    found = re.search('name="began" value="([^"]*)"', html)
    assert found is not None
    fields = {"file": "rules.yaml", "text": text, "began": began or found[1], "call": "", "do": do}
    answered = person.client.post("/playground", data={"csrf": person.csrf} | fields)
    return answered.headers.get("location") or words(answered.text)


def test_the_rules_in_force_are_counted(person: Person) -> None:
    path = person.send("/backtest", rules="", **{"from": "30d"}).url.path
    html = ended(person, path)
    read = words(html)
    assert "6 calls" in read
    assert "2 matches, 33.3 % of all calls; unknown for 1 call." in read
    assert "Long 2" in read
    assert "Against the rules" not in read
    assert "call_<b>" not in html
    assert 'href="/calls/sipsim/call_%3Cb%3E"' in html


def test_what_would_be_gained_is_shown_before_it_is_published(person: Person, settings: Settings) -> None:
    path = from_playground(person, LONGER, "publish")
    html = ended(person, path)
    assert "Long 1 0 2 sipsim:call/30 none" in words(html)
    assert settings.rules.read_text() == LONG
    told = person.send(f"{path}/publish")
    assert "rules.yaml is written; its rules are in force in a moment." in words(told.text)
    assert "come into force when the sweeper has read it" in words(told.text)
    coming = {"hx-request": "true"}
    assert person.get(f"{path}?counted=1", headers=coming).text.startswith('<p id="coming"')
    assert settings.rules.read_text() == LONGER
    database = Database(settings.database)
    RulesWatch(database, settings.rules).look()
    with database.read() as connection:
        version = rulesets.version(connection, load(settings.rules).hash)
    database.close()
    assert version is not None
    assert (version.loaded_by, version.active) == (rulesets.PAGE, True)
    assert person.get(f"{path}?counted=1", headers=coming).headers["hx-redirect"] == path
    assert "These rules are in force." in person.reads(path)


def test_a_file_that_was_changed_meanwhile_is_not_written(person: Person, settings: Settings) -> None:
    path = from_playground(person, LONGER, "publish")
    ended(person, path)
    settings.rules.write_text(LONG + "# by hand\n")
    told = words(person.send(f"{path}/publish").text)
    assert "Nothing was published: somebody changed 'rules.yaml' since it was opened here." in told
    assert settings.rules.read_text() == LONG + "# by hand\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LONG.replace("duration, gt", "durration, gt"), "the rules have a fault; mend it first"),
        (LONG.replace("30m", "40m"), "a test of the rules fails; mend it first"),
    ],
)
def test_what_is_not_good_is_not_even_counted_for_publishing(person: Person, text: str, reason: str) -> None:
    assert reason in from_playground(person, text, "publish")


def test_where_nothing_can_be_published_the_text_is_there_to_copy(settings: Settings) -> None:
    with visiting(settings.model_copy(update={"rules_edit": False})) as person:
        assert "CALLTAG_RULES_EDIT=on" in from_playground(person, LONGER, "publish")
        path = from_playground(person, LONGER)
        html = ended(person, path)
        assert "They cannot be published from here" in words(html)
        assert "gt: 20m" in html.partition("<pre")[2]
        assert "switched off" in words(person.send(f"{path}/publish").text)
    assert settings.rules.read_text() == LONG


def test_the_same_rules_are_counted_over_another_time_and_opened_again(person: Person) -> None:
    path = from_playground(person, LONGER)
    ended(person, path)
    again = person.send(
        "/backtest", again=path.rpartition("/")[2], **{"from": "2020-01-01", "to": "2020-01-02"}
    )
    read = words(ended(person, again.url.path))
    assert "0 calls" in read
    assert "There is no stored call of that time" in read
    assert "gt: 20m" in person.get(f"/playground?backtest={again.url.path.rpartition('/')[2]}").text


def test_an_earlier_version_is_counted_against_the_rules_in_force(person: Person, settings: Settings) -> None:
    older = parse({"rules.yaml": LONGER.encode()})
    database = Database(settings.database)
    with database.write() as connection:
        rulesets.announce(connection, older.hash, older.files, time.time())
    database.close()
    path = person.send("/backtest", rules=older.hash, **{"from": "30d"}).url.path
    assert "Long 1 0 2" in words(ended(person, path))
    assert person.send("/backtest", rules="f" * 64).status_code == 404


def test_one_at_a_time_runs_and_can_be_stopped(person: Person, settings: Settings) -> None:
    database = Database(settings.database)
    with database.write() as connection:
        asked = {"title": "x", "since": None, "until": None, "from": "", "to": ""}
        running = backtests.begin(connection, {"rules.yaml": LONG}, None, asked, time.time())
    database.close()
    told = person.send("/backtest", rules="")
    assert told.url.path == f"/backtest/{running}"
    assert "This one still runs" in words(told.text)
    assert "one at a time" in from_playground(person, LONGER)
    part = person.get(f"/backtest/{running}", headers={"hx-request": "true"})
    assert part.text.startswith('<section id="progress"')
    assert "It was stopped." in words(person.send(f"/backtest/{running}/stop").text)
    assert person.get(f"/backtest/{running}", headers={"hx-request": "true"}).headers["hx-redirect"]


def test_a_time_that_is_none_is_one_line(person: Person) -> None:
    answered = person.send("/backtest", rules="", **{"from": "yesterday"})
    assert answered.status_code == 400
    assert "from: 'yesterday' is no time" in words(answered.text)


def test_a_backtest_that_is_not_there_is_told(person: Person) -> None:
    assert person.get("/backtest/none").status_code == 404
    assert person.send("/backtest/none/publish").status_code == 409


def test_viewers_count_the_rules_in_force_and_neither_their_own_nor_publish(settings: Settings) -> None:
    with visiting(settings) as person:
        path = from_playground(person, LONGER)
        ended(person, path)
    with visiting(settings, VIEWER) as viewer:
        assert "neither count nor publish" in from_playground(viewer, LONGER)
        assert "Publish" not in words(viewer.get(path).text)
        assert viewer.send(f"{path}/publish").status_code == 403
        assert viewer.send("/backtest", again=path.rpartition("/")[2]).status_code == 403
        own = viewer.send("/backtest", rules="", **{"from": "30d"}).url.path
        assert "2 matches" in words(ended(viewer, own))


def test_a_last_day_counts_as_a_whole() -> None:
    found = read_range("2026-10-01", "2026-10-01", NOW)
    assert found["until"] - found["since"] == 86_399
    assert read_range("30d", "", NOW)["since"] == NOW - 30 * 86_400
    with pytest.raises(BadRange, match="after"):
        read_range("2026-10-02", "2026-10-01", NOW)
