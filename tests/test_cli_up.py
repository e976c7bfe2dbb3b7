"""`calltag up` as a person runs it: real processes, ended in every way."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli.parts import PROCESSES
from cli.valkey import Valkey
from tests.processes import alive, descendants
from tests.service import free_port
from tests.waiting import eventually
from worker.celery import BEHIND_LIVE

RULES = Path(__file__).parent.parent / "rules" / "samples" / "first-rules.yaml"
PARTS = {"valkey", "sweeper", "worker", "batch", "web"}
SECRET = "a-webhook-secret-of-one-test"
TOKEN = "an-admin-token-of-one-test"
ACCOUNT = {
    "CALLTAG_SIPSIM_CLIENT_ID": "client",
    "CALLTAG_SIPSIM_CLIENT_SECRET": "a-client-secret",
    "CALLTAG_SIPSIM_WEBHOOK_SECRETS": SECRET,
    "CALLTAG_SIPSIM_BASE_URL": "http://127.0.0.1:9",
}


@dataclass
class Up:
    """A running `calltag up`; what it prints goes to a file."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def part(self, name: str) -> int:
        """The process of a part; of a worker, the one that has the others."""
        found = [p for p in descendants(self.process.pid) if p.parent == self.process.pid]
        return next((p.pid for p in found if name in _part(p.command)), 0)

    def parts(self) -> set[str]:
        return {name for name in PARTS if self.part(name)}

    def ready(self) -> dict[str, object]:
        """What /readyz says; empty while nobody answers."""
        try:
            return dict(httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).json())
        except httpx.TransportError:
            return {}

    def await_ok(self) -> None:
        eventually(lambda: self.ready().get("status") == "ok", f"all is well\n{self.log.read_text()}", 60)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(90)


def _part(command: str) -> str:
    """A process's own name of its part: the last word of `calltag web`, or the server's program."""
    words = command.split()
    return words[-1] if words[0] == "calltag" else Path(words[0]).name


@dataclass
class Starter:
    folder: Path
    running: list[Up]

    def __call__(self, port: int | None = None, /, **environment: str) -> Up:
        port = port or free_port()
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "CALLTAG_DATA_DIR": str(self.folder / "data"),
            "CALLTAG_PORT": str(port),
            "CALLTAG_RULES": str(RULES),
            **environment,
        }
        log = self.folder / f"up-{len(self.running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up"],
                cwd=self.folder,
                env=given,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.running.append(Up(process, port, log))
        return self.running[-1]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    starter = Starter(tmp_path, [])
    yield starter
    for up in starter.running:
        up.process.kill()
        up.process.wait()


def test_it_becomes_ready_in_separate_processes_that_name_their_part_and_ends_cleanly(start: Starter) -> None:
    up = start(**ACCOUNT)
    up.await_ok()
    assert up.parts() == PARTS
    everything = [p.pid for p in descendants(up.process.pid)]
    assert up.stop() == 0
    assert alive(*everything) == []
    log = up.log.read_text()
    assert "Traceback" not in log, log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_end_it_too(start: Starter, number: signal.Signals) -> None:
    up = start()
    eventually(up.ready, "it answers", 60)
    everything = [p.pid for p in descendants(up.process.pid)]
    assert up.stop(number) == 0
    assert alive(*everything) == []


def test_re_tagging_goes_behind_live_calls_at_the_processor_too(start: Starter) -> None:
    up = start()
    up.await_ok()
    mine = os.getpriority(os.PRIO_PROCESS, 0)

    def niceness(part: str) -> list[int]:
        return [os.getpriority(os.PRIO_PROCESS, one.pid) - mine for one in descendants(up.part(part))]

    eventually(lambda: niceness("batch") == [BEHIND_LIVE] * PROCESSES, "re-tagging goes behind")
    assert niceness("worker") == [0] * PROCESSES


def test_nothing_is_left_when_it_is_killed(start: Starter) -> None:
    up = start()
    up.await_ok()
    everything = [p.pid for p in descendants(up.process.pid)]
    assert len(everything) > len(PARTS), "the worker has processes of its own"
    up.process.kill()
    up.process.wait()
    eventually(lambda: not alive(*everything), "no process is left", 5)


def test_a_part_that_is_killed_runs_again_and_all_is_well(start: Starter) -> None:
    up = start()
    up.await_ok()
    before = {name: up.part(name) for name in PARTS}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: up.parts() == PARTS and not alive(*before.values()), "all parts run again")
    up.await_ok()
    for name in PARTS:
        assert f"{name} ended by SIGKILL; starting it again in 0.5 s" in up.log.read_text()
    assert up.stop() == 0


def test_with_a_redis_of_ones_own_no_server_is_started(start: Starter, valkey: Valkey) -> None:
    up = start(CALLTAG_REDIS_URL=valkey.url)
    up.await_ok()
    assert up.parts() == PARTS - {"valkey"}
    assert up.stop() == 0


def test_a_second_one_on_the_same_data_says_so_in_one_line(start: Starter) -> None:
    first = start()
    eventually(first.ready, "it answers", 60)
    second = start()
    assert second.process.wait(20) == 2
    assert second.log.read_text() == (
        f"calltag: another `calltag up` (process {first.process.pid}) runs on {start.folder / 'data'}\n"
    )


def test_a_port_in_use_is_said_in_one_line_before_anything_starts(start: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        up = start(port)
        assert up.process.wait(20) == 2
    assert up.log.read_text().startswith(f"calltag: port {port} on 127.0.0.1 cannot be used (Address already")
    assert up.log.read_text().count("\n") == 1
    assert not (start.folder / "data" / "valkey").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("CALLTAG_PORT", "many"), ("CALLTAG_PROT", "8000"), ("CALLTAG_SIPSIM_CLIENT_ID", "alone")],
)
def test_a_wrong_setting_is_named_in_one_line(start: Starter, name: str, value: str) -> None:
    up = start(**{name: value})
    assert up.process.wait(20) == 2
    assert up.log.read_text().startswith("calltag: CALLTAG_")
    assert up.log.read_text().count("\n") == 1


def test_the_admin_token_is_made_once_shown_once_and_kept_from_others(start: Starter) -> None:
    up = start()
    file = start.folder / "data" / "admin-token"
    eventually(lambda: up.ready() and file.exists(), "it answers", 60)
    assert f"calltag: the pages are at http://127.0.0.1:{up.port}, data in " in up.log.read_text()
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert up.log.read_text().count(token) == 1
    assert status_of_api(up.port, token) == 200
    assert status_of_api(up.port, "another-token-of-this-test") == 401
    assert up.stop() == 0
    again = start()
    eventually(again.ready, "it answers", 60)
    assert token not in again.log.read_text()
    assert status_of_api(again.port, token) == 200


def test_a_token_that_was_given_is_neither_kept_nor_shown_nor_in_a_command_line(start: Starter) -> None:
    up = start(CALLTAG_ADMIN_TOKEN=TOKEN, **ACCOUNT)
    eventually(up.ready, "it answers", 60)
    assert status_of_api(up.port, TOKEN) == 200
    commands = " ".join(p.command for p in descendants(up.process.pid))
    for secret in (TOKEN, SECRET, "a-client-secret"):
        assert secret not in up.log.read_text()
        assert secret not in commands
    assert not (start.folder / "data" / "admin-token").exists()


def status_of_api(port: int, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"http://127.0.0.1:{port}/api/status", headers=headers, timeout=10).status_code


def test_without_an_account_it_says_what_to_set_and_knows_no_webhook_address(start: Starter) -> None:
    up = start()
    eventually(up.ready, "it answers", 60)
    assert re.search(r"no account is configured: set .*CALLTAG_SIPSIM_", up.log.read_text())
    answer = httpx.post(f"http://127.0.0.1:{up.port}/webhooks/sipsim", content=b"{}", timeout=10)
    assert answer.status_code == 404
