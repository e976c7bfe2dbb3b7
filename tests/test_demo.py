"""`./run demo` as a newcomer runs it: a fresh copy of the project, nothing installed, no environment."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_COPIED = (".git", ".venv", ".calltag*", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis", ".env")


def nothing_but_a_path() -> dict[str, str]:
    """An environment with Python and, where pip needs to be told so, the way to the packages."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    outside = [folder for folder in folders if not Path(folder, os.pardir, "pyvenv.cfg").exists()]
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {"PATH": os.pathsep.join(outside), **pip}


@pytest.mark.timeout(600)
def test_a_newcomer_sees_the_main_job_work(tmp_path: Path) -> None:
    copy = tmp_path / "a newcomer's folder" / "calltag"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
    command = [str(copy / "run"), "demo", "--once", "--calls", "60"]
    shown = subprocess.run(command, cwd=tmp_path, env=nothing_but_a_path(), capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "All 60 calls have exactly the tags that the rules say" in shown.stdout
    assert (copy / ".venv").is_dir()
