"""The web part as a real process, and webhooks as a platform sends them to it."""

import hashlib
import hmac
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from store.database import Database
from tests.service import free_port
from tests.waiting import eventually

SECRET = "hook-secret"
TOKEN = "admin-token-of-the-tests"
LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


def signed(body: bytes, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """The headers of a genuine webhook, signed now or at that time."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Webhook-Signature": digest, "X-Webhook-Timestamp": stamp}


def request(
    headers: Sequence[tuple[bytes, bytes]], body: bytes, path: bytes = b"/webhooks/sipsim", host: bytes = b"x"
) -> bytes:
    """A POST as bytes, with just these headers."""
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: " + host, *(k + b": " + v for k, v in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def send(connection: http.client.HTTPConnection, body: bytes, **headers: str) -> Answer:
    """One webhook on a connection that may be used again."""
    connection.request("POST", "/webhooks/sipsim", body, signed(body) | headers)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read().decode())


@dataclass(frozen=True)
class Web:
    """A running web part."""

    port: int
    process: subprocess.Popen[bytes]
    data_dir: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database_file(self) -> Path:
        return self.data_dir / "calltag.db"

    def send(self, body: bytes, **headers: str) -> Answer:
        """A genuine webhook on a connection of its own; `headers` come beside the signature or replace it."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            return send(connection, body, **headers)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, timeout=10, trust_env=False)

    def api(self, path: str) -> httpx.Response:
        return self.get(f"/api{path}", authorization=f"Bearer {TOKEN}")

    def connect(self, timeout: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, data: bytes) -> int:
        """Sends the bytes; the status of the answer."""
        with self.connect() as connection:
            connection.sendall(data)
            return answer(connection).status

    def bodies(self) -> list[bytes]:
        """The bodies in the inbox, whoever has it open."""
        with sqlite3.connect(self.database_file) as connection:
            rows = [row[0] for row in connection.execute("SELECT body FROM events ORDER BY id")]
        connection.close()
        return rows

    def peak(self) -> int:
        """The most bytes of memory that the process has had."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def answer(connection: socket.socket) -> http.client.HTTPResponse:
    """Reads one answer to its end; its text is `.read()`."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response


@contextmanager
def running_web(data_dir: Path, argv: Sequence[str] = ("-m", "cli", "web"), **settings: str) -> Iterator[Web]:
    """`calltag web`, or another program in its place, for as long as the block lasts.

    Settings by their names without CALLTAG_; no broker answers unless one is set.
    """
    port = free_port()
    given = {
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "ADMIN_TOKEN": TOKEN,
        "SIPSIM_WEBHOOK_SECRETS": SECRET,
        "RULES": str(data_dir / "rules.yaml"),
        **settings,
    }
    data_dir.mkdir(exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CALLTAG_")}
    environ |= {f"CALLTAG_{name}": value for name, value in given.items()}
    process = subprocess.Popen([sys.executable, "-P", *argv], env=environ, cwd=data_dir)
    try:
        eventually(lambda: _listens(port, process), "the web part listens", 60.0)
        yield Web(port, process, data_dir)
    finally:
        process.kill()
        process.wait()


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the web part has ended"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process holds SQLite's write lock during the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    try:
        yield
    finally:
        process.communicate(b"go on\n")


@contextmanager
def opened(web: Web) -> Iterator[Database]:
    """The store of a web part, to write into it as the other parts do."""
    database = Database(f"sqlite:///{web.database_file}")
    try:
        yield database
    finally:
        database.close()
