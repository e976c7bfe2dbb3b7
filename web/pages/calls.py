"""`/calls`: finding a call; `/calls/ACCOUNT/REFERENCE`: why it has its tags, and what to do about it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup
from starlette.responses import Response
from starlette.routing import Route

from rules.facts import facts_from_json
from rules.fields import Type, find
from store import driving, history
from store.calls import STATES
from store.search import Page, Place, search
from web.pages.render import LONGEST, counted, duration, masked, text, texts
from web.pages.visit import Site, Visit, action, page
from worker import forgetting
from worker.asking import NAMES, asked_for
from worker.forgetting import Person
from worker.known import is_personal, text_of_test
from worker.story import Story, story

MOST = 50
"""Calls of a page."""
TREES = 100
"""Rules of which the tree is shown without being asked for: of those that are not plainly false, and of the
others."""
PATIENCE = 5.0
"""Seconds to wait for a worker that has a call which is to be forgotten."""
OUTSIDE = {"inbound": "caller", "outbound": "receiver"}
"""By direction, the fact that names the other side."""
WORDS = {
    "due": "waits its turn",
    "running": "a worker has it now",
    "done": "done",
    "decided": "decided, but not applied",
    "parked": "waits, and is tried again",
    "dead": "given up",
}
"""The states of a call, as people read them."""


def routes(site: Site) -> list[Route]:
    return [
        Route("/calls", page(site, many)),
        Route("/calls/again", action(site, again), methods=["POST"]),
        Route("/calls/forget", action(site, forget), methods=["POST"]),
        Route("/calls/unblock", action(site, unblock), methods=["POST"]),
        Route("/calls/{account}/{reference:path}", page(site, one)),
    ]


def address(account: str, reference: str) -> str:
    """Where the page of a call is."""
    return f"/calls/{quote(account, safe='')}/{quote(reference, safe='')}"


def many(visit: Visit) -> Response:
    """The calls that fit, newest first; `before` names where the page before ended."""
    given = {name: (visit.query(name) or "").strip() for name in NAMES}
    now = time.time()
    wrong, found = None, Page([], None, None)
    try:
        wanted = asked_for(visit.state.settings, given, now)
        place = _read_place(visit.query("before"))
        with visit.state.database.read() as connection:
            found = search(connection, wanted, now, MOST, place)
    except ValueError as fault:
        wrong = str(fault)
    asked = {name: value for name, value in given.items() if value}
    following = urlencode({**asked, "before": _place(found.next)}) if found.next else None
    known: dict[str, Any] = {"found": found, "following": following, "wrong": wrong, "asked": asked}
    known |= {"states": STATES}
    known |= {"words": WORDS, "given": given, "accounts": list(visit.state.settings.accounts)}
    template = "_parts/calls.html" if visit.is_part else "calls.html"
    return visit.render(template, 400 if wrong and not visit.is_part else 200, **known)


def _place(place: Place) -> str:
    return f"{place.first_at!r}_{place.id}"


def _read_place(given: str | None) -> Place | None:
    """Raises ValueError."""
    if given is None:
        return None
    at, _, id_ = given.partition("_")
    try:
        place = Place(float(at), int(id_))
    except ValueError:
        raise ValueError("before: this is no place in the list; go back to its beginning") from None
    if not (place.first_at == place.first_at and 0 <= place.id < 2**62):
        raise ValueError("before: this is no place in the list; go back to its beginning")
    return place


@dataclass(frozen=True, slots=True)
class Values:
    """Shows facts: to those who may only look, nothing that says who it was or what was said."""

    admin: bool

    def __call__(self, name: str | None, value: Any) -> Markup:
        if value is None:
            return Markup('<span class="muted">no value</span>')
        field = find(name or "")
        if not self.admin and is_personal(name or "", value):
            phone = field is not None and field.type is Type.PHONE
            return (
                text(masked(str(value)))
                if phone
                else Markup('<span class="muted">hidden from viewers</span>')
            )
        if isinstance(value, bool):
            return text(str(value).lower())
        if isinstance(value, list):
            return texts(value) if value else Markup('<span class="muted">none</span>')
        unit = field.unit if field else None
        if unit == "s" and isinstance(value, int | float):
            return Markup("{} s{}").format(value, f" ({duration(value)})" if value >= 60 else "")
        shown = _long(value) if len(str(value)) > LONGEST else text(value)
        return Markup("{} {}").format(shown, unit) if unit else shown


def _long(value: object) -> Markup:
    """Its beginning, and all of it where it is opened."""
    whole = str(value)
    return Markup("<details><summary><bdi>{}…</bdi></summary><p><bdi>{}</bdi></p></details>").format(
        whole[: LONGEST // 2], whole
    )


def one(visit: Visit) -> Response:
    """One call; `decision` says which one's trace is shown (`now`: by the rules in force), `rule` of which
    rules."""
    account, reference = visit.path["account"], visit.path["reference"]
    found = story(visit.state, account, reference, visit.query("decision"))
    if found is None:
        return visit.fault(404, f"no call of the account '{account}' has the reference '{reference}'")
    only = (visit.query("rule") or "").strip()
    shown = [rule for rule in found.traces if _named(only, rule.id, rule.tags)]
    telling = [rule for kind in ("true", "skipped", "unknown") for rule in shown if rule.outcome == kind]
    others = [rule for rule in shown if rule.outcome in ("false", "off")]
    known = {"story": found, "call": found.call, "account": account, "reference": reference, "only": only}
    known |= {"telling": telling, "others": others, "few": max(len(telling), len(others)) if only else TREES}
    known |= {"here": address(account, reference), "words": WORDS, "value": Values(visit.is_admin)}
    known |= {"test": _test(visit, found, f"{account}:{reference}"), "number": _outside(found.call)}
    return visit.render("call.html", **known)


def _named(only: str, id_: str, tags: Any) -> bool:
    words = only.casefold()
    return not only or words in id_.casefold() or any(words in tag.casefold() for tag in tags)


def _test(visit: Visit, found: Story, name: str) -> str | None:
    if not found.call.facts:
        return None
    known = found.call.facts if found.call.others is None else {**found.call.facts, "tags": found.call.others}
    return text_of_test(name, facts_from_json(known), visit.state.rules.now())


Change = Callable[[Visit, history.Call], Response]


def _with_call(visit: Visit, change: Change) -> Response:
    account, reference = visit.field("account"), visit.field("reference")
    with visit.state.database.read() as connection:
        found = history.call_by_reference(connection, account, reference, time.time())
    if found is None:
        return visit.fault(404, f"no call of the account '{account}' has the reference '{reference}'")
    return change(visit, found)


def _back(visit: Visit, told: str) -> Response:
    return visit.go(address(visit.field("account"), visit.field("reference")), told)


def again(visit: Visit) -> Response:
    """Makes the call due; the sweeper sends it on."""
    return _with_call(visit, _again)


def _again(visit: Visit, call: history.Call) -> Response:
    now = time.time()
    with visit.state.database.write() as connection:
        due = driving.retry(connection, [call.id], now)
        refused = driving.refusal(connection, call.id, now)
    if not due:
        return _back(visit, f"The call is not evaluated again: {refused}.")
    return _back(visit, "The call is due again; a worker takes it in a moment.")


def unblock(visit: Visit) -> Response:
    """Lets the rules put a tag again that a person took off."""
    return _with_call(visit, _unblock)


def _unblock(visit: Visit, call: history.Call) -> Response:
    try:
        with visit.state.database.write() as connection:
            lifted = driving.unblock(connection, call.id, visit.field("tag"), time.time())
    except driving.Busy:
        return _back(visit, "A worker has the call at this moment; try again.")
    return _back(visit, "The rules may put the tag again." if lifted else "The tag is not blocked here.")


def forget(visit: Visit) -> Response:
    """Asks, then erases what the store has of the call, or (`of`: `number`) of the other side."""
    return _with_call(visit, _forget)


def _outside(call: history.Call) -> str | None:
    """The number that we were called from, or called."""
    side = OUTSIDE.get(call.facts.get("direction", ""))
    return call.facts.get(side) if side else None


def _forget(visit: Visit, call: history.Call) -> Response:
    account, reference = visit.field("account"), visit.field("reference")
    state, number = visit.state, _outside(call) if visit.field("of") == "number" else None
    try:
        person = forgetting.find(state.database, state.settings, None, number) if number else None
    except ValueError as fault:
        return visit.fault(400, str(fault))
    person = person or Person([call.id], [])
    if visit.field("sure") != "yes":
        known = {"here": address(account, reference), "account": account, "reference": reference}
        events = forgetting.number_of_events(state.database, person)
        return visit.render("forget.html", number=number, calls=len(person.calls), events=events, **known)
    erased = forgetting.forget(state.database, state.settings, person, PATIENCE)
    if left := len(person.calls) - len(erased.calls):
        busy = "1 call was not erased: a worker" if left == 1 else f"{left:,} calls were not erased: workers"
        return _back(visit, f"{busy} had it all the time; try again.")
    return _back(visit, f"{counted(len(erased.calls), 'call is', 'calls are')} forgotten.")
