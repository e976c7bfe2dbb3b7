"""The whole story on the real service: why is this call not tagged, what would mend it, and what of the past?

Somebody who has never seen the product finds it all out from the pages alone.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from platforms.sipsim.simulator import PlannedFault, Record, Simulator, events
from tests.browser.conftest import Open
from tests.browser.test_browser_playground import typed
from tests.service import TOKEN, Run, calltag_up, platform
from tests.waiting import eventually
from tests.worker_bench import PUT

RULES = """\
version: 1
rules:
  - id: long-call
    description: Calls that took long
    when: {field: duration, gt: 40m}
    tag: Long Call
    tests:
      - {call: {duration: 2500}, match: true}
"""
PAST = 12
WAIT = 30_000.0
"""Milliseconds for what several processes do."""


def ends(simulator: Simulator, number: int) -> None:
    """A call of 38 minutes ends, from a number of its own."""
    record = Record(
        id=5000 + number,
        reference=f"call_{number:03}",
        direction="inbound",
        caller=f"+336123450{number:02}",
        receiver="+33184800100",
        started=time.time() - 2280 - number,
        duration=2280,
    )
    simulator.add(record)
    simulator.emit(events.end(record, record.started + record.duration, None))


def tagged(simulator: Simulator) -> int:
    """How many calls have the tag."""
    return sum(tags == ["Long Call"] for tags in simulator.call_tags().values())


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """The service, with calls of the last hour that no rule tagged."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    settings = {"CALLTAG_RULES_EDIT": "on", "CALLTAG_SIPSIM_RATE": "12"}
    with platform() as (simulator, url), calltag_up(tmp_path, simulator, url, rules, settings) as run:
        for number in range(PAST):
            ends(simulator, number)
        eventually(lambda: run.status()["calls"]["done"] == PAST, "the calls are decided")
        yield run


def test_somebody_finds_out_why_mends_the_rule_and_has_the_past_follow(run: Run, open_page: Open) -> None:
    page = open_page(run.address, token=TOKEN)
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    asked: list[str] = []

    def agree(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", agree)
    _finds_out_why(page)
    _mends_the_rule(page)
    _publishes(page)
    _sees_the_next_call(page, run.simulator)
    _retags_the_past(page, run.simulator)
    _drives_a_dead_letter_again(page, run.simulator)
    _forgets_the_caller(page)
    assert asked[0] == "Publish these rules?"
    assert f"changes {PAST} calls: {PAST} tags put on, 0 taken off" in asked[1]


def _finds_out_why(page: Page) -> None:
    page.locator("#decisions").get_by_role("link", name="call_003").first.click()
    expect(page.get_by_text("No tag is on the call")).to_be_visible()
    rule = page.locator("#rule-long-call")
    expect(rule).to_contain_text("✗ false")
    expect(rule).to_contain_text("{field: duration, gt: 40m} it is 2280 s (38 min)")


def _mends_the_rule(page: Page) -> None:
    page.get_by_role("button", name="Open in the playground").click()
    result = page.get_by_label("What the rules say")
    expect(result).to_contain_text("This call gets no tag.")
    typed(page, "40m", "30x")
    expect(page.locator("#editor .cm-lintRange-error")).to_have_text("30x")
    typed(page, "30x", "30m")
    expect(result.locator(".tag")).to_have_text("Long Call")
    page.get_by_label("Name of the test").fill("38 minutes are long")
    page.get_by_role("button", name="Save as test").click()
    expect(result).to_contain_text("2 tests, 2 passed")


def _publishes(page: Page) -> None:
    page.get_by_role("button", name="Publish…").click()
    row = page.get_by_role("row", name="Long Call")
    expect(row.get_by_role("cell").nth(0)).to_have_text(str(PAST))
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("These rules are in force.")).to_be_visible()


def _sees_the_next_call(page: Page, simulator: Simulator) -> None:
    page.get_by_role("link", name="Overview").click()
    ends(simulator, PAST)
    latest = page.locator("#decisions li", has_text=f"call_{PAST:03}").first
    expect(latest).to_contain_text("+ Long Call by long-call")


def _retags_the_past(page: Page, simulator: Simulator) -> None:
    page.get_by_role("link", name="Jobs").click()
    page.get_by_label("Calls since").fill("30d")
    page.get_by_role("button", name="Plan").click()
    page.get_by_role("button", name="Run").click()
    progress = page.locator("#progress")
    page.get_by_role("button", name="Pause").click()
    expect(progress.get_by_role("status")).to_have_text("paused")
    page.get_by_role("button", name="Go on").click()
    expect(progress).to_contain_text(f"{PAST} changed")
    assert tagged(simulator) == PAST + 1
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Undoing of job 1")
    page.get_by_role("button", name="Run").click()
    expect(progress).to_contain_text(f"{PAST} changed")
    assert tagged(simulator) == 1


def _drives_a_dead_letter_again(page: Page, simulator: Simulator) -> None:
    simulator.plan(PlannedFault(kind="422", route=PUT, count=1))
    ends(simulator, 99)
    page.get_by_role("link", name="Overview").click()
    finding = page.get_by_role("listitem").filter(has_text="1 call given up")
    finding.get_by_role("link").click()
    page.get_by_role("button", name="All again").click()
    expect(page.get_by_role("status")).to_have_text("1 call is due again.")
    eventually(lambda: tagged(simulator) == 2, "it is tagged")


def _forgets_the_caller(page: Page) -> None:
    page.get_by_role("link", name="Calls", exact=True).click()
    page.get_by_label("Number").fill("+33 6 12 34 50 99")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    page.get_by_role("link", name="call_099").click()
    page.get_by_role("button", name="Forget this number").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Forget +33612345099")
    page.get_by_role("button", name="for ever").click()
    expect(page.get_by_role("status")).to_have_text("1 call is forgotten.")
