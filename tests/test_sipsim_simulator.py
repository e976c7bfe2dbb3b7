"""The simulated SIPSIM over a real socket: what its documents say it answers."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from platforms.sipsim.simulator import Config, Record, Segment, Series, Simulator, serve

SCOPES = (
    "tags.read tags.write calls.read calls.tags.write calls.transcription.read webhooks.read webhooks.write"
)
NOON = 1_790_000_000
REMOTE, OURS = "+33612345678", "+33184800100"
SINCE = "2026-01-01T00:00:00Z"
UNTIL = "2027-12-31T00:00:00Z"
PUT_ROUTE = "PUT /api/v2/calls/{call}/tags/{tag}"


def record(number: int, **changes: Any) -> Record:
    values: dict[str, Any] = {
        "id": number,
        "reference": f"call_{number:06x}",
        "direction": "inbound",
        "caller": REMOTE,
        "receiver": OURS,
        "started": NOON + number,
        "duration": 100,
    }
    return Record(**(values | changes))


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(Config(webhook_url=None))


@pytest.fixture
def url(simulator: Simulator) -> Iterator[str]:
    with serve(simulator) as url:
        yield url


@contextmanager
def authorised(url: str, scope: str = SCOPES) -> Iterator[httpx.Client]:
    form = {"grant_type": "client_credentials", "scope": scope}
    credentials = {"client_id": "simulated-client", "client_secret": "simulated-client-secret"}
    with httpx.Client(base_url=url, trust_env=False) as client:
        token = client.post("/oauth/token", data=form | credentials).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with authorised(url) as client:
        yield client


def listed(client: httpx.Client, **asked: str | int) -> list[int]:
    """The ids of all pages, in their order."""
    ids: list[int] = []
    params: dict[str, str | int] = {"start_time": SINCE, "end_time": UNTIL, **asked}
    while True:
        answer = client.get("/api/v2/calls", params=params).json()
        assert answer["pagination"]["count"] == len(answer["data"]) <= answer["pagination"]["limit"]
        ids += [call["id"] for call in answer["data"]]
        if not answer["pagination"]["has_more"]:
            return ids
        params["page"] = answer["pagination"]["page"]


def test_a_token_is_given_for_the_credentials(url: str) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "simulated-client",
        "client_secret": "simulated-client-secret",
        "scope": "tags.read calls.read",
    }
    token = httpx.post(f"{url}/oauth/token", data=form).json()
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 7200
    assert token["scope"] == "calls.read tags.read"
    assert isinstance(token["created_at"], int)


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "everything"}, 400, "invalid_scope"),
    ],
)
def test_a_token_is_refused(url: str, change: dict[str, str], status: int, error: str) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": "simulated-client",
        "client_secret": "simulated-client-secret",
        "scope": "tags.read",
    }
    answer = httpx.post(f"{url}/oauth/token", data=form | change)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_without_a_good_token_there_is_nothing_to_see(simulator: Simulator, url: str) -> None:
    assert httpx.get(f"{url}/api/v2/tags").status_code == 401
    with authorised(url) as client:
        assert client.get("/api/v2/tags").status_code == 200
        simulator.tokens.revoke_all()
        refused = client.get("/api/v2/tags")
    assert refused.status_code == 401
    assert refused.json()["path"] == "/api/v2/tags"


def test_an_old_token_is_refused(simulator: Simulator, url: str) -> None:
    simulator.config.change({"token_seconds": 0})
    with authorised(url) as client:
        assert client.get("/api/v2/tags").status_code == 401


def test_a_token_without_the_scope_is_forbidden(url: str) -> None:
    with authorised(url, "tags.read") as client:
        assert client.get("/api/v2/tags").status_code == 200
        assert client.post("/api/v2/tags", json={"name": "Long"}).status_code == 403


def test_a_tag_is_created_once(client: httpx.Client) -> None:
    made = client.post("/api/v2/tags", json={"name": "Long"})
    assert made.status_code == 201
    assert made.json()["data"] == {"id": 1, "name": "Long", "color": "#6B7280", "description": ""}
    again = client.post("/api/v2/tags", json={"name": "Long"})
    assert again.status_code == 409
    assert set(again.json()) == {"status", "errors", "request_id", "path"}
    assert client.post("/api/v2/tags", json={"name": "long"}).status_code == 201


def test_names_may_be_the_same_but_for_case_where_so_configured(
    simulator: Simulator, client: httpx.Client
) -> None:
    simulator.config.change({"tags_ignore_case": True})
    assert client.post("/api/v2/tags", json={"name": "Long"}).status_code == 201
    assert client.post("/api/v2/tags", json={"name": "lONG"}).status_code == 409


def test_a_tag_is_changed_and_keeps_its_name_to_itself(simulator: Simulator, client: httpx.Client) -> None:
    simulator.tags.create("Long")
    simulator.tags.create("Short")
    changed = client.patch("/api/v2/tags/1", json={"name": "Longer", "color": "#FF0000"})
    assert changed.json()["data"] == {"id": 1, "name": "Longer", "color": "#FF0000", "description": ""}
    assert client.patch("/api/v2/tags/1", json={"name": "Short"}).status_code == 409


def test_a_deleted_tag_is_off_every_call(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add(record(1))
    simulator.edit("1", add=["Long", "VIP"])
    assert client.delete("/api/v2/tags/1").status_code == 204
    assert [tag["name"] for tag in client.get("/api/v2/calls/1/tags").json()["data"]] == ["VIP"]
    assert client.delete("/api/v2/tags/1").status_code == 404


def test_tags_come_in_pages(simulator: Simulator, client: httpx.Client) -> None:
    for number in range(1003):
        simulator.tags.create(f"Tag {number}")
    first = client.get("/api/v2/tags").json()
    assert first["pagination"]["count"] == first["pagination"]["limit"] == 1000
    second = client.get("/api/v2/tags", params={"page": first["pagination"]["page"]}).json()
    assert [tag["name"] for tag in second["data"]] == ["Tag 1000", "Tag 1001", "Tag 1002"]
    assert "page" not in second["pagination"]


def test_a_tag_is_put_on_a_call_once(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add(record(1))
    simulator.tags.create("Long")
    assert client.put("/api/v2/calls/call_000001/tags/1").status_code == 201
    again = client.put("/api/v2/calls/1/tags/1")
    assert (again.status_code, again.content) == (204, b"")
    assert client.get("/api/v2/calls/1").json()["data"] == {
        "id": 1,
        "direction": "inbound",
        "caller_number": REMOTE,
        "receiver_number": OURS,
        "duration_sec": 100,
        "tags": [{"id": 1, "name": "Long", "color": "#6B7280"}],
    }
    assert (simulator.counters.put_201, simulator.counters.put_204) == (1, 1)


def test_a_put_of_what_is_unknown_is_404_and_a_delete_is_204(
    simulator: Simulator, client: httpx.Client
) -> None:
    simulator.add(record(1))
    simulator.edit("1", add=["Long"])
    for path in ("/api/v2/calls/2/tags/1", "/api/v2/calls/1/tags/2", "/api/v2/calls/call_x/tags/1"):
        assert client.put(path).status_code == 404
        assert client.delete(path).status_code == 204
    assert simulator.call_tags() == {"call_000001": ["Long"]}
    assert client.delete("/api/v2/calls/1/tags/1").status_code == 204
    assert simulator.call_tags() == {"call_000001": []}


def test_where_ids_are_integers_the_reference_is_unknown(simulator: Simulator, client: httpx.Client) -> None:
    simulator.config.change({"ids": "integer"})
    simulator.add(record(1))
    simulator.tags.create("Long")
    assert client.put("/api/v2/calls/call_000001/tags/1").status_code == 404
    assert client.put("/api/v2/calls/1/tags/1").status_code == 201


def test_calls_are_listed_by_window_number_type_and_tag(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add(record(1))
    simulator.add(record(2, direction="outbound", caller=OURS, receiver="+33700000000"))
    simulator.add(record(3, status="MISSED", duration=0, voicemail=True))
    simulator.edit("2", add=["Long"])
    assert listed(client) == [3, 2, 1]
    assert listed(client, search=REMOTE) == [3, 1]
    assert listed(client, call_types="missed,outgoing") == [3, 2]
    assert listed(client, call_types="voicemail") == [3]
    assert listed(client, tags="1,77") == [2]
    assert listed(client, tags="1", search=REMOTE) == []
    only_second = {"start_time": "2026-09-21T14:13:22Z", "end_time": "2026-09-21T16:13:22+02:00"}
    assert listed(client, **only_second) == [2]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"start_time": "yesterday"},
        {"start_time": SINCE, "limit": 19},
        {"start_time": SINCE, "limit": 1001},
        {"start_time": SINCE, "page": "!"},
        {"start_time": SINCE, "call_types": "internal"},
    ],
)
def test_a_list_that_is_badly_asked_for_is_400(client: httpx.Client, params: dict[str, str | int]) -> None:
    assert client.get("/api/v2/calls", params=params).status_code == 400


def test_pages_hold_each_call_once_while_new_ones_come(simulator: Simulator, client: httpx.Client) -> None:
    for number in range(1, 51):
        simulator.add(record(number, started=NOON))
    first = client.get("/api/v2/calls", params={"start_time": SINCE, "end_time": UNTIL, "limit": 20}).json()
    simulator.add(record(51, started=NOON))
    rest = listed(client, limit=20, page=first["pagination"]["page"])
    assert [call["id"] for call in first["data"]] + rest == list(range(50, 0, -1))


def test_a_page_token_expires_where_so_configured(simulator: Simulator, client: httpx.Client) -> None:
    for number in range(1, 51):
        simulator.add(record(number))
    simulator.config.change({"page_seconds": 60})
    asked: dict[str, str | int] = {"start_time": SINCE, "end_time": UNTIL, "limit": 20}
    asked["page"] = client.get("/api/v2/calls", params=asked).json()["pagination"]["page"]
    assert len(client.get("/api/v2/calls", params=asked).json()["data"]) == 20
    simulator.config.change({"page_seconds": 0})
    refused = client.get("/api/v2/calls", params=asked)
    assert refused.status_code == 400
    assert refused.json()["errors"] == ["page has expired"]
    assert set(refused.json()) == {"status", "errors", "request_id", "path"}


def test_a_call_is_listed_some_time_after_its_end(simulator: Simulator, client: httpx.Client) -> None:
    simulator.config.change({"list_delay": 3600})
    simulator.add(record(1))
    assert listed(client) == []
    assert client.get("/api/v2/calls/1").status_code == 200
    simulator.config.change({"list_delay": 0, "list_reference": True})
    answer = client.get("/api/v2/calls", params={"start_time": SINCE, "end_time": UNTIL}).json()
    assert answer["data"][0]["pbx_id"] == "call_000001"


def test_a_history_is_listed_searched_and_tagged_like_other_calls() -> None:
    history = Series(count=1_000_000, start=NOON, step=2)
    simulator = Simulator(history=history)
    simulator.add(record(1, started=NOON + 1))
    middle = history.record(500_000)
    with serve(simulator) as url, authorised(url) as client:
        calls = listed(client, start_time="2026-09-21T14:13:20Z", end_time="2026-09-21T14:14:20Z", limit=20)
        assert calls == [*range(10_000_031, 10_000_001, -1), 1, 10_000_001]
        same = listed(client, search=middle.caller if middle.direction == "inbound" else middle.receiver)
        assert same == [10_000_001 + index for index in range(995_000, -1, -5000)]
        simulator.tags.create("Long")
        assert client.put(f"/api/v2/calls/{middle.reference}/tags/1").status_code == 201
        assert listed(client, tags="1") == [middle.id]
    assert simulator.call_tags()[middle.reference] == ["Long"]


def test_many_tagged_calls_of_a_history_are_listed_by_tag_page_by_page() -> None:
    history = Series(count=25_000, start=NOON, step=2)
    simulator = Simulator(history=history)
    few, many = simulator.tags.create("Few"), simulator.tags.create("Many")
    for index in range(25_000):
        if index % 2 == 0:
            simulator.put_by_api(history.record(index), many)
        if index % 5000 == 1:
            simulator.put_by_api(history.record(index), few)
    simulator.add(record(1, started=NOON + 3))
    simulator.edit("1", add=["Many"])
    with serve(simulator) as url, authorised(url) as client:
        every_second = [10_000_001 + index for index in range(24_998, -1, -2)]
        assert listed(client, tags=f"{many.id}") == [*every_second[:-1], 1, every_second[-1]]
        assert listed(client, tags=f"{few.id}") == [10_000_001 + index for index in range(20_001, 0, -5000)]
        both = listed(client, tags=f"{few.id},{many.id}", end_time="2026-09-21T14:13:30Z")
        assert both == [10_000_005, 10_000_003, 1, 10_000_002, 10_000_001]
        assert client.delete(f"/api/v2/tags/{many.id}").status_code == 204
        assert listed(client, tags=f"{many.id}") == []
    assert sum(map(len, simulator.call_tags().values())) == 5


def test_a_transcription_has_numbered_channels(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add(record(1, segments=(Segment("Hello", 0.0, 1.5, "right"), Segment("Hi", 2.0, 2.5, "left"))))
    simulator.add(record(2))
    answer = client.get("/api/v2/calls/1/transcription").json()["data"]
    assert answer["speech_state"] == "speech_stored"
    assert [part["channel"] for part in answer["payload"]] == [1, 0]
    assert client.get("/api/v2/calls/2/transcription").status_code == 404


def test_webhook_events_are_switched_on_and_off(client: httpx.Client) -> None:
    every = [each["event"] for each in client.get("/api/v2/webhooks/available").json()["data"]]
    assert "test" not in every
    assert client.delete("/api/v2/webhooks/sms").status_code == 204
    assert {"event": "sms"} not in client.get("/api/v2/webhooks").json()["data"]
    assert client.post("/api/v2/webhooks/sms").json()["data"] == [{"event": event} for event in every]
    assert client.post("/api/v2/webhooks/test").status_code == 404


def test_many_at_once_put_a_tag_once(simulator: Simulator, client: httpx.Client) -> None:
    simulator.add(record(1))
    simulator.tags.create("Long")
    together = threading.Barrier(8)

    def put(_: int) -> int:
        together.wait()
        return client.put("/api/v2/calls/1/tags/1").status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(put, range(8))) == {201: 1, 204: 7}
    assert simulator.counters.requests[PUT_ROUTE] == {"201": 1, "204": 7}
