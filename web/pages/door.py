"""`/login` and `/logout`."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from store import sessions
from store.database import Unavailable
from web.guard import BadBody, read_body
from web.pages import session as login
from web.pages.visit import Site, Visit, action, headers, read_form

LONGEST = 4096


def routes(site: Site) -> list[Route]:
    def shown(request: Request) -> Response:
        return _form(Visit(site, request, None, {}), request.query_params.get("next", "/"))

    async def sent(request: Request) -> Response:
        try:
            body = await read_body(request, LONGEST)
        except BadBody as fault:
            return Visit(site, request, None, {}).fault(fault.status, str(fault))
        return await run_in_threadpool(_enter, Visit(site, request, None, read_form(body)))

    return [
        Route("/login", shown, methods=["GET"]),
        Route("/login", sent, methods=["POST"]),
        Route("/logout", action(site, leave, viewers=True), methods=["POST"]),
    ]


def _form(visit: Visit, path: str, wrong: str | None = None, status: int = 200) -> Response:
    return visit.render("login.html", status, next=login.local(path), wrong=wrong)


def _enter(visit: Visit) -> Response:
    path = visit.field("next")
    if not login.from_here(visit.state.settings, visit.request):
        return _form(visit, path, "This form was sent from another site.", 403)
    try:
        answer = login.log_in(visit.state, visit.request, visit.field("token"), path)
    except login.TooManyAttempts:
        return _form(visit, path, "Too many attempts: wait 15 minutes, then try again.", 429)
    except Unavailable:
        return _form(visit, path, "The database cannot be used now: try again in a moment.", 503)
    if answer is None:
        return _form(visit, path, "That is not the token.", 401)
    answer.headers.update(headers("-"))
    return answer


def leave(visit: Visit) -> Response:
    """Ends the session."""
    if visit.session:
        with visit.state.database.write() as connection:
            sessions.close(connection, visit.session.key)
    answer = RedirectResponse("/login", 303, headers("-"))
    answer.delete_cookie(login.COOKIE)
    return answer
