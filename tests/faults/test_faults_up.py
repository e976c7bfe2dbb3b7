"""`calltag up` ended at every moment of its start."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.waiting import eventually

MOMENTS = [tenth / 10 for tenth in range(0, 30, 2)]
"""Seconds after the start; in three of them all parts run."""


def start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": os.environ["PATH"],
        "CALLTAG_DATA_DIR": str(folder),
        "CALLTAG_PORT": "0",
        "CALLTAG_RULES": str(folder / "none.yaml"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "up"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def left(folder: Path) -> list[int]:
    """The running processes that have this folder in their environment."""
    mark = f"CALLTAG_DATA_DIR={folder}\0".encode()
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if mark in environ(process)]


def environ(process: Path) -> bytes:
    """Empty for what has ended in the meantime."""
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_of_its_start_it_leaves_nothing(tmp_path: Path, moment: float) -> None:
    up = start(tmp_path)
    time.sleep(moment)
    up.kill()
    up.wait()
    eventually(lambda: not left(tmp_path), "no process is left", 5)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("moment", MOMENTS)
def test_asked_to_end_at_any_moment_of_its_start_it_does(tmp_path: Path, moment: float) -> None:
    up = start(tmp_path)
    time.sleep(moment)
    up.terminate()
    assert up.wait(30) in (0, -signal.SIGTERM)
    assert left(tmp_path) == []
