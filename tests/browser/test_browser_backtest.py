"""From a fault to published rules in a real browser: mended, counted, a threshold moved, published."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from rules.loader import load
from store import rulesets
from store.database import Database
from tests.browser.conftest import Open, faults
from tests.browser.test_browser_playground import typed
from tests.test_web_backtest import counted_settings
from tests.test_worker_publishing import LONGER
from worker.settings import Settings
from worker.sweeper import RulesWatch

Pages = Callable[[Settings], str]


def test_a_rule_is_mended_counted_and_published(tmp_path: Path, pages: Pages, open_page: Open) -> None:
    settings = counted_settings(tmp_path)
    page = open_page(pages(settings), "/playground")
    typed(page, "30m", "20")
    expect(page.get_by_label("What the rules say")).to_contain_text("1 passed")
    typed(page, "20", "20m")
    page.get_by_role("button", name="Publish…").click()
    expect(page.get_by_role("heading", name="Against the rules that were in force")).to_be_visible()
    expect(page.get_by_role("row", name="Long")).to_contain_text("sipsim:call/30")
    assert faults(page) == []
    slider = page.get_by_label("Move the threshold")
    figure = page.locator("[data-threshold]")
    expect(figure.get_by_role("status")).to_have_text("gt 20m: 3 of 5 calls that have a value (60.0 %)")
    slider.focus()
    page.keyboard.press("End")
    expect(figure.get_by_role("status")).to_contain_text(
        "0 of 5 calls that have a value (0.0 %); as written 3"
    )
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("status").first).to_contain_text("rules.yaml is written")
    assert settings.rules.read_text() == LONGER
    database = Database(settings.database)
    RulesWatch(database, settings.rules).look()
    with database.read() as connection:
        assert rulesets.active(connection) == load(settings.rules).hash
    database.close()
    expect(page.get_by_text("These rules are in force.")).to_be_visible()


def test_the_backtest_is_readable_in_the_dark_and_on_a_phone(
    tmp_path: Path, pages: Pages, open_page: Open
) -> None:
    screen = {"width": 390, "height": 844}
    page = open_page(pages(counted_settings(tmp_path)), "/backtest", color_scheme="dark", viewport=screen)
    assert faults(page) == []
    page.get_by_role("button", name="Count").click()
    expect(page.get_by_text("Matches a day")).to_be_visible()
    assert faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
