"""Backtests for the pages: stored calls counted by a process of its own, so that webhooks wait for nothing.

Its row in the database says how far it is and what came of it, to whichever web process is asked.
"""

import json
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import structlog
from sqlalchemy import Connection

from rules.backtest import CHANGES, Backtest, RuleCount
from rules.evaluation import Outcome
from rules.faults import RuleSetFaults
from rules.histogram import histogram
from rules.loader import parse
from rules.ruleset import Rule, RuleSet
from store import backtests, rulesets
from store.database import Database, Unavailable
from store.past import number
from worker.process import tied
from worker.stored import Bounds, known_since, parts, stored_calls

SECONDS = 900
"""For one backtest; then the process is ended by its own alarm."""
MEMORY = 2 * 1024 * 1024 * 1024
"""Bytes of data."""
EVERY = 1.0
"""Seconds between two signs of life."""
TOO_DEAR = f"it took more than {SECONDS // 60} minutes or too much memory; choose a shorter time"

MOST_DATED = 300
"""Rules whose days are kept."""
TOO_MUCH = 3
"""The exit status where memory ended."""
DEAR = (-signal.SIGALRM, -signal.SIGKILL, -signal.SIGABRT, TOO_MUCH)

log = structlog.get_logger()


class Runner:
    """Starts backtests, each in a process that ends with this one."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._url = url

    def begin(self, rules: Mapping[str, str] | str, against: str | None, asked: Mapping[str, Any]) -> str:
        """The id of the backtest that runs from now on, of rule files or of the hash of a set.

        `asked` has `since` and `until` (Unix seconds or None), beside what its page wants to know again.
        Raises `store.backtests.Busy`, and `Unavailable`.
        """
        with self._database.write() as connection:
            id_ = backtests.begin(connection, rules, against, asked, time.time())
        threading.Thread(target=self._run, args=[id_], name="backtest", daemon=True).start()
        return id_

    def _run(self, id_: str) -> None:
        """In a thread that lives as long as the process does, which the kernel takes for its parent."""
        argv = tied([sys.executable, "-P", "-m", "worker.backtesting"])
        question = json.dumps({"database": self._url, "id": id_}).encode()
        done = subprocess.run(argv, input=question, check=False)  # noqa: S603
        if not done.returncode:
            return
        log.warning("a backtest ended before its end", status=done.returncode)
        try:
            with self._database.write() as connection:
                reason = TOO_DEAR if done.returncode in DEAR else "it failed; the log says why"
                backtests.end(connection, id_, "failed", reason)
        except Unavailable as fault:  # without a sign of life it counts as failed anyway
            log.warning("the end of a backtest could not be noted", fault=str(fault))


def run(database: Database, id_: str) -> None:
    """Counts what was asked for, and notes the result; ends early where it is wanted no more."""
    with database.read() as connection:
        found = backtests.find(connection, id_, time.time())
        if found is None:
            return
        files = found.files or _of_hash(connection, found.ruleset)
        older = _of_hash(connection, found.against)
    try:
        counted = Backtest(_parsed(files), _parsed(older) if older else None)
    except RuleSetFaults as fault:
        _end(database, id_, "failed", f"the rules have a fault: {fault.faults[0]}")
        return
    if _count(database, id_, counted, (found.asked["since"], found.asked["until"])):
        _end(database, id_, "done", result=told(counted))


def _of_hash(connection: Connection, hash_: str | None) -> dict[str, str]:
    """The files of a set that was in force; none of no set."""
    files = rulesets.files(connection, hash_) if hash_ else {}
    return {name: data.decode("utf-8-sig") for name, data in files.items()}


def _parsed(files: Mapping[str, str]) -> RuleSet:
    return parse({name: text.encode() for name, text in files.items()})


def _end(
    database: Database,
    id_: str,
    state: str,
    reason: str | None = None,
    result: Mapping[str, Any] | None = None,
) -> None:
    with database.write() as connection:
        backtests.end(connection, id_, state, reason, result)


def _count(database: Database, id_: str, counted: Backtest, asked: Bounds) -> bool:
    """Adds the calls of that time, part by part; False where it is wanted no more.

    A call whose facts are none any more, as after a change of the catalogue, is left out.
    """
    with database.read() as connection:
        total = number(connection, known_since(asked))
    looked, last = 0, 0.0
    for part in parts(database):
        calls = stored_calls(database, part, asked)
        looked += len(calls.names) + len(calls.bad)
        wanted = calls.within(*asked)
        counted.add(wanted.block, wanted.names)
        if time.monotonic() > last + EVERY:
            last = time.monotonic()
            if not _shown(database, id_, looked, total):
                return False
    return _shown(database, id_, looked, looked)


def _shown(database: Database, id_: str, looked: int, total: int) -> bool:
    with database.write() as connection:
        return backtests.show_life(connection, id_, time.time(), looked, total)


def told(counted: Backtest) -> dict[str, Any]:
    """The result as JSON has it.

    `days` are all days; a rule's `days` has a pair of place and calls for each of them on which it matched,
    of very many rules for those that match most.
    """
    days = _all_days(sorted(counted.days))
    places = {day: at for at, day in enumerate(days)}
    found = counted.rules
    by_matches = sorted(found, key=lambda id_: -found[id_].outcomes[Outcome.TRUE])
    for id_ in by_matches[MOST_DATED:]:
        found[id_].days.clear()
    return {
        "calls": counted.calls,
        "days": [day.isoformat() for day in days],
        "rules": [_rule(counted, rule, found[rule.id], places) for rule in counted.ruleset.rules],
        "fields": dict(_fields(counted)),
        "tags": dict(counted.tags),
        "changes": _changes(counted),
        "remarks": list(counted.remarks()),
    }


def _rule(counted: Backtest, rule: Rule, count: RuleCount, places: Mapping[date, int]) -> dict[str, Any]:
    thresholds = [
        {"field": one.asks, "text": one.text, "marks": list(one.marks)}
        for one in counted.thresholds
        if one.rule == rule.id
    ]
    return {
        "id": rule.id,
        "description": rule.description,
        "when": rule.when.text,
        "mode": rule.mode.value,
        "share": counted.share(rule.id),
        "outcomes": {outcome.value: count.outcomes[outcome] for outcome in Outcome},
        "unknown": count.unknown,
        "days": [[places[day], calls] for day, calls in sorted(count.days.items())],
        "thresholds": thresholds,
    }


def _fields(counted: Backtest) -> Iterator[tuple[str, dict[str, Any]]]:
    """How the calls lie by each field that a number is asked of: bars, and the values themselves."""
    marks: dict[str, list[float]] = {}
    for one in counted.thresholds:
        marks.setdefault(one.asks, []).extend(one.marks)
    for one in {one.asks: one for one in counted.thresholds}.values():
        bars = histogram(one.values, marks[one.asks])
        yield (
            one.asks,
            {
                "start": bars.start,
                "end": bars.end,
                "bars": list(bars.bars),
                "names": bars.names(),
                "values": sorted(one.values.items()),
            },
        )


def _changes(counted: Backtest) -> list[dict[str, Any]] | None:
    """By tag, those that change first."""
    if counted.against is None:
        return None
    found = [
        {"tag": tag, "samples": change.samples, **{kind: change.counts[kind] for kind in CHANGES}}
        for tag, change in sorted(counted.changes.items())
    ]
    return sorted(found, key=lambda one: not (one["gained"] or one["lost"]))


def _all_days(days: list[date]) -> list[date]:
    """Every day from the first to the last, those without calls too."""
    span = range(days[0].toordinal(), days[-1].toordinal() + 1) if days else ()
    return [date.fromordinal(day) for day in span]


def main() -> None:
    """Runs the backtest that standard input names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for who started it
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    question = json.load(sys.stdin)
    database = Database(question["database"])
    try:
        run(database, question["id"])
    except MemoryError:
        sys.exit(TOO_MUCH)
    finally:
        database.close()


if __name__ == "__main__":
    main()
