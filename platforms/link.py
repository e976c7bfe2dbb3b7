"""One request to a platform: wait for a slot of the rate, send, and say what came of it."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from platforms.errors import (
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)

OUTCOMES: Mapping[int, type[PlatformError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: Unreachable,
    409: Conflict,
    425: Unreachable,
    429: Limited,
}
"""What an answer that is no success means; 5xx is `Unreachable`, every other one `Refused`."""

LONGEST_ANSWER = 5.0
"""Seconds in which the body of an answer must have come as a whole."""
RETRY_AFTER = (1.0, 900.0)
"""The range that `Retry-After` is clamped to, in seconds."""
RETRY_AFTER_UNSAID = 5.0
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


class Link:
    """The way to one account's platform, for as long as one lease lasts.

    `slot` waits until the fleet may send one more request, and raises `OutOfTime` when the lease would end
    before; `limited` tells the fleet of a 429. One `httpx.Client` serves all threads of a process.
    """

    def __init__(
        self,
        http: httpx.Client,
        slot: Callable[[], None],
        limited: Callable[[float], None],
        observe: Callable[[str], None] = lambda _outcome: None,
    ) -> None:
        self._http = http
        self._slot = slot
        self._limited = limited
        self._observe = observe

    def send(self, method: str, url: str, *, free: bool = False, **request: Any) -> httpx.Response:
        """Sends one request and gives the answer if it is a success; `free` ones (tokens) take no slot.

        Raises `PlatformError`; its text names the method and the status, never the address or a body.
        """
        if not free:
            self._slot()
        try:
            response = self._http.request(method, url, **request)
        except httpx.HTTPError as fault:
            self._observe("no answer")
            raise Unreachable(f"{method} had no answer ({type(fault).__name__})") from None
        except httpx.InvalidURL:
            raise Refused(f"{method} was not sent: its address is too long or not valid") from None
        self._observe(str(response.status_code))
        if response.is_success:
            return response
        raise self._outcome(method, response)

    def _outcome(self, method: str, response: httpx.Response) -> PlatformError:
        status = response.status_code
        kind = OUTCOMES.get(status, Unreachable if status >= 500 else Refused)
        message = f"{method} was answered {status}"
        if kind is Limited:
            wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            self._limited(wait)
            return Limited(message, wait, status)
        if kind is Unreachable and "retry-after" in response.headers:
            wait = retry_after(response.headers["retry-after"], datetime.now(UTC))
            return Unreachable(message, wait, status)
        return kind(message, status=status)


class TimelyTransport(httpx.HTTPTransport):
    """Gives an answer's body so many seconds as a whole; httpx's own read timeout is for each part of it."""

    def __init__(self, longest: float = LONGEST_ANSWER, **options: Any) -> None:
        super().__init__(**options)
        self._longest = longest

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        answer.stream = TimelyBody(answer.stream, time.monotonic() + self._longest)
        return answer


class TimelyBody(httpx.SyncByteStream):
    """A body that must have come by `ends` (monotonic seconds); raises `httpx.ReadTimeout`."""

    def __init__(self, body: Any, ends: float) -> None:
        self._body = body
        self._ends = ends

    def __iter__(self) -> Iterator[bytes]:
        for part in self._body:
            if time.monotonic() > self._ends:
                raise httpx.ReadTimeout("the answer trickles in")
            yield part

    def close(self) -> None:
        self._body.close()


def retry_after(value: str | None, now: datetime) -> float:
    """The seconds that `Retry-After` asks for (number or HTTP date), clamped; 5 where it says nothing."""
    asked = None if value is None else _seconds(value.strip(), now)
    low, high = RETRY_AFTER
    return RETRY_AFTER_UNSAID if asked is None else min(max(asked, low), high)


def _seconds(value: str, now: datetime) -> float | None:
    if NUMBER.fullmatch(value):
        return float(value)  # thousands of digits are infinity, which is clamped
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
