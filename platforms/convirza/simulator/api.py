"""The platform's REST interface, a Starlette app: V3, its OAuth, and what there is of V2, at one address."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from itertools import count
from time import time
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.convirza.simulator.state import Simulator, iso
from platforms.simulated.serving import Dropped

LONGEST = timedelta(days=31)
MOST = 200
Body = Mapping[str, Any]
Handler = Callable[[Simulator, Request, Body], Response]
_numbers = count(1)


class Refusal(Exception):
    """What is wrong with a request."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, {"content-type": "application/json", **(headers or {})})


def good(data: object, status: int = 200, **more: object) -> Response:
    """The envelope of a success; its `code` is 200 even where the status is 201."""
    envelope = {"code": 200, "message": "Success", "data": data, **more}
    return answer({**envelope, "request_id": f"req-{next(_numbers)}", "timestamp": iso(time())}, status)


def token(simulator: Simulator, request: Request, body: Body) -> Response:
    config = simulator.config
    if "form" in request.headers.get("content-type", ""):
        if (body.get("client_id"), body.get("client_secret")) != (config.client_id, config.client_secret):
            raise Refusal(401, "Invalid client")
        if body.get("grant_type") == "refresh_token":
            _use_up(simulator, body)
            return answer(simulator.grant("v2 refresh", v2=True))
        _log_in(simulator, body.get("username"), body.get("password"))
        return answer(simulator.grant("v2 login", v2=True))
    _log_in(simulator, body.get("email"), body.get("password"))
    return answer(simulator.grant("login"))


def refresh_token(simulator: Simulator, _: Request, body: Body) -> Response:
    _use_up(simulator, body)
    return answer(simulator.grant("refresh"))


def _log_in(simulator: Simulator, email: object, password: object) -> None:
    if not simulator.login_allowed():
        raise Refusal(429, "Too many logins")
    if (email, password) != (simulator.config.email, simulator.config.password):
        raise Refusal(401, "Invalid credentials")


def _use_up(simulator: Simulator, body: Body) -> None:
    try:
        simulator.refresh.remove(str(body.get("refresh_token")))
    except KeyError:
        raise Refusal(401, "Invalid refresh token") from None


def list_tags(simulator: Simulator, request: Request, _: Body) -> Response:
    _own_unit(simulator, request.query_params.get("org_unit_id"))
    shown = [{"tag_id": found, "tag_name": name} for name, found in simulator.tags.items()]
    return good(_part(request, shown))


def create_tag(simulator: Simulator, _: Request, body: Body) -> Response:
    wanted = body.get("tag")
    found = wanted.get("tagList") if isinstance(wanted, dict) else None
    given = [found] if isinstance(found, dict) else found
    if not isinstance(wanted, dict) or not isinstance(given, list) or "org_unit_id" not in wanted:
        raise Refusal(400, "tag is invalid")
    _own_unit(simulator, wanted["org_unit_id"])
    names = [each.get("tag_name") if isinstance(each, dict) else None for each in given]
    if not all(isinstance(name, str) and name for name in names):
        raise Refusal(400, "tag_name is invalid")
    existing = [name for name in names if name in simulator.tags]
    made = [
        {"tag_id": simulator.define(str(name)), "tag_name": name} for name in names if name not in existing
    ]
    keys = ("created", "duplicates") if simulator.config.prose else ("inserted_tags", "existing_tags")
    return good(dict(zip(keys, (made, existing), strict=True)), 201)


def update_tag(simulator: Simulator, request: Request, body: Body) -> Response:
    tag_id, wanted = _tag(simulator, request), body.get("tag")
    name = wanted.get("tag_name") if isinstance(wanted, dict) else None
    if not isinstance(name, str) or not name:
        raise Refusal(400, "tag_name is invalid")
    if simulator.tags.get(name, tag_id) != tag_id:
        raise Refusal(409, "The tag exists")
    simulator.rename(tag_id, name)
    return good({"tag_id": tag_id, "tag_name": name})


def delete_tag(simulator: Simulator, request: Request, _: Body) -> Response:
    simulator.delete(_tag(simulator, request))
    return good({})


def list_calls(simulator: Simulator, request: Request, _: Body) -> Response:
    asked = request.query_params
    _own_unit(simulator, asked.get("org_unit_id"))
    if (wanted := asked.get("call_id")) is not None:
        found = [kept for kept in simulator.calls.values() if str(kept.id) == wanted]
    else:
        since, until = _range(asked)
        found = [kept for kept in simulator.calls.values() if since <= kept.call.started <= until]
    found.sort(key=lambda kept: (kept.call.started, kept.id), reverse=True)
    blocks = asked.get("include", "").split(",")
    part = [kept.shown(blocks, simulator.tags) for kept in _part(request, found)]
    return good({**({"total": len(found)} if simulator.config.counts else {}), "calls": part})


def add_tags(simulator: Simulator, request: Request, body: Body) -> Response:
    """The old API's; made up, as nothing is known of it."""
    kept = simulator.calls.get(request.path_params["call"])
    if kept is None:
        raise Refusal(404, "No such call")
    ids = {found: name for name, found in simulator.tags.items()}
    names = [ids.get(int(each.get("tag_id", 0)), each.get("tag_name")) for each in body.get("tags", ())]
    if not all(name in simulator.tags for name in names):
        raise Refusal(400, "No such tag")
    before = [] if simulator.config.replaces else kept.tags
    put = [] if simulator.config.loses else names
    simulator.counters.added += len(set(put) - set(kept.tags))
    kept.tags = list(dict.fromkeys([*before, *put]))
    return good({})


API: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/oauth/token", token),
    ("POST", "/oauth/refresh-token", refresh_token),
    ("GET", "/v3/tag", list_tags),
    ("POST", "/v3/tag", create_tag),
    ("PUT", "/v3/tag/{tag:int}", update_tag),
    ("DELETE", "/v3/tag/{tag:int}", delete_tag),
    ("GET", "/v3/conversations/calls", list_calls),
    ("POST", "/v2/call/{call:int}/tag", add_tags),
)


def make_app(simulator: Simulator) -> Starlette:
    routes = [Route(path, _endpoint(simulator, handler), methods=[method]) for method, path, handler in API]

    async def no_route(_: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        simulator.counters.requests[str(status)] += 1
        return answer({"code": status, "message": "Not found"}, status)

    return Starlette(routes=routes, exception_handlers={HTTPException: no_route})


def _endpoint(simulator: Simulator, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The way of a request: arrival and faults, token, handler, counting."""
    on = "token" if handler in (token, refresh_token) else "write" if handler is add_tags else "api"

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        fault = simulator.arrive(on)
        response = _answered(simulator, request, handler, body) if fault is None else None
        if fault is not None:
            if fault.kind == "drop_after":
                _answered(simulator, request, handler, body)
            response = _faulty(simulator, fault.kind, fault.retry_after)
        assert response is not None  # noqa: S101 - a fault or an answer
        if on != "token":
            dropped = isinstance(response, Dropped)
            simulator.counters.requests["dropped" if dropped else str(response.status_code)] += 1
        return response

    return endpoint


def _answered(simulator: Simulator, request: Request, handler: Handler, body: bytes) -> Response:
    if request.url.path in simulator.answers:
        return Response(simulator.answers[request.url.path])
    try:
        with simulator.lock:
            if handler not in (token, refresh_token):
                _authorise(simulator, request, v2=handler is add_tags)
            return handler(simulator, request, _object(request, body))
    except Refusal as refusal:
        return answer({"code": refusal.status, "message": str(refusal)}, refusal.status)


def _faulty(simulator: Simulator, kind: str, retry_after: str | None) -> Response:
    if kind.startswith("drop_"):
        return Dropped(simulator.connections)
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return answer({"code": int(kind), "message": "Simulated fault"}, int(kind), headers)


def _authorise(simulator: Simulator, request: Request, v2: bool) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if simulator.access.get(given, 0.0) <= time() or given.startswith("v2-") != v2:
        raise Refusal(401, "Invalid or expired access token")


def _object(request: Request, body: bytes) -> Body:
    if not body:
        return {}
    if "form" in request.headers.get("content-type", ""):
        return {key: values[0] for key, values in parse_qs(body.decode()).items()}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body is no object")
    return found


def _part(request: Request, found: list[Any]) -> list[Any]:
    limit, offset = (_number(request, name) for name in ("limit", "offset"))
    if not 1 <= limit <= MOST:
        raise Refusal(400, "limit must be 1 to 200")
    return found[offset : offset + limit]


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit()):
        raise Refusal(400, f"{name} is invalid")
    return int(text)


def _range(asked: Mapping[str, str]) -> tuple[float, float]:
    """Unix seconds; both ends are in it."""
    now = datetime.now().astimezone()
    try:
        since, until = (
            datetime.fromisoformat(asked[name]) if name in asked else default
            for name, default in (("start", now - timedelta(days=7)), ("end", now))
        )
        if not since < until or until - since > LONGEST:
            raise Refusal(400, "end must be after start, and at most 31 days")
    except (ValueError, TypeError):
        raise Refusal(400, "start or end is no time") from None
    return since.timestamp(), until.timestamp()


def _own_unit(simulator: Simulator, asked: object) -> None:
    if asked is not None and str(asked) != str(simulator.config.org_unit_id):
        raise Refusal(403, "The organisation unit is outside your scope")


def _tag(simulator: Simulator, request: Request) -> int:
    tag_id: int = request.path_params["tag"]
    if tag_id not in simulator.tags.values():
        raise Refusal(404, "No such tag")
    return tag_id
