"""`/rules`: what each rule does; `/rules/versions`: what was in force before, and going back to it."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup
from starlette.responses import Response
from starlette.routing import Route

from rules.faults import RuleSetFaults
from rules.ruleset import Mode, Rule, RuleSet
from store import days, fleet, rulesets
from store.days import DAY, Matches
from web.pages.render import counted
from web.pages.visit import Page, Site, Visit, action, page
from worker import publishing
from worker.rulebook import DAYS, LATEST, Overlaps, Texts, compare, lines, never

MOST = 50
"""Rules, or versions, of a page."""
WIDTH, HEIGHT = 4, 24
"""Of a day's bar, and of the tallest one."""
LOADED_BY = {rulesets.SWEEPER: "found in the rules' path", rulesets.PAGE: "published from the page"}


def routes(site: Site) -> list[Route]:
    texts, overlaps = Texts(), Overlaps(site.state)
    return [
        Route("/rules", page(site, many(texts))),
        Route("/rules/overlap", page(site, overlap(overlaps))),
        Route("/rules/versions", page(site, versions)),
        Route("/rules/versions/{hash}", page(site, version)),
        Route("/rules/back", action(site, back), methods=["POST"]),
    ]


def many(texts: Texts) -> Page:
    """The rules in force, in their order; `after` is the last one of the page before."""

    def shown(visit: Visit) -> Response:
        ruleset = visit.state.rules.now()
        with visit.state.database.read() as connection:
            amiss = {notice.subject: notice.text for notice in fleet.amiss(connection)}.get("rules")
            version = rulesets.version(connection, ruleset.hash) if ruleset else None
        if ruleset is None or version is None:
            return visit.render("norules.html", path=str(visit.state.settings.rules), amiss=amiss)
        by_mode = {mode.value: sum(rule.mode is mode for rule in ruleset.rules) for mode in Mode}
        known = {"ruleset": ruleset, "version": version, "amiss": amiss, "by_mode": by_mode}
        return visit.render("rules.html", 200, **known, **_lines(visit, ruleset, texts), **FIXED)

    return shown


FIXED: Mapping[str, Any] = {"days": DAYS, "latest": LATEST, "loaded_by": LOADED_BY}


def _lines(visit: Visit, ruleset: RuleSet, texts: Texts) -> dict[str, Any]:
    asked, mode, now = visit.query("find") or "", visit.query("mode"), time.time()
    fitting = _fitting(ruleset, asked, mode)
    rest = _behind(fitting, visit.query("after"))
    return {
        "lines": lines(visit.state, ruleset, rest[:MOST], texts, now),
        "more": rest[MOST - 1].id if len(rest) > MOST else None,
        "fitting": len(fitting),
        "never": never(visit.state, ruleset, now),
        "asked": asked,
        "mode": mode,
        "sparkline": sparkline,
        "day": day,
    }


def _fitting(ruleset: RuleSet, asked: str, mode: str | None) -> list[Rule]:
    words = asked.strip().casefold()
    return [
        rule
        for rule in ruleset.rules
        if mode in (None, rule.mode.value)
        and any(words in name.casefold() for name in (rule.id, *rule.tags, rule.description or ""))
    ]


def _behind(rules: list[Rule], after: str | None) -> list[Rule]:
    ids = [rule.id for rule in rules]
    return rules[ids.index(after) + 1 :] if after in ids else rules


def day(number: int) -> str:
    """`2026-12-25`, from days since 1970."""
    return datetime.fromtimestamp(number * DAY, UTC).strftime("%Y-%m-%d")


def sparkline(matches: Sequence[Matches]) -> Markup:
    """Bars, one a day, of what a rule matched live and, above it, as a shadow."""
    most = max((one.live + one.shadow for one in matches), default=0)
    live = shadow = ""
    for at, one in enumerate(matches):
        lower, upper = _height(one.live, most), _height(one.shadow, most)
        live += _bar(at, HEIGHT, lower)
        shadow += _bar(at, HEIGHT - lower, upper)
    every = counted(sum(one.live + one.shadow for one in matches), "call")
    label = f"{every} in {len(matches)} days, {most:,} at most"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><path class="live" d="{}"/>'
        '<path class="shadow" d="{}"/></svg>'
    ).format(len(matches) * WIDTH, HEIGHT, label, live, shadow)


def _height(number: int, most: int) -> int:
    """What there is is seen."""
    return max(1, round(number / most * HEIGHT)) if number else 0


def _bar(at: int, bottom: int, height: int) -> str:
    return f"M{at * WIDTH} {bottom}v-{height}h{WIDTH - 1}v{height}z" if height else ""


def overlap(overlaps: Overlaps) -> Page:
    """What the rules do together, as a part of `/rules` or as a page."""

    def shown(visit: Visit) -> Response:
        ruleset = visit.state.rules.now()
        if ruleset is None:
            return visit.fault(404, "no rule set is in force")
        template = "_parts/overlap.html" if visit.is_part else "overlap.html"
        rules = [rule for rule in ruleset.rules if rule.mode is not Mode.OFF]
        return visit.render(template, overlap=overlaps.of(ruleset), rules=rules)

    return shown


def versions(visit: Visit) -> Response:
    """The sets that were in force, newest first."""
    try:
        before = float(visit.query("before") or "inf")
    except ValueError:
        return visit.fault(400, "before: this is no place in the list; go back to its beginning")
    with visit.state.database.read() as connection:
        found = rulesets.versions(connection, MOST + 1, before)
        decided = days.of_sets(connection)
    more = found[MOST - 1].activated_at if len(found) > MOST else None
    return visit.render(
        "versions.html", versions=found[:MOST], decided=decided, more=more, loaded_by=LOADED_BY
    )


def version(visit: Visit) -> Response:
    """One of them, with what changed from another one: `against`, else the one in force or before it."""
    state, hash = visit.state, visit.path["hash"]
    with state.database.read() as connection:
        active = rulesets.active(connection)
        found = rulesets.version(connection, hash)
        files = rulesets.files(connection, hash) if found else {}
        others = [one for one in rulesets.versions(connection, MOST) if one.hash != hash]
        decided = days.of_sets(connection).get(hash, 0)
    if found is None:
        return visit.fault(404, f"no version of the rules has the hash '{hash[:64]}'")
    default = active if active != hash else next((one.hash for one in others), None)
    against = visit.query("against") or default
    try:
        compared = compare(state, against, hash) if against else None
    except KeyError:
        return visit.fault(404, f"no version of the rules has the hash '{(against or '')[:64]}'")
    return visit.render(
        "version.html",
        version=found,
        files={name: text.decode() for name, text in files.items()},
        compared=compared,
        others=others,
        decided=decided,
        why_not=_why_not(visit, hash),
        loaded_by=LOADED_BY,
    )


def _why_not(visit: Visit, hash: str) -> str | None:
    """Why one cannot go back to that version from here; None where one can."""
    settings = visit.state.settings
    if reason := publishing.why_not(settings):
        return reason
    try:
        with visit.state.database.read() as connection:
            publishing.going_back(settings.rules, rulesets.files(connection, hash))
    except publishing.Refused as refused:
        return str(refused)
    return None


def back(visit: Visit) -> Response:
    """Publishes an earlier version again."""
    hash, settings = visit.field("hash"), visit.state.settings
    try:
        with visit.state.database.read() as connection:
            files = rulesets.files(connection, hash)
        publishing.publish(settings, publishing.going_back(settings.rules, files), hash)
    except KeyError:
        return visit.fault(404, f"no version of the rules has the hash '{hash[:64]}'")
    except (publishing.Refused, RuleSetFaults) as refused:
        return visit.go(f"/rules/versions/{hash}", f"Not gone back: {refused}.")
    return visit.go("/rules", "The earlier rules are written; they are in force in a moment.")
