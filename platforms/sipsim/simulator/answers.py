"""How the platform answers: envelopes and errors."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count

import orjson
from starlette.responses import Response

JSON = {"content-type": "application/json"}

_numbers = count(1)


class AnswerError(Exception):
    """The platform refuses: a status and what it says about it."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = list(errors)


def request_id() -> str:
    return f"req_{next(_numbers):012x}"


def as_json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, {**JSON, **(headers or {})})


def good(data: object, status: int = 200, pagination: Mapping[str, object] | None = None) -> Response:
    """The envelope of a success."""
    body: dict[str, object] = {
        "status": status,
        "request_id": request_id(),
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
    }
    if pagination is not None:
        body["pagination"] = pagination
    return as_json(body, status)


def error(status: int, errors: Sequence[str], path: str, retry_after: str | None = None) -> Response:
    """The envelope of an error."""
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return as_json(
        {"status": status, "errors": list(errors), "request_id": request_id(), "path": path}, status, headers
    )


def done() -> Response:
    return Response(status_code=204)
