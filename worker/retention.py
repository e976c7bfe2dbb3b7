"""Retention: what has been kept long enough is dropped, in steps too small for anyone to wait for."""

import time
from collections import Counter

import structlog

from store import days, job_changes, linking, retention
from store.database import Database
from store.erasure import wipe_deleted
from store.retention import Outdated
from worker import snapshot
from worker.fold import tell
from worker.settings import Settings

DAY = 86_400.0
EVERY = 60.0
"""Seconds between two looks, once nothing is left to do."""
ROUND = 0.5
"""Seconds of one round of steps, after which the sweeper's other work has its turn."""
REST = 0.02
"""Seconds between two steps, in which others can write."""
EVENTS, BYTES, CALLS, JOB_ROWS, COUNTS = 32, 500_000, 16, 500, 500
"""The most in one step: on SQLite it must hold the write lock well under 50 ms."""

log = structlog.get_logger()


class Retention:
    """Drops bodies older than CALLTAG_KEEP_BODIES days and calls older than CALLTAG_KEEP_CALLS days, and of
    re-tagging jobs that ended the rows of calls that they left as they were."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._look_at = 0.0

    def tidy(self) -> None:
        """Does what there is to do, for one round at most; call it often. Raises `Unavailable`."""
        if time.monotonic() < self._look_at:
            return
        ends = time.monotonic() + ROUND
        dropped: Counter[str] = Counter()
        while step := self.step(time.time()):
            dropped += step
            if time.monotonic() > ends:
                break
            time.sleep(REST)
        else:
            self._look_at = time.monotonic() + EVERY
        if dropped:
            log.info("dropped what was kept long enough", **dropped)

    def step(self, now: float) -> Counter[str]:
        """One step: how many it dropped of what. Where that is nothing, nothing is left to drop now."""
        bodies, calls = self._settings.keep_bodies, self._settings.keep_calls
        dropped: Counter[str] = Counter(job_rows=self._tidy_jobs(now - calls * DAY if calls else 0.0))
        if bodies:
            dropped["bodies"] = self._drop_bodies(now - bodies * DAY, now)
        if calls:
            dropped["calls"] = self._drop_calls(now - calls * DAY, now)
            dropped["events"] = self._drop_events(now - calls * DAY)
            dropped["counts"] = self._drop_counts(days.day_of(now - calls * DAY))
        return +dropped

    def _drop_bodies(self, before: float, now: float) -> int:
        """Reads and folds outside of the transaction that writes, so that its lock is held shortly."""
        accounts = self._settings.accounts
        with self._database.read() as connection:
            old = retention.old_bodies(connection, accounts, before, now, EVENTS, BYTES)
        folded = [(one, body) for one in old.calls if (body := self._folded(one)) is not None]
        if not (folded or old.unlinked):
            return 0
        with self._database.write() as connection:
            wipe_deleted(connection)
            dropped = retention.drop_unlinked(connection, old.unlinked, now)
            return dropped + retention.replace_bodies(connection, folded, now)

    def _folded(self, old: Outdated) -> bytes | None:
        account = self._settings.accounts[old.account]
        try:
            return snapshot.write((told for row in old.rows for told in tell(account, row)), old.newest)
        except Exception as fault:  # noqa: BLE001 a fault of ours in one call must not hold up the sweeper
            log.error("the events of a call cannot be folded", call=old.call, fault=type(fault).__name__)
            return None

    def _drop_calls(self, before: float, now: float) -> int:
        with self._database.write() as connection:
            linking.serialise(connection)
            return retention.drop_calls(connection, before, now, CALLS)

    def _tidy_jobs(self, before: float) -> int:
        with self._database.read() as connection:
            if not job_changes.is_untidy(connection, before):
                return 0
        with self._database.write() as connection:
            return job_changes.tidy(connection, before, JOB_ROWS)

    def _drop_counts(self, before: int) -> int:
        with self._database.write() as connection:
            return days.drop(connection, before, COUNTS)

    def _drop_events(self, before: float) -> int:
        with self._database.write() as connection:
            return retention.drop_events(connection, before, EVENTS)
