"""The webhook receiver: verify over the raw bytes, commit, answer. Nothing is parsed before the answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from platforms.errors import BadSignature, BadTimestamp
from store.database import Unavailable
from store.inbox import Arrival
from web.inbox import GroupCommit
from worker.settings import Account

BODY_TIME = 5.0
"""Seconds in which a body must have come; the platforms wait 2 to 5 for the answer."""
COMMIT_TIME = 1.5
"""Seconds for the commit; after them the answer is 503, and a repeated event is told as a duplicate."""
BODIES = 16
"""Bodies of the largest size that may be in memory at once, all together."""
LINGER = 2.0
"""Seconds for which the rest of an unwanted body is thrown away, so that its sender reads the answer."""


class Late(Exception):
    """The body did not come in time."""


class TooLarge(Exception):
    """The body passes the limit."""


class TooMuch(Exception):
    """All bodies together pass the bound."""


class Disconnected(Exception):
    """The sender went away before its body was complete."""


REFUSALS: Mapping[type[Exception], tuple[int, str]] = {
    Late: (408, "the body did not come in time"),
    TooLarge: (413, "the body is too large"),
    TooMuch: (503, "too many bodies at once"),
    Disconnected: (400, "the body is incomplete"),
    BadSignature: (401, "the signature does not fit"),
    BadTimestamp: (401, "the signed time is too far off"),
    TimeoutError: (503, "the event could not be committed in time"),
    Unavailable: (503, "the event could not be committed"),
}
"""The answer to everything that keeps a webhook out of the inbox; its text also names it in the metrics."""
UNREAD = (Late, TooLarge, TooMuch)
"""Those after which more of the body may come."""


@dataclass(slots=True)
class Body:
    """What has come of a body."""

    data: bytearray = field(default_factory=bytearray)
    size: int = 0
    complete: bool = False

    def take(self, part: bytes) -> None:
        self.data += part
        self.size += len(part)

    def whole(self) -> bytes:
        """All of it; it is not kept here any more."""
        whole = bytes(self.data)
        self.data.clear()
        return whole


ANSWERS = {True: JSONResponse({"status": "accepted"}, 202), False: JSONResponse({"status": "duplicate"}, 202)}
"""By whether the event is new; made once, since they are all alike."""


class Webhooks:
    """`POST /webhooks/{account}` as a plain ASGI application."""

    def __init__(self, accounts: Mapping[str, Account], inbox: GroupCommit, max_body: int) -> None:
        self._accounts = accounts
        self._inbox = inbox
        self._max_body = max_body
        self._in_memory = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """(account, outcome) to how many; both from fixed sets."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        account = self._accounts.get(scope["path_params"]["account"])
        if account is None:
            answer = JSONResponse({"error": "no such account is configured"}, 404)
        else:
            answer = await self._receive(account, scope, receive)
        if answer.headers.get("connection") == "close":
            await _answer_and_linger(answer, receive, send)
        else:
            await answer(scope, receive, send)

    async def _receive(self, account: Account, scope: Scope, receive: Receive) -> JSONResponse:
        body = Body()
        try:
            async with asyncio.timeout(BODY_TIME) as time_left:  # one for both waits: they are dear
                await self._read(scope, receive, body)
                whole, now = body.whole(), time.time()
                signed_at = account.platform.verify(account.settings, scope["headers"], whole, now)
                time_left.reschedule(asyncio.get_running_loop().time() + COMMIT_TIME)
                same = account.platform.identity(whole)
                new = await self._inbox.keep(Arrival(account.name, whole, signed_at, now, identity=same))
        except tuple(REFUSALS) as fault:
            came = body.complete or not isinstance(fault, TimeoutError)
            return self._refuse(account, fault if came else Late())
        finally:
            self._in_memory -= body.size
        self.outcomes[account.name, "accepted" if new else "duplicate"] += 1
        return ANSWERS[new]

    def _refuse(self, account: Account, fault: Exception) -> JSONResponse:
        status, text = next(answer for kind, answer in REFUSALS.items() if isinstance(fault, kind))
        self.outcomes[account.name, text] += 1
        headers = {"Retry-After": "1"} if status == 503 else {}
        if isinstance(fault, UNREAD):
            headers["Connection"] = "close"
        return JSONResponse({"error": text}, status, headers)

    async def _read(self, scope: Scope, receive: Receive, body: Body) -> None:
        if any(
            name == b"content-length" and _beyond(value, self._max_body) for name, value in scope["headers"]
        ):
            raise TooLarge
        while not body.complete:
            await self._read_part(receive, body)

    async def _read_part(self, receive: Receive, body: Body) -> None:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        part = message.get("body", b"")
        if body.size + len(part) > self._max_body:
            raise TooLarge
        if self._in_memory + len(part) > BODIES * self._max_body:
            raise TooMuch
        body.take(part)
        self._in_memory += len(part)
        body.complete = not message.get("more_body", False)


async def _answer_and_linger(answer: JSONResponse, receive: Receive, send: Send) -> None:
    """To close at once on a body that still comes would reset the connection, and the answer be lost."""
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with suppress(TimeoutError):  # then it is closed on all the same
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body"):
                pass
    await send({"type": "http.response.body", "body": b""})


def _beyond(length: bytes, limit: int) -> bool:
    return length.isdigit() and int(length[:20]) > limit
