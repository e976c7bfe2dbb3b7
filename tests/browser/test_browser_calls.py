"""Calls and rules in a browser: found while one types, read by keyboard and by machine, on a phone too."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, faults
from tests.worker_bench import Bench
from worker.settings import Settings

Make = Callable[..., Bench]
RULES = """\
version: 1
rules:
  - id: long-call
    when: {all: [{field: duration, gt: 30m}, {field: direction, eq: inbound}]}
    tag: Long Call
  - {id: short, when: {field: duration, lt: 60}, tag: Short}
  - {id: trial, mode: shadow, when: {field: duration, gt: 25m}, tag: Trial}
"""
ODD = "<script>alert(1)</script>' \u202e <b>" + "z" * 10_000
PHONE = {"viewport": {"width": 390, "height": 844}}


@pytest.fixture
def desk(make_bench: Make) -> Bench:
    bench = make_bench(rules=RULES)
    for number, duration in enumerate((1900, 300, 10)):
        bench.end(bench.call(number, duration=duration))
    bench.settle()
    bench.receive({"event": "summary", "pbx_id": "call_00001", "summary": ODD})
    bench.settle()
    return bench


def fits(page: Page) -> bool:
    """Nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_call_is_found_while_one_types_and_says_why_it_has_its_tag(
    desk: Bench, pages: Callable[[Settings], str], open_page: Open
) -> None:
    page = open_page(pages(desk.settings), "/calls")
    expect(page.locator("#found tbody tr")).to_have_count(3)
    page.get_by_label("Tag", exact=True).fill("Long Call")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    page.get_by_role("link", name="call_00000").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("call_00000")
    assert faults(page) == []
    page.get_by_role("link", name="long-call").click()
    rule = page.locator("#rule-long-call")
    expect(rule).to_contain_text("field: duration, gt: 30m")
    expect(rule).to_contain_text("it is 1900 s (31 min 40 s)")
    expect(rule.locator(".decides")).to_have_count(2)
    page.get_by_text("1 rule that is false or off").click()
    page.locator("#rule-short summary").click()
    expect(page.locator("#rule-short")).to_contain_text("✗ false")
    page.get_by_role("button", name="Forget this call").click()
    page.get_by_role("button", name="Forget it for ever").click()
    expect(page.get_by_role("status")).to_have_text("1 call is forgotten.")


def test_rules_show_what_they_did_and_what_they_do_together(
    desk: Bench, pages: Callable[[Settings], str], open_page: Open
) -> None:
    page = open_page(pages(desk.settings), "/rules")
    expect(page.locator("#overlap")).to_contain_text("asked about 3 calls")
    expect(page.get_by_role("img", name="1 call in 30 days, 1 at most").first).to_be_visible()
    page.get_by_text("short", exact=True).first.click()
    assert faults(page) == []
    page.get_by_role("link", name="All versions and what changed").click()
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="Its text")).to_be_visible()
    assert faults(page) == []


def test_odd_texts_are_texts_and_nothing_is_wider_than_a_phone(
    desk: Bench, pages: Callable[[Settings], str], open_page: Open
) -> None:
    hash_ = desk.worker.rules.now()
    assert hash_
    page = open_page(pages(desk.settings), "/calls/sipsim/call_00001", **PHONE, color_scheme="dark")
    page.locator("table.known details summary").click()
    expect(page.locator("table.known")).to_contain_text("<script>alert(1)</script>")
    for path in (
        "/calls/sipsim/call_00001",
        "/calls",
        "/rules",
        "/rules/versions",
        f"/rules/versions/{hash_.hash}",
    ):
        page.goto(path)
        assert fits(page), path
        assert faults(page) == [], path
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    page.goto("/rules")
    expect(page.locator("#rule-short")).to_contain_text(day)
