"""Every page with the oddest texts: shown as texts, no wider than the screen, and readable by machines."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select, update

from rules.loader import load
from store import fleet, rulesets, schema
from store.jobs import JobState
from tests.browser.conftest import Open, faults
from tests.retag_desk import working
from tests.waiting import eventually
from tests.worker_bench import Bench
from worker.retag import orders
from worker.retag.asked import Asked
from worker.settings import Settings
from worker.why import State

Make = Callable[..., Bench]
Pages = Callable[[Settings], str]
BEGINS = "<script>alert(1)</script>"
ODD = f"""{BEGINS}<img src=x onerror=alert(1)>{{{{ 7 * 7 }}}}"'&amp;\u202e\u2067 """
LONG = ODD + "z" * 10_000
FILE = "<b onclick=alert(1)>\"'&lt;\u202e.yaml"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 900}},
    "dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
NOWHERE = "/calls/sipsim/nowhere"


def odd_rules(minutes: int) -> str:
    """Rules of which all that may be any text is odd."""
    rules: list[dict[str, Any]] = [
        {"id": "odd", "description": LONG, "when": {"field": "duration", "gt": minutes * 60}, "tag": ODD},
        {"id": "z" * 2000, "when": {"field": "summary", "contains": LONG}, "tag": "t" * 10_000},
        {"id": "shadow", "mode": "shadow", "when": {"field": "custom.a", "exists": False}, "tag": "</a>"},
    ]
    return json.dumps({"version": 1, "tags": {ODD: {"description": ODD}}, "rules": rules})


@dataclass(frozen=True, slots=True)
class Site:
    """A service that has seen odd things."""

    bench: Bench
    paths: tuple[str, ...]


@pytest.fixture
def site(make_bench: Make) -> Site:
    bench = make_bench(rules=odd_rules(40), rules_edit="on")
    folder = bench.settings.data_dir / "rules"
    folder.mkdir()
    (folder / FILE).write_text(odd_rules(30))
    bench.settings = bench.settings.model_copy(update={"rules": folder})
    ruleset = load(folder)
    with bench.database.write() as connection:
        now = time.time()
        rulesets.activate(connection, ruleset.hash, ruleset.files, now, ruleset.shadow_rules, rulesets.PAGE)
        fleet.report(connection, "rules", ODD, now)
    called(bench)
    job = planned(bench)
    with bench.database.read() as connection:
        event = connection.execute(
            select(func.max(schema.events.c.id)).where(schema.events.c.state == "dead")
        )
        dead = event.scalar_one()
    return Site(
        bench,
        (
            "/", "/calls", "/calls/sipsim/call_00001", "/rules", "/rules/versions",
            f"/rules/versions/{ruleset.hash}", "/playground?call=sipsim/call_00001", "/backtest", "/jobs",
            f"/jobs/{job}", f"/jobs/{job}/failed", "/deadletters", "/deadletters/calls",
            "/deadletters/events",
            f"/deadletters/events/{dead}", "/setup", NOWHERE,
        ),
    )  # fmt: skip


def called(bench: Bench) -> None:
    """A call of which all was told, another that was given up, and events that cannot be read."""
    for number in (1, 2):
        bench.end(bench.call(number))
    bench.settle()
    bench.receive({"event": "summary", "pbx_id": "call_00001", "summary": LONG})
    bench.receive({"event": LONG, "pbx_id": "call_00001"}, {"event": "incoming_call_end", "time": LONG})
    bench.simulator.edit("call_00001", add=["somebody's " + ODD])
    bench.settle()
    c = schema.calls.c
    with bench.database.write() as connection:
        row = connection.execute(select(c.id, c.facts).where(c.caller.is_not(None)).order_by(c.id)).first()
        assert row is not None
        more = dict.fromkeys(("agent", "queue", "campaign", "transcript", "custom.note"), LONG)
        connection.execute(update(schema.calls).where(c.id == row.id).values(facts={**row.facts, **more}))
        connection.execute(update(schema.calls).where(c.id != row.id).values(state="dead", reason=LONG))


def planned(bench: Bench) -> int:
    state = State(bench.settings, bench.database, bench.worker.rules)

    def is_planned() -> bool:
        with bench.database.read() as connection:
            return orders.find(connection, job).state is JobState.PLANNED

    with working(bench):
        job = orders.plan_as_asked(state, Asked(since="2h", source="store", having=ODD))
        eventually(is_planned, "the job is planned")
    return job


def widest(page: Page) -> str:
    """What is wider than the window; empty where nothing is."""
    found: str = page.evaluate(
        """() => {
            const most = document.documentElement.clientWidth
            if (document.documentElement.scrollWidth <= most) return ""
            const wide = [...document.querySelectorAll("main *")].filter((one) =>
                one.getBoundingClientRect().right > most && !one.closest(".scroll"))
            return wide.map((one) => one.outerHTML.slice(0, 120)).join("\\n") || "the document"
        }"""
    )
    return found


@pytest.mark.parametrize("look", LOOKS)
def test_odd_texts_are_texts_everywhere_and_every_page_is_accessible(
    site: Site, pages: Pages, open_page: Open, look: str
) -> None:
    page = open_page(pages(site.bench.settings), "/", expected=("404",), **LOOKS[look])
    found = [f"{path}: {one}" for path in site.paths for one in wrong(page, path)]
    assert not found, "\n".join(found)


def wrong(page: Page, path: str) -> list[str]:
    """What is wrong with a page of which everything is opened."""
    answer = page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    if path == "/rules":
        expect(page.locator("#overlap")).to_contain_text("asked about")
    markup = page.locator(
        "main img:not(.cm-editor *), main b, main script:not([type='application/json'])"
    ).all()
    status = answer.status if answer else 0
    failed = "" if status == (404 if path == NOWHERE else 200) else f"status {status}"
    found = [failed, *faults(page), *(one.evaluate("one => one.outerHTML") for one in markup), widest(page)]
    return [text for text in found if text]


def test_without_javascript_every_page_says_what_it_knows(site: Site, pages: Pages, open_page: Open) -> None:
    page = open_page(pages(site.bench.settings), "/", java_script_enabled=False)
    says = {
        "/": ("What needs a hand", "call_00001", "Calls a minute as a table"),
        "/calls": ("call_00001", "call_00002"),
        "/calls?reference=call_00002": ("call_00002",),
        "/calls/sipsim/call_00001": ("What happened", "it is 1900 s (31 min 40 s)", "by rule odd"),
        "/rules": ("1 shadow rule", "Which rules match the same calls"),
        "/rules/overlap": ("asked about 2 calls",),
        "/deadletters/calls": (BEGINS, "Chosen ones again"),
        "/jobs/1": ("planned", "of the range are looked through"),
        "/setup": ("/webhooks/sipsim", "CALLTAG_SIPSIM_CLIENT_ID"),
    }
    for path, texts in says.items():
        page.goto(path)
        read = page.locator("main").inner_text()
        assert [text for text in texts if text not in read] == [], path
    page.goto("/playground?call=sipsim/call_00001")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_label("What the rules say")).to_contain_text("No faults")
    page.goto("/backtest")
    page.get_by_role("button", name="Count").click()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Backtest of")
