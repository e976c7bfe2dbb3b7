"""Where a job's calls come from, page by page: the platform's list, the store, or what another job did."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from platforms.adapter import Client, Record
from platforms.errors import PlatformError
from store import job_changes, listing
from store.job_changes import Change
from store.job_windows import Window
from store.jobs import Job
from worker.context import Worker
from worker.history import Matched, ended, match
from worker.retag.spec import Spec
from worker.settings import Account
from worker.tagids import TagIds

STORE_PAGE = 500
"""Calls of the store, or of the job to be undone, in one page."""


class NoSuchTag(PlatformError):
    """The platform has no tag of the name that calls are to bear."""

    permanent = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call that a page shows, by the name that it has in the job."""

    reference: str
    call: int | None
    """Its row, where it has one."""
    matched: Matched | None = None
    """What the platform's list told of it."""
    undo: Change | None = None
    """What the job to be undone did with it."""

    @property
    def record(self) -> Record | None:
        return self.matched.record if self.matched else None


@dataclass(frozen=True, slots=True)
class Listed:
    """One page, when it was asked for (Unix seconds), and the token of the next one."""

    candidates: Sequence[Candidate]
    requested_at: float
    next: str | None


@dataclass
class Sources:
    """The pages of one job's calls. Raises `PlatformError` and `Unavailable`."""

    worker: Worker
    account: Account
    job: Job
    spec: Spec

    def page(self, window: Window, client: Client) -> Listed:
        if self.job.kind == "undo":
            return self._of_job(window)
        return self._of_store(window) if self.spec.source == "store" else self._of_platform(window, client)

    def _of_platform(self, window: Window, client: Client) -> Listed:
        requested_at = time.time()
        since, until = window.since, window.until
        tag = self._tag_id(client) if self.spec.having is not None else None
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (since, until))
        page = client.list_page(begin, end, window.page, tag)
        records = ended(page.records, until, requested_at)
        with self.worker.database.read() as connection:
            matched = match(connection, self.account, records, since, until)
        found = [Candidate(one.record.id, one.call, one) for one in matched]
        return Listed(found, requested_at, page.next)

    def _tag_id(self, client: Client) -> str:
        name = self.spec.having or ""
        tags = TagIds(self.worker.database, self.account.name, {}, client, self.account.platform.tags_by_name)
        if tags.id_of(name) is None:
            tags.read_again()
        if (tag := tags.id_of(name)) is None:
            raise NoSuchTag(f"the platform has no tag '{name}'")
        return tag

    def _of_store(self, window: Window) -> Listed:
        after = int(window.page or 0)
        kind = self.account.platform.id_kind
        with self.worker.database.read() as connection:
            rows, last = listing.ended_between(
                connection,
                self.account.name,
                window.since,
                window.until,
                after,
                STORE_PAGE,
                self.spec.having,
                kind,
            )
        found = [Candidate(row.reference, row.id) for row in rows]
        return Listed(found, time.time(), None if last is None else str(last))

    def _of_job(self, window: Window) -> Listed:
        with self.worker.database.read() as connection:
            done = job_changes.changes(connection, self.job.undoes or 0, window.page or "", STORE_PAGE)
        found = [Candidate(one.reference, one.call, undo=one) for one in done if one.call is not None]
        return Listed(found, time.time(), done[-1].reference if len(done) == STORE_PAGE else None)
