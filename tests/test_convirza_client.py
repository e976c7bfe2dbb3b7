"""Convirza's REST client over a real socket, beside what every platform's client is held to."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from platforms.adapter import Changed, Check, Grant, Tag
from platforms.convirza.client import ConvirzaClient, connect
from platforms.convirza.settings import ConvirzaSettings
from platforms.convirza.simulator import Config, Simulator, make_app
from platforms.convirza.simulator.shown import Shown
from platforms.errors import Conflict, Forbidden, NotFound, PlatformError, Refused, Unauthorized, Unreachable
from platforms.link import Link
from platforms.simulated import Call, Fault
from platforms.simulated.serving import serve
from rules.ruleset import CatalogueTag

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


class Tokens:
    """The fleet's tokens, as far as one client sees them, with their refresh tokens."""

    def __init__(self) -> None:
        self.kept: Grant | None = None
        self.others: dict[str, Tokens] = {}

    def token(self, renew: Callable[[], tuple[str, float]], rejected: str | None = None) -> str:
        raise AssertionError((renew, rejected))  # every token of Convirza has a refresh token

    def rotating(self, renew: Callable[[str | None], Grant], rejected: str | None = None) -> str:
        if self.kept is None:
            self.kept = renew(None)
        elif self.kept.token == rejected:
            self.kept = renew(self.kept.refresh)
        return self.kept.token

    def apart(self, purpose: str) -> "Tokens":
        return self.others.setdefault(purpose, Tokens())


class Bench:
    """A client at a simulated Convirza."""

    def __init__(self, http: httpx.Client, simulator: Simulator, url: str, **settings: object) -> None:
        shown = {**Shown(simulator, url, limited=False).settings, **settings}
        self.settings = ConvirzaSettings.model_validate({k: v for k, v in shown.items() if v is not None})
        self.simulator = simulator
        self.tokens = Tokens()
        link = Link(http, lambda: None, lambda _seconds: None)
        self.client: ConvirzaClient = connect(self.settings, link, self.tokens)

    def call(self) -> str:
        return str(self.simulator.add(Call(started=time.time() - 600, duration=300)).id)

    def put(self, call_id: str, *names: str) -> Changed:
        changed = Changed()
        ids = {name: str(self.simulator.define(name)) for name in names}
        self.client.change_tags(call_id, ids, {}, changed)
        return changed

    def tags(self, call_id: str) -> list[str]:
        return self.simulator.calls[int(call_id)].tags


Make = Callable[..., Bench]


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(Config(rate_limit=None))


@pytest.fixture
def make(http: httpx.Client, simulator: Simulator) -> Iterator[Make]:
    with serve(make_app(simulator), simulator.connections) as url:
        yield lambda **settings: Bench(http, simulator, url, **settings)


@pytest.fixture
def bench(make: Make) -> Bench:
    return make()


def ways(bench: Bench) -> dict[str, int]:
    return dict(bench.simulator.counters.token_requests)


def test_a_login_brings_tokens_whose_ends_are_times(bench: Bench) -> None:
    bench.client.list_tags()
    (kept,) = (each.kept for each in bench.tokens.others.values() if each.kept)
    assert kept.until == pytest.approx(time.time() + 7 * 86_400, abs=60)
    assert kept.refresh_until == pytest.approx(time.time() + 180 * 86_400, abs=60)
    assert ways(bench) == {"login": 1}


def test_a_rejected_token_is_renewed_by_the_refresh_token_which_is_good_once(bench: Bench) -> None:
    for _ in range(3):
        bench.client.list_tags()
        bench.simulator.revoke()
    bench.client.list_tags()
    assert ways(bench) == {"login": 1, "refresh": 3}


def test_a_refresh_token_that_was_used_up_is_unauthorized(bench: Bench) -> None:
    bench.client.list_tags()
    bench.simulator.revoke()
    bench.simulator.refresh.clear()
    with pytest.raises(Unauthorized, match="the refresh token is not taken"):
        bench.client.list_tags()


def test_a_wrong_password_is_unauthorized_and_not_told(make: Make) -> None:
    with pytest.raises(Unauthorized, match="brought no token: POST was answered 401") as fault:
        make(password="the wrong one").client.list_tags()
    assert "wrong one" not in str(fault.value)


def test_without_a_login_nothing_is_sent(make: Make) -> None:
    bench = make(email=None, password=None, apply="none")
    with pytest.raises(Unauthorized, match="no e-mail and password are set"):
        bench.client.list_tags()
    assert ways(bench) == {}


def test_each_user_and_each_api_has_tokens_of_its_own(make: Make) -> None:
    one, two = make(), make(email="another@example.com")
    purposes = set(one.tokens.others) | set(two.tokens.others)
    assert len(purposes) == 4
    assert all(len(f"{'a' * 40}:{purpose}") <= 64 for purpose in purposes)


@pytest.mark.parametrize("prose", [False, True])
def test_a_made_tag_is_read_in_both_documented_forms(bench: Bench, prose: bool) -> None:
    bench.simulator.config.prose = prose
    tag = bench.client.create_tag("VIP", "#EF4444", "people who matter")
    assert (tag.name, tag.color, tag.description) == ("VIP", None, None)
    with pytest.raises(Conflict):
        bench.client.create_tag("VIP", None, None)
    assert bench.client.list_tags() == [tag]


@pytest.mark.parametrize("prose", [False, True])
def test_several_tags_are_made_by_one_request_and_those_that_exist_are_told_apart(
    bench: Bench, prose: bool
) -> None:
    bench.simulator.config.prose = prose
    bench.simulator.define("Refund")
    answers = bench.client.create_tags([CatalogueTag(name) for name in ("VIP", "Refund", "Long Call")])
    made = {name: tag for name, tag in answers.items() if isinstance(tag, Tag)}
    assert isinstance(answers["Refund"], Conflict)
    assert {tag.id: name for name, tag in made.items()} == {
        tag.id: tag.name for tag in bench.client.list_tags() if tag.name != "Refund"
    }
    assert sum(bench.simulator.counters.requests.values()) == 2, "one that makes them, one that lists them"


def test_one_tag_that_is_refused_does_not_keep_the_others_from_being_made(bench: Bench) -> None:
    answers = bench.client.create_tags([CatalogueTag(name) for name in ("VIP", "", "Long Call")])
    assert isinstance(answers[""], Refused)
    assert sorted(tag.name for tag in bench.client.list_tags()) == ["Long Call", "VIP"]
    assert {name for name, tag in answers.items() if isinstance(tag, Tag)} == {"VIP", "Long Call"}


def test_a_tag_is_made_in_an_organisation_unit_or_not_at_all(make: Make) -> None:
    with pytest.raises(Refused, match="ORG_UNIT_ID"):
        make(org_unit_id=None).client.create_tag("VIP", None, None)
    with pytest.raises(Forbidden):
        make(org_unit_id="1").client.create_tag("VIP", None, None)


def test_more_tags_than_a_page_holds_are_all_listed(bench: Bench) -> None:
    names = [f"tag {number}" for number in range(401)]
    for name in names:
        bench.simulator.define(name)
    assert [tag.name for tag in bench.client.list_tags()] == names


def test_a_tag_is_renamed_and_has_nothing_else_to_change(bench: Bench) -> None:
    tag = bench.client.create_tag("VIP", None, None)
    with pytest.raises(Refused, match="a name and nothing else"):
        bench.client.update_tag(tag.id, color="#EF4444")
    assert bench.client.update_tag(tag.id, name="Important").name == "Important"
    bench.simulator.define("Refund")
    with pytest.raises(Conflict):
        bench.client.update_tag(tag.id, name="Refund")
    with pytest.raises(NotFound):
        bench.client.update_tag("7", name="Other")


@pytest.mark.parametrize("replaces", [False, True])
def test_tags_of_others_stay_whatever_the_old_api_does_with_those_on_the_call(
    bench: Bench, replaces: bool
) -> None:
    bench.simulator.config.replaces = replaces
    call_id = bench.call()
    bench.simulator.edit(bench.simulator.calls[int(call_id)], add=["By hand"])
    assert bench.put(call_id, "One", "Two") == Changed(added=["One", "Two"])
    assert bench.put(call_id, "Two", "Three") == Changed(added=["Three"], already=["Two"])
    assert bench.tags(call_id) == ["By hand", "One", "Two", "Three"]
    assert ways(bench) == {"login": 1, "v2 login": 1}


def test_a_renamed_tag_on_the_call_is_there_already(bench: Bench) -> None:
    call_id = bench.call()
    tag_id = bench.simulator.define("Was")
    bench.put(call_id, "Was")
    bench.simulator.rename(tag_id, "Is")
    changed = Changed()
    bench.client.change_tags(call_id, {"Was": str(tag_id)}, {}, changed)
    assert changed == Changed(already=["Was"])


def test_a_tag_that_the_call_does_not_show_is_not_called_put(bench: Bench) -> None:
    call_id, changed = bench.call(), Changed()
    tag_id = str(bench.simulator.define("One"))
    bench.simulator.config.loses = True
    with pytest.raises(Unreachable, match="the call does not show them"):
        bench.client.change_tags(call_id, {"One": tag_id}, {}, changed)
    assert changed == Changed()


def test_a_form_that_takes_the_tags_of_others_off_is_said_so(bench: Bench) -> None:
    call_id, changed = bench.call(), Changed()
    bench.simulator.edit(bench.simulator.calls[int(call_id)], add=["By hand"])
    tag_id = str(bench.simulator.define("One"))
    bench.simulator.config.replaces = True
    bench.simulator.config.loses = True
    with pytest.raises(Refused, match="took others' tags off"):
        bench.client.change_tags(call_id, {"One": tag_id}, {}, changed)


def test_where_it_is_off_no_tag_is_put(make: Make) -> None:
    bench = make(apply="none", apply_path=None)
    call_id = bench.call()
    with pytest.raises(Refused, match="no way to put a tag on a call"):
        bench.put(call_id, "One")
    assert (bench.tags(call_id), ways(bench)) == ([], {})


def test_the_old_api_s_token_is_renewed_too(bench: Bench) -> None:
    call_id = bench.call()
    bench.put(call_id, "One")
    bench.simulator.revoke()
    bench.put(call_id, "Two")
    assert ways(bench) == {"login": 1, "v2 login": 1, "refresh": 1, "v2 refresh": 1}


def test_31_days_can_be_listed_at_once(bench: Bench) -> None:
    bench.call()
    since = NOW - timedelta(days=31) + HOUR
    (found,) = bench.client.list_calls(since, since + timedelta(days=31))
    assert found.event.facts["duration"] == 300


def test_calls_with_a_tag_are_picked_out(bench: Bench) -> None:
    tagged, tag = bench.call(), bench.client.create_tag("One", None, None)
    bench.call()
    bench.put(tagged, "One")
    page = bench.client.list_page(NOW - HOUR, NOW + HOUR, tag=tag.id)
    assert [record.id for record in page.records] == [tagged]
    assert bench.client.list_page(NOW - HOUR, NOW + HOUR, tag="7").records == []


def test_a_list_without_a_total_goes_on_after_a_full_page(bench: Bench) -> None:
    bench.simulator.config.counts = False
    for _ in range(401):
        bench.call()
    assert len(list(bench.client.list_calls(NOW - HOUR, NOW + HOUR))) == 401


def subjects(checks: list[Check]) -> dict[str, bool]:
    return {check.subject: check.ok for check in checks}


def test_doctor_is_told_what_is_off_and_why(make: Make) -> None:
    checks = make(apply="none").client.check()
    assert subjects(checks) == {"token": True, "tags": True, "organisation unit": True, "tags on calls": True}
    assert "off: Convirza's documented API has no way" in checks[-1].detail


def test_doctor_tries_the_old_api_where_it_is_on(make: Make) -> None:
    assert subjects(make().client.check())["tags on calls"] is True
    assert subjects(make(client_secret="wrong").client.check())["tags on calls"] is False


def test_doctor_tells_the_users_organisation_unit_where_none_is_set(make: Make) -> None:
    (check,) = (each for each in make(org_unit_id=None).client.check() if each.subject == "organisation unit")
    assert (check.ok, "4711" in check.detail) == (False, True)


def test_doctor_stops_at_a_login_that_fails(make: Make) -> None:
    (check,) = make(password="the wrong one").client.check()
    assert (check.subject, check.ok) == ("token", False)
    assert "the wrong one" not in check.detail


def test_doctor_asks_whether_the_platform_can_be_reached(bench: Bench) -> None:
    bench.simulator.fail(Fault("503", on="token"))
    (check,) = bench.client.check()
    assert "answer from this machine?" in check.detail


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v3/tag", "[]"),
        ("/v3/tag", '{"data": 7}'),
        ("/v3/tag", '{"data": {"a": [], "b": []}}'),
        ("/v3/tag", '{"data": [{"tag_id": 1}]}'),
        ("/v3/tag", '{"data": [7]}'),
        ("/oauth/token", "{}"),
        ("/oauth/token", '{"access_token": "a b", "expires_in": "2030-01-01T00:00:00Z"}'),
        ("/oauth/token", '{"access_token": "a", "expires_in": 604800}'),
    ],
)
def test_an_answer_that_is_not_as_documented_counts_as_an_outage(bench: Bench, path: str, body: str) -> None:
    bench.simulator.answers[path] = body.encode()
    with pytest.raises(PlatformError) as fault:
        bench.client.list_tags()
    assert type(fault.value) is Unreachable


def test_events_cannot_be_switched_on_from_here(bench: Bench) -> None:
    assert bench.client.enable_events() == []
