"""The processes that a test started, as `ps` shows them."""

import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str
    command: str


def _all() -> list[Process]:
    output = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,state=,args="], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    rows = (line.split(None, 3) for line in output.splitlines())
    return [Process(int(row[0]), int(row[1]), row[2], row[3] if len(row) > 3 else "") for row in rows]


def descendants(pid: int) -> list[Process]:
    """The processes below this one that have not ended."""
    everything = _all()
    found, parents = [], {pid}
    while below := [p for p in everything if p.parent in parents and not p.state.startswith("Z")]:
        found += below
        parents = {process.pid for process in below}
    return found


def alive(*pids: int) -> list[int]:
    """Those of them that have not ended; one that nobody has waited for yet has."""
    return [p.pid for p in _all() if p.pid in pids and not p.state.startswith("Z")]
