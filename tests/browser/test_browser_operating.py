"""Dead letters and set-up in a real browser."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Open, faults
from tests.rows import NOW, change, column, ended_call
from tests.test_web_setup import settings_of
from tests.worker_bench import Bench
from worker.settings import Settings

Make = Callable[..., Bench]
Pages = Callable[[Settings], str]
PHONE = {"viewport": {"width": 390, "height": 800}}
ODD = '<img src=x onerror="alert(1)">' + "\u202e" + "x" * 10_000


def test_a_dead_letter_is_chosen_and_driven_again(make_bench: Make, pages: Pages, open_page: Open) -> None:
    bench = make_bench()
    calls = [ended_call(bench.database, f"call_{n}", NOW) for n in range(2)]
    with bench.database.write() as connection:
        for call in calls:
            change(connection, call, state="dead", reason=ODD, caller="+33612345678")
    page = open_page(pages(bench.settings), "/deadletters", color_scheme="dark", **PHONE)
    page.on("dialog", lambda dialog: dialog.accept())
    assert faults(page) == []
    page.get_by_role("link", name="<img").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(page) == []
    page.get_by_label("Choose call_1").check()
    page.get_by_role("button", name="Chosen ones again").click()
    expect(page.get_by_role("status")).to_have_text("1 call is due again.")
    assert [column(bench.database, call, "state") for call in calls] == ["dead", "due"]
    page.get_by_role("button", name="All again").click()
    expect(page.get_by_role("status")).to_have_text("1 call is due again.")
    expect(page.get_by_text("None.")).to_be_visible()


def test_set_up_is_checked_events_switched_on_and_a_test_event_seen(
    make_bench: Make, pages: Pages, open_page: Open
) -> None:
    bench = make_bench()
    bench.simulator.enabled.clear()
    page = open_page(pages(settings_of(bench)), "/setup", **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_text("switched off: ")).to_be_visible()
    assert faults(page) == []
    page.get_by_role("button", name="Switch them on").click()
    expect(page.locator("#checks")).to_contain_text("switched on: incoming_call_start")
    page.get_by_role("button", name="Send a test event").click()
    expect(page.locator("#checks")).to_contain_text("test event was seen")
