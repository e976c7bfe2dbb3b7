"""The JSON API: who may ask, and what is answered."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from rules.loader import parse
from store import linking, rulesets
from store.calls import Intent, Outcome, TagState, intend, lease, record
from tests.test_web_health import RULES
from tests.web_part import TOKEN, Web, answer, opened, request, running_web, signed
from web.app import trusted_hosts
from worker.intake import take_in
from worker.settings import load_settings

ODD = ["a/b", "a%2Fb", "été", "a b", "?x=1#y", "';--", "x" * 200, "📞", "a//b", "trailing/"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("api") / "data") as web:
        yield web


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Web]:
    """A web part of the test's own, for those that count."""
    with running_web(tmp_path / "data") as web:
        yield web


def end_event(pbx_id: str, duration: int = 1900) -> bytes:
    return orjson.dumps(
        {
            "event": "incoming_call_end",
            "caller": "+33612345678",
            "receiver": "+33123456789",
            "time": "2026-11-20T22:10:00+01:00",
            "pbx_id": pbx_id,
            "duration": duration,
            "audio_path": None,
            "status": "ANSWER",
        }
    )


def link_all(web: Web) -> list[int]:
    """What a worker does with new events; the calls that are due by it."""
    accounts = load_settings(None, {"CALLTAG_SIPSIM_WEBHOOK_SECRETS": "x"}).accounts
    due: list[int] = []
    with opened(web) as database:
        while (intake := take_in(database, accounts, time.time())).due or intake.more:
            due += intake.due
    return due


WRONG_TOKENS = {
    "none": None,
    "empty": b"",
    "no token": b"Bearer",
    "an empty token": b"Bearer ",
    "a wrong one": b"Bearer wrong",
    "the beginning": b"Bearer " + TOKEN[:-1].encode(),
    "more": b"Bearer " + TOKEN.encode() + b"x",
    "another scheme": b"Basic " + TOKEN.encode(),
    "no scheme": TOKEN.encode(),
    "bytes": b"Bearer \xff\xfe\xe9",
    "UTF-8": "Bearer é📞".encode(),
    "in capitals": b"Bearer " + TOKEN.upper().encode(),
}


def asked(path: bytes, given: bytes | None, host: bytes = b"localhost") -> bytes:
    headers = [] if given is None else [(b"Authorization", given)]
    return request(headers, b"", path, host).replace(b"POST ", b"GET ", 1)


@pytest.mark.parametrize("given", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
@pytest.mark.parametrize("path", [b"/api/status", b"/api/calls/sipsim/x"])
def test_without_the_right_token_the_answer_is_401(web: Web, path: bytes, given: bytes | None) -> None:
    with web.connect() as connection:
        connection.sendall(asked(path, given))
        answered = answer(connection)
        assert answered.status == 401
        assert answered.headers["www-authenticate"] == "Bearer"
        assert TOKEN.encode() not in answered.read()


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_with_the_right_token_the_answer_is_given(web: Web, given: str) -> None:
    assert web.raw(asked(b"/api/status", given.encode())) == 200


def test_a_token_in_the_address_is_no_token(web: Web) -> None:
    assert web.get(f"/api/status?token={TOKEN}&access_token={TOKEN}").status_code == 401


def test_an_event_that_is_not_linked_yet_counts_as_due(fresh: Web) -> None:
    empty = {"due": 0, "running": 0, "done": 0, "decided": 0, "parked": 0, "dead": 0}
    assert fresh.api("/status").json()["calls"] == empty
    for body in (end_event("1"), end_event("2"), end_event("1"), b"no JSON"):
        fresh.send(body)
    status = fresh.api("/status").json()
    assert status["calls"] == empty | {"due": 3}
    assert status["events"] == {"accepted": 3, "duplicate": 1, "dead": 0}
    link_all(fresh)
    status = fresh.api("/status").json()
    assert status["calls"] == empty | {"due": 2}
    assert status["events"] == {"accepted": 3, "duplicate": 1, "dead": 1}


def test_status_counts_calls_by_state_and_names_the_rule_set(fresh: Web) -> None:
    for n in range(4):
        fresh.send(end_event(str(n)))
    ids = link_all(fresh)
    assert fresh.api("/status").json()["ruleset"] is None
    ruleset = parse({"rules.yaml": RULES})
    now = time.time()
    with opened(fresh) as database, database.write() as connection:
        rulesets.activate(connection, ruleset.hash, ruleset.files, now)
        leased, _ = lease(connection, ids, "worker", now)
        states = ("done", "parked", "dead")
        outcomes = [Outcome(call, state) for call, state in zip(leased[:3], states, strict=True)]
        record(connection, "worker", outcomes, now)
    status = fresh.api("/status").json()
    assert status["calls"] == {"due": 0, "running": 1, "done": 1, "decided": 0, "parked": 1, "dead": 1}
    assert status["ruleset"] == ruleset.hash
    assert len(status["ruleset"]) == 64
    assert status["accounts"] == ["sipsim"]


def decided(web: Web, pbx_id: str) -> int:
    """A call as a worker leaves it: decided, tagged, with a second reference."""
    web.send(end_event(pbx_id))
    (call,) = link_all(web)
    ruleset = parse({"rules.yaml": RULES})
    now = time.time()
    decision = {
        "ruleset": ruleset.hash,
        "received_at": now,
        "outcomes": {"long-call": "true"},
        "tags": ["Long Call"],
        "added": ["Long Call"],
        "removed": [],
    }
    facts = {"caller": "+33612345678", "duration": 1900}
    with opened(web) as database, database.write() as connection:
        rulesets.activate(connection, ruleset.hash, ruleset.files, now)
        linking.add_ref(connection, ("sipsim", "call_id", f"id of {pbx_id}"), call)
        leased, _ = lease(connection, [call], "worker", now)
        put = Intent(call, "Long Call", TagState.OURS, "long-call", ruleset.hash)
        intend(connection, [put], now)
        outcome = Outcome(leased[0], "done", "a word", facts=facts, others=["VIP"], decision=decision)
        record(connection, "worker", [outcome], now)
    return call


def test_a_call_is_told_by_any_of_its_references(web: Web) -> None:
    decided(web, "call_told")
    found = web.api("/calls/sipsim/call_told").json()
    assert found == web.api("/calls/sipsim/id%20of%20call_told").json()
    assert found["facts"] == {"caller": "+33612345678", "duration": 1900}
    assert (found["state"], found["reason"]) == ("done", "a word")
    (decision,) = found["decisions"]
    assert (decision["rules"], decision["added"]) == ({"long-call": "true"}, ["Long Call"])
    assert "1900" in str(decision["trace"])
    assert "long-call" in str(decision["trace"])
    tags = {tag["name"]: (tag["whose"], tag["rule"]) for tag in found["tags"]}
    assert tags == {"Long Call": ("rule", "long-call"), "VIP": ("somebody else", None)}
    assert abs(found["tags"][0]["when"] - time.time()) < 60


def test_the_trace_of_an_earlier_decision_is_that_of_the_facts_of_then(web: Web) -> None:
    decided(web, "call_twice")
    web.send(end_event("call_twice", 100))
    link_all(web)
    (decision,) = web.api("/calls/sipsim/call_twice").json()["decisions"]
    assert "1900" in str(decision["trace"])


@pytest.mark.parametrize("reference", ODD)
def test_a_reference_of_odd_characters_is_found(web: Web, reference: str) -> None:
    web.send(end_event(reference))
    link_all(web)
    found = web.api(f"/calls/sipsim/{quote(reference, safe='')}")
    assert found.status_code == 200
    assert found.json()["references"] == {"pbx_id": reference}


@pytest.mark.parametrize(
    "path",
    ["sipsim/none", "none/call_1", "sipsim/", "sipsim/%00", "%00/x", "sipsim/%ff%fe", "sipsim/" + "x" * 5000],
)
def test_a_call_that_is_not_there_is_not_found(web: Web, path: str) -> None:
    answered = web.api(f"/calls/{path}")
    assert (answered.status_code, list(answered.json())) == (404, ["error"])


HOSTS = {
    b"localhost": 401,
    b"LocalHost:9000": 401,
    b"127.0.0.1": 401,
    b"[::1]:8000": 401,
    b"calltag.example.com": 401,
    b"evil.example.com": 400,
    b"calltag.example.com.evil.example.com": 400,
    b"calltag.example.com@evil.example.com": 400,
    b"": 400,
    b"\xff\xfe": 400,
}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("public") / "data"
    with running_web(folder, PUBLIC_URL="https://calltag.example.com") as web:
        yield web


@pytest.mark.parametrize(("host", "status"), HOSTS.items())
def test_the_api_answers_to_its_own_names_only(public: Web, host: bytes, status: int) -> None:
    assert public.raw(asked(b"/api/status", None, host)) == status


def test_webhooks_are_taken_by_any_name(public: Web) -> None:
    body = b"by another name"
    headers = [(name.encode(), value.encode()) for name, value in signed(body).items()]
    length = (b"Content-Length", str(len(body)).encode())
    assert public.raw(request([*headers, length], body, host=b"10.0.0.3:8000")) == 202


@pytest.mark.parametrize(
    ("values", "trusted"),
    [
        ({}, ["localhost", "127.0.0.1", "[::1]", "127.0.0.1"]),
        ({"HOST": "::1"}, ["localhost", "127.0.0.1", "[::1]", "[::1]"]),
        ({"HOST": "::"}, ["*"]),
        (
            {"HOST": "::", "PUBLIC_URL": "https://[2001:db8::1]:8443"},
            ["localhost", "127.0.0.1", "[::1]", "[::]", "[2001:db8::1]"],
        ),
    ],
)
def test_the_trusted_names_follow_the_settings(values: dict[str, str], trusted: list[str]) -> None:
    environ = {f"CALLTAG_{name}": value for name, value in values.items()}
    assert trusted_hosts(load_settings(None, environ)) == trusted
