"""Of several accounts each has one process of a worker at a time."""

import subprocess
import sys
from pathlib import Path

from worker.places import Places

TWO_PROCESSES = """
import os, signal
from worker.places import Places

places = Places(["sipsim", "sipsim-lyon"])
told, tell = os.pipe()
if (child := os.fork()) == 0:
    with places.taken("sipsim") as mine:
        os.write(tell, b"1" if mine else b"0")
        signal.pause()
assert os.read(told, 1) == b"1"
with places.taken("sipsim") as mine, places.taken("sipsim-lyon") as other:
    print("held:", mine, other)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
with places.taken("sipsim") as mine:
    print("killed:", mine, places.turned_away("sipsim"), places.turned_away("sipsim-lyon"))
print("asked again:", places.turned_away("sipsim"))
"""


def test_a_process_has_its_account_alone_until_it_ends_however_it_ends() -> None:
    said = subprocess.run(
        [sys.executable, "-c", TWO_PROCESSES],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert said.stderr == ""
    assert said.stdout.splitlines() == ["held: False True", "killed: True True False", "asked again: False"]


def test_where_there_is_one_account_nobody_is_turned_away() -> None:
    places = Places(["sipsim"])
    with places.taken("sipsim") as mine, places.taken("sipsim") as again:
        assert (mine, again) == (True, True)
    assert not places.turned_away("sipsim")
    places.close()


def test_an_account_that_is_not_configured_holds_nobody_up() -> None:
    places = Places(["sipsim", "sipsim-lyon"])
    with places.taken("gone") as mine:
        assert mine
    places.close()
