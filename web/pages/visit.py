"""Who may see a page and who may change something, and what every page function is given."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

import structlog
from jinja2 import Environment
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from store import sessions
from store.database import Unavailable
from store.sessions import Session
from web.guard import BadBody, read_body
from web.pages import session as login
from web.pages.feed import Feed
from web.pages.render import masked, text
from web.state import State
from worker.overview import Backlogs

LONGEST_FORM = 262_144
"""Bytes of a form, where its page does not say otherwise."""
MOST_FIELDS = 2000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Site:
    """What all pages share."""

    state: State
    templates: Environment
    backlogs: Backlogs


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is logged in (or of nobody: `session` is None on the login page).

    `form` has the fields of a sent form, each with all of its values.
    """

    site: Site
    request: Request
    session: Session | None
    form: Mapping[str, list[str]]

    @property
    def state(self) -> State:
        return self.site.state

    @property
    def path(self) -> Mapping[str, Any]:
        """The parts of the address that the route names."""
        return self.request.path_params

    @property
    def is_admin(self) -> bool:
        return self.session is not None and self.session.role == login.ADMIN

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, for a part of a page."""
        return "hx-request" in self.request.headers

    def query(self, name: str) -> str | None:
        """A parameter of the address; None where it is missing or empty."""
        return self.request.query_params.get(name) or None

    def field(self, name: str) -> str:
        """A field of the form; empty where it is missing."""
        return self.form.get(name, [""])[0]

    def number(self, phone: str | None) -> Markup:
        """A phone number, masked for those who may only look."""
        if not phone:
            return Markup("")
        return text(phone if self.is_admin else masked(phone), 64)

    def render(self, template: str, status: int = 200, /, **values: Any) -> Response:
        """The page; `visit`, `told` and the nonce are known to every template."""
        nonce = secrets.token_urlsafe(16)
        told = self._take_told() if not self.is_part else None
        csrf = self.session.csrf if self.session else ""
        known = {"visit": self, "told": told, "nonce": nonce, "csrf": csrf}
        html = self.site.templates.get_template(template).render(known | values)
        return HTMLResponse(html, status, headers(nonce))

    def fragment(self, template: str, **values: Any) -> str:
        """A part of a page as text."""
        return self.site.templates.get_template(template).render({"visit": self} | values)

    def go(self, path: str, told: str | None = None) -> Response:
        """To another page after a change, which tells what was done."""
        if told and self.session:
            with self.state.database.write() as connection:
                sessions.tell(connection, self.session.key, told)
        if self.is_part:  # htmx follows a redirect by itself, and would put the page into the part
            return Response(status_code=204, headers=headers("") | {"HX-Redirect": path})
        return RedirectResponse(path, 303, headers("-"))

    def fault(self, status: int, what: str) -> Response:
        """A page (or, for htmx, a line) that says in one line what is wrong."""
        if self.is_part:
            return self.render("_parts/fault.html", status, what=what)
        return self.render("fault.html", status, what=what, missing=status == 404)

    def _take_told(self) -> str | None:
        if self.session is None or self.session.told is None:
            return None
        with self.state.database.write() as connection:
            sessions.tell(connection, self.session.key, None)
        return self.session.told


def headers(nonce: str) -> dict[str, str]:
    """What every page's answer bears."""
    return {
        "Content-Security-Policy": POLICY.format(nonce=nonce),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


Page = Callable[[Visit], Response]


def page(site: Site, shown: Page) -> Callable[[Request], Response]:
    """An endpoint for whoever is logged in."""

    def answer(request: Request) -> Response:
        try:
            session = login.current(site.state, request)
            if session is None:
                return _to_login(request)
            return _bearing(shown(Visit(site, request, session, {})))
        except Unavailable as fault:
            return _unavailable(site, request, fault)

    return answer


def _bearing(answer: Response) -> Response:
    """The answer with our headers, also where it is a file."""
    for name, value in headers("-").items():
        answer.headers.setdefault(name, value)
    return answer


def live(site: Site, feed: Callable[[Request], Feed | None]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint by which whoever is logged in listens to a feed; 404 where there is none."""

    async def answer(request: Request) -> Response:
        try:
            session = await run_in_threadpool(login.current, site.state, request)
        except Unavailable:
            return Response(status_code=503, headers=headers("-"))
        if session is None:
            return _to_login(request)
        found = feed(request)
        return found.stream() if found else Response(status_code=404, headers=headers("-"))

    return answer


def action(
    site: Site, done: Page, viewers: bool = False, longest: int = LONGEST_FORM
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that changes something, for an admin, or tries something out, for `viewers` too.

    The form is urlencoded; it bears the CSRF token as `csrf`, or the header `X-CSRF-Token` does.
    """

    async def answer(request: Request) -> Response:
        try:
            body = await read_body(request, longest)
        except BadBody as fault:
            return Visit(site, request, None, {}).fault(fault.status, str(fault))
        return await run_in_threadpool(_act, site, done, viewers, request, body)

    return answer


def _act(site: Site, done: Page, viewers: bool, request: Request, body: bytes) -> Response:
    try:
        session = login.current(site.state, request)
        if session is None:
            return _to_login(request)
        form = read_form(body)
        visit = Visit(site, request, session, form)
        given = request.headers.get("x-csrf-token") or visit.field("csrf")
        if not login.from_here(site.state.settings, request) or not login.proved(session, given):
            return visit.fault(403, "this form is not from here, or too old: go back, load the page again")
        if not (viewers or visit.is_admin):
            return visit.fault(403, "you may look, and change nothing: log in with the admin token")
        return _bearing(done(visit))
    except Unavailable as fault:
        return _unavailable(site, request, fault)


def read_form(body: bytes) -> dict[str, list[str]]:
    """The fields of an urlencoded form; what cannot be read is none."""
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}


def _to_login(request: Request) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if "hx-request" in request.headers:
        return Response(status_code=401, headers=headers("-") | {"HX-Redirect": "/login"})
    if "text/event-stream" in request.headers.get("accept", ""):
        return Response(status_code=401, headers=headers("-"))
    back = f"?next={quote(path, safe='')}" if request.method == "GET" and path != "/" else ""
    return RedirectResponse(f"/login{back}", 303, headers("-"))


def _unavailable(site: Site, request: Request, fault: Unavailable) -> Response:
    log.warning("a page could not be shown", fault=str(fault))
    return Visit(site, request, None, {}).fault(503, "the database cannot be used now; try again in a moment")
