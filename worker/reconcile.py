"""Reconciliation: the platform's list of calls is read now and then, for those that no webhook told of.

What is found goes through the same inbox, under the same references, as any event. It begins at the first
start: calls from before are for a job to re-tag.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

import structlog

from platforms.adapter import Record
from platforms.errors import PlatformError
from store import fleet, inbox, linking, similar_calls
from store.database import Unavailable
from store.inbox import Arrival
from worker.context import Worker
from worker.history import Matched, match
from worker.settings import Account

OVERLAP = 6 * 3600.0
"""Seconds before the last look that are looked at again: the list goes by when calls began, and a call can
only be tagged once it has ended."""
GRACE = 120.0
"""Seconds that a webhook has to arrive before its call counts as one that no webhook told of."""
PART = 200
"""Records compared with the store in one transaction."""
RETRY = 60.0
"""Seconds after which a look that failed is tried again, if that is sooner than the next one."""
HELD = 600.0
"""Seconds that one look may take at the most before another process may begin one."""

log = structlog.get_logger()


class Reconciler:
    """Looks at every account's list, every so many seconds; each by itself, as one may be slow to answer."""

    def __init__(self, worker: Worker, every: float) -> None:
        self._worker = worker
        self._every = every

    def run(self, ended: threading.Event) -> None:
        """Until `ended` is set; a look that fails is told and tried again."""
        accounts = self._worker.settings.accounts.values()
        threads = [
            threading.Thread(target=self._look_on, args=(one, ended), name=one.name) for one in accounts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _look_on(self, account: Account, ended: threading.Event) -> None:
        pause = 0.0
        while not ended.wait(pause):
            pause = self._every if self._look_quietly(account) else min(self._every, RETRY)

    def _look_quietly(self, account: Account) -> bool:
        subject = f"reconciliation:{account.name}"
        try:
            fed = self.look(account, time.time())
            with self._worker.database.write() as connection:
                fleet.clear(connection, subject)
        except Unavailable as fault:
            log.warning("the database cannot be used now", fault=str(fault))
            return False
        except PlatformError as fault:
            log.warning("the platform's calls could not be listed", account=account.name, fault=str(fault))
            self._report(subject, f"the platform's calls could not be listed: {fault}")
            return False
        if fed:
            log.info("calls found that no webhook told of", account=account.name, calls=fed)
        return True

    def _report(self, subject: str, text: str) -> None:
        try:
            with self._worker.database.write() as connection:
                fleet.report(connection, subject, text, time.time())
        except Unavailable as fault:
            log.warning("the database cannot be used now", fault=str(fault))

    def look(self, account: Account, now: float) -> int:
        """Feeds the calls since the last look that no webhook told of; gives their number.

        Raises `PlatformError` and `Unavailable`; what was fed until then stays fed.
        """
        with self._worker.database.write() as connection:
            if not fleet.hold(connection, f"reconcile:{account.name}", self._worker.name, now, HELD):
                return 0  # another sweeper looks
            since = fleet.reconciled(connection, account.name, now)
        until = now - min(GRACE, self._every)
        begin = max(since.first, since.last - OVERLAP)
        if until <= begin:
            return 0
        client = self._worker.client(account, time.monotonic() + HELD, behind_live=True)
        records = client.list_calls(datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(until, UTC))
        fed = sum(self._feed(account, part, begin, until) for part in _parts(records))
        with self._worker.database.write() as connection:
            fleet.remember_reconciled(connection, account.name, until)
            fleet.release(connection, f"reconcile:{account.name}", self._worker.name)
        return fed

    def _feed(self, account: Account, records: Sequence[Record], begin: float, until: float) -> int:
        """Nor did a webhook tell of those that were only kept, as calls of the past: they are due as well."""
        now = time.time()
        with self._worker.database.write() as connection:
            linking.serialise(connection)
            matched = match(connection, account, records, begin, until, OVERLAP)
            arrivals = [Arrival(account.name, record.body, now, now, "record") for record in _untold(matched)]
            fed = sum(inbox.accept(connection, arrivals)) if arrivals else 0
            kept = similar_calls.untouched(connection, [one.call for one in matched if one.call is not None])
            woken = similar_calls.wake(connection, kept, now)
        if fed:
            self._worker.messages.wake()
        if woken:
            self._worker.messages.send(woken)
        return fed + len(woken)


def _parts(records: Iterable[Record]) -> Iterator[list[Record]]:
    part: list[Record] = []
    for record in records:
        part.append(record)
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def _untold(matched: Sequence[Matched]) -> list[Record]:
    """Those of the records that are ended calls which the store does not know.

    Where more records fit than calls are known, which of them is new cannot be told: all are fed, and the
    look-up of references settles them.
    """
    alike: defaultdict[frozenset[int], list[Record]] = defaultdict(list)
    for one in matched:
        if one.call is None and one.record.event.ends:
            alike[one.alike].append(one.record)
    return [record for calls, mine in alike.items() if len(mine) > len(calls) for record in mine]
