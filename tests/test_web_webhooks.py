"""The webhook receiver, over real sockets: what is taken, what is refused, and that nothing is lost."""

import http.client
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import inbox
from store.database import Database
from tests.waiting import eventually
from tests.web_part import Web, answer, locked, request, running_web, send, signed

MIB = 1024 * 1024
LIMIT = 4 * MIB
ENDS_AFTER_COMMIT = """
import os, signal, sys
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from store.database import Database, migrate
from web.inbox import GroupCommit
from web.webhooks import Webhooks
from worker.settings import load_settings
settings = load_settings()
database = Database(settings.database)
migrate(database)
inbox = GroupCommit(database, lambda: os.kill(os.getpid(), signal.SIGKILL))
inbox.start()
webhooks = Webhooks(settings.accounts, inbox, settings.max_body)
app = Starlette(routes=[Route("/webhooks/{account}", webhooks, methods=["POST"])])
uvicorn.run(app, port=settings.port, log_level="error")
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One web part for the tests that do it no harm."""
    folder = tmp_path_factory.mktemp("web") / "data"
    with running_web(folder, SIPSIM_WEBHOOK_SECRETS="hook-secret,old-secret") as web:
        yield web


def headers_of(body: bytes, **more: bytes) -> list[tuple[bytes, bytes]]:
    genuine = [(name.encode(), value.encode()) for name, value in signed(body).items()]
    return [*genuine, (b"Content-Length", str(len(body)).encode())]


def statuses(web: Web, account: str = "sipsim") -> Counter[str]:
    """How many webhooks had which answer, as the metrics tell."""
    counted: Counter[str] = Counter()
    for line in web.get("/metrics").text.splitlines():
        if line.startswith(f'calltag_webhooks_total{{account="{account}",answer="'):
            counted[line.split('answer="')[1].split('"')[0]] = int(float(line.split()[-1]))
    return counted


def test_an_event_is_accepted_once_and_then_a_duplicate(web: Web) -> None:
    body = b'{"event": "test", "message": "once"}'
    answers = [web.send(body), web.send(body)]
    assert [one.status for one in answers] == [202, 202]
    assert [one.json() for one in answers] == [{"status": "accepted"}, {"status": "duplicate"}]
    assert web.bodies().count(body) == 1


def test_the_same_event_a_hundred_times_at_once_is_one_row(web: Web) -> None:
    body = b'{"event": "test", "message": "a hundred times"}'
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: web.send(body), range(100)))
    assert [one.status for one in answers] == [202] * 100
    assert Counter(one.json()["status"] for one in answers) == {"accepted": 1, "duplicate": 99}
    assert web.bodies().count(body) == 1


def test_a_repeated_event_with_a_new_signature_is_a_duplicate(web: Web) -> None:
    body = b'{"event": "test", "message": "signed again"}'
    answers = [web.send(body, **signed(body, time.time() - ago)).json() for ago in (200, 0)]
    assert [one["status"] for one in answers] == ["accepted", "duplicate"]


def test_either_of_two_secrets_passes(web: Web) -> None:
    for secret in ("hook-secret", "old-secret"):
        body = secret.encode()
        assert web.send(body, **signed(body, secret=secret)).status == 202
    assert web.send(b"third", **signed(b"third", secret="third-secret")).status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"duration": ' + b"9" * 5000 + b"}",
        b'{"a": 1, "a": 2}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"event": "of_tomorrow"}',
    ],
    ids=["empty", "text", "bytes", "deep", "long number", "keys twice", "NaN", "surrogate", "unknown"],
)
def test_what_is_signed_is_taken_whatever_it_holds(web: Web, body: bytes) -> None:
    assert web.send(body).json() == {"status": "accepted"}
    assert body in web.bodies()


GENUINE = b'{"event": "test", "message": "never stored"}'
(SIGNATURE_NAME, SIGNATURE), (STAMP_NAME, STAMP) = [
    (name.encode(), value.encode()) for name, value in signed(GENUINE).items()
]
REFUSED: dict[str, list[tuple[bytes, bytes]]] = {
    "nothing": [],
    "no signature": [(STAMP_NAME, STAMP)],
    "no timestamp": [(SIGNATURE_NAME, SIGNATURE)],
    "a wrong signature": [(SIGNATURE_NAME, b"0" * 64), (STAMP_NAME, STAMP)],
    "an empty signature": [(SIGNATURE_NAME, b""), (STAMP_NAME, STAMP)],
    "a signature that is no hex": [(SIGNATURE_NAME, b"z" * 64), (STAMP_NAME, STAMP)],
    "a signature of bytes": [(SIGNATURE_NAME, b"\xff\xfe\xe9" * 20), (STAMP_NAME, STAMP)],
    "a signature twice": [(SIGNATURE_NAME, SIGNATURE)] * 2 + [(STAMP_NAME, STAMP)],
    "a timestamp twice": [(SIGNATURE_NAME, SIGNATURE)] + [(STAMP_NAME, STAMP)] * 2,
    "signatures as a list": [(SIGNATURE_NAME, SIGNATURE + b", " + SIGNATURE), (STAMP_NAME, STAMP)],
    **{
        f"the timestamp {stamp!r}": [(SIGNATURE_NAME, SIGNATURE), (STAMP_NAME, stamp)]
        for stamp in (b"", b"NaN", b"inf", b"1_0", b"-1", b"+1", b"1.5", b"1e9", b"0x10", b"9" * 400)
    },
    "a timestamp in Arabic digits": [(SIGNATURE_NAME, SIGNATURE), (STAMP_NAME, "١٧٠٠".encode())],
    "a timestamp of bytes": [(SIGNATURE_NAME, SIGNATURE), (STAMP_NAME, b"\xff\xfe")],
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_a_webhook_that_is_not_genuine_is_refused_and_not_stored(
    web: Web, headers: list[tuple[bytes, bytes]]
) -> None:
    length = (b"Content-Length", str(len(GENUINE)).encode())
    assert web.raw(request([*headers, length], GENUINE)) == 401
    assert GENUINE not in web.bodies()


@pytest.mark.parametrize("off", [-302.0, 302.0])
def test_a_webhook_signed_too_long_ago_or_ahead_is_refused_and_counted_apart(web: Web, off: float) -> None:
    before = statuses(web)
    assert web.send(GENUINE, **signed(GENUINE, time.time() + off)).status == 401
    assert statuses(web) - before == {"the signed time is too far off": 1}
    assert GENUINE not in web.bodies()


@pytest.mark.parametrize("off", [-295.0, 295.0])
def test_a_webhook_signed_less_than_five_minutes_off_is_taken(web: Web, off: float) -> None:
    body = f"{off} seconds off".encode()
    assert web.send(body, **signed(body, time.time() + off)).status == 202


@pytest.mark.parametrize("account", ["nobody", "SIPSIM", "sipsim%00", "%ff", "...", "sipsim%2Fx", "é"])
def test_an_account_that_is_not_configured_is_not_found(web: Web, account: str) -> None:
    url = f"{web.url}/webhooks/{account}"
    assert httpx.post(url, content=GENUINE, headers=signed(GENUINE), trust_env=False).status_code == 404


def test_only_post_is_taken(web: Web) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert httpx.request(method, f"{web.url}/webhooks/sipsim").status_code == 405


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(web: Web) -> None:
    assert web.send(b"x" * LIMIT).status == 202
    answered = web.send(b"x" * (LIMIT + 1))
    assert (answered.status, answered.headers["connection"]) == (413, "close")


def chunked(body: bytes, size: int) -> bytes:
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1000, 300_000])
def test_a_chunked_body_is_taken_up_to_the_limit(web: Web, size: int) -> None:
    body = b"chunked %d " % size + b"x" * 500_000
    genuine = [*headers_of(body)[:2], (b"Transfer-Encoding", b"chunked")]
    assert web.raw(request(genuine, chunked(body, size))) == 202
    assert body in web.bodies()
    large = b"x" * (LIMIT + 1)
    assert web.raw(request([(b"Transfer-Encoding", b"chunked")], chunked(large, size))) == 413


@pytest.mark.parametrize(
    ("length", "sent", "status"),
    [
        (b"99999999", b"", 413),
        (b"9" * 18, b"", 413),
        (b"9" * 400, b"", 400),
        (b"-1", b"x", 400),
        (b"abc", b"x", 400),
        (b"5, 5", b"12345", 400),
    ],
)
def test_a_lying_content_length_is_refused_at_once(web: Web, length: bytes, sent: bytes, status: int) -> None:
    headers = [*headers_of(GENUINE)[:2], (b"Content-Length", length)]
    began = time.monotonic()
    assert web.raw(request(headers, sent)) == status
    assert time.monotonic() - began < 1.5


def test_two_lengths_are_refused(web: Web) -> None:
    headers = headers_of(GENUINE)
    assert web.raw(request([*headers, (b"Content-Length", b"3")], GENUINE)) == 400
    assert web.raw(request([*headers, (b"Transfer-Encoding", b"chunked")], GENUINE)) == 400


@pytest.mark.parametrize("length", [None, b"0", b"10"])
def test_a_body_that_is_longer_than_told_is_refused(web: Web, length: bytes | None) -> None:
    """What comes after the length is no request; the server may say so before it answers the first one."""
    told = [] if length is None else [(b"Content-Length", length)]
    assert web.raw(request([*headers_of(GENUINE)[:2], *told], GENUINE)) in (400, 401)
    assert GENUINE not in web.bodies()


def test_a_sender_that_asks_first_is_told_before_it_sends_too_much(web: Web) -> None:
    headers = [(b"Expect", b"100-continue"), (b"Content-Length", b"99999999")]
    with web.connect() as connection:
        connection.sendall(request(headers, b""))
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_a_slow_body_is_cut_off_while_others_are_served(web: Web) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        slow = [stack.enter_context(web.connect(20.0)) for _ in range(30)]
        for connection in slow:
            connection.sendall(request([(b"Content-Length", b"1000")], b"only the beginning"))
        times = []
        for n in range(20):
            start = time.monotonic()
            assert web.send(b"while others are slow %d" % n).status == 202
            times.append(time.monotonic() - start)
        assert max(times) < 1.0
        assert [answer(connection).status for connection in slow] == [408] * 30
        assert 4.5 < time.monotonic() - began < 9.0
        for connection in slow:
            eventually(lambda one=connection: ended(one), "the connection is closed")  # type: ignore[misc]


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def test_a_sender_that_goes_away_leaves_nothing(web: Web) -> None:
    before = statuses(web)
    with web.connect() as connection:
        connection.sendall(request([(b"Content-Length", b"1000")], b"only the beginning"))
    eventually(lambda: statuses(web) - before == {"the body is incomplete": 1}, "the web part notices")


def test_many_large_bodies_at_once_stay_inside_the_bound(tmp_path: Path) -> None:
    """16 bodies of the largest size together, however many are sent; then everybody is served again."""
    body = b"x" * (MIB - 1)
    with running_web(tmp_path / "data", MAX_BODY=str(MIB)) as web, ExitStack() as stack:
        web.send(b"warm")
        before = web.peak()
        connections = [stack.enter_context(web.connect(20.0)) for _ in range(60)]
        for connection in connections:
            connection.sendall(request([(b"Content-Length", str(MIB).encode())], body))
        answers = Counter(answer(connection).status for connection in connections)
        assert set(answers) == {503, 408}
        assert answers[408] <= 16
        assert web.peak() - before < 80 * MIB
        assert web.send(b"y" * MIB).status == 202


def test_a_locked_database_is_answered_503_and_taken_up_again(tmp_path: Path) -> None:
    with running_web(tmp_path / "data") as web:
        web.send(b"before")
        with locked(web.database_file), ThreadPoolExecutor(8) as pool:
            began = time.monotonic()
            answers = []
            while time.monotonic() - began < 3.0:
                answers += list(pool.map(lambda n: timed(web, b"during %d" % n), range(8)))
        assert {status for status, _, _ in answers} == {503}
        assert {again for _, again, _ in answers} == {"1"}
        assert max(seconds for _, _, seconds in answers) < 2.0
        again = [web.send(b"during %d" % n) for n in range(8)]
        assert {one.status for one in again} == {202}
        assert sorted(web.bodies()) == sorted([b"before", *(b"during %d" % n for n in range(8))])


def timed(web: Web, body: bytes) -> tuple[int, str, float]:
    began = time.monotonic()
    answered = web.send(body)
    return answered.status, answered.headers.get("retry-after", ""), time.monotonic() - began


def test_64_connections_are_answered_well_within_two_seconds(web: Web) -> None:
    def client(number: int) -> list[tuple[int, float]]:
        answers = []
        with closing(http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)) as connection:
            for n in range(10):
                began = time.monotonic()
                status = send(connection, b"one of many %d %d" % (number, n)).status
                answers.append((status, time.monotonic() - began))
        return answers

    with ThreadPoolExecutor(64) as pool:
        answers = [one for answers in pool.map(client, range(64)) for one in answers]
    assert {status for status, _ in answers} == {202}
    assert max(seconds for _, seconds in answers) < 2.0
    assert sum(body.startswith(b"one of many") for body in web.bodies()) == 640


def test_a_crash_before_the_commit_leaves_no_answer_and_no_row(tmp_path: Path) -> None:
    with running_web(tmp_path / "data") as web:
        web.send(b"before")
        with locked(web.database_file), web.connect() as connection:
            connection.sendall(request(headers_of(b"lost"), b"lost"))
            time.sleep(0.2)  # it waits for the lock, up to a second; nothing outside shows that it does
            web.kill()
            assert connection.recv(100) == b""
        assert web.bodies() == [b"before"]
    with running_web(tmp_path / "data") as web:
        assert web.send(b"lost").json() == {"status": "accepted"}


def test_after_a_crash_between_commit_and_answer_the_repeated_event_is_a_duplicate(tmp_path: Path) -> None:
    with running_web(tmp_path / "data", ("-c", ENDS_AFTER_COMMIT)) as web:
        with web.connect() as connection:
            connection.sendall(request(headers_of(b"kept"), b"kept"))
            assert ended(connection)
        assert web.process.wait(10) == -signal.SIGKILL
        assert web.bodies() == [b"kept"]
    with running_web(tmp_path / "data") as web:
        assert web.send(b"kept").json() == {"status": "duplicate"}


def test_every_answered_event_outlives_a_kill_under_load(tmp_path: Path) -> None:
    acknowledged: list[bytes] = []

    def bring(web: Web, n: int) -> None:
        body = b"event %d" % n
        try:
            if web.send(body).status == 202:
                acknowledged.append(body)
        except (OSError, http.client.HTTPException):
            pass

    with running_web(tmp_path / "data") as web, ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(bring, web, n) for n in range(3000)]
        eventually(lambda: len(acknowledged) > 150, "events are acknowledged")
        web.kill()
        for one in sent:
            one.cancel()
    assert len(acknowledged) > 150
    assert set(acknowledged) <= set(web.bodies())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_after_what_it_has_begun(tmp_path: Path, number: signal.Signals) -> None:
    with running_web(tmp_path / "data") as web:
        web.send(b"before")
        with locked(web.database_file), web.connect() as connection:
            connection.sendall(request(headers_of(b"under way"), b"under way"))
            time.sleep(0.2)  # as above
            web.process.send_signal(number)
            assert answer(connection).status == 503
        assert web.process.wait(15) in (0, -number)


def test_two_signals_end_the_process_at_once(tmp_path: Path) -> None:
    with running_web(tmp_path / "data") as web, web.connect() as connection:
        web.send(b"before")
        connection.sendall(request([(b"Content-Length", b"1000")], b"only the beginning"))
        for _ in range(2):
            web.process.send_signal(signal.SIGINT)
            time.sleep(0.3)  # two signals at the same moment are one
        web.process.wait(4)


NAMES = [
    b"X-Webhook-Signature",
    b"X-Webhook-Timestamp",
    b"Content-Type",
    b"Content-Encoding",
    b"Accept",
    b"Cookie",
]
VALUE = st.binary(max_size=60).map(lambda value: value.translate(None, b"\r\n\0"))
HEADERS = st.lists(
    st.tuples(st.sampled_from([*NAMES, b"Authorization", b"Forwarded", b"Range"]), VALUE), max_size=6
)
PATHS = [
    b"/webhooks/sipsim",
    b"/webhooks/%00",
    b"/api/status",
    b"/api/calls/sipsim/x",
    b"/readyz",
    b"/metrics",
    b"/nothing",
]
KNOWN = {200, 202, 307, 400, 401, 404, 405, 408, 413, 431, 503}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=HEADERS, body=st.binary(max_size=300), path=st.sampled_from(PATHS), sign=st.booleans())
def test_no_headers_and_no_body_are_a_fault_of_ours(
    web: Web, headers: list[tuple[bytes, bytes]], body: bytes, path: bytes, sign: bool
) -> None:
    length = headers_of(body) if sign else [(b"Content-Length", str(len(body)).encode())]
    assert web.raw(request([*length, *headers], body, path, b"localhost")) in KNOWN


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200), path=st.binary(max_size=40))
def test_bytes_that_are_no_request_are_no_fault_of_ours(web: Web, data: bytes, path: bytes) -> None:
    path = path.translate(None, b"\r\n \0")
    for sent in (data + b"\r\n\r\n", request([(b"Content-Length", b"0")], b"", b"/" + path, b"localhost")):
        with web.connect() as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            first = connection.recv(12)
            assert first == b"" or int(first[9:]) in KNOWN
    assert web.process.poll() is None


def test_two_web_processes_of_one_database_keep_each_event_once(tmp_path: Path, database_url: str) -> None:
    """Each event goes to both at once, as when a platform sends again what a balancer has elsewhere now."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(running_web(tmp_path / name, DATABASE_URL=database_url))
            for name in ("first", "second")
        )
        bodies = [f'{{"event": {n}}}'.encode() for n in range(100)]
        senders = stack.enter_context(ThreadPoolExecutor(8))
        pairs = [(senders.submit(first.send, body), senders.submit(second.send, body)) for body in bodies]
        told = [sorted(sent.result().json()["status"] for sent in pair) for pair in pairs]
        assert told == [["accepted", "duplicate"]] * len(bodies)
        database = Database(database_url)
        stack.callback(database.close)
        with database.read() as connection:
            kept = [row.body for row in inbox.unread(connection, ["sipsim"], 1000)]
    assert sorted(kept) == sorted(bodies)
