"""The pages with a million calls in the embedded database: how long each takes to come.

python -m benchmarks.pages [--calls 1000000] [--keep FOLDER]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.filled import fill
from benchmarks.measure import machine, table, tell, where
from store.database import Database
from tests.pages import Person, running_pages
from worker.settings import Settings, load_settings

ROUNDS = 7
PAGE = Path(__file__).parent.parent / "docs" / "pages.md"
MARK = 300
"""Milliseconds in which every page is to come."""


def pages(settings: Settings) -> dict[str, str]:
    """The pages that are asked for, by what they are."""
    database = Database(settings.database)
    with database.read() as connection:
        number, newest = connection.exec_driver_sql(
            "SELECT receiver, id FROM calls ORDER BY id DESC LIMIT 1"
        ).one()
    database.close()
    return {
        "Overview": "/",
        "Calls": "/calls",
        "Calls by a common tag": "/calls?tag=Tag+2",
        "Calls by a rare tag": "/calls?tag=Tag+39",
        "Calls by a rule": "/calls?rule=rule-2",
        "Calls by reference": f"/calls?reference=call_{newest // 2}",
        "Calls of one of our numbers": f"/calls?number=%2B{number[1:]}",
        "Calls that were given up": "/calls?state=dead",
        "Calls of a month": "/calls?since=60d&until=30d",
        "Calls by tag, half a year ago": "/calls?until=180d&tag=Tag+39",
        "Calls, where none fits": "/calls?tag=Tag+2&rule=rule-3",
        "One call": f"/calls/sipsim/call_{newest}",
        "Rules": "/rules",
        "Rules together, kept": "/rules/overlap",
        "Versions": "/rules/versions",
        "Jobs": "/jobs",
        "Dead letters": "/deadletters",
        "Playground": "/playground",
        "Backtest": "/backtest",
    }


def measured(person: Person, path: str) -> list[float]:
    """Milliseconds of each time that the page was asked for."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        person.client.get(path).raise_for_status()
        found.append((time.perf_counter() - start) * 1000)
    return found


def run(folder: Path, calls: int) -> None:
    file = folder / "calltag.db"
    if not file.exists():
        fill(file, calls)
    environ = {"DATA_DIR": str(folder), "ACCOUNTS": "sipsim", "RULES": str(folder / "rules.yaml")}
    environ |= {"SIPSIM_WEBHOOK_SECRETS": "x", "REDIS_URL": "redis://127.0.0.1:1"}
    settings = load_settings(None, {f"CALLTAG_{name}": value for name, value in environ.items()})
    times: dict[str, list[float]] = {}
    with running_pages(settings) as address:
        person = Person(address)
        with person.client:
            person.client.timeout = 60
            person.log_in()
            for name, path in pages(settings).items():
                times[name] = measured(person, path)
    found = {name: [times[name][0], statistics.median(times[name])] for name in times}
    result: dict[str, Any] = {"machine": machine("starlette", "sqlalchemy"), "mark": MARK, "ms": found}
    rows = [(name, f"{first:.0f} ms", f"{median:.0f} ms") for name, (first, median) in found.items()]
    size = f"{calls:,} calls, {file.stat().st_size / 1e9:.1f} GB of SQLite; the process had just started. "
    text = table(("page", "first time", "median"), rows) + "\n\n" + size + where(result["machine"])
    tell("pages", result, text, on=PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="a folder for the store, which is used again")
    asked = parser.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
        run(asked.keep, asked.calls)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), asked.calls)


if __name__ == "__main__":
    main()
