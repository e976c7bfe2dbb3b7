"""`calltag demo` for every platform: the real service, and the tags that the rules say."""

import subprocess
import sys
from pathlib import Path

import pytest

from platforms.registry import PLATFORMS


def demo(folder: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "cli", "demo", "--once", *more]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_demonstration_ends_in_agreement(tmp_path: Path, platform: str) -> None:
    shown = demo(tmp_path, "--calls", "60", "--platform", platform)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert f"a simulated {platform} that makes 60 calls" in shown.stdout
    assert "All 60 calls have exactly the tags that the rules say" in shown.stdout
    assert " 0 tags" not in shown.stdout


def test_a_platform_that_is_none_is_told_with_those_that_are(tmp_path: Path) -> None:
    shown = demo(tmp_path, "--platform", "switchboard")
    assert shown.returncode != 0
    assert f"'switchboard' is none that calltag knows; one of: {', '.join(PLATFORMS)}" in shown.stderr
    assert "Traceback" not in shown.stderr
