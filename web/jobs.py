"""The JSON API of re-tagging jobs, under `/api/jobs`."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from store.database import Database
from web.guard import Endpoint, guarded, guarded_with_body
from web.state import State
from worker.retag import orders
from worker.retag.asked import read_asked
from worker.retag.orders import NoSuchJob, Refused
from worker.retag.report import FORMATS, rows
from worker.retag.spec import BadSpec
from worker.retag.telling import listed, told

PAGE = 50
MOST = 1000
MEDIA = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
ORDERS: dict[str, Callable[[Database, int], Any]] = {
    "run": orders.run,
    "pause": orders.pause,
    "resume": orders.resume,
    "cancel": orders.cancel,
    "retry-failed": orders.retry_failed,
}


def job_routes(state: State) -> list[Route]:
    """The routes under `/api/jobs`; every one asks for the token first."""

    def route(path: str, endpoint: Endpoint, method: str) -> Route:
        return Route(path, guarded(state, _answered(endpoint)), methods=[method])

    return [
        route("/jobs", many, "GET"),
        Route("/jobs", guarded_with_body(state, _answered(plan)), methods=["POST"]),
        route("/jobs/{job:int}", one, "GET"),
        route("/jobs/{job:int}/report", report, "GET"),
        route("/jobs/{job:int}/undo", undo, "POST"),
        *(route(f"/jobs/{{job:int}}/{name}", _order(order), "POST") for name, order in ORDERS.items()),
    ]


def _answered(endpoint: Endpoint) -> Endpoint:
    """What cannot be is told in a line: 400 what was asked wrongly, 404 no such job, 409 not now."""

    def answer(state: State, request: Request) -> Response:
        try:
            return endpoint(state, request)
        except BadSpec as fault:
            return JSONResponse({"error": str(fault)}, 400)
        except NoSuchJob as fault:
            return JSONResponse({"error": str(fault)}, 404)
        except Refused as fault:
            return JSONResponse({"error": str(fault)}, 409)

    return answer


def many(state: State, request: Request) -> Response:
    """`{"jobs": [...], "next": number or null}`, newest first; `?before=NUMBER&limit=50` pages on."""
    before, limit = _number(request, "before"), _number(request, "limit") or PAGE
    if limit > MOST:
        raise BadSpec(f"limit: {MOST} at most")
    found = listed(state, limit + 1, before)
    page = found[:limit]
    return JSONResponse({"jobs": page, "next": page[-1]["job"] if len(found) > limit else None})


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise BadSpec(f"{name}: a number from 1 on")
    return int(text)


def plan(state: State, request: Request) -> Response:
    """Makes a job to be planned, from a JSON object of what `worker.retag.asked.Asked` has."""
    return _made(state, orders.plan_as_asked(state, read_asked(request.state.body)))


def undo(state: State, request: Request) -> Response:
    """Makes a job that takes back what this one did; it is to be run when it is planned."""
    return _made(state, orders.undo(state.database, request.path_params["job"]))


def _made(state: State, job: int) -> Response:
    return JSONResponse(told(state, job), 201, {"Location": f"/api/jobs/{job}"})


def one(state: State, request: Request) -> Response:
    """See `worker.retag.telling.told`."""
    return JSONResponse(told(state, request.path_params["job"]))


def _order(order: Callable[[Database, int], Any]) -> Endpoint:
    def obey(state: State, request: Request) -> Response:
        order(state.database, request.path_params["job"])
        return one(state, request)

    return obey


def report(state: State, request: Request) -> Response:
    """Each call that the job changes; `?format=csv` or `json`, sent as it is read."""
    return sent_report(state, request.path_params["job"], request.query_params.get("format", "csv"))


def sent_report(state: State, number: int, form: str) -> Response:
    """The report of a job as a file, `csv` or `json`; raises `BadSpec` and `NoSuchJob`."""
    if form not in FORMATS:
        raise BadSpec(f"format: {' or '.join(FORMATS)}")
    with state.database.read() as connection:
        job = orders.find(connection, number)
    name = {"Content-Disposition": f'attachment; filename="job-{job.id}.{form}"'}
    return StreamingResponse(FORMATS[form](rows(state.database, job)), 200, name, MEDIA[form])
