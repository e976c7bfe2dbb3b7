"""Who may ask the JSON API: whoever has the admin token, `Authorization: Bearer TOKEN`."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from web.state import State

Endpoint = Callable[[State, Request], Response]
LONGEST_BODY = 65_536
SLOWEST_BODY = 10.0
"""Seconds."""


def guarded(state: State, endpoint: Endpoint) -> Callable[[Request], Response]:
    """The endpoint, which asks for the token first."""

    def guard(request: Request) -> Response:
        return _refusal(state, request) or endpoint(state, request)

    return guard


def guarded_with_body(state: State, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """As `guarded`, for an endpoint that finds the body under `request.state.body`."""

    async def guard(request: Request) -> Response:
        if refusal := _refusal(state, request):
            return refusal
        try:
            request.state.body = await read_body(request, LONGEST_BODY)
        except BadBody as fault:
            return JSONResponse({"error": str(fault)}, fault.status)
        return await run_in_threadpool(endpoint, state, request)

    return guard


class BadBody(Exception):
    """A body that is not taken, and the status that says so."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def read_body(request: Request, longest: int) -> bytes:
    """The body; raises `BadBody` when it is longer, or does not come in time."""
    body = b""
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            async for chunk in request.stream():
                body += chunk
                if len(body) > longest:
                    raise BadBody(413, f"the body has more than {longest} bytes")
    except (TimeoutError, ClientDisconnect):
        raise BadBody(408, "the body did not come") from None
    return body


def _refusal(state: State, request: Request) -> Response | None:
    token = state.settings.admin_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    expected = token.get_secret_value() if token else ""
    right = hmac.compare_digest(given.strip().encode(), expected.encode())
    if expected and right and scheme.lower() == "bearer":
        return None
    text = "the admin token is wanted: Authorization: Bearer TOKEN"
    return JSONResponse({"error": text}, 401, {"WWW-Authenticate": "Bearer"})
