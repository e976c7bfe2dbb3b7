"""The simulated REST interface: what is asked for, and what is answered."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.aircall.simulator.company import Company
from platforms.aircall.simulator.records import Record, Tag
from platforms.simulated.serving import Connections, Dropped

MOST = 50
"""Items on a page."""


class Refusal(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Asked(NamedTuple):
    company: Company
    ids: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]


Answer = tuple[int, Mapping[str, Any] | None]


def ping(_: Asked) -> Answer:
    return 200, {"ping": "pong"}


def list_calls(asked: Asked) -> Answer:
    since, until = _number(asked.query, "from", 0), _number(asked.query, "to", 10**11)
    wanted = [record for record in asked.company.calls.values() if since <= record.call.started <= until]
    if tag := asked.query.get("tags[]"):
        wanted = [record for record in wanted if tag in {str(each.id) for each in record.tags}]
    if number := asked.query.get("phone_number"):
        wanted = [record for record in wanted if number in (record.ours, record.theirs)]
    order = sorted(wanted, key=lambda record: (record.call.started, record.id))
    if asked.query.get("order") == "desc":
        order.reverse()
    return 200, _page(asked, "calls", [record.shown() for record in order])


def one_call(asked: Asked) -> Answer:
    return 200, {"call": _call(asked).shown()}


def tag_call(asked: Asked) -> Answer:
    record, ids = _call(asked), asked.body.get("tags")
    if not isinstance(ids, list) or not all(type(each) is int for each in ids):
        raise Refusal(400, "tags must be a list of Tag IDs")
    if any(each not in asked.company.tags for each in ids):
        raise Refusal(404, "Tag not found")
    if any(tag.id in ids for tag in record.tags):
        raise Refusal(400, "Tag is on the Call already")  # nobody says what happens: the worst that may
    asked.company.added += asked.company.put(record, [asked.company.tags[each] for each in ids])
    return 201, {"call": record.shown()}


def transcription(asked: Asked) -> Answer:
    record = _call(asked)
    if not record.lines:
        raise Refusal(404, "Not Found")
    return 200, {"transcription": {"id": 1, "call_id": record.id, "content": record.transcription()}}


def list_tags(asked: Asked) -> Answer:
    return 200, _page(asked, "tags", [tag.shown() for tag in asked.company.tags.values()])


def create_tag(asked: Asked) -> Answer:
    name, color = asked.body.get("name"), asked.body.get("color")
    if not name or not color:
        raise Refusal(400, "name and color are required")
    tag = asked.company.define(name, color, asked.body.get("description"))
    if tag is None:
        raise Refusal(400, "name is taken")
    return 201, {"tag": tag.shown()}


def update_tag(asked: Asked) -> Answer:
    tag, name = _tag(asked), asked.body.get("name")
    if name and any(other.name == name for other in asked.company.tags.values() if other is not tag):
        raise Refusal(400, "name is taken")
    for key in ("name", "color", "description"):
        if key in asked.body:
            setattr(tag, key, asked.body[key])
    return 200, {"tag": tag.shown()}


def delete_tag(asked: Asked) -> Answer:
    asked.company.delete(_tag(asked))
    return 204, None


def list_webhooks(asked: Asked) -> Answer:
    return 200, _page(asked, "webhooks", [asked.company.hook])


def update_webhook(asked: Asked) -> Answer:
    if asked.ids[0] != asked.company.hook["webhook_id"]:
        raise Refusal(404, "Not Found")
    for key in ("url", "active", "events"):
        if key in asked.body:
            asked.company.hook[key] = asked.body[key]
    return 200, {"webhook": asked.company.hook}


ROUTES: tuple[tuple[str, str, Callable[[Asked], Answer]], ...] = (
    ("GET", "ping", ping),
    ("GET", "calls", list_calls),
    ("GET", "calls/search", list_calls),
    ("GET", "calls/([^/]+)", one_call),
    ("POST", "calls/([^/]+)/tags", tag_call),
    ("GET", "calls/([^/]+)/transcription", transcription),
    ("GET", "tags", list_tags),
    ("POST", "tags", create_tag),
    ("PUT", "tags/([^/]+)", update_tag),
    ("DELETE", "tags/([^/]+)", delete_tag),
    ("GET", "webhooks", list_webhooks),
    ("PUT", "webhooks/([^/]+)", update_webhook),
)


def application(company: Company, connections: Connections) -> Starlette:
    """The company's REST interface as an ASGI app."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        with company.lock:
            return _endpoint(company, connections, request, body)

    methods = ["GET", "POST", "PUT", "DELETE"]
    return Starlette(routes=[Route("/v1/{path:path}", endpoint, methods=methods)])


def _endpoint(company: Company, connections: Connections, request: Request, body: bytes) -> Response:
    path = request.path_params["path"]
    action, ids = _route(request.method, path)
    fault = company.arrive(write=action is tag_call)
    if fault and fault.kind not in ("drop_before", "drop_after"):
        company.answers[fault.kind] += 1
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
        return Response(b'{"message": "so it was ordered"}', int(fault.kind), headers)
    status, answer = (0, None) if fault and fault.kind == "drop_before" else _answer(
        company, action, ids, request, body
    )  # fmt: skip
    company.answers["dropped" if fault else str(status)] += 1
    if fault:
        return Dropped(connections)
    return Response(b"" if answer is None else orjson.dumps(answer), status, media_type="application/json")


def _answer(
    company: Company,
    action: Callable[[Asked], Answer] | None,
    ids: tuple[str, ...],
    request: Request,
    body: bytes,
) -> Answer:
    expected = b64encode(f"{company.api_id}:{company.api_token}".encode()).decode()
    given = request.headers.get("authorization")
    if given is None:
        return 401, {"message": "Unauthorized"}
    if given != f"Basic {expected}":
        return 403, {"message": "Forbidden"}
    if action is None:
        return 404, {"message": "Not Found"}
    try:
        asked = Asked(company, ids, request.query_params, orjson.loads(body) if body else {})
        return action(asked)
    except orjson.JSONDecodeError:
        return 400, {"message": "Bad Request"}
    except Refusal as refusal:
        return refusal.status, {"error": str(refusal)}


def _route(method: str, path: str) -> tuple[Callable[[Asked], Answer] | None, tuple[str, ...]]:
    for wanted, pattern, action in ROUTES:
        if method == wanted and (found := re.fullmatch(pattern, path)):
            return action, found.groups()
    return None, ()


def _page(asked: Asked, key: str, items: Iterable[Any]) -> Mapping[str, Any]:
    every, page, size = list(items), _number(asked.query, "page", 1), _number(asked.query, "per_page", 20)
    if page < 1 or not 1 <= size <= MOST:
        raise Refusal(400, "page or per_page is out of range")
    shown = every[(page - 1) * size : page * size]
    more = page * size < len(every)
    link = f"https://api.aircall.io/v1/{key}?page={page + 1}" if more else None
    meta = {"count": len(shown), "total": len(every), "current_page": page, "per_page": size}
    return {"meta": meta | {"next_page_link": link, "previous_page_link": None}, key: shown}


def _number(query: Mapping[str, str], name: str, otherwise: int) -> int:
    text = query.get(name, str(otherwise))
    if not text.isdecimal():
        raise Refusal(400, f"{name} is no number")
    return int(text)


def _call(asked: Asked) -> Record:
    found = asked.company.calls.get(int(asked.ids[0])) if asked.ids[0].isdecimal() else None
    if found is None:
        raise Refusal(404, "Call not found")
    return found


def _tag(asked: Asked) -> Tag:
    found = asked.company.tags.get(int(asked.ids[0])) if asked.ids[0].isdecimal() else None
    if found is None:
        raise Refusal(404, "Tag not found")
    return found
