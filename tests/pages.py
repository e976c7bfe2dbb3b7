"""The pages on a real socket in the test's own process, and people who look at them over HTTP."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from tests.waiting import eventually
from web.app import create_app
from worker.settings import Settings

ADMIN = "admin-token-of-the-tests"
VIEWER = "viewer-token-of-the-tests"
TAGS = re.compile(r"<[^>]*>")


@contextmanager
def running_pages(settings: Settings, admin: str = ADMIN) -> Iterator[str]:
    """The web part with these settings (and the two tokens) in a thread; gives its address."""
    tokens = {"admin_token": SecretStr(admin), "viewer_token": SecretStr(VIEWER)}
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        made = create_app(settings.model_copy(update=tokens | {"port": port}))
        server = uvicorn.Server(
            uvicorn.Config(made, ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            eventually(lambda: server.started, "the pages can be asked")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Person:
    """Somebody with a browser that has no JavaScript."""

    address: str
    client: httpx.Client = field(init=False)
    csrf: str = ""

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.address, timeout=10, trust_env=False)

    def log_in(self, token: str = ADMIN) -> httpx.Response:
        answered = self.client.post("/login", data={"token": token, "next": "/"})
        if answered.status_code == 303:
            self.get("/")
        return answered

    def get(self, path: str, **more: Any) -> httpx.Response:
        """The page; its CSRF token is kept for what is sent next."""
        answered = self.client.get(path, **more)
        if found := re.search('name="csrf" value="([^"]+)"', answered.text):
            self.csrf = found[1]
        return answered

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """A form of a page; the page that it leads to."""
        data = {"csrf": self.csrf} | fields
        return self.client.post(path, data=data, follow_redirects=True)

    def reads(self, path: str) -> str:
        """The words of a page, as somebody reads them."""
        answered = self.get(path)
        assert answered.status_code == 200, answered.text
        return words(answered.text)


def words(html: str) -> str:
    """What there is to read, without the markup."""
    body = html.partition('<main id="main" tabindex="-1">')[2] or html
    return " ".join(unescape(TAGS.sub(" ", body)).split())


@contextmanager
def visiting(settings: Settings, token: str = ADMIN) -> Iterator[Person]:
    """Somebody who is logged in to the pages of these settings."""
    with running_pages(settings) as address:
        person = Person(address)
        with person.client:
            person.log_in(token)
            yield person
