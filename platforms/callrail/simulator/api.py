"""The platform's REST interface as a Starlette app: `/v3/a/{account}/...json`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, time, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.callrail.simulator.calls import Kept, Shown
from platforms.callrail.simulator.state import Simulator, Tag
from platforms.simulated.serving import Dropped

DEFAULT_PAGE, LARGEST_PAGE = 100, 250
RECENT = timedelta(days=7)
COLORS = ("gray1", "gray2", "blue1", "purple1", "pink1", "red1", "red2", "orange1", "yellow1", "green1")
Handler = Callable[[Simulator, Request, Mapping[str, Any]], Response]


class Refusal(Exception):
    """What is wrong with a request."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = b"" if status == 204 else orjson.dumps(content)
    return Response(body, status, {"content-type": "application/json", **(headers or {})})


def list_calls(simulator: Simulator, request: Request, _: Mapping[str, Any]) -> Response:
    asked = request.query_params
    low, high = _range(asked)
    tags = {*asked.getlist("tags[]"), *asked.get("tags", "").split(",")} - {""}
    digits = "".join(filter(str.isdigit, asked.get("search", "")))
    found = [
        kept
        for kept in simulator.calls.values()
        if low <= kept.call.started < high
        and (not tags or tags & set(kept.tags))
        and (not digits or any(digits in number for number in (kept.call.caller, kept.call.receiver)))
    ]
    found.sort(key=lambda kept: (kept.call.started, kept.id), reverse=True)
    fields = asked.get("fields", "")
    return _paged(request, "calls", found, lambda kept: _shown(simulator, kept, fields))


def one_call(simulator: Simulator, request: Request, _: Mapping[str, Any]) -> Response:
    kept, fields = _call(simulator, request), request.query_params.get("fields", "")
    return answer(_shown(simulator, kept, fields, alone=True))


def update_call(simulator: Simulator, request: Request, body: Mapping[str, Any]) -> Response:
    kept, names = _call(simulator, request), body.get("tags")
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise Refusal(400, "tags is invalid")
        before = kept.tags if body.get("append_tags") is True else []
        came, went = simulator.set_tags(kept, [*before, *names])
        simulator.counters.added += len(came)
        simulator.counters.removed += len(went)
    return answer(_shown(simulator, kept, ""))


def list_tags(simulator: Simulator, request: Request, _: Mapping[str, Any]) -> Response:
    return _paged(request, "tags", list(simulator.tags.values()), _tag_shown)


def create_tag(simulator: Simulator, _: Request, body: Mapping[str, Any]) -> Response:
    if body.get("tag_level") not in ("account", "company"):
        raise Refusal(400, "Tag level is not included in the list")
    color = body.get("color", "gray1")
    if color not in COLORS:
        raise Refusal(400, "Color is not included in the list")
    return answer(_tag_shown(simulator.define(_free_name(simulator, body), color)), 201)


def update_tag(simulator: Simulator, request: Request, body: Mapping[str, Any]) -> Response:
    tag = _tag(simulator, request)
    if body.get("name") != tag.name:
        simulator.rename(tag, _free_name(simulator, body))
    return answer(_tag_shown(tag))


def delete_tag(simulator: Simulator, request: Request, _: Mapping[str, Any]) -> Response:
    simulator.delete(_tag(simulator, request))
    return answer(None, 204)


API: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "calls.json", list_calls),
    ("GET", "calls/{call}.json", one_call),
    ("PUT", "calls/{call}.json", update_call),
    ("GET", "tags.json", list_tags),
    ("POST", "tags.json", create_tag),
    ("PUT", "tags/{tag:int}.json", update_tag),
    ("DELETE", "tags/{tag:int}.json", delete_tag),
)


def make_app(simulator: Simulator) -> Starlette:
    routes = [
        Route(f"/v3/a/{{account}}/{path}", _endpoint(simulator, method, handler), methods=[method])
        for method, path, handler in API
    ]

    async def no_route(_: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        simulator.counters.requests[str(status)] += 1
        return answer({"error": "Not found"}, status)

    return Starlette(routes=routes, exception_handlers={HTTPException: no_route})


def _endpoint(
    simulator: Simulator, method: str, handler: Handler
) -> Callable[[Request], Awaitable[Response]]:
    """The way of a request: arrival and faults, key, handler, counting."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        fault = simulator.arrive(writes=handler is update_call)
        response: Response | None = None
        if fault is None or fault.kind == "drop_after":
            with simulator.lock:
                response = _answered(simulator, request, handler, body if method in ("POST", "PUT") else b"")
        if fault is not None:
            response = _faulty(simulator, fault.kind, fault.retry_after)
        dropped = isinstance(response, Dropped)
        assert response is not None  # noqa: S101 - a fault or an answer
        simulator.counters.requests["dropped" if dropped else str(response.status_code)] += 1
        return response

    return endpoint


def _answered(simulator: Simulator, request: Request, handler: Handler, body: bytes) -> Response:
    try:
        _authorise(simulator, request)
        return handler(simulator, request, _object(body))
    except Refusal as refusal:
        return answer({"error": str(refusal)}, refusal.status)


def _faulty(simulator: Simulator, kind: str, retry_after: str | None) -> Response:
    if kind.startswith("drop_"):
        return Dropped(simulator.connections)
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return answer({"error": "Simulated fault"}, int(kind), headers)


def _authorise(simulator: Simulator, request: Request) -> None:
    given = request.headers.get("authorization", "")
    key = simulator.config.api_key
    if given not in (f'Token token="{key}"', f"Token token={key}"):
        raise Refusal(401, "HTTP Token: Access denied.")
    if request.path_params["account"] != simulator.config.account_id:
        raise Refusal(404, "Not found")


def _object(body: bytes) -> Mapping[str, Any]:
    if not body:
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body is no object")
    return found


def _paged(request: Request, name: str, found: list[Any], shown: Callable[[Any], object]) -> Response:
    page, size = _number(request, "page", 1), _number(request, "per_page", DEFAULT_PAGE)
    if size > LARGEST_PAGE:
        raise Refusal(400, "per_page is invalid")
    part = found[(page - 1) * size : page * size]
    return answer(
        {
            "page": page,
            "per_page": size,
            "total_pages": max(ceil(len(found) / size), 1),
            "total_records": len(found),
            name: [shown(each) for each in part],
        }
    )


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise Refusal(400, f"{name} is invalid")
    return int(text)


def _range(asked: Mapping[str, str]) -> tuple[float, float]:
    """Unix seconds from and before; dates and times mean the time zone that is asked for."""
    zone = ZoneInfo(asked.get("time_zone", "America/New_York"))
    now = datetime.now(zone)
    low = _moment(asked.get("start_date", (now - RECENT).date().isoformat()), zone, time.min)
    high = _moment(asked.get("end_date", now.date().isoformat()), zone, time.max)
    return low.timestamp(), high.timestamp() + 1


def _moment(text: str, zone: ZoneInfo, of_a_day: time) -> datetime:
    """An ISO 8601 date or time; the documents show none with an offset."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, "the date is invalid") from None
    if found.tzinfo is not None:
        raise Refusal(400, "the date is invalid")
    return (found if "T" in text else datetime.combine(found.date(), of_a_day)).replace(tzinfo=zone)


def _call(simulator: Simulator, request: Request) -> Kept:
    kept = simulator.calls.get(request.path_params["call"])
    if kept is None:
        raise Refusal(404, "Not found")
    return kept


def _tag(simulator: Simulator, request: Request) -> Tag:
    tag = simulator.tags.get(request.path_params["tag"])
    if tag is None:
        raise Refusal(404, "Not found")
    return tag


def _free_name(simulator: Simulator, body: Mapping[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise Refusal(400, "Name can't be blank")
    if simulator.named(name) is not None:
        raise Refusal(422, "Name has already been taken")
    return name


def _shown(simulator: Simulator, kept: Kept, fields: str, alone: bool = False) -> Shown:
    found = kept.shown(fields, alone)
    if "tags" in found and simulator.config.tag_objects:
        found["tags"] = [_tag_shown(tag) for tag in map(simulator.named, kept.tags) if tag]
    return found


def _tag_shown(tag: Tag) -> Shown:
    return {
        "id": tag.id,
        "name": tag.name,
        "tag_level": "account",
        "color": tag.color,
        "background_color": "gray1",
        "company_id": None,
        "status": "enabled",
    }
