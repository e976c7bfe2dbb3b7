"""One request to a platform, and what comes of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.errors import (
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    OutOfTime,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link, TimelyTransport, retry_after

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

WAITS = [
    (None, 5.0),
    ("30", 30.0),
    (" 30 ", 30.0),
    ("2.5", 2.5),
    ("0", 1.0),
    ("-30", 1.0),
    ("100000", 900.0),
    ("9" * 400, 900.0),
    ("9" * 5000, 900.0),
    ("nan", 5.0),
    ("inf", 5.0),
    ("1e3", 5.0),
    ("1_0", 5.0),
    ("٣٠", 5.0),
    ("soon", 5.0),
    ("", 5.0),
    ("Fri, 20 Nov 2026 12:01:00 GMT", 60.0),
    ("Fri, 20 Nov 2026 12:01:00", 60.0),
    ("Fri, 20 Nov 2026 12:01:00 -0000", 60.0),
    ("Fri, 20 Nov 2026 14:01:00 +0200", 60.0),
    ("Fri, 20 Nov 2020 12:00:00 GMT", 1.0),
    ("Fri, 20 Nov 9999 12:00:00 GMT", 900.0),
    ("Fri, 20 Nov 99999 12:00:00 GMT", 5.0),
    ("Fri, 20 Nov 2026 12:00:00 +9999999999", 5.0),
    ("Fri, 20 Nov 2026 12:00:00 +" + "9" * 30, 5.0),
]


@pytest.mark.parametrize(("value", "seconds"), WAITS)
def test_retry_after_is_obeyed_within_sane_bounds(value: str | None, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]\d+", fullmatch=True)
)
def test_any_retry_after_has_a_sane_answer(value: str) -> None:
    assert 1.0 <= retry_after(value, NOW) <= 900.0


class Platform:
    """Answers as told, and notes what the link did around it."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.slots = 0
        self.limited: list[float] = []
        self.outcomes: list[str] = []
        self._answer = httpx.Response(status, headers=headers)

    def link(self) -> Link:
        http = httpx.Client(transport=httpx.MockTransport(lambda _: self._answer))
        return Link(http, self.take_slot, self.limited.append, self.outcomes.append)

    def take_slot(self) -> None:
        self.slots += 1


ANSWERS = [
    (302, Refused),
    (400, Refused),
    (401, Unauthorized),
    (403, Forbidden),
    (404, NotFound),
    (408, Unreachable),
    (409, Conflict),
    (410, Refused),
    (422, Refused),
    (425, Unreachable),
    (429, Limited),
    (500, Unreachable),
    (502, Unreachable),
    (503, Unreachable),
    (504, Unreachable),
    (599, Unreachable),
]


@pytest.mark.parametrize(("status", "kind"), ANSWERS)
def test_an_answer_that_is_no_success_says_what_it_means(status: int, kind: type[PlatformError]) -> None:
    platform = Platform(status)
    with pytest.raises(PlatformError) as fault:
        platform.link().send("PUT", "https://platform.example/secret/path")
    assert type(fault.value) is kind
    assert str(fault.value) == f"PUT was answered {status}"
    assert platform.outcomes == [str(status)]
    assert fault.value.permanent == (kind not in (Unreachable, Limited))


def test_a_success_is_given_and_took_a_slot() -> None:
    platform = Platform(204)
    assert platform.link().send("DELETE", "https://platform.example/").status_code == 204
    assert platform.slots == 1


def test_a_free_request_takes_no_slot() -> None:
    platform = Platform()
    platform.link().send("POST", "https://platform.example/", free=True)
    assert platform.slots == 0


def test_a_limit_is_told_to_the_fleet() -> None:
    platform = Platform(429, {"retry-after": "7"})
    with pytest.raises(Limited) as fault:
        platform.link().send("GET", "https://platform.example/")
    assert fault.value.retry_after == 7
    assert platform.limited == [7.0]


def test_an_outage_may_say_when_it_ends() -> None:
    with pytest.raises(Unreachable) as fault:
        Platform(503, {"retry-after": "60"}).link().send("GET", "https://platform.example/")
    assert fault.value.retry_after == 60
    with pytest.raises(Unreachable) as fault:
        Platform(503).link().send("GET", "https://platform.example/")
    assert fault.value.retry_after is None


def test_no_answer_is_unreachable() -> None:
    outcomes: list[str] = []
    with httpx.Client(trust_env=False) as http:
        link = Link(http, lambda: None, lambda _: None, outcomes.append)
        with pytest.raises(Unreachable, match=r"GET had no answer \(ConnectError\)"):
            link.send("GET", "http://127.0.0.1:1/calls/+33612345678")
    assert outcomes == ["no answer"]


def test_an_address_that_no_request_can_have_is_refused() -> None:
    with pytest.raises(Refused):
        Platform().link().send("GET", "https://platform.example/" + "a" * 100_000)


def test_nothing_is_sent_when_the_lease_is_too_short() -> None:
    def no_slot() -> None:
        raise OutOfTime("the lease ends")

    outcomes: list[str] = []
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(OutOfTime):
        Link(http, no_slot, lambda _: None, outcomes.append).send("GET", "https://platform.example/")
    assert outcomes == []


@contextmanager
def trickling(parts: int) -> Iterator[str]:
    """A server whose answer's body comes in so many parts, a tenth of a second apart."""
    ended = threading.Event()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {parts}\r\n\r\n".encode())
            for _ in range(parts):
                if ended.wait(0.1):
                    return
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        ended.set()
        thread.join()


def test_an_answer_that_trickles_in_has_an_end() -> None:
    with trickling(600) as url, httpx.Client(transport=TimelyTransport(0.5), timeout=5.0) as http:
        link = Link(http, lambda: None, lambda _wait: None)
        with pytest.raises(Unreachable, match="ReadTimeout"):
            link.send("GET", url)


def test_an_answer_in_parts_that_comes_in_time_is_whole() -> None:
    with trickling(3) as url, httpx.Client(transport=TimelyTransport(30.0), timeout=5.0) as http:
        assert Link(http, lambda: None, lambda _wait: None).send("GET", url).content == b"xxx"
