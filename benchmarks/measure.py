"""How things are measured side by side, and how the figures are told.

Contenders take turns, so that what else the machine does meets all alike; of each one's rounds the median
counts. Figures to compare are ratios within one run.
"""

import gc
import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.processes import descendants

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"

Contender = Callable[[], int]
"""Does some work, and gives how much: calls, rows, requests."""


def side_by_side(
    contenders: Mapping[str, Contender], rounds: int = 7, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Units of work a second of each contender, as the median of rounds in turns."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            gc.collect()
            start = clock()
            units = work()
            rates[name].append(units / (clock() - start))
    return {name: statistics.median(found) for name, found in rates.items()}


def pss(pid: int) -> float:
    """MB of memory of a process, where what several share counts in parts (proportional set size)."""
    shown = re.search(r"^Pss:\s+(\d+)", _read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
    return int(shown[1]) * 1024 / 1e6 if shown else 0.0  # it has just ended


def memory_of_all(pid: int) -> float:
    """The same of a process and all below it."""
    return pss(pid) + sum(pss(process.pid) for process in descendants(pid))


def machine(*packages: str) -> dict[str, Any]:
    """Where it was measured, and with which versions."""
    cpu = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {package: version(package) for package in packages},
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def where(found: Mapping[str, Any]) -> str:
    """The machine in a line."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    load = f"load {found['load']} by other work and this"
    return f"{found['cpu']}, {found['cores']} cores, {load}; Python {found['python']}, {versions}."


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """In Markdown, columns aligned."""
    cells = [list(map(str, header)), *(list(map(str, row)) for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def tell(name: str, result: Mapping[str, Any], text: str, on: Path = PAGE) -> None:
    """Prints the text, keeps the result as `results/NAME.json`, and puts the text in its place on the page,
    between `<!-- NAME -->` and `<!-- end of NAME -->`."""
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page = on.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if begin in page and end in page:
        before, rest = page.split(begin, 1)
        on.write_text(f"{before}{begin}\n{text}\n\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


def rounded(rate: float) -> str:
    """A figure with as many digits as mean something."""
    digits = 3 - len(str(int(rate)))
    return f"{round(rate, digits):,.0f}" if rate >= 10 else f"{rate:.2g}"
