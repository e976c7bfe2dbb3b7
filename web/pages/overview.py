"""`/`: is all well, and what happens now."""

import time

from starlette.responses import Response
from starlette.routing import Route

from store import recent
from web.pages.feed import Feed, Item
from web.pages.visit import Site, Visit, live, page
from worker.overview import charts, health

LATEST = 20


def routes(site: Site) -> list[Route]:
    decisions = Feed(lambda: latest(site))
    return [
        Route("/", page(site, overview)),
        Route("/overview/health", page(site, well)),
        Route("/overview/charts", page(site, drawn)),
        Route("/overview/decisions", live(site, lambda _request: decisions)),
    ]


def overview(visit: Visit) -> Response:
    """The page."""
    return visit.render(
        "overview.html",
        findings=health(visit.state, visit.site.backlogs),
        charts=_charts(visit),
        latest=latest(visit.site),
    )


def well(visit: Visit) -> Response:
    """Its part in words."""
    findings = health(visit.state, visit.site.backlogs)
    return visit.render("_parts/health.html", findings=findings)


def drawn(visit: Visit) -> Response:
    """Its part with the charts."""
    return visit.render("_parts/charts.html", charts=_charts(visit))


def _charts(visit: Visit) -> object:
    with visit.state.database.read() as connection:
        return charts(connection, time.time())


def latest(site: Site) -> list[Item]:
    """The newest decisions, newest first."""
    with site.state.database.read() as connection:
        found = recent.latest_decisions(connection, LATEST)
    template = site.templates.get_template("_parts/decision.html")
    return [Item(str(decision.id), template.render(decision=decision)) for decision in found]
