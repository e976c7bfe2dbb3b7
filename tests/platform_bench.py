"""A worker and a simulated platform of any kind, which sends its webhooks to a mailbox of the test's own."""

import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from platforms.adapter import Client, Event, Record
from platforms.simulated import Call, Simulated, simulator
from store.database import Database
from tests.waiting import eventually
from tests.worker_bench import LONG, Desk, Sent
from worker.context import Worker, open_worker
from worker.settings import Settings, account_prefix, load_settings

WIDE = timedelta(days=1)


class Post(NamedTuple):
    """A webhook as it came."""

    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class Mailbox:
    """Answers 202 to every webhook and keeps it."""

    def __init__(self) -> None:
        self.posts: list[Post] = []

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Its address, for the length of the block."""
        posts = self.posts

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = [(key.lower().encode(), value.encode()) for key, value in self.headers.items()]
                posts.append(Post(headers, body))
                self.send_response(202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/webhook"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class PlatformBench(Desk):
    """A simulated platform, and the desk of its one account."""

    def __init__(
        self, settings: Settings, platform: Simulated, mailbox: Mailbox, worker: Worker, database: Database
    ) -> None:
        super().__init__(settings, worker, database)
        self.platform = platform
        self.mailbox = mailbox

    @property
    def client(self) -> Client:
        """The adapter's client, with the fleet's rate and token, and a lease that begins now."""
        return self.worker.client(self.account, time.monotonic())

    def able(self, **abilities: Any) -> None:
        """The adapter declares something else from now on."""
        accounts = self.settings.accounts
        assert isinstance(accounts, dict)
        other = replace(self.account.platform, **abilities)
        accounts[self.account.name] = self.account = replace(self.account, platform=other)

    def call(self, **values: Any) -> str:
        """The reference of a call that ended a minute ago, of which nobody has been told yet."""
        duration = values.setdefault("duration", 1900)
        return self.platform.add(Call(started=time.time() - duration - 60, **values))

    def record(self) -> Record:
        """The only call of the platform's list."""
        now = datetime.now(UTC)
        (found,) = self.client.list_calls(now - WIDE, now + WIDE)
        return found

    def posts(self) -> list[Post]:
        """The webhooks that came since this was last asked, once none is under way."""
        eventually(lambda: not self.platform.waiting, "the webhooks are taken")
        came = self.mailbox.posts[:]
        del self.mailbox.posts[: len(came)]
        return came

    def told(self, reference: str, *events: str) -> list[Post]:
        """The webhooks of these events of the call; without names the one of its end."""
        self.platform.emit(reference, *events)
        return self.posts()

    def read(self, post: Post) -> Event:
        """What the adapter understands."""
        return self.account.platform.read_event(self.account.settings, post.body)

    def verify(self, post: Post, at: float | None = None, secrets: str | None = None) -> float:
        """The signed time as the adapter sees it, now or then, by the account's secret or by these."""
        settings = self.account.settings
        if secrets is not None:
            shown = {key: value for key, value in self.platform.settings.items() if key != "webhook_secrets"}
            settings = self.account.platform.settings.model_validate({**shown, "webhook_secrets": secrets})
        now = time.time() if at is None else at
        return self.account.platform.verify(settings, post.headers, post.body, now)

    def arrive(self, posts: Sequence[Post]) -> None:
        """The webhooks are verified and taken, one after the other."""
        for post in posts:
            self.accept(post.body, at=self.verify(post))

    def tell(self, reference: str, *events: str) -> None:
        """The platform tells of these events of the call, and all is done about it that they lead to."""
        self.arrive(self.told(reference, *events))
        self.rest()

    def rest(self) -> None:
        """Works on what is due, and takes the echoes of it, until there are none."""
        for _ in range(10):
            self.settle()
            echoes = self.posts()
            if not echoes:
                return
            self.arrive(echoes)
        raise AssertionError("our own writes go round in a circle")

    def tags(self, reference: str) -> list[str]:
        """The tags on the call on the platform."""
        return self.platform.call_tags().get(reference, [])


def environment(account: str, platform: str, simulated: Simulated) -> dict[str, str]:
    """The settings of an account at this platform."""
    prefix = account_prefix(account)
    own = {f"{prefix}{name.upper()}": value for name, value in simulated.settings.items()}
    return {**own, f"{prefix}PLATFORM": platform}


@contextmanager
def platform_bench(
    folder: Path, redis: str, platform: str, empty: Path, *, limited: bool = False, rules: str = LONG
) -> Iterator[PlatformBench]:
    """A bench with its own database, at a simulated platform of this name."""
    shutil.copy(empty, folder / "calltag.db")
    with ExitStack() as stack:
        simulated = stack.enter_context(simulator(platform)(limited=limited))
        mailbox = Mailbox()
        simulated.send_to(stack.enter_context(mailbox.serving()))
        common = {"CALLTAG_DATA_DIR": str(folder), "CALLTAG_REDIS_URL": redis, "CALLTAG_ACCOUNTS": platform}
        settings = load_settings(environ={**common, **environment(platform, platform, simulated)})
        database = Database(settings.database)
        stack.callback(database.close)
        worker = stack.enter_context(open_worker(settings, Sent()))
        built = PlatformBench(settings, simulated, mailbox, worker, database)
        built.rules(rules)
        yield built
