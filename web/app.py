"""The Starlette application: webhook receiver, health, metrics, the JSON API and the pages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from store.database import Database, Unavailable, migrate
from web.api import api_routes
from web.health import Health
from web.inbox import GroupCommit, Waker
from web.metrics import Metrics
from web.pages import missing, page_routes
from web.pages.render import environment
from web.pages.visit import Site
from web.state import State
from web.webhooks import Webhooks
from worker.celery import CeleryMessages, create_celery
from worker.context import RulesInForce, redis_client
from worker.settings import Settings

BUSY = 1.0
"""Seconds that a webhook's commit waits for another writer before the answer is 503."""


def create_app(settings: Settings) -> Starlette:
    """The application; opens the database when it starts up, bringing its tables to the newest form.

    The inbox has connections of its own, so that no number of questions keeps webhooks waiting.
    """
    database = Database(settings.database, busy=BUSY)
    inboxes = Database(settings.database, busy=BUSY)
    shared = redis_client(settings)
    messages = CeleryMessages(create_celery(settings), shared)
    waker = Waker(messages.wake)
    inbox = GroupCommit(inboxes, waker.tell)
    webhooks = Webhooks(settings.accounts, inbox, settings.max_body)
    state = State(settings, database, RulesInForce(database))
    health = Health(database, messages)
    metrics = Metrics(settings, database, webhooks.outcomes)
    site = Site(state, environment(), metrics.backlogs)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(_migrate, settings)
        inbox.start()
        waker.start()
        yield
        await inbox.close()
        await asyncio.to_thread(waker.close)
        shared.close()
        inboxes.close()
        database.close()
        metrics.close()

    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=trusted_hosts(settings), www_redirect=False)
    return Starlette(
        routes=[
            Route("/webhooks/{account}", webhooks, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/readyz", health.readyz),
            Route("/metrics", metrics.expose),
            Mount("/api", routes=api_routes(state), middleware=[trusted]),
            *page_routes(site, trusted),
        ],
        lifespan=lifespan,
        exception_handlers={Unavailable: unavailable, 404: missing(site)},
    )


def _migrate(settings: Settings) -> None:
    patient = Database(settings.database)  # other parts may be migrating at this moment
    try:
        migrate(patient)
    finally:
        patient.close()


def trusted_hosts(settings: Settings) -> list[str]:
    """The names by which people may reach the API and the pages.

    Any, where it listens everywhere and no name is set.
    """
    public = urlsplit(settings.public_url).hostname
    everywhere = settings.host in ("0.0.0.0", "::")  # noqa: S104 a comparison
    if everywhere and not public:
        return ["*"]
    named = [host for host in (settings.host, public) if host]
    return ["localhost", "127.0.0.1", "[::1]", *(f"[{host}]" if ":" in host else host for host in named)]


async def healthz(_request: Request) -> Response:
    """The loop runs."""
    return JSONResponse({"status": "ok"})


async def unavailable(_request: Request, _fault: Exception) -> Response:
    return JSONResponse({"error": "the database cannot be used now"}, 503, {"Retry-After": "1"})
