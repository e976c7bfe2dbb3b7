"""The JSON API: `Authorization: Bearer` and the admin token."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.guard import guarded
from web.jobs import job_routes
from web.state import State
from worker import why


def api_routes(state: State) -> list[Route]:
    """The routes under `/api`; every one asks for the token first."""
    return [
        Route("/status", guarded(state, status)),
        Route("/calls/{account}/{reference:path}", guarded(state, call)),
        *job_routes(state),
    ]


def status(state: State, _request: Request) -> Response:
    """What there is and how it goes; see `worker.why.status`."""
    return JSONResponse(why.status(state))


def call(state: State, request: Request) -> Response:
    """One call by any of its references: facts, state, decisions with their trace, tags, events."""
    account, reference = request.path_params["account"], request.path_params["reference"]
    found = why.call(state, account, reference)
    if found is None:
        return JSONResponse({"error": "no call of that account has this reference"}, 404)
    return JSONResponse(found)
