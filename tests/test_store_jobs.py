"""Jobs in the store: counts that are exact whatever is told twice, and rows that go in the end."""

from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from store import job_changes, job_meeting, job_windows, jobs, schema
from store.database import Database
from store.job_changes import Result
from store.job_meeting import Met
from store.jobs import CallState, Count, Job, JobState

NOW = 1_800_000_000.0
HOUR = 3600.0


def made(database: Database, windows: int = 1) -> int:
    with database.write() as connection:
        parts = [(NOW + n * HOUR, NOW + (n + 1) * HOUR) for n in range(windows)]
        return jobs.create(connection, "sipsim", "retag", {}, "hash", parts, NOW)


def row(database: Database, job: int) -> Job:
    with database.read() as connection:
        found = jobs.get(connection, job)
    assert found is not None
    return found


def met(reference: str, *add: str) -> Met:
    counts: dict[Count, int] = {("listed",): 1, ("change" if add else "same",): 1}
    counts |= {("tags", tag, "gain"): 1 for tag in add}
    return Met(reference, before=("VIP",), add=add, counts=counts)


def planned(database: Database, job: int, found: Sequence[Met]) -> None:
    with database.write() as connection:
        job_meeting.note_planned(connection, job, found)


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(schema.job_calls)).scalar_one()


def test_a_call_that_is_told_twice_counts_once(database: Database) -> None:
    job = made(database)
    planned(database, job, [met("1", "Long"), met("2")])
    planned(database, job, [met("2"), met("1", "Long"), met("3", "Long", "Out")])
    plan = row(database, job).plan
    assert (plan["listed"], plan["change"], plan["same"]) == (3, 2, 1)
    assert plan["tags"] == {"Long": {"gain": 2}, "Out": {"gain": 1}}
    assert plan["samples"] == {"Long": {"gain": ["1", "3"]}, "Out": {"gain": ["3"]}}


def test_one_worker_at_a_time_has_a_window_and_a_lost_lease_changes_nothing(database: Database) -> None:
    job = made(database, windows=2)
    with database.write() as connection:
        first = job_windows.lease_window(connection, job, "one", NOW)
        second = job_windows.lease_window(connection, job, "other", NOW)
        assert first
        assert second
        assert (first.number, second.number) == (0, 1)
        assert job_windows.lease_window(connection, job, "third", NOW) is None
        later = NOW + 100.0
        again = job_windows.lease_window(connection, job, "third", later)
        assert again == first
        assert not job_windows.has_window(connection, job, first, "one", later)
        assert not job_windows.leave_window(connection, job, first, "one", "next")
        assert job_windows.leave_window(connection, job, first, "third", None, walked=True)
        assert job_windows.windows_walked(connection, job) == (1, 2)
        assert job_windows.leave_window(connection, job, second, "other", None, walked=True)
        assert job_windows.windows_walked(connection, job) == (2, 2)


def test_a_run_counts_what_strays_from_the_plan(database: Database) -> None:
    job = made(database)
    planned(database, job, [met("as planned", "Long"), met("else", "Long"), met("same"), met("now", "Long")])
    with database.write() as connection:
        jobs.start_run(connection, job, NOW)
        found = [met("as planned", "Long"), met("else", "Out"), met("same"), met("now"), met("new", "Long")]
        for _ in range(2):
            job_meeting.note_met(connection, job, found)
    run = row(database, job).run
    assert (run["listed"], run["change"], run["strays"]) == (5, 3, 3)


def test_a_planned_change_that_somebody_made_already_is_no_stray(database: Database) -> None:
    job = made(database)
    planned(database, job, [met("1", "VIP")])
    with database.write() as connection:
        jobs.start_run(connection, job, NOW)
        job_meeting.note_met(connection, job, [met("1")])
    assert row(database, job).run.get("strays", 0) == 0


def test_a_call_is_settled_once(database: Database) -> None:
    job = made(database)
    planned(database, job, [met("1", "Long")])
    with database.write() as connection:
        jobs.start_run(connection, job, NOW)
        job_meeting.note_met(connection, job, [met("1", "Long")])
        (todo,) = job_changes.next_todo(connection, job, NOW, 10, NOW + 60)
        assert (todo.reference, todo.add) == ("1", ("Long",))
        assert job_changes.next_todo(connection, job, NOW, 10, NOW + 60) == [], "somebody has it"
        for _ in range(2):
            job_changes.settle(connection, job, [Result("1", CallState.FAILED, "forbidden")])
    assert row(database, job).run["failed"] == 1


@pytest.mark.parametrize("most", [1, 2, 100])
def test_of_a_job_that_ended_the_calls_that_changed_stay_for_its_report(
    database: Database, most: int
) -> None:
    job = made(database)
    planned(database, job, [met("1", "Long"), met("2"), met("3"), met("4", "Long")])
    with database.write() as connection:
        assert job_changes.tidy(connection, 0.0, most) == 0, "it has not ended"
        jobs.change(connection, job, state=JobState.DONE, ended_at=NOW)
        while job_changes.is_untidy(connection, 0.0):
            job_changes.tidy(connection, 0.0, most)
        assert [one.reference for one in job_changes.changes(connection, job)] == ["1", "4"]
    assert rows(database) == 2


def test_of_a_job_that_ended_long_ago_no_call_stays(database: Database) -> None:
    job = made(database)
    planned(database, job, [met("1", "Long"), met("2")])
    with database.write() as connection:
        jobs.change(connection, job, state=JobState.CANCELLED, ended_at=NOW)
        while job_changes.is_untidy(connection, NOW + 1):
            job_changes.tidy(connection, NOW + 1, 1)
    assert rows(database) == 0
    assert row(database, job).plan["listed"] == 2
