"""`calltag rules backtest` on files and on stored calls: how long it takes, and the memory that it needs."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import insert

from benchmarks import workload
from benchmarks.measure import memory_of_all
from rules.ruleset import RuleSet
from store.database import Database, checkpoint, migrate
from store.schema import call_refs, calls

FEW = 100_000
"""Different calls; of more, each stands there several times."""
NUMBERS = (FEW, 10 * FEW)
AT_ONCE = 5_000
LOOK_EVERY = 0.5
"""Seconds between two looks at the memory."""
ROW = {"account": "sipsim", "state": "done", "ended": True, "first_at": 0.0, "next_at": 0.0, "others": []}
REF = {"account": "sipsim", "kind": "pbx_id"}

Calls = Sequence[Mapping[str, Any]]
"""As JSON has them."""


def backtests(ruleset: RuleSet) -> list[dict[str, Any]]:
    """Of each source, few and ten times as many: seconds, and MB of memory at most."""
    dice = random.Random(3)
    some = [workload.call(dice) for _ in range(FEW)]
    found = []
    for source, make in {"JSON lines": _lines, "stored calls": _stored}.items():
        for number in NUMBERS:
            with TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "rules.yaml").write_bytes(next(iter(ruleset.files.values())))
                seconds, memory = _measured(folder, make(folder, some, number))
            found.append({"source": source, "calls": number, "seconds": seconds, "memory": memory})
    return found


def _lines(folder: Path, some: Calls, number: int) -> str:
    lines = [json.dumps(call, ensure_ascii=False) + "\n" for call in some]
    with (folder / "calls.jsonl").open("w", encoding="utf-8") as file:
        for _ in range(number // FEW):
            file.writelines(lines)
    return file.name


def _stored(folder: Path, some: Calls, number: int) -> str:
    database = Database(f"sqlite:///{folder / 'calltag.db'}")
    migrate(database)
    for start in range(0, number, AT_ONCE):
        ids = range(start + 1, start + AT_ONCE + 1)
        with database.write() as connection:
            connection.execute(insert(calls), [ROW | {"id": id_, "facts": some[id_ % FEW]} for id_ in ids])
            connection.execute(
                insert(call_refs), [REF | {"reference": f"call_{id_}", "call_id": id_} for id_ in ids]
            )
    checkpoint(database)
    database.close()
    return "store"


def _measured(folder: Path, source: str) -> tuple[float, float]:
    """Seconds, and MB of memory at most, of all its processes."""
    argv = [sys.executable, "-P", "-m", "cli", "rules", "backtest", str(folder / "rules.yaml")]
    argv += ["--calls", source, "--format", "csv"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    most, start = 0.0, time.perf_counter()
    environ = os.environ | {"CALLTAG_DATA_DIR": str(folder)}
    with subprocess.Popen(argv, env=environ, **quiet) as process:  # noqa: S603
        while process.poll() is None:
            most = max(most, memory_of_all(process.pid))
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
    took = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"the backtest ended with {process.returncode}")
    return took, most
