"""The platform's routes: what each needs and what it answers.

Handlers are plain functions under the simulator's lock: (simulator, request, body) to a response; they raise
AnswerError. What the documents leave open is chosen here: 404 for what is unknown, 400 for a bad parameter,
422 for a bad body, the list by start with the newest first.
"""

import base64
import binascii
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from time import monotonic, time
from typing import TYPE_CHECKING

import orjson
from starlette.requests import Request
from starlette.responses import Response

from platforms.sipsim.simulator.answers import AnswerError, done, good
from platforms.sipsim.simulator.book import Span
from platforms.sipsim.simulator.config import EVENTS
from platforms.sipsim.simulator.gate import TOKEN
from platforms.sipsim.simulator.records import CHANNEL_NUMBERS, Key, Record, digits
from platforms.sipsim.simulator.tagbook import DEFAULT_COLOR, NameTakenError, Tag

if TYPE_CHECKING:
    from platforms.sipsim.simulator.state import Simulator

Handler = Callable[["Simulator", Request, bytes], Response]
Endpoint = Callable[[Request], Awaitable[Response]]
CALL_TYPES = frozenset({"inbound", "outgoing", "missed", "voicemail"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A route: the scope that a token must have for it (none: no token asked)."""

    method: str
    path: str
    scope: str | None
    handler: Handler

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def issue_token(simulator: "Simulator", _: Request, body: bytes) -> Response:
    response = simulator.tokens.issue(body)
    simulator.counters.tokens_issued += response.status_code == 200
    return response


def put_tag(simulator: "Simulator", request: Request, _: bytes) -> Response:
    record, tag = _call(simulator, request), _tag(simulator, request)
    if not simulator.put_by_api(record, tag):
        return done()
    return good(_briefs(simulator, record), 201)


def delete_call_tag(simulator: "Simulator", request: Request, _: bytes) -> Response:
    record, tag_id = simulator.call(request.path_params["call"]), request.path_params["tag"]
    if record and tag_id.isdigit():
        simulator.take_by_api(record, int(tag_id))
    return done()


def call_tags(simulator: "Simulator", request: Request, _: bytes) -> Response:
    return good(_briefs(simulator, _call(simulator, request)))


def one_call(simulator: "Simulator", request: Request, _: bytes) -> Response:
    return good(_shown(simulator, _call(simulator, request)))


def transcription(simulator: "Simulator", request: Request, _: bytes) -> Response:
    segments = _call(simulator, request).segments
    if not segments:
        raise AnswerError(404, "Transcription not found")
    payload = [
        {
            "channel": CHANNEL_NUMBERS[segment.channel],
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
        }
        for segment in segments
    ]
    return good({"speech_state": "speech_stored", "payload": payload})


def list_calls(simulator: "Simulator", request: Request, _: bytes) -> Response:
    limit = _limit(request)
    found = list(islice(_listed(simulator, request), limit + 1))
    page = found[:limit]
    pagination: dict[str, object] = {"count": len(page), "limit": limit, "has_more": len(found) > limit}
    if len(found) > limit:
        pagination["page"] = _page_token(page[-1].key)
    return good([_shown(simulator, record) for record in page], pagination=pagination)


def _listed(simulator: "Simulator", request: Request) -> Iterator[Record]:
    asked = request.query_params
    span = Span(
        low=_time(asked.get("start_time"), "start_time"),
        high=_time(asked["end_time"], "end_time") if "end_time" in asked else time(),
        number=digits(asked["search"]) if "search" in asked else None,
        before=_key(simulator, asked["page"]) if "page" in asked else None,
        ended_by=monotonic() - simulator.config.list_delay,
    )
    if "tags" in asked:
        found = simulator.book.among(simulator.tags.calls_with_any(_ids(asked["tags"])), span)
    else:
        found = simulator.book.newest_first(span)
    if "call_types" in asked:
        kinds = frozenset(asked["call_types"].split(","))
        if not kinds <= CALL_TYPES:
            raise AnswerError(400, "call_types is invalid")
        found = (record for record in found if record.kinds & kinds)
    return found


def list_tags(simulator: "Simulator", request: Request, _: bytes) -> Response:
    limit = _limit(request)
    page_token = request.query_params.get("page")
    after = 0 if page_token is None else _key(simulator, page_token)[1]
    found = [tag for tag in simulator.tags.tags.values() if tag.id > after][: limit + 1]
    page = found[:limit]
    pagination: dict[str, object] = {"count": len(page), "limit": limit, "has_more": len(found) > limit}
    if len(found) > limit:
        pagination["page"] = _page_token((0, page[-1].id))
    return good([tag.shown() for tag in page], pagination=pagination)


def create_tag(simulator: "Simulator", _: Request, body: bytes) -> Response:
    fields = _tag_fields(body)
    if "name" not in fields:
        raise AnswerError(422, "Name can't be blank")
    ignore_case = simulator.config.tags_ignore_case
    color, description = fields.get("color", DEFAULT_COLOR), fields.get("description", "")
    try:
        tag = simulator.tags.create(fields["name"], color, description, ignore_case)
    except NameTakenError as fault:
        raise AnswerError(409, str(fault)) from None
    return good(tag.shown(), 201)


def change_tag(simulator: "Simulator", request: Request, body: bytes) -> Response:
    tag, fields = _tag(simulator, request), _tag_fields(body)
    other = simulator.tags.named(fields.get("name", tag.name), simulator.config.tags_ignore_case)
    if other and other.id != tag.id:
        raise AnswerError(409, f"Tag with name '{other.name}' already exists")
    for name, value in fields.items():
        setattr(tag, name, value)
    return good(tag.shown())


def delete_tag(simulator: "Simulator", request: Request, _: bytes) -> Response:
    simulator.tags.delete(_tag(simulator, request).id)
    return done()


def available_webhooks(_: "Simulator", __: Request, ___: bytes) -> Response:
    return good([{"event": event} for event in EVENTS])


def enabled_webhooks(simulator: "Simulator", _: Request, __: bytes) -> Response:
    return good([{"event": event} for event in EVENTS if event in simulator.enabled])


def enable_webhook(simulator: "Simulator", request: Request, body: bytes) -> Response:
    event = request.path_params["event"]
    if event not in EVENTS:
        raise AnswerError(404, "Webhook event not found")
    simulator.enabled.add(event)
    return enabled_webhooks(simulator, request, body)


def disable_webhook(simulator: "Simulator", request: Request, _: bytes) -> Response:
    simulator.enabled.discard(request.path_params["event"])
    return done()


def account(_: "Simulator", __: Request, ___: bytes) -> Response:
    return good({"id": 1, "name": "Simulated company"})


API = (
    Entry("PUT", "/api/v2/calls/{call}/tags/{tag}", "calls.tags.write", put_tag),
    Entry("GET", "/api/v2/calls", "calls.read", list_calls),
    Entry("GET", "/api/v2/calls/{call}", "calls.read", one_call),
    Entry("GET", "/api/v2/calls/{call}/tags", "calls.read", call_tags),
    Entry("DELETE", "/api/v2/calls/{call}/tags/{tag}", "calls.tags.write", delete_call_tag),
    Entry("GET", "/api/v2/calls/{call}/transcription", "calls.transcription.read", transcription),
    Entry("GET", "/api/v2/tags", "tags.read", list_tags),
    Entry("POST", "/api/v2/tags", "tags.write", create_tag),
    Entry("PATCH", "/api/v2/tags/{tag}", "tags.write", change_tag),
    Entry("DELETE", "/api/v2/tags/{tag}", "tags.write", delete_tag),
    Entry("GET", "/api/v2/webhooks", "webhooks.read", enabled_webhooks),
    Entry("GET", "/api/v2/webhooks/available", "webhooks.read", available_webhooks),
    Entry("POST", "/api/v2/webhooks/{event}", "webhooks.write", enable_webhook),
    Entry("DELETE", "/api/v2/webhooks/{event}", "webhooks.write", disable_webhook),
    Entry("GET", "/api/v2/account", "account.read", account),
    Entry(*TOKEN, None, issue_token),
)


def _call(simulator: "Simulator", request: Request) -> Record:
    record = simulator.call(request.path_params["call"])
    if record is None:
        raise AnswerError(404, "Call not found")
    return record


def _tag(simulator: "Simulator", request: Request) -> Tag:
    text = request.path_params["tag"]
    tag = simulator.tags.tags.get(int(text)) if text.isdigit() else None
    if tag is None:
        raise AnswerError(404, "Tag not found")
    return tag


def _shown(simulator: "Simulator", record: Record) -> dict[str, object]:
    return record.shown(_briefs(simulator, record), simulator.config.list_reference)


def _briefs(simulator: "Simulator", record: Record) -> list[dict[str, object]]:
    return [tag.brief() for tag in simulator.tags.of(record.id)]


def _tag_fields(body: bytes) -> dict[str, str]:
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise AnswerError(400, "Body is not JSON") from None
    if not isinstance(given, dict):
        raise AnswerError(422, "Body must be an object")
    fields = {name: given[name] for name in ("name", "color", "description") if given.get(name) is not None}
    if not all(isinstance(value, str) for value in fields.values()):
        raise AnswerError(422, "Fields must be strings")
    if "name" in fields and not fields["name"].strip():
        raise AnswerError(422, "Name can't be blank")
    return fields


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "1000")
    if not text.isdigit() or not 20 <= int(text) <= 1000:
        raise AnswerError(400, "limit must be between 20 and 1000")
    return int(text)


def _ids(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdigit() for part in parts):
        raise AnswerError(400, "tags must be a comma separated list of ids")
    return [int(part) for part in parts]


def _time(text: str | None, name: str) -> float:
    """Unix seconds of an ISO 8601 time, of UTC where it has no offset."""
    if text is None:
        raise AnswerError(400, f"{name} is required")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise AnswerError(400, f"{name} is not an ISO 8601 time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _page_token(key: Key) -> str:
    """Names the last item of a page, and when the token was made."""
    return base64.urlsafe_b64encode(f"{key[0]!r},{key[1]},{monotonic()!r}".encode()).decode().rstrip("=")


def _key(simulator: "Simulator", page: str) -> Key:
    try:
        started, last_id, made = base64.urlsafe_b64decode(page + "=" * (-len(page) % 4)).decode().split(",")
        key, age = (float(started), int(last_id)), monotonic() - float(made)
    except (ValueError, binascii.Error):
        raise AnswerError(400, "page is not a page token") from None
    if not (math.isfinite(key[0]) and math.isfinite(age)):
        raise AnswerError(400, "page is not a page token")
    if simulator.config.page_seconds is not None and age >= simulator.config.page_seconds:
        raise AnswerError(400, "page has expired")
    return key
