"""Re-tagging jobs: what was asked for, how far it has come, and what became of each call.

A job is planned first and run only when somebody says so; both walk its range. The range is cut into windows,
the pages of which one worker at a time walks; what it finds, the page it has come to and the counts are
committed together. A call has one row in a job, whatever is listed twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, and_, select, true, update

from store import fleet
from store.database import insert
from store.schema import NOT_SAME, job_calls, job_windows, jobs

TELL_EVERY = 5.0
"""Seconds after which a place in which nothing could be done is filled again."""
QUEUED = 120.0
"""Seconds for which a message is waited for that says to whom a place belongs: it may have been lost."""
LONGEST_REST = 60.0
"""Seconds after which a job that waits for something is looked at all the same."""
TOGETHER = 2
"""Workers that a job has at once: one lists calls while the other one changes some."""
Count = tuple[str, ...]
"""What is counted, such as `("listed",)` or `("tags", "Long Call", "gain")`."""


class JobState(StrEnum):
    """How far a job is; one that is `paused` stays where it is."""

    PLANNING = "planning"
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """No plan could be made."""
    STOPPED = "stopped"
    """The run cannot or should not go on before somebody has looked."""
    CANCELLED = "cancelled"


AT_WORK = (JobState.PLANNING, JobState.RUNNING)
ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class CallState(StrEnum):
    """What a call is in a job."""

    SAME = "same"
    """It bears what it should."""
    PLANNED = "planned"
    TODO = "todo"
    """The run has met it; it is to be changed now."""
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Job:
    """One job. `plan` and `run` are counts; `spec` is what was asked for."""

    id: int
    account: str
    kind: str
    undoes: int | None
    state: JobState
    paused: bool
    reason: str | None
    spec: Mapping[str, Any]
    ruleset: str
    created_at: float
    planned_at: float | None
    started_at: float | None
    ended_at: float | None
    plan: Mapping[str, Any]
    run: Mapping[str, Any]

    @property
    def works(self) -> bool:
        return self.state in AT_WORK and not self.paused

    @property
    def is_run(self) -> bool:
        """It is past its plan."""
        return self.started_at is not None


COLUMNS = [jobs.c[name] for name in Job.__dataclass_fields__]


def create(
    connection: Connection,
    account: str,
    kind: str,
    spec: Mapping[str, Any],
    ruleset: str,
    windows: Sequence[tuple[float, float]],
    now: float,
    undoes: int | None = None,
) -> int:
    """A new job, to be planned; `windows` are the parts of its range, in Unix seconds."""
    values = {"account": account, "kind": kind, "undoes": undoes, "state": JobState.PLANNING, "spec": spec,
              "ruleset": ruleset, "created_at": now, "plan": {}, "run": {}, "tidied": ""}  # fmt: skip
    job = int(connection.execute(insert(connection, jobs).values(values).returning(jobs.c.id)).scalar_one())
    rows = [
        {"job": job, "number": n, "since": since, "until": until} for n, (since, until) in enumerate(windows)
    ]
    connection.execute(insert(connection, job_windows), rows)
    return job


def get(connection: Connection, job: int) -> Job | None:
    row = connection.execute(select(*COLUMNS).where(jobs.c.id == job)).first()
    return _job(row) if row else None


def newest(connection: Connection, most: int, before: int | None = None) -> list[Job]:
    """The jobs, newest first."""
    older = true() if before is None else jobs.c.id < before
    return [
        _job(row)
        for row in connection.execute(select(*COLUMNS).where(older).order_by(jobs.c.id.desc()).limit(most))
    ]


def _job(row: Any) -> Job:
    return Job(**{**row._mapping, "state": JobState(row.state)})


def held(connection: Connection, job: int) -> Job:
    """The job, which nobody else changes until the transaction ends; rows may refer to it meanwhile.

    Raises KeyError for one there is not.
    """
    row = connection.execute(select(*COLUMNS).where(jobs.c.id == job).with_for_update(key_share=True)).first()
    if row is None:
        raise KeyError(job)
    return _job(row)


def change(connection: Connection, job: int, **values: Any) -> None:
    """Sets columns of a job that is `held`."""
    connection.execute(update(jobs).where(jobs.c.id == job).values(values))


def start_run(connection: Connection, job: int, now: float) -> None:
    """From a plan to its run: the range is walked again, from its beginning."""
    change(
        connection, job, state=JobState.RUNNING, paused=False, reason=None, started_at=now, queued_until=0.0
    )
    again = {
        "page": None,
        "walked": False,
        "tries": 0,
        "next_at": 0.0,
        "lease_owner": None,
        "lease_until": None,
    }
    connection.execute(update(job_windows).where(job_windows.c.job == job).values(again))


def any_at_work(connection: Connection) -> bool:
    """Whether a job is to be planned or run now."""
    at_work = select(jobs.c.id).where(jobs.c.state.in_(AT_WORK), ~jobs.c.paused).limit(1)
    return connection.execute(at_work).first() is not None


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places that a job has for workers; it is his who comes with the token."""

    job: int
    name: str
    token: str


def free_places(connection: Connection, now: float) -> list[Place]:
    """The places of jobs at work in which nobody is and to which nobody was sent; this gives them away."""
    due = and_(jobs.c.state.in_(AT_WORK), ~jobs.c.paused, jobs.c.queued_until <= now)
    at_work = connection.execute(select(jobs.c.id).where(due)).scalars().all()
    found = [Place(job, name, token_hex(8)) for job in at_work for name in places(job)]
    return [one for one in found if fleet.hold(connection, one.name, one.token, now, QUEUED)]


def places(job: int) -> list[str]:
    """The names of a job's places."""
    return [f"job:{job}:{number}" for number in range(TOGETHER)]


def hurry(connection: Connection, job: int) -> None:
    """What was put off is to be done now."""
    connection.execute(update(job_windows).where(job_windows.c.job == job).values(next_at=0.0, tries=0))
    todo = and_(job_calls.c.job == job, job_calls.c.state == CallState.TODO, NOT_SAME)
    connection.execute(update(job_calls).where(todo).values(next_at=0.0))


def count(connection: Connection, job: int, of: str, counts: Mapping[Count, int]) -> None:
    if not any(counts.values()):
        return
    column = jobs.c[of]
    found = connection.execute(
        select(column).where(jobs.c.id == job).with_for_update(key_share=True)
    ).scalar_one()
    connection.execute(update(jobs).where(jobs.c.id == job).values({of: added(found, counts)}))


def added(found: Mapping[str, Any], counts: Mapping[Count, int]) -> dict[str, Any]:
    """Nested counts with these added to them. Pure."""
    sums: dict[str, Any] = dict(found)
    for path, number in counts.items():
        if not number:
            continue
        inner = sums
        for name in path[:-1]:
            inner[name] = dict(inner.get(name, {}))
            inner = inner[name]
        inner[path[-1]] = inner.get(path[-1], 0) + number
    return sums
