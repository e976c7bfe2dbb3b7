"""Set-up on a page: the address, the settings, and the checks of `calltag doctor` when asked for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from platforms.sipsim.simulator import Config
from tests.pages import VIEWER, Person, visiting
from tests.worker_bench import LONG, TOKEN, Bench
from worker.setting_texts import of_accounts, of_the_whole
from worker.settings import Settings, load_settings

Make = Callable[..., Bench]
SECRET = "a-secret-of-webhooks"


def settings_of(bench: Bench, **more: str) -> Settings:
    """The bench's settings, with a rule file that is there and signed webhooks."""
    rules = bench.settings.data_dir / "rules.yaml"
    rules.write_text(LONG)
    shipped = Config()
    given = {
        "data_dir": str(bench.settings.data_dir),
        "redis_url": bench.settings.redis,
        "rules": str(rules),
        "sipsim_base_url": bench.account.settings.base_url,
        "sipsim_client_id": shipped.client_id,
        "sipsim_client_secret": shipped.client_secret,
        "sipsim_webhook_secrets": SECRET,
        "sipsim_rate": "500",
    }
    return load_settings(environ={f"CALLTAG_{name.upper()}": value for name, value in (given | more).items()})


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    return make_bench()


@pytest.fixture
def person(bench: Bench) -> Iterator[Person]:
    with visiting(settings_of(bench)) as somebody:
        somebody.get("/setup")
        yield somebody


def test_the_address_to_paste_is_told_and_nothing_is_checked_by_looking(bench: Bench, person: Person) -> None:
    told = person.reads("/setup")
    assert f"sipsim {person.address}/webhooks/sipsim" in told
    assert "Platforms deliver to https: set CALLTAG_PUBLIC_URL" in told
    assert "no webhook came of late" in told
    assert bench.simulator.counters.requests.get(TOKEN) is None


def test_the_checks_are_those_of_doctor(person: Person) -> None:
    told = person.send("/setup/checks").text
    for words in (
        "1 rule in ",
        "SQLite in the data folder takes writes",
        "CALLTAG_REDIS_URL answers",
        "sipsim: test event to",
        "sipsim: tags",
        "sipsim: webhook events",
    ):
        assert words in told


def test_events_that_are_off_are_switched_on_by_a_button(bench: Bench, person: Person) -> None:
    bench.simulator.enabled.clear()
    told = person.send("/setup/checks").text
    assert "switched off: " in told
    assert "Switch them on" in told
    assert "switched on: incoming_call_start" in person.send("/setup/events", account="sipsim").text
    told = person.send("/setup/checks").text
    assert "Switch them on" not in told
    assert "all that are needed are switched on: incoming_call_start, incoming_call_end" in told


def test_a_test_event_is_sent_and_seen(person: Person) -> None:
    told = person.send("/setup/test", account="sipsim").text
    assert "taken; paste this address" in told
    assert "the test event was seen: it is event 1" in told
    assert "last webhook" in told
    told = person.send("/setup/test", account="sipsim").text
    assert "the same test event was seen" in told or "it is event 2" in told


def test_htmx_gets_the_checks_alone(person: Person) -> None:
    answered = person.client.post(
        "/setup/test", data={"csrf": person.csrf, "account": "sipsim"}, headers={"HX-Request": "true"}
    )
    assert answered.text.startswith("<ul")


def test_what_is_wrong_comes_first_with_what_to_do(bench: Bench) -> None:
    settings = settings_of(bench, rules=str(Path("/nowhere/rules.yaml")), sipsim_client_secret="wrong")
    with visiting(settings) as person:
        person.get("/setup")
        told = person.send("/setup/checks").text
    assert told.index("CALLTAG_RULES, /nowhere/rules.yaml") < told.index("takes writes")
    assert "the client id and secret brought no token" in told


def test_a_viewer_sees_which_settings_are_there_and_checks_nothing(bench: Bench) -> None:
    with visiting(settings_of(bench), VIEWER) as person:
        html = person.get("/setup").text
        assert "simulated-client" not in html
        assert "CALLTAG_SIPSIM_CLIENT_ID" in html
        assert "<button type=" in html
        assert "Check now" not in html
        for path in ("checks", "events", "test"):
            assert person.send(f"/setup/{path}", account="sipsim").status_code == 403


def test_no_page_shows_a_secret(person: Person) -> None:
    html = person.get("/setup").text
    for secret in (SECRET, "simulated-client-secret", "admin-token-of-the-tests"):
        assert secret not in html
    assert "set, not shown" in html


def test_without_an_account_the_page_says_what_to_set(bench: Bench) -> None:
    settings = bench.settings.model_copy(update={"accounts": {}})
    with visiting(settings) as person:
        assert "no account is configured: set what docs/platforms says" in person.reads("/setup")


def test_an_account_that_there_is_not_is_not_found(person: Person) -> None:
    for path in ("events", "test"):
        answered = person.send(f"/setup/{path}", account="<b>nobody")
        assert (answered.status_code, "&lt;b&gt;nobody" in answered.text) == (404, True)


def test_settings_are_shown_without_what_is_secret() -> None:
    settings = load_settings(
        environ={
            "CALLTAG_DATABASE_URL": "postgresql://me:hunter2@db.example.com/calltag?password=hunter2",
            "CALLTAG_REDIS_URL": "redis://:hunter2@redis.example.com:6379/0",
            "CALLTAG_ADMIN_TOKEN": "hunter2-hunter2-hunter2",
            "CALLTAG_SIPSIM_CLIENT_ID": "me",
            "CALLTAG_SIPSIM_CLIENT_SECRET": "hunter2",
            "CALLTAG_SIPSIM_WEBHOOK_SECRETS": "hunter2,hunter3",
        }
    )
    shown = {one.name: one for one in [*of_the_whole(settings), *of_accounts(settings)["sipsim"]]}
    assert "hunter" not in str(shown)
    assert shown["CALLTAG_REDIS_URL"].value == "redis://redis.example.com:6379/0"
    assert shown["CALLTAG_PORT"][1:] == ("8000", False, False)
    assert shown["CALLTAG_ADMIN_TOKEN"][1:] == (None, True, True)
    assert shown["CALLTAG_VIEWER_TOKEN"][1:] == (None, True, False)
    assert shown["CALLTAG_SIPSIM_WEBHOOK_SECRETS"][1:] == (None, True, True)
    assert shown["CALLTAG_SIPSIM_CLIENT_ID"][1:] == ("me", False, True)
