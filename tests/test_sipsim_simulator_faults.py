"""The simulated SIPSIM when it limits, fails and is driven from outside."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import httpx
import pytest

from platforms.sipsim.simulator import Config, PlannedFault, Record, Simulator, serve
from platforms.sipsim.simulator.gate import Counters, Gate
from tests.waiting import eventually

PUT_ROUTE = "PUT /api/v2/calls/{call}/tags/{tag}"
TOKEN_FORM = {
    "grant_type": "client_credentials",
    "client_id": "simulated-client",
    "client_secret": "simulated-client-secret",
    "scope": "tags.read tags.write calls.read calls.tags.write",
}


@pytest.fixture
def simulator() -> Simulator:
    simulator = Simulator()
    simulator.add(Record(1, "call_1", "inbound", "+33612345678", "+33184800100", 1_790_000_000, 60))
    simulator.tags.create("Long")
    return simulator


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    with serve(simulator) as url, httpx.Client(base_url=url, trust_env=False) as client:
        token = client.post("/oauth/token", data=TOKEN_FORM).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def put(client: httpx.Client) -> int:
    return client.put("/api/v2/calls/1/tags/1").status_code


def test_more_than_the_limit_in_a_second_is_429(simulator: Simulator, client: httpx.Client) -> None:
    simulator.config.change({"rate_limit": 5, "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT"})
    began = monotonic()
    answers = [client.get("/api/v2/tags") for _ in range(9)]
    tokens = [client.post("/oauth/token", data=TOKEN_FORM).status_code for _ in range(3)]
    assert monotonic() - began < 1, "too slow a machine to be inside one second"
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 4
    assert answers[-1].headers["retry-after"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    assert answers[-1].json()["errors"] == ["Too many requests"]
    assert tokens == [200] * 3
    counters = simulator.counters
    assert (counters.rate_limited, counters.max_in_one_second, counters.tokens_issued) == (4, 9, 4)


def test_the_limit_lets_through_again_when_the_second_is_over(
    simulator: Simulator, client: httpx.Client
) -> None:
    simulator.config.change({"rate_limit": 2, "retry_after": None})
    began = monotonic()
    while (answer := client.get("/api/v2/tags")).status_code == 200:
        pass
    assert "retry-after" not in answer.headers
    eventually(lambda: client.get("/api/v2/tags").status_code == 200, "let through again")
    assert monotonic() - began >= 1


def test_the_second_of_the_limit_slides() -> None:
    counters = Counters()
    gate = Gate(Config(rate_limit=3), counters, seed=1)
    moments = [0.0, 0.5, 0.99, 0.999, 1.0, 1.4, 1.5, 1.6]
    refused = [moment for moment in moments if gate.arrive("GET /api/v2/tags", moment)]
    assert refused == [0.999, 1.4, 1.6]
    assert counters.max_in_one_second == 6


def test_an_outage_answers_as_planned_and_ends(simulator: Simulator, client: httpx.Client) -> None:
    simulator.plan(PlannedFault(kind="503", seconds=0.3, retry_after="2"))
    down = client.get("/api/v2/tags")
    assert (down.status_code, down.headers["retry-after"]) == (503, "2")
    assert client.post("/oauth/token", data=TOKEN_FORM).status_code == 200
    eventually(lambda: put(client) == 201, "the outage is over", seconds=5)


def test_a_planned_fault_hits_its_route_so_often(simulator: Simulator, client: httpx.Client) -> None:
    simulator.plan(PlannedFault(kind="500", route=PUT_ROUTE, count=2))
    assert client.get("/api/v2/tags").status_code == 200
    assert [put(client) for _ in range(4)] == [500, 500, 201, 204]
    assert simulator.counters.requests[PUT_ROUTE] == {"500": 2, "201": 1, "204": 1}


def test_the_token_route_fails_when_it_is_named(simulator: Simulator, client: httpx.Client) -> None:
    simulator.plan(PlannedFault(kind="502", route="*"))
    assert client.post("/oauth/token", data=TOKEN_FORM).status_code == 502
    assert client.delete("/_control/faults").status_code == 200
    assert client.post("/oauth/token", data=TOKEN_FORM).status_code == 200


@pytest.mark.parametrize(("kind", "tags"), [("drop_before", []), ("drop_after", ["Long"])])
def test_a_connection_is_cut_before_or_after_the_effect(
    simulator: Simulator, client: httpx.Client, kind: str, tags: list[str]
) -> None:
    simulator.plan(PlannedFault(kind=kind, count=1))
    with pytest.raises(httpx.TransportError):
        put(client)
    assert simulator.call_tags() == {"call_1": tags}
    assert simulator.counters.put_201 == len(tags)
    assert put(client) == (204 if tags else 201)
    assert simulator.counters.requests[PUT_ROUTE]["dropped"] == 1


def test_a_share_of_the_requests_fails_in_every_way(simulator: Simulator, client: httpx.Client) -> None:
    simulator.config.change({"error_rate": 0.5})

    def outcome(_: int) -> str:
        try:
            return str(client.get("/api/v2/tags").status_code)
        except httpx.TransportError:
            return "dropped"

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(outcome, range(200)))
    assert set(seen) == {"200", "500", "502", "503", "504", "dropped"}
    assert 60 < seen.count("200") < 140
    counted = simulator.counters.requests["GET /api/v2/tags"]
    assert counted == {kind: seen.count(kind) for kind in set(seen)}


def test_an_answer_is_late_by_the_latency(simulator: Simulator, client: httpx.Client) -> None:
    simulator.config.change({"latency": 0.2})
    began = monotonic()
    assert put(client) == 201
    assert monotonic() - began >= 0.2


def test_the_control_interface_changes_the_settings_or_says_why_not(client: httpx.Client) -> None:
    changed = client.post("/_control/config", json={"rate_limit": 7, "ids": "integer"})
    assert changed.json()["rate_limit"] == 7
    assert "secret" not in changed.text
    for wrong in ({"rate_limit": 9, "latency": -1}, {"speed": 1}, {"error_kinds": ["200"]}, [1]):
        refused = client.post("/_control/config", json=wrong)
        assert refused.status_code == 400
        assert refused.json()["error"]
    assert client.post("/_control/config", json={}).json()["rate_limit"] == 7


def test_the_control_interface_adds_and_edits_calls(client: httpx.Client) -> None:
    call = {
        "reference": "call_2",
        "direction": "outbound",
        "caller": "+33184800100",
        "receiver": "+33612345678",
        "started_at": "2026-11-20T10:00:00+01:00",
        "duration": 60,
    }
    [call_id] = client.post("/_control/calls", json=[call]).json()["ids"]
    assert client.post("/_control/calls", json=[call]).status_code == 400
    edited = client.post("/_control/edit", json={"call": "call_2", "add": ["VIP", "Long"]})
    assert edited.json() == {"tags": ["VIP", "Long"]}
    client.post("/_control/edit", json={"call": str(call_id), "remove": ["VIP", "Unheard of"]})
    assert client.post("/_control/edit", json={"call": "call_3"}).status_code == 400
    state = client.get("/_control/state").json()
    assert state["calls"] == {"call_1": [], "call_2": ["Long"]}
    assert state["counters"]["put_201"] == 0


def test_faults_and_revocation_are_ordered_from_outside(client: httpx.Client) -> None:
    assert client.post("/_control/faults", json={"kind": "429", "count": 1}).status_code == 200
    assert put(client) == 429
    assert client.post("/_control/faults", json={"kind": "200"}).status_code == 400
    client.post("/_control/revoke")
    assert put(client) == 401


def test_a_port_in_use_is_an_error(simulator: Simulator, client: httpx.Client) -> None:
    port = client.base_url.port
    assert port
    with pytest.raises(OSError, match="in use"), serve(Simulator(), port=port):
        pass
