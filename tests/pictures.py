"""Pictures of every page for docs/pages.md: light, dark, and on a phone.

python -m tests.pictures [--only NAME ...]
"""

import argparse
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS
from tests.conftest import running_valkey
from tests.pages import ADMIN, running_pages
from tests.showroom import Showroom, showroom

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
DESK, PHONE = {"width": 1200, "height": 860}, {"width": 390, "height": 844}
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
}
TALLEST = {"light": 940, "dark": 560, "phone": 844}
"""Pixels; what a page has below them is left out."""


def addresses(room: Showroom) -> Iterator[tuple[str, str]]:
    """The pages that are only to be opened, by the names of their pictures."""
    hash_ = room.bench.worker.rules.now()
    assert hash_ is not None
    yield "overview", "/"
    yield "calls", "/calls"
    yield "call", f"/calls/sipsim/{room.tagged}"
    yield "rules", "/rules"
    yield "versions", "/rules/versions"
    yield "version", f"/rules/versions/{hash_.hash}"
    yield "playground", f"/playground?call=sipsim/{room.tagged}"
    yield "backtest", "/backtest"
    yield "jobs", "/jobs"
    yield "job", f"/jobs/{room.planned}"
    yield "deadletters", "/deadletters"
    yield "deadletters-of", "/deadletters/calls"
    yield "event", f"/deadletters/events/{room.dead}"
    yield "setup", "/setup"


def counted(page: Page) -> str:
    """A backtest of what is in the playground, to its end; its address."""
    page.goto("/playground")
    page.get_by_role("textbox", name="Rules as YAML").wait_for()
    page.evaluate(
        "document.querySelector('#text').value = document.querySelector('#text').value.replace('30m', '25m')"
    )
    page.get_by_role("button", name="Backtest this").click()
    expect(page.get_by_role("heading", name="Rules", exact=True)).to_be_visible(timeout=60_000)
    return page.url


def taken(browser: Browser, address: str, room: Showroom, only: list[str]) -> None:
    """All pictures; `only` those of these names where any is given."""
    pages = list(addresses(room))
    for look, more in LOOKS.items():
        context = browser.new_context(base_url=address, **more)
        page = context.new_page()
        page.goto("/")
        if not only or "login" in only:
            take(page, "login", look)
        page.get_by_label("Token").fill(ADMIN)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{address}/")
        if look == "light" and (not only or "backtested" in only):
            pages.append(("backtested", counted(page)))
        for name, path in pages:
            if not only or name in only:
                page.goto(path)
                settled(page, name, room)
                take(page, name, look)
        context.close()


def settled(page: Page, name: str, room: Showroom) -> None:
    """What a page gets after it came is there."""
    if name == "rules":
        expect(page.locator("#overlap")).to_contain_text("asked about", timeout=30_000)
    if name == "playground":
        expect(page.locator("#tried .rule").first).to_be_visible()
    if name == "setup":
        page.get_by_role("button", name="Check now").click()
        expect(page.locator("#checks li").first).to_be_visible(timeout=30_000)
        room.bench.settle()  # the test event is taken up


def take(page: Page, name: str, look: str) -> None:
    bottom = page.evaluate("document.querySelector('main').getBoundingClientRect().bottom + scrollY")
    tall = min(int(bottom) + 1, TALLEST[look])
    size = page.viewport_size
    assert size is not None
    clip = {"x": 0, "y": 0, "width": size["width"], "height": tall}
    page.screenshot(path=FOLDER / f"{name}-{look}.png", full_page=True, clip=clip)  # type: ignore[arg-type] # a dict


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of pictures; else all")
    parser.add_argument("--days", type=int, default=30)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        folders = [Path(made) / name for name in ("valkey", "data")]
        for folder in folders:
            folder.mkdir()
        with (
            running_valkey(folders[0]) as valkey,
            showroom(folders[1], valkey.url, asked.days) as room,
            running_pages(room.bench.settings) as address,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
            )
            taken(browser, address, room, asked.only)
            browser.close()


if __name__ == "__main__":
    main()
