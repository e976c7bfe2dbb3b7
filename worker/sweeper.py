"""The sweeper: one plain loop that drives on what nothing else does.

It watches the rules' path, tells the workers again of events that nobody took up and of calls that are due,
and moves SQLite's log into the database. One process at a time has the duty; a second one waits for it.
"""

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from rules.faults import RuleSetFaults
from rules.loader import parse, read_files
from store import calls, fleet, inbox, jobs, rulesets
from store.counters import count
from store.database import Database, Unavailable, checkpoint
from worker import log as logs
from worker.celery import CeleryMessages, create_celery
from worker.context import Messages, open_worker, process_name
from worker.intake import QUEUED
from worker.reconcile import Reconciler
from worker.retention import Retention
from worker.settings import Settings

TICK = 1.0
DUTY = 10.0
"""Seconds for which the duty is taken each time."""
MOST = 1024
"""Calls sent in one round: a worker takes some of them before the next."""
CHECKPOINT_EVERY = 5.0

log = structlog.get_logger()


class RulesWatch:
    """The rules' path: loads a set when its files change, and puts it in force if it is good."""

    def __init__(self, database: Database, path: Path) -> None:
        self._database = database
        self._path = path
        self._seen: object = None

    def forget(self) -> None:
        """Takes the files for new at the next look."""
        self._seen = None

    def look(self) -> None:
        """Looks once; a bad set is reported, and the last good one stays."""
        try:
            files = read_files(self._path)
            if files == self._seen:
                return
            ruleset = parse(files)
        except RuleSetFaults as faults:
            self._refuse(faults)
            return
        now = time.time()
        with self._database.write() as connection:
            rulesets.activate(connection, ruleset.hash, ruleset.files, now, ruleset.shadow_rules)
            fleet.clear(connection, "rules")
        self._seen = files
        log.info("rule set in force", ruleset=ruleset.hash, rules=len(ruleset.rules))

    def _refuse(self, faults: RuleSetFaults) -> None:
        seen = tuple(map(str, faults.faults))
        if seen == self._seen:
            return
        first, rest = seen[0], len(seen) - 1
        text = first + (f" (and {rest} more)" if rest else "")
        with self._database.write() as connection:
            fleet.report(connection, "rules", text, time.time())
            count(connection, {"rules.refused": 1})
        self._seen = seen
        log.error("the rule set is refused; what is in force stays", faults=len(seen), first=first)


def sweep(database: Database, messages: Messages, now: float) -> None:
    """Tells the workers again of events that nobody took up, and sends the calls and jobs that are due.

    Raises `Unavailable`.
    """
    with database.read() as connection:
        forgotten = inbox.waiting(connection, now - TICK)
    if forgotten:
        messages.wake()
    with database.write(repeatable=True) as connection:
        due = calls.due(connection, now, MOST, now + QUEUED)
        places = jobs.free_places(connection, now)
    if due:
        messages.send(due)
    unsent = [place for place in places if not messages.drive(place)]
    if unsent:
        with database.write(repeatable=True) as connection:
            for place in unsent:
                fleet.hold(connection, place.name, place.token, now, jobs.TELL_EVERY)


class Sweeper:
    """One sweeper process."""

    def __init__(self, settings: Settings, messages: Messages) -> None:
        self.settings = settings
        self.database = Database(settings.database)
        self.messages = messages
        self.name = process_name()
        self.rules = RulesWatch(self.database, settings.rules)
        self.retention = Retention(self.database, settings)
        self._checkpoint_at = 0.0

    def run(self, ended: threading.Event) -> None:
        """Goes round until `ended` is set; a round that fails is told and tried again."""
        self._round()
        while not ended.wait(TICK):
            self._round()
        self._quietly(self._resign)
        self.database.close()

    def reconcile(self, ended: threading.Event) -> threading.Thread:
        """Begins to look for calls that no webhook told of, beside the rounds, until `ended` is set."""

        def look() -> None:
            with open_worker(self.settings, self.messages, "sweeper") as worker:
                Reconciler(worker, self.settings.reconcile_every).run(ended)

        thread = threading.Thread(target=look, name="reconciler")
        thread.start()
        return thread

    def _round(self) -> None:
        if self._quietly(self._on_duty):
            self._quietly(self.rules.look)
            self._quietly(self.sweep)
            self._quietly(self.retention.tidy)
            self._quietly(self._checkpoint)
        else:  # another one may put other rules in force meanwhile
            self.rules.forget()

    def _quietly(self, step: Callable[[], object]) -> object:
        try:
            return step()
        except Unavailable as fault:
            log.warning("the database cannot be used now", fault=str(fault))
            return None
        except Exception as fault:  # a fault of ours in one step must not hold up the others
            log.exception("a step of the sweeper failed", fault=type(fault).__name__)
            return None

    def _on_duty(self) -> bool:
        with self.database.write(repeatable=True) as connection:
            return fleet.hold(connection, "sweeper", self.name, time.time(), DUTY)

    def _resign(self) -> None:
        with self.database.write() as connection:
            fleet.release(connection, "sweeper", self.name)

    def sweep(self) -> None:
        """See `sweep`."""
        sweep(self.database, self.messages, time.time())

    def _checkpoint(self) -> None:
        if time.monotonic() >= self._checkpoint_at:
            checkpoint(self.database)
            self._checkpoint_at = time.monotonic() + CHECKPOINT_EVERY


def run(settings: Settings) -> None:
    """Runs a sweeper until SIGTERM or SIGINT; the database must have its newest form."""
    logs.configure(settings, "sweeper")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    sweeper = Sweeper(settings, CeleryMessages(create_celery(settings)))
    reconciling = sweeper.reconcile(ended) if settings.reconcile_every else None
    try:
        sweeper.run(ended)
    finally:
        ended.set()
        if reconciling:
            reconciling.join()
