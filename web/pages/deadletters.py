"""`/deadletters`: what was given up, by reason; driving it again, one, a selection, or all of a reason."""

import time
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from store import listing
from store.listing import Filter
from web.pages.render import counted
from web.pages.visit import Site, Visit, action, page
from worker import deadletters
from worker.deadletters import Dead
from worker.events import body_of, says

MOST = 50
"""Dead letters of a page."""
ALL = "all"
LARGEST = 2**63 - 1
"""No database counts further."""
KINDS = ("calls", "events")


def routes(site: Site) -> list[Route]:
    return [
        Route("/deadletters", page(site, reasons)),
        Route("/deadletters/again", action(site, again), methods=["POST"]),
        Route("/deadletters/events/{event:int}", page(site, event)),
        Route("/deadletters/{of}", page(site, letters)),
    ]


def reasons(visit: Visit) -> Response:
    """How many there are of each reason."""
    with visit.state.database.read() as connection:
        found = deadletters.by_reason(connection, Filter(state="dead"), time.time())
    return visit.render(
        "deadletters.html", reasons=[(of, one, _address(of, one.reason)) for of, one in found]
    )


def _address(of: str, reason: str | None, **more: object) -> str:
    return f"/deadletters/{of}?" + urlencode({"reason": reason or ""} | more)


def letters(visit: Visit) -> Response:
    """The dead calls or events of a reason, newest first."""
    of, reason = visit.path["of"], visit.query("reason")
    if of not in KINDS:
        return visit.fault(404, "dead letters are calls or events")
    wanted, before = _wanted(reason or ""), _before(visit.query("before"))
    with visit.state.database.read() as connection:
        found: list[Any] = (
            listing.list_calls(connection, wanted, time.time(), MOST + 1, before)
            if of == "calls"
            else listing.list_events(connection, wanted, MOST + 1, before)
        )
    following = _address(of, reason, before=found[MOST - 1].id) if len(found) > MOST else None
    return visit.render("deadletters_of.html", of=of, reason=reason, rows=found[:MOST], following=following)


def _wanted(reason: str) -> Filter:
    return Filter(state="dead", whole_reason=reason.replace("\0", "") or None)


def _before(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def again(visit: Visit) -> Response:
    """Drives again what was chosen: the field `id` of each, or `all` of the reason."""
    of, chosen = visit.field("of"), visit.form.get("id", [])
    if of not in KINDS:
        return visit.fault(400, "dead letters are calls or events")
    if visit.field("which") == ALL:
        found = deadletters.fitting(visit.state.database, _wanted(visit.field("reason")))
        dead = Dead(calls=found.calls) if of == "calls" else Dead(events=found.events)
    else:
        ids = [id_ for text in chosen if (id_ := _before(text)) is not None]
        dead = Dead(calls=ids) if of == "calls" else Dead(events=ids)
    driven = deadletters.again(visit.state.database, dead)
    return visit.go("/deadletters", _told(driven, len(dead.calls) + len(dead.events)))


def _told(driven: Dead, asked: int) -> str:
    if not asked:
        return "None was chosen."
    parts = []
    if driven.calls:
        parts.append(f"{counted(len(driven.calls), 'call is', 'calls are')} due again")
    if driven.events:
        parts.append(f"{counted(len(driven.events), 'event')} will be read again")
    left = asked - len(driven.calls) - len(driven.events)
    if left:
        parts.append(f"{left:,} cannot be driven again now")
    return ", ".join(parts) + "."


def event(visit: Visit) -> Response:
    """One event in full; viewers do not see what it says."""
    number = visit.path["event"]
    with visit.state.database.read() as connection:
        found = listing.one_event(connection, number) if number <= LARGEST else None
    if found is None:
        return visit.fault(404, f"there is no event {number}")
    row, body = found
    shown: dict[str, Any] = {"row": row, "body": None, "says": None}
    if visit.is_admin:
        shown |= {"body": body_of(body), "says": says(visit.state.settings, row, body)}
    return visit.render("event.html", **shown)
