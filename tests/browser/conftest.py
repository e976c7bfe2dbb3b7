"""A real browser: Debian's chromium.

A test fails by anything in its console, by what the policy blocks, and by a request to another host.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from tests.pages import ADMIN, running_pages
from worker.settings import Settings

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SERIOUS = ("serious", "critical")
WAIT = 30_000.0
"""Milliseconds that a page has for what it is waited for."""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; skipped where there is none, but under CI=true.

    It ends with the module: as long as Playwright runs, no other test of this process can run an event loop.
    """
    path = shutil.which("chromium")
    if path is None:
        message = "there is no chromium on the PATH (Debian: apt install chromium)"
        if os.environ.get("CI") == "true" or os.environ.get("CALLTAG_TEST_NO_SKIP") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


class Watch:
    """What a page must not do."""

    def __init__(self, page: Page, address: str) -> None:
        self.found: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Parts of console messages that belong to the test, such as of an answer that is 4xx on purpose."""
        self._host = urlsplit(address).netloc
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        text = f"{message.type}: {message.text} ({message.location['url']})"
        if not any(part in text for part in self.expected):
            self.found.append(text)

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._host:
            self.found.append(f"request to another host: {request.url}")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a page of the site at an address, logged in; takes a token, or None, and what contexts take."""
    watches: list[Watch] = []
    with ExitStack() as stack:

        def open_page(
            address: str,
            path: str = "/",
            token: str | None = ADMIN,
            expected: tuple[str, ...] = (),
            **more: object,
        ) -> Page:
            context = browser.new_context(base_url=address, **more)  # type: ignore[arg-type] # Playwright's many
            stack.callback(context.close)
            context.set_default_timeout(WAIT)
            page = context.new_page()
            watches.append(Watch(page, address))
            watches[-1].expected = expected
            page.goto(path)
            if token is not None:
                page.get_by_label("Token").fill(token)
                page.get_by_role("button", name="Log in").click()
                page.wait_for_url(f"{address}{path}")
            return page

        yield open_page
    assert [message for watch in watches for message in watch.found] == []


@pytest.fixture
def pages() -> Iterator[Callable[[Settings], str]]:
    """Starts the pages with these settings; gives their address."""
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(running_pages(settings))


def faults(page: Page) -> list[str]:
    """What axe-core finds that is serious."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
