"""`./run` in a small project of its own, with small packages from a folder: what it installs, and when."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import eventually

RUN = Path(__file__).parent.parent / "run"
CALLTAG = """
import os, sys
def main():
    print("calltag", os.getpid(), *sys.argv[1:], flush=True)
    if sys.argv[1:] == ["wait"]:
        import time
        time.sleep(60)
"""
BACKEND = """
import pathlib, sys, time
sys.path.insert(0, ".")
from wheels import write_wheel
def get_requires_for_build_editable(settings=None):
    return []
def build_editable(folder, settings=None, metadata=None):
    pathlib.Path("building").touch()
    while pathlib.Path("hold").exists():
        time.sleep(0.02)
    source = pathlib.Path("calltag_stand_in.py").read_text()
    scripts = "[console_scripts]\\ncalltag = calltag_stand_in:main\\n"
    return write_wheel(pathlib.Path(folder), "calltag", {"calltag_stand_in.py": source}, scripts).name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "calltag"
version = "1"
"""


def write_wheel(folder: Path, name: str, files: dict[str, str], scripts: str = "") -> Path:
    """A wheel of version 1 with these files, and these entry points."""
    info = f"{name}-1.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": scripts,
    }
    record = "".join(f"{path},sha256={_hash(text)},{len(text)}\n" for path, text in files.items())
    wheel = folder / f"{name}-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)  # without the time: its hash is always the same
    return wheel


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Project:
    """A folder with `run` in it."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Starts `run` from another folder, in a process group of its own."""
        return subprocess.Popen(
            [str(self.folder / "run"), *arguments],
            cwd="/",
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def lock(self, name: str, packages: dict[str, str]) -> None:
        """Writes a lock file; the packages are modules with this source."""
        lines = []
        for package, source in packages.items():
            wheel = write_wheel(self.folder / "wheels", package, {f"{package}.py": source})
            lines.append(f"{package}==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
        (self.folder / name).write_text("".join(lines))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "a project"
    (folder / "wheels").mkdir(parents=True)
    python = Path(sys.base_prefix) / "bin"
    project = Project(
        folder,
        {
            "HOME": str(tmp_path),
            "PATH": f"{python}:/usr/bin:/bin",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": (folder / "wheels").as_uri(),
            "PIP_CONFIG_FILE": os.devnull,
        },
    )
    (folder / "run").write_bytes(RUN.read_bytes())
    (folder / "run").chmod(0o755)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "wheels.py").write_text(_wheel_writer())
    (folder / "calltag_stand_in.py").write_text(CALLTAG)
    project.lock("requirements.lock", {"tiny": ""})
    project.lock("requirements-dev.lock", {"tiny": "", "pytest": "import sys; print(sys.argv[1:])"})
    return project


def _wheel_writer() -> str:
    """The source of `write_wheel`, for the build backend."""
    import inspect

    head = "import base64, hashlib, zipfile\nfrom pathlib import Path\n"
    return head + inspect.getsource(write_wheel) + inspect.getsource(_hash)


def installed(errors: str) -> bool:
    return "preparing .venv" in errors


def test_the_first_run_installs_and_the_second_does_not(project: Project) -> None:
    status, output, errors = project.run("demo", "--calls", "3")
    assert (status, installed(errors)) == (0, True)
    assert output.split()[2:] == ["demo", "--calls", "3"]
    status, output, errors = project.run()
    assert (status, errors) == (0, "")


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_file_is_installed(project: Project, changed: str) -> None:
    project.run()
    with (project.folder / changed).open("a") as file:
        file.write("# changed\n")
    assert installed(project.run()[2])
    assert not installed(project.run()[2])


def test_the_command_takes_the_place_of_the_script_so_that_signals_reach_it(project: Project) -> None:
    project.run()
    process = project.start("wait")
    assert process.stdout
    assert process.stdout.readline().split() == ["calltag", str(process.pid), "wait"]
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    process.communicate()


def test_two_at_once_install_once_and_both_run(project: Project) -> None:
    (project.folder / "hold").touch()
    processes = [project.start("demo") for _ in range(2)]
    eventually((project.folder / "building").exists, "one of them installs", 60)
    (project.folder / "hold").unlink()
    ends = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(installed(errors) for _, errors in ends) == [False, True]


def test_an_interrupted_installation_is_done_again_from_the_start(project: Project) -> None:
    (project.folder / "hold").touch()
    process = project.start()
    eventually((project.folder / "building").exists, "it installs", 60)
    leftover = project.folder / ".venv" / "leftover"
    leftover.touch()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (project.folder / "hold").unlink()
    status, _, errors = project.run()
    assert (status, installed(errors), leftover.exists()) == (0, True, False)
    assert not installed(project.run()[2])


def test_a_failed_installation_says_why_and_is_done_again(project: Project) -> None:
    good = (project.folder / "requirements.lock").read_text()
    (project.folder / "requirements.lock").write_text("missing==1 --hash=sha256:" + "0" * 64 + "\n")
    status, output, errors = project.run("demo")
    assert (status, output) == (1, "")
    assert "installing failed" in errors
    assert "No matching distribution found for missing==1" in errors
    assert "Traceback" not in errors
    (project.folder / "requirements.lock").write_text(good)
    status, _, errors = project.run()
    assert status == 0, errors


@pytest.mark.parametrize("missing", [["ensurepip"], ["ensurepip", "venv"]])
def test_a_python_whose_venv_is_packaged_apart_will_do(
    project: Project, tmp_path: Path, missing: list[str]
) -> None:
    for name in missing:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('no {name}')")
    status, output, _ = project.run("demo", PYTHONPATH=str(tmp_path))
    assert (status, output.split()[2:]) == (0, ["demo"])


def test_without_a_recent_python_it_says_so_in_one_line(project: Project, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cksum"):
        (tools / tool).symlink_to(next(p for p in (Path("/bin", tool), Path("/usr/bin", tool)) if p.exists()))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # as one before 3.11 answers
    (tools / "python3").chmod(0o755)
    status, _, errors = project.run("demo", PATH=str(tools))
    assert status == 1
    assert errors.startswith("run: Python 3.11 or newer is needed")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (
            ["tests/test_x.py", "-k", "a b"],
            ["-n", "3", "-m", "not faults", "tests/test_x.py", "-k", "a b"],
        ),
        (["--faults", "-x"], ["-n", "3", "-m", "faults", "-x"]),
    ],
)
def test_run_test_runs_the_tests_or_the_fault_tests(
    project: Project, given: list[str], passed: list[str]
) -> None:
    status, output, errors = project.run("test", *given)
    assert (status, installed(errors)) == (0, True)
    assert output == f"{passed}\n"


def test_what_the_tests_need_holds_what_the_commands_need(project: Project) -> None:
    project.run("test")
    assert not installed(project.run()[2])
