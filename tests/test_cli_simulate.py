"""`calltag simulate` as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from platforms.registry import PLATFORMS
from tests.platform_bench import Mailbox
from tests.waiting import eventually
from worker.settings import load_settings

SECRETS = "CALLTAG_SIPSIM_WEBHOOK_SECRETS"


def command(*arguments: str, of: str = "sipsim") -> list[str]:
    return [sys.executable, "-m", "cli.main", "simulate", *([of] if of else []), *arguments]


def environment(**values: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != SECRETS} | values


@contextmanager
def simulating(
    *arguments: str, of: str = "sipsim", **values: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running simulator on a free port, and the first line that it printed."""
    process = subprocess.Popen(
        command("--port", "0", *arguments, of=of),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(**values),
    )
    assert process.stdout
    with process:
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def address(line: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    return found[0]


def test_the_simulator_says_where_it_is_and_with_which_credentials() -> None:
    with simulating("--ids", "integer", "--history", "30") as (_, line):
        form = {
            "grant_type": "client_credentials",
            "scope": "calls.read",
            "client_id": line.split("client id ")[1].split(",")[0],
            "client_secret": line.split("client secret ")[1].split(",")[0],
        }
        url = address(line)
        token = httpx.post(f"{url}/oauth/token", data=form).json()["access_token"]
        calls = httpx.get(
            f"{url}/api/v2/calls?start_time=2020-01-01", headers={"Authorization": f"Bearer {token}"}
        )
    assert calls.json()["pagination"]["count"] == 30
    assert "webhook secret simulated-webhook-secret" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_ends_at_a_signal_without_a_word(number: signal.Signals) -> None:
    with simulating() as (process, line):
        address(line)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
        assert (process.returncode, rest) == (0, "")


def test_the_simulator_plays_calls_with_the_secret_of_the_environment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unanswered:
        target = f"http://127.0.0.1:{unanswered.getsockname()[1]}/webhooks/sipsim"
        arguments = ("--calls", "3", "--webhook-url", target)
        with simulating(*arguments, **{SECRETS: "from-outside, older"}) as (_, line):
            assert "from-outside" not in line
            assert SECRETS in line
            url = address(line)
            eventually(lambda: len(httpx.get(f"{url}/_control/facts").json()) == 3, "three calls are played")
            sending, _ = unanswered.accept()
            with sending:
                assert sending.recv(4) == b"POST"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--calls", "3"), "--calls needs --webhook-url"),
        (("--webhook-url", "example.com"), "webhook_url"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    ended = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(command("--port", port), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == f"calltag: cannot listen at 127.0.0.1, port {port}: Address already in use\n"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_is_simulated_and_its_settings_are_those_of_an_account(platform: str) -> None:
    mailbox = Mailbox()
    with mailbox.serving() as url:
        arguments = ("--platform", platform, "--webhook-url", url, "--calls", "3")
        with simulating(*arguments, of="") as (process, line):
            assert line.startswith(f"A simulated {platform}. ")
            assert process.stdout
            told = [
                line.strip().partition("=") for line in iter(process.stdout.readline, "Ctrl-C ends it.\n")
            ]
            posts = eventually(lambda: mailbox.posts[:], "webhooks come")
        account = load_settings(environ={name: value for name, _, value in told}).accounts[platform]
        assert account.platform.verify(account.settings, posts[0].headers, posts[0].body, time.time())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), f"--platform: is needed; one of: {', '.join(PLATFORMS)}"),
        (("--platform", "sipsin"), "--platform: 'sipsin' is none that calltag knows"),
        (("--platform", "aircall", "--webhook-url", "example.com"), "'example.com' is no address such as"),
        (("--platform", "aircall", "--calls", "3"), "--calls needs --webhook-url"),
    ],
)
def test_what_is_asked_wrongly_of_any_platform_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    ended = subprocess.run(
        command("--port", "0", *arguments, of=""), capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
