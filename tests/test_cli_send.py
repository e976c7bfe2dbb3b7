"""`calltag send`: as a person runs it, against a server that keeps what it was sent."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from cli.errors import UserError
from cli.send import fields, webhook_url
from platforms.sipsim.settings import SipsimSettings
from platforms.sipsim.webhook import verify
from worker.settings import Settings

SETTINGS = SipsimSettings(webhook_secrets=(SecretStr("hook-secret"),))
Run = Callable[..., subprocess.CompletedProcess[str]]


class Receiver:
    """Answers every post as told, and keeps its headers and body."""

    def __init__(self) -> None:
        self.answer = (202, b'{"status":\n "accepted"}')
        self.path = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.url = ""
        self.port = 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.path = self.path
            kept.headers = [(key.lower().encode(), value.encode()) for key, value in self.headers.items()]
            kept.body = self.rfile.read(int(self.headers["content-length"]))
            status, body = kept.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        kept.port = server.server_port
        kept.url = f"http://127.0.0.1:{kept.port}/webhooks/sipsim"
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def send(receiver: Receiver, tmp_path: Path) -> Run:
    """Runs `calltag send` with the receiver as the service of its settings."""
    secret = {"CALLTAG_SIPSIM_WEBHOOK_SECRETS": "hook-secret", "CALLTAG_PORT": str(receiver.port)}
    environ = {key: value for key, value in os.environ.items() if not key.startswith("CALLTAG_")} | secret

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli", "send", *arguments]
        changed = {key: value for key, value in (environ | changes).items() if value}
        return subprocess.run(command, cwd=tmp_path, env=changed, capture_output=True, text=True, check=False)

    return run


def test_a_signed_event_is_posted_to_the_service_of_the_settings(send: Run, receiver: Receiver) -> None:
    done = send(
        "sipsim", "incoming_call_end", "--duration", "1900", "--caller=+4912345678", "--field", "deal=7"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '202 {"status": "accepted"}\n', "")
    assert receiver.path == "/webhooks/sipsim"
    verify(SETTINGS, receiver.headers, receiver.body, time.time())
    body = orjson.loads(receiver.body)
    assert (body["event"], body["duration"], body["caller"], body["deal"]) == (
        "incoming_call_end",
        1900,
        "+4912345678",
        "7",
    )


def test_a_file_is_sent_as_it_is(send: Run, receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(b'{"not": quite json\xff')
    done = send("sipsim", "tags", "--file", "body.json", "--url", receiver.url, CALLTAG_PORT="1")
    assert done.returncode == 0
    assert receiver.body == b'{"not": quite json\xff'
    verify(SETTINGS, receiver.headers, receiver.body, time.time())


def test_an_answer_that_is_no_success_exits_with_1(send: Run, receiver: Receiver) -> None:
    receiver.answer = (401, b"bad signature")
    done = send("sipsim", "test")
    assert (done.returncode, done.stdout, done.stderr) == (1, "401 bad signature\n", "")


def test_where_nothing_listens_one_line_says_so(send: Run) -> None:
    done = send("sipsim", "test", "--url", "http://127.0.0.1:1/webhooks/sipsim")
    assert (done.returncode, done.stdout) == (1, "")
    expected = "calltag: nothing answers at http://127.0.0.1:1/webhooks/sipsim; is `calltag up` running?\n"
    assert done.stderr == expected


WRONG: list[tuple[list[str], dict[str, str], str]] = [
    (["sipsim", "call_end"], {}, "unknown event 'call_end'; the events are: incoming_call_start,"),
    (["sipsim", "incoming_call_end", "--duration", "30m"], {}, "'duration' takes a whole number, not '30m'"),
    (["sipsim", "incoming_call_end", "--duration", "9" * 30], {}, "64-bit"),
    (["sipsim", "test", "--duration"], {}, "--duration has no value"),
    (["sipsim", "test", "more"], {}, "'more' stands alone"),
    (["sipsim", "test", "--field", "duration"], {}, "--field takes name=value, not 'duration'"),
    (["sipsim", "test", "--file", "none.json"], {}, "none.json cannot be read: No such file"),
    (
        ["sipsim", "test", "--file", "none.json", "--duration", "1"],
        {},
        "it goes with no field, such as --duration",
    ),
    (["sipsim", "test", "--url", "nowhere"], {}, "'nowhere' is no address"),
    (["aircall", "test"], {}, "account 'aircall' is not configured; set CALLTAG_AIRCALL_WEBHOOK_SECRETS"),
    (["sipsim", "test"], {"CALLTAG_SIPSIM_WEBHOOK_SECRETS": ""}, "account 'sipsim' is not configured"),
    (
        ["sipsim", "test"],
        {"CALLTAG_SIPSIM_WEBHOOK_SECRETS": "", "CALLTAG_SIPSIM_RATE": "5"},
        "no webhook secret is set; set CALLTAG_SIPSIM_WEBHOOK_SECRETS",
    ),
    (["sipsim", "test"], {"CALLTAG_SIPSIM_CLIENT_ID": "x"}, "CALLTAG_SIPSIM_CLIENT_SECRET: is missing"),
    (["sipsim", "test"], {"CALLTAG_PORT": "0"}, "CALLTAG_PORT is 0"),
]


@pytest.mark.parametrize(("arguments", "environ", "message"), WRONG)
def test_what_cannot_be_sent_is_said_in_one_line(
    send: Run, receiver: Receiver, arguments: list[str], environ: dict[str, str], message: str
) -> None:
    done = send(*arguments, **environ)
    assert (done.returncode, done.stdout, receiver.body) == (2, "", b"")
    assert re.fullmatch(r"calltag: .*\n", done.stderr)
    assert message in done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (
            ["--a", "1", "--b=2", "--field", "file=3", "--field=d=4=5"],
            {"a": "1", "b": "2", "file": "3", "d": "4=5"},
        ),
        (["--a", "--b"], {"a": "--b"}),
        (["--a", "", "--b", "-5"], {"a": "", "b": "-5"}),
    ],
)
def test_fields_are_written_as_options(options: list[str], expected: dict[str, str]) -> None:
    assert fields(options) == expected


@pytest.mark.parametrize("options", [["--"], ["-a", "1"], ["a"]])
def test_what_is_no_option_is_refused(options: list[str]) -> None:
    with pytest.raises(UserError):
        fields(options)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/webhooks/sipsim"),
        ("0.0.0.0", "http://127.0.0.1:8000/webhooks/sipsim"),  # noqa: S104 - a setting
        ("::", "http://[::1]:8000/webhooks/sipsim"),
        ("calls.example", "http://calls.example:8000/webhooks/sipsim"),
    ],
)
def test_a_service_that_listens_everywhere_is_reached_here(host: str, url: str) -> None:
    assert webhook_url(Settings.model_validate({"host": host}), "sipsim") == url
