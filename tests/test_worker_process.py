"""Processes that end with the one that started them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import alive
from tests.waiting import eventually

PARENT = """
import os, subprocess, sys, time
from worker import process
child = {start}
print(child if isinstance(child, int) else child.pid, flush=True)
time.sleep(60)
"""
TIED = "subprocess.Popen(process.tied([sys.executable, '-c', 'import time; time.sleep(60)']))"
FORKED = "os.fork() or (process.die_with_parent(), time.sleep(60))"
BESIDE = """subprocess.Popen([sys.executable, '-c', '''
import os, sys
from worker import process
note = "import os, time; print(os.getpid(), file=open(sys.argv[1], 'w'), flush=True); time.sleep(60)"
sys.exit(process.accompany(int(sys.argv[2]), [sys.executable, "-c", "import sys;" + note, sys.argv[1]]))
''', sys.argv[1], str(os.getpid())])"""


def start(way: str, folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that started another one, and the id of that."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(start=way), str(folder / "pid")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    return parent, int(parent.stdout.readline())


def kill(parent: subprocess.Popen[str]) -> None:
    """Without waiting for the end of its output, which its child holds open as long as it lives."""
    parent.kill()
    parent.wait()
    assert parent.stdout
    parent.stdout.close()


@pytest.mark.parametrize("way", [TIED, FORKED], ids=["tied", "forked"])
def test_a_process_ends_when_the_one_that_started_it_is_killed(way: str, tmp_path: Path) -> None:
    parent, child = start(way, tmp_path)
    assert alive(child) == [child]
    kill(parent)
    eventually(lambda: not alive(child), "the child has ended", 5)


def test_a_process_beside_another_ends_it_when_their_starter_is_killed(tmp_path: Path) -> None:
    parent, watcher = start(BESIDE, tmp_path)
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the child runs")
    child = int((tmp_path / "pid").read_text())
    kill(parent)
    eventually(lambda: not alive(watcher, child), "both have ended", 5)


def test_a_process_beside_another_gives_its_exit_status_and_hands_signals_on() -> None:
    code = """
import sys
from os import getppid
from worker.process import accompany
sleeper = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7));"
sys.exit(accompany(getppid(), [sys.executable, "-c", sleeper + "print('up', flush=True); time.sleep(60)"]))
"""
    watcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert watcher.stdout
    assert watcher.stdout.readline() == "up\n"
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(10) == 7
    watcher.communicate()


def test_a_tied_process_whose_starter_is_gone_does_not_start(tmp_path: Path) -> None:
    code = f"from pathlib import Path; Path({str(tmp_path / 'ran')!r}).touch()"
    from worker.process import tied

    argv = tied([sys.executable, "-c", code])
    argv[4] = "1"  # as if another process had started it, and ended
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "ran").exists()
