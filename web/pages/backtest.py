"""`/backtest`: what rules would have done with the stored calls, and publishing them after a look at it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from rules.fields import FIELDS, Type
from rules.ruleset import RuleSet
from store import backtests, rulesets
from store.backtests import Backtest, Busy
from web.pages.visit import Site, Visit, action, page
from worker import publishing
from worker.backtesting import Runner
from worker.comparing import BadRange, edit_of, read_range
from worker.publishing import Refused

LAST = 10
"""Backtests that are listed."""
RULES = 25
"""Rules on one page of a result."""
WIDTH, HEIGHT = 720, 96
"""Of a chart, in its own units."""


def routes(site: Site) -> list[Route]:
    runner = Runner(site.state.database, site.state.settings.database)
    return [
        Route("/backtest", page(site, asked), methods=["GET"]),
        Route("/backtest", action(site, lambda visit: begin(visit, runner), viewers=True), methods=["POST"]),
        Route("/backtest/{id}", page(site, shown), methods=["GET"]),
        Route("/backtest/{id}/stop", action(site, stop), methods=["POST"]),
        Route("/backtest/{id}/publish", action(site, publish), methods=["POST"]),
    ]


def asked(visit: Visit, wrong: str | None = None, status: int = 200) -> Response:
    """The form, and the last backtests."""
    with visit.state.database.read() as connection:
        versions = rulesets.versions(connection, LAST)
        last = backtests.newest(connection, LAST)
    given = {name: visit.field(name) or visit.query(name) or "" for name in ("from", "to", "rules")}
    return visit.render("backtest.html", status, versions=versions, last=last, given=given, wrong=wrong)


def begin(visit: Visit, runner: Runner) -> Response:
    """Begins one of the rules in force, of a version, or of an earlier backtest's rules."""
    chosen, again = visit.field("rules"), visit.field("again")
    now = time.time()
    with visit.state.database.read() as connection:
        in_force = rulesets.active(connection)
        earlier = backtests.find(connection, again, now) if again else None
        missing = bool(chosen) and rulesets.version(connection, chosen) is None
    if missing:
        return asked(visit, "there is no rule set of that hash", 404)
    if earlier and earlier.files and not visit.is_admin:
        return visit.fault(403, "you may count the rules that are or were in force: log in as an admin")
    rules = (earlier.files or earlier.ruleset if earlier else chosen) or in_force
    if not rules:
        return asked(visit, "no rule set is in force yet", 409)
    wanted: dict[str, Any] = {"title": f"version {chosen[:12]}" if chosen else "the rules in force"}
    if earlier:
        wanted = {name: earlier.asked[name] for name in KEPT if name in earlier.asked}
    against = earlier.against if earlier else in_force if chosen else None
    try:
        id_ = runner.begin(rules, against, wanted | read_range(visit.field("from"), visit.field("to"), now))
    except BadRange as fault:
        return asked(visit, str(fault), 400)
    except Busy as other:
        return visit.go(f"/backtest/{other}", "This one still runs: wait for it, or stop it.")
    return visit.go(f"/backtest/{id_}")


KEPT = ("title", "edit", "hash")
"""What the same backtest over another time is asked for again."""


def shown(visit: Visit) -> Response:
    """One backtest: how far it is, or what came of it."""
    with visit.state.database.read() as connection:
        found = backtests.find(connection, visit.path["id"], time.time())
        active = rulesets.active(connection)
    if found is None:
        return visit.fault(404, "there is no such backtest; they are kept for a day")
    edit, settings = edit_of(found.asked), visit.state.settings
    values: dict[str, Any] = {
        "test": found,
        "edit": edit,
        "in_force": active is not None and found.asked.get("hash") == active,
    }
    if found.state == "running" and visit.is_part:
        return visit.render("_parts/progress.html", test=found)
    if visit.is_part and (edit is None or values["in_force"] or visit.query("counted") is None):
        return visit.go(visit.request.url.path)
    if visit.is_part:
        return visit.render("_parts/coming.html", test=found, edit=edit)
    values["why_not"] = publishing.why_not(settings, edit.file) if edit else None
    values["written"] = edit is not None and publishing.is_written(settings.rules, edit)
    return visit.render("backtested.html", **values, **_result(visit, found))


def _result(visit: Visit, found: Backtest) -> dict[str, Any]:
    if found.result is None:
        return {"result": None, "rules": [], "more": None}
    every = sorted(found.result["rules"], key=lambda rule: -rule["outcomes"]["true"])
    given = visit.query("first") or "0"
    first = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    only = visit.query("rule")
    some = [rule for rule in every if rule["id"] == only] if only else every[first : first + RULES]
    return {
        "result": found.result,
        "rules": [rule | _charts(found.result, rule) for rule in some],
        "more": first + RULES if not only and len(every) > first + RULES else None,
    }


def _charts(result: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    days = dict(rule["days"])
    numbers = [days.get(at, 0) for at in range(len(result["days"]))]
    return {
        "path": bars(numbers),
        "most": max(numbers, default=0),
        "matched": [(result["days"][at], calls) for at, calls in rule["days"]],
        "histograms": list(_histograms(result["fields"], rule["thresholds"])),
    }


def _histograms(
    fields: Mapping[str, Any], thresholds: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    for one in thresholds:
        field = fields[one["field"]]
        span = field["end"] - field["start"]
        known = FIELDS.get(one["field"])
        yield {
            **one,
            "path": bars(field["bars"]),
            "most": max(field["bars"]),
            "start": field["start"],
            "end": field["end"],
            "names": field["names"],
            "bars": field["bars"],
            "unit": "s" if known and known.type is Type.DURATION else "",
            "lines": [round((mark - field["start"]) / span * WIDTH, 1) for mark in one["marks"]],
        }


def bars(numbers: Sequence[int]) -> str:
    """Bars from the left to the right as one SVG path, the largest as high as the chart."""
    step, most = WIDTH / max(len(numbers), 1), max(numbers, default=0) or 1
    wide = max(step - 1, step * 0.6)
    return "".join(
        f"M{at * step:.1f} {HEIGHT}v-{number / most * HEIGHT:.1f}h{wide:.1f}V{HEIGHT}z"
        for at, number in enumerate(numbers)
        if number
    )


def stop(visit: Visit) -> Response:
    """Ends one that runs."""
    with visit.state.database.write() as connection:
        backtests.end(connection, visit.path["id"], "stopped")
    return visit.go(f"/backtest/{visit.path['id']}")


def publish(visit: Visit) -> Response:
    """Publishes the edit that the backtest was made for, now that it was looked at."""
    path = f"/backtest/{visit.path['id']}"
    with visit.state.database.read() as connection:
        found = backtests.find(connection, visit.path["id"], time.time())
    edit = edit_of(found.asked) if found and found.state == "done" else None
    if found is None or edit is None:
        return visit.fault(409, "there is nothing to publish here")
    try:
        publishing.publish(visit.state.settings, edit, found.asked["hash"], lambda new: _announce(visit, new))
    except Refused as fault:
        return visit.go(path, f"Nothing was published: {fault}.")
    return visit.go(path, f"{edit.file} is written; its rules are in force in a moment.")


def _announce(visit: Visit, ruleset: RuleSet) -> None:
    with visit.state.database.write() as connection:
        new = (ruleset.hash, ruleset.files, time.time(), ruleset.shadow_rules, rulesets.PAGE)
        rulesets.announce(connection, *new)
