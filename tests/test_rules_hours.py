"""Schedules by the second of the week say what each of them says."""

from datetime import UTC, datetime, timedelta

from rules.hours import hours_of
from tests.rule_sets import rule_set

SET = rule_set("""
schedules:
  office: {timezone: Europe/Paris, mon-fri: ["09:00-12:30", "13:30-18:00"], closed: ["2026-03-27"]}
  night: {timezone: Europe/Paris, fri-mon: ["22:00-02:30"], closed: ["2026-03-29"]}
  round: {timezone: America/New_York, sun: ["20:00-06:00"], mon: ["00:00-24:00"]}
rules: [{id: r, when: {field: started_at, during: office}, tag: T}]
""")


def test_a_moment_is_in_the_schedules_that_hold() -> None:
    schedules = list(SET.schedules.values())
    at = hours_of(schedules)
    start = datetime(
        2026, 3, 25, 23, 59, 59, tzinfo=UTC
    )  # over the change of clocks, and days that are closed
    moments = [start + timedelta(minutes=7, seconds=1) * step for step in range(2200)]
    for moment in moments:
        assert set(at(moment)) == {schedule.name for schedule in schedules if schedule.holds(moment)}
    assert {name for moment in moments for name in at(moment)} == {"office", "night", "round"}
