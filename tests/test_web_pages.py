"""The door of the pages: who may see and change, what every answer bears."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import time_machine

from store import sessions
from tests.pages import ADMIN, VIEWER, Person, running_pages, visiting
from tests.worker_bench import Bench
from web.pages.session import local

Make = Callable[..., Bench]
HOUR = 3600.0


@pytest.fixture
def person(make_bench: Make) -> Iterator[Person]:
    """Somebody who is not logged in yet."""
    with running_pages(make_bench().settings) as address:
        made = Person(address)
        with made.client:
            yield made


def test_a_page_asks_to_log_in_and_leads_back_to_it(person: Person) -> None:
    answered = person.get("/?since=2h")
    assert (answered.status_code, answered.headers["location"]) == (303, "/login?next=%2F%3Fsince%3D2h")
    answered = person.client.post("/login", data={"token": ADMIN, "next": "/?since=2h"})
    assert (answered.status_code, answered.headers["location"]) == (303, "/?since=2h")
    assert person.get("/").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", ADMIN[:-1], ADMIN + "x", ADMIN.upper(), "é📞"])
def test_with_a_wrong_token_nobody_gets_in(person: Person, token: str) -> None:
    assert person.log_in(token).status_code == 401
    assert person.get("/").status_code == 303


def test_the_cookie_is_kept_from_scripts_and_other_sites(person: Person) -> None:
    cookie = person.log_in().headers["set-cookie"]
    parts = {part.strip() for part in cookie.split(";")}
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"} <= parts
    assert "Secure" not in cookie


def test_behind_https_the_cookie_is_secure(make_bench: Make) -> None:
    bench = make_bench(public_url="https://calls.example.com")
    with running_pages(bench.settings) as address:
        for headers in ({"Host": "calls.example.com"}, {"X-Forwarded-Proto": "https"}):
            answered = httpx.post(f"{address}/login", data={"token": ADMIN}, headers=headers, trust_env=False)
            assert "Secure" in answered.headers["set-cookie"], headers


def test_the_database_does_not_hold_what_the_cookie_holds(make_bench: Make) -> None:
    bench = make_bench()
    with visiting(bench.settings) as person, bench.database.read() as connection:
        (row,) = connection.exec_driver_sql("SELECT * FROM sessions").all()
        secret = person.client.cookies["calltag_session"]
        assert all(secret not in str(value) and secret.encode() != value for value in row)


def test_a_session_ends_after_twelve_hours_and_when_one_logs_out(person: Person) -> None:
    with time_machine.travel(time.time(), tick=True) as clock:
        person.log_in()
        kept = {"Cookie": f"calltag_session={person.client.cookies['calltag_session']}"}
        clock.shift(12 * HOUR - 60)
        assert person.get("/").status_code == 200
        clock.shift(61)
        assert person.get("/", headers=kept).status_code == 303  # the browser should have dropped it
    person.log_in()
    cookies = dict(person.client.cookies)
    assert person.send("/logout").url.path == "/login"
    person.client.cookies.update(cookies)
    assert person.get("/").status_code == 303


def test_a_session_ends_when_its_token_is_changed(make_bench: Make) -> None:
    settings = make_bench().settings
    with visiting(settings) as person:
        cookies = dict(person.client.cookies)
    for token, status in ((ADMIN, 200), ("another-admin-token", 303)):
        with running_pages(settings, token) as address:
            answered = httpx.get(address, cookies=cookies, trust_env=False)
        assert answered.status_code == status, token


def test_after_ten_failed_attempts_even_the_right_token_waits(person: Person) -> None:
    with time_machine.travel(time.time(), tick=True) as clock:
        for _ in range(10):
            assert person.log_in("wrong").status_code == 401
        assert person.log_in().status_code == 429
        clock.shift(901)
        assert person.log_in().status_code == 303


def test_logging_in_forgives_the_attempts_before(person: Person) -> None:
    for _ in range(3):
        for _ in range(9):
            person.log_in("wrong")
        assert person.log_in().status_code == 303


def test_attempts_are_limited_in_all(make_bench: Make) -> None:
    bench = make_bench()
    with bench.database.write() as connection:
        for n in range(sessions.MOST_IN_ALL):
            assert sessions.may_try(connection, f"10.0.0.{n}", 1000.0)
        assert not sessions.may_try(connection, "10.9.9.9", 1000.0)
        assert sessions.may_try(connection, "10.9.9.9", 1001.0 + sessions.WINDOW)


def test_nothing_is_changed_without_the_csrf_token_or_from_another_site(person: Person) -> None:
    person.log_in()
    for fields, headers in (
        ({"csrf": ""}, {}),
        ({"csrf": "wrong"}, {}),
        ({}, {"Origin": "https://evil.example.com"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf": ""}, {"X-CSRF-Token": "wrong"}),
    ):
        person.client.headers.update(headers)
        answered = person.send("/logout", **fields)
        for name in headers:
            del person.client.headers[name]
        assert answered.status_code == 403, (fields, headers)
    assert person.get("/").status_code == 200
    person.client.headers["Origin"] = person.address
    answered = person.client.post("/logout", headers={"X-CSRF-Token": person.csrf})
    assert (answered.status_code, person.get("/").status_code) == (303, 303)


def test_nobody_is_logged_in_by_another_site(person: Person) -> None:
    person.client.headers["Origin"] = "https://evil.example.com"
    assert person.log_in().status_code == 403


def test_every_answer_bears_a_strict_policy_with_a_nonce_of_its_own(person: Person) -> None:
    person.log_in()
    nonces = set()
    for path in ("/", "/", "/login"):
        answered = person.get(path)
        policy = answered.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-" in policy
        assert "unsafe" not in policy
        nonces.update(re.findall("'nonce-([^']+)'", policy))
        assert answered.headers["x-content-type-options"] == "nosniff"
        assert answered.headers["cache-control"] == "no-store"
        assert answered.headers["referrer-policy"] == "same-origin"
    assert len(nonces) == 3


def test_a_page_holds_no_inline_script_or_style(person: Person) -> None:
    person.log_in()
    html = person.get("/").text
    assert re.findall(r"<script(?![^>]*src=)", html) == []
    assert re.findall(r"\son[a-z]+=|style=|<style", html) == []


def test_static_files_may_be_kept_for_ever_by_their_address(person: Person) -> None:
    person.log_in()
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', person.get("/").text)
    assert len(addresses) >= 5
    for address in addresses:
        answered = person.client.get(address)
        assert answered.status_code == 200, address
        assert answered.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert person.client.get(f"{addresses[0]}/../../session.py").status_code == 404


def test_where_there_is_no_page_people_are_told_so_and_programs_too(person: Person) -> None:
    for path in ("/nothing", "/static/0000/calltag.css", "/api/nothing"):
        shown = person.get(path, headers={"Accept": "text/html,*/*"})
        assert (shown.status_code, "there is no such page" in shown.text) == (404, True), path
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert person.get(path).text == "Not Found"


def test_a_form_that_is_too_large_is_refused(person: Person) -> None:
    person.log_in()
    assert person.send("/logout", more="x" * 300_000).status_code == 413


def test_another_host_name_is_refused(person: Person) -> None:
    for path in ("/", "/login"):
        assert person.get(path, headers={"Host": "evil.example.com"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["https://evil.org", "//evil.org", "/\\evil.org", "\\\\evil.org", "x", "", "/a\nb", "/\t/evil.org"],
)
def test_logging_in_leads_to_our_own_pages_only(path: str) -> None:
    assert local(path) == "/"


def test_a_viewer_may_look_and_is_told_so(person: Person) -> None:
    assert person.log_in(VIEWER).status_code == 303
    answered = person.get("/")
    assert (answered.status_code, "you may look only" in answered.text) == (200, True)


def test_a_database_that_cannot_be_used_is_told_without_a_trace(make_bench: Make) -> None:
    bench = make_bench()
    with visiting(bench.settings) as person:
        bench.database.close()
        with sqlite3.connect(bench.settings.data_dir / "calltag.db") as connection:
            connection.execute("ALTER TABLE sessions RENAME TO gone")
        connection.close()
        answered = person.get("/")
    assert answered.status_code == 503
    assert "the database cannot be used now" in answered.text
    assert "sessions" not in answered.text
