"""`/jobs`: past calls follow the rules: plan, look at the numbers, run, watch, take back."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from store import job_changes
from store.database import Database
from store.jobs import CallState
from web.jobs import sent_report
from web.pages.feed import Feed, Item
from web.pages.visit import Page, Site, Visit, action, live, page
from worker.retag import orders
from worker.retag.asked import Asked
from worker.retag.orders import NoSuchJob, Refused
from worker.retag.spec import BadSpec
from worker.retag.telling import how_far, listed, seconds, told
from worker.retag.words import CALLS_OF_PLAN, Told, change, cost, line, named, offered, share

MOST = 50
"""Jobs of a page."""
FAILED = 100
"""Failed calls of a page."""
ORDERS: dict[str, tuple[Callable[[Database, int], object], str]] = {
    "run": (orders.run, "The job runs."),
    "pause": (orders.pause, "The job is paused, once what is under way is written."),
    "resume": (orders.resume, "The job goes on."),
    "cancel": (orders.cancel, "The job is cancelled; what it has changed stays."),
    "retry-failed": (orders.retry_failed, "The calls that failed are tried again."),
}
FIELDS = ("since", "until", "account", "rule", "tag", "where", "having", "source", "orphaned")
LOOK = 0.5
"""Seconds between two looks at a job that is watched."""


def routes(site: Site) -> list[Route]:
    feeds: dict[int, Feed] = {}

    def feed(request: Request) -> Feed:
        for number in [number for number, one in feeds.items() if not one.listeners]:
            del feeds[number]
        job = request.path_params["job"]
        return feeds.setdefault(job, Feed(lambda: _progress(site, job), LOOK))

    return [
        Route("/jobs", page(site, many)),
        Route("/jobs", action(site, _answered(plan)), methods=["POST"]),
        Route("/jobs/{job:int}", page(site, _answered(one))),
        Route("/jobs/{job:int}/progress", live(site, feed)),
        Route("/jobs/{job:int}/rest", page(site, _answered(rest))),
        Route("/jobs/{job:int}/failed", page(site, _answered(failed))),
        Route("/jobs/{job:int}/report", page(site, _answered(report))),
        Route("/jobs/{job:int}/undo", action(site, _answered(undo)), methods=["POST"]),
        Route("/jobs/{job:int}/transcripts", action(site, _answered(transcripts)), methods=["POST"]),
        *(
            Route(f"/jobs/{{job:int}}/{name}", action(site, _answered(_order(name))), methods=["POST"])
            for name in ORDERS
        ),
    ]


def _answered(shown: Page) -> Page:
    """What cannot be is told in a line."""

    def answer(visit: Visit) -> Response:
        try:
            return shown(visit)
        except NoSuchJob as fault:
            return visit.fault(404, str(fault).partition(";")[0])
        except BadSpec as fault:
            return visit.fault(400, str(fault))
        except Refused as fault:
            return visit.fault(409, str(fault))

    return answer


def many(visit: Visit) -> Response:
    """The jobs, newest first, and the form that plans one."""
    return _many(visit, dict.fromkeys(FIELDS, ""), None)


def _many(visit: Visit, given: dict[str, str], wrong: str | None) -> Response:
    before = visit.query("before")
    valid = before is not None and before.isascii() and before.isdigit() and len(before) < 19
    found = listed(visit.state, MOST + 1, int(before) if before and valid else None)
    jobs = [{**job, "line": line(job), "named": named(job)} for job in found[:MOST]]
    older = found[MOST - 1]["job"] if len(found) > MOST else None
    accounts = list(visit.state.settings.accounts)
    known = {"jobs": jobs, "older": older, "accounts": accounts, "given": given, "wrong": wrong}
    return visit.render("jobs.html", 400 if wrong else 200, missing=_missing(visit), **known)


def _missing(visit: Visit) -> str | None:
    """Why no job comes on."""
    with visit.state.database.read() as connection:
        return orders.nobody_works(connection)


def plan(visit: Visit) -> Response:
    """Makes a job for the workers to plan."""
    given = {name: visit.field(name).strip() for name in FIELDS}
    try:
        job = orders.plan_as_asked(visit.state, _asked(given))
    except (BadSpec, Refused) as fault:
        return _many(visit, given, str(fault))
    return visit.go(f"/jobs/{job}")


def _asked(given: dict[str, str]) -> Asked:
    return Asked(
        since=given["since"],
        until=given["until"] or None,
        account=given["account"] or None,
        rule=_lines(given["rule"]),
        tag=_lines(given["tag"]),
        where=given["where"] or None,
        having=given["having"] or None,
        source="store" if given["source"] == "store" else "platform",
        orphaned="remove" if given["orphaned"] else "keep",
    )


def _lines(text: str) -> list[str]:
    return [line for part in text.splitlines() if (line := part.strip())]


def one(visit: Visit) -> Response:
    """One job: how far it is, what can be done, its plan."""
    return visit.render("job.html", **_told(visit))


def rest(visit: Visit) -> Response:
    """What changes with its state: the orders and the plan."""
    return visit.render("_parts/job_rest.html", **_told(visit))


def _told(visit: Visit) -> dict[str, Any]:
    found = told(visit.state, visit.path["job"])
    account = visit.state.settings.accounts.get(found["account"])
    lacking = found["plan"].get("lacking", 0)
    fetch = None
    if found["state"] == "planned" and lacking and account and not found["asked"]["fetch"]:
        fetch = {"calls": lacking, "takes": seconds(lacking, account)}
    return {
        "job": found,
        "named": named(found),
        "offered": offered(found),
        "change": change(found),
        "cost": cost(found),
        "calls_of_plan": CALLS_OF_PLAN,
        "fetch": fetch,
        "missing": _missing(visit),
        "html": _shown(visit.site, found),
    }


def _progress(site: Site, number: int) -> list[Item]:
    """How far the job is, as one item that changes."""
    try:
        found = how_far(site.state, number)
    except NoSuchJob:
        return []
    html = _shown(site, found)
    return [Item(html, html)]


def _shown(site: Site, found: Told) -> str:
    done, of = share(found)
    template = site.templates.get_template("_parts/job_progress.html")
    return template.render(job=found, done=done, of=of, line=line(found), left=found["left"])


def _order(name: str) -> Page:
    order, words = ORDERS[name]

    def obey(visit: Visit) -> Response:
        order(visit.state.database, visit.path["job"])
        return visit.go(f"/jobs/{visit.path['job']}", words)

    return obey


def undo(visit: Visit) -> Response:
    """Makes a job that takes back what this one did; it is to be run when it is planned."""
    made = orders.undo(visit.state.database, visit.path["job"])
    return visit.go(
        f"/jobs/{made}", f"Job {made} takes back what job {visit.path['job']} did, once you run it."
    )


def transcripts(visit: Visit) -> Response:
    """Plans the job anew, with the transcripts that its rules want; the person has seen what they cost."""
    found = told(visit.state, visit.path["job"])
    asked = found["asked"] | {"account": found["account"], "fetch": "transcript"}
    made = orders.plan_as_asked(visit.state, Asked(**asked))
    orders.cancel(visit.state.database, visit.path["job"])
    return visit.go(f"/jobs/{made}", f"Planned anew with transcripts, instead of job {visit.path['job']}.")


def failed(visit: Visit) -> Response:
    """The calls that failed, by reference, page by page; `after` is the last one of the page before."""
    number = visit.path["job"]
    with visit.state.database.read() as connection:
        job = orders.find(connection, number)
        after = (visit.query("after") or "").replace("\0", "")
        rows = job_changes.changes(connection, number, after, FAILED + 1, states=[CallState.FAILED])
    more = rows[FAILED - 1].reference if len(rows) > FAILED else None
    return visit.render("job_failed.html", job=job, rows=rows[:FAILED], more=more)


def report(visit: Visit) -> Response:
    """The report as a file."""
    return sent_report(visit.state, visit.path["job"], visit.query("format") or "csv")
