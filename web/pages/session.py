"""Logging in and out: a cookie with a secret, of which the database keeps the hash alone.

A session belongs to the token it was opened with: it ends when the token is changed.
"""

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from store import sessions
from store.sessions import LIFE, Session
from web.state import State
from worker.settings import Settings

COOKIE = "calltag_session"
ADMIN, VIEWER = "admin", "viewer"


def tokens(settings: Settings) -> dict[str, str]:
    """The token of each role that one can log in with."""
    given: dict[str, SecretStr | None] = {ADMIN: settings.admin_token, VIEWER: settings.viewer_token}
    return {role: token.get_secret_value() for role, token in given.items() if token}


def _key(secret: str, token: str) -> bytes:
    return hashlib.sha256(f"{secret} {token}".encode()).digest()


def current(state: State, request: Request) -> Session | None:
    """Who asks, or None. Raises `Unavailable`."""
    secret = request.cookies.get(COOKIE)
    if not secret:
        return None
    keys = [_key(secret, token) for token in tokens(state.settings).values()]
    with state.database.read() as connection:
        return sessions.find(connection, keys, time.time())


def log_in(state: State, request: Request, given: str, path: str) -> Response | None:
    """Opens a session and leads to `path`; None when there is no such token.

    Raises `TooManyAttempts`, and `Unavailable`.
    """
    address, now = _address(request), time.time()
    with state.database.write() as connection:
        allowed = sessions.may_try(connection, address, now)
    if not allowed:
        raise TooManyAttempts
    fitting = [(role, token) for role, token in tokens(state.settings).items() if _same(given.strip(), token)]
    if not fitting:
        return None
    (role, token), secret = fitting[0], secrets.token_urlsafe(32)
    with state.database.write() as connection:
        csrf = secrets.token_urlsafe(32)
        sessions.open_session(connection, _key(secret, token), role, csrf, address, now)
    answer = RedirectResponse(local(path), 303)
    secure = behind_https(state.settings, request)
    answer.set_cookie(COOKIE, secret, max_age=int(LIFE), httponly=True, samesite="lax", secure=secure)
    return answer


class TooManyAttempts(Exception):
    """Nobody may try now, not even with the right token."""


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _address(request: Request) -> str:
    return request.client.host[:64] if request.client else ""


def behind_https(settings: Settings, request: Request) -> bool:
    """Whether the person reached us by https, perhaps through a proxy that ends it."""
    public = urlsplit(settings.public_url)
    by_name = public.scheme == "https" and request.headers.get("host", "") == public.netloc
    return request.url.scheme == "https" or by_name


def from_here(settings: Settings, request: Request) -> bool:
    """Whether a form was sent by one of our own pages, as far as the browser says."""
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    ours = (request.headers.get("host", ""), urlsplit(settings.public_url).netloc)
    return urlsplit(origin).netloc in [host for host in ours if host]


def proved(session: Session, given: str) -> bool:
    """Whether a change bears the session's CSRF token."""
    return _same(given, session.csrf)


def local(path: str) -> str:
    """A path of our own to go to, whatever was asked for."""
    parts = urlsplit(path.replace("\\", "/"))
    ours = path.startswith("/") and not path.startswith("//") and not parts.netloc and path.isprintable()
    return path if ours and "\\" not in path else "/"
