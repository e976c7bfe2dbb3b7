"""The overview in a real browser: a call arrives live, charts are drawn, axe-core finds nothing."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Open, faults
from tests.worker_bench import Bench
from worker.settings import Settings

Make = Callable[..., Bench]
Pages = Callable[[Settings], str]


def test_a_call_shows_as_it_is_decided_unless_the_list_is_paused(
    make_bench: Make, pages: Pages, open_page: Open
) -> None:
    bench = make_bench()
    page = open_page(pages(bench.settings), viewport={"width": 390, "height": 800}, color_scheme="dark")
    latest = page.locator("#decisions")
    expect(page.get_by_text("None yet.")).to_be_visible()
    bench.end(bench.call(1))
    bench.settle()
    expect(latest.locator("li").first).to_contain_text("call_00001 + Long Call by long-call")
    expect(page.get_by_text("None yet.")).to_be_hidden()
    page.get_by_role("button", name="Pause").click()
    bench.end(bench.call(2))
    bench.settle()
    page.get_by_role("button", name="Go on").click()
    expect(latest.locator("li").first).to_contain_text("call_00002")
    expect(latest.locator("li")).to_have_count(2)
    assert page.locator("figure[data-chart] canvas").count() == 1
    page.get_by_text("Calls a minute as a table").click()
    page.evaluate("htmx.trigger(document.querySelector('[hx-get=\"/overview/charts\"]'), 'renew')")
    expect(page.locator("figure[data-chart] canvas")).to_have_count(2)
    expect(page.get_by_role("columnheader", name="Minute (UTC)")).to_be_visible()
    expect(page.locator("summary").first).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(page) == []
