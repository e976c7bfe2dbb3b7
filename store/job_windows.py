"""The parts of a job's range, the pages of which one worker at a time walks."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from store.calls import LEASE
from store.jobs import AT_WORK, Job, count
from store.schema import job_windows, jobs


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a job's range (Unix seconds), and the page to go on with."""

    number: int
    since: float
    until: float
    page: str | None
    tries: int


def lease_window(connection: Connection, job: int, owner: str, now: float) -> Window | None:
    """The first window that is neither walked nor somebody else's; it is `owner`'s until the lease ends."""
    w = job_windows.c
    free = or_(w.lease_until.is_(None), w.lease_until <= now)
    columns = (w.number, w.since, w.until, w.page, w.tries)
    row = connection.execute(
        select(*columns)
        .where(w.job == job, ~w.walked, w.next_at <= now, free)
        .order_by(w.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    leased = {"lease_owner": owner, "lease_until": now + LEASE}
    connection.execute(update(job_windows).where(w.job == job, w.number == row.number).values(leased))
    return Window(*row)


def leave_window(
    connection: Connection,
    job: int,
    window: Window,
    owner: str,
    page: str | None,
    walked: bool = False,
    next_at: float = 0.0,
    tries: int = 0,
) -> bool:
    """Ends a lease: the window goes on at that page, or is walked. False where the lease was lost."""
    w = job_windows.c
    mine = and_(w.job == job, w.number == window.number, w.lease_owner == owner)
    values = {"page": page, "walked": walked, "next_at": next_at, "tries": tries,
              "lease_owner": None, "lease_until": None}  # fmt: skip
    return bool(connection.execute(update(job_windows).where(mine).values(values)).rowcount)


def has_window(connection: Connection, job: int, window: Window, owner: str, now: float) -> bool:
    """Whether the lease still holds; it does until the transaction ends."""
    w = job_windows.c
    mine = and_(w.job == job, w.number == window.number, w.lease_owner == owner, w.lease_until > now)
    return connection.execute(select(w.number).where(mine).with_for_update()).first() is not None


def is_walked_by_another(connection: Connection, job: int, owner: str, now: float) -> bool:
    """Whether another worker is at one of the windows."""
    w = job_windows.c
    leased = (w.job == job, ~w.walked, w.lease_until > now, w.lease_owner != owner)
    return connection.execute(select(w.number).where(*leased).limit(1)).first() is not None


def windows_walked(connection: Connection, job: int) -> tuple[int, int]:
    """How many parts of the range were walked to their end, and how many there are."""
    w = job_windows.c
    walked = func.count().filter(w.walked)
    found, all_of_them = connection.execute(select(walked, func.count()).where(w.job == job)).one()
    return found, all_of_them


def note_page(connection: Connection, job: Job, now: float) -> None:
    """Counts a page that was walked to its end. What the job waited for is over, if no window is put off."""
    count(connection, job.id, "run" if job.is_run else "plan", {("pages",): 1})
    if job.reason is not None:
        put_off = exists().where(job_windows.c.job == job.id, job_windows.c.next_at > now)
        goes_on = and_(jobs.c.id == job.id, jobs.c.state.in_(AT_WORK), ~put_off)
        connection.execute(update(jobs).where(goes_on).values(reason=None))
