"""The pages: server-rendered, one module each; none of them has logic of its own."""

from collections.abc import Callable, Sequence

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from web.pages import backtest, calls, deadletters, door, jobs, overview, playground, rules, setup
from web.pages.files import StaticFiles
from web.pages.render import STATIC, static_version
from web.pages.visit import Site, Visit

PAGES: Sequence[Callable[[Site], list[Route]]] = (
    door.routes,
    overview.routes,
    calls.routes,
    playground.routes,
    backtest.routes,
    rules.routes,
    deadletters.routes,
    jobs.routes,
    setup.routes,
)


def page_routes(site: Site, trusted: Middleware) -> list[BaseRoute]:
    """The routes of all pages and of their static files, for the names that `trusted` knows."""
    found = [route for routes in PAGES for route in routes(site)]
    for route in found:
        route.app = trusted.cls(route.app, *trusted.args, **trusted.kwargs)
    files = StaticFiles(directory=STATIC)
    return [*found, Mount(f"/static/{static_version()}", files, middleware=[trusted])]


def missing(site: Site) -> Callable[[Request, Exception], Response]:
    """The answer where there is nothing: a page to people, a line to programs."""

    def answer(request: Request, _fault: Exception) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return Visit(site, request, None, {}).fault(404, "there is no such page")
        return PlainTextResponse("Not Found", 404)

    return answer
