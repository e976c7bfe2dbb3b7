"""Logging in, in a real browser."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Open, faults
from tests.pages import ADMIN
from tests.worker_bench import Bench
from worker.settings import Settings

Make = Callable[..., Bench]
Pages = Callable[[Settings], str]


def test_one_logs_in_by_keyboard_sees_the_overview_and_logs_out(
    make_bench: Make, pages: Pages, open_page: Open
) -> None:
    page = open_page(pages(make_bench().settings), "/", token=None, expected=("401",))
    expect(page.get_by_label("Token")).to_be_focused()
    assert faults(page) == []
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    page.get_by_label("Token").fill(ADMIN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert faults(page) == []
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
