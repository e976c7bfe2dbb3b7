"""A company's calltag with weeks of calls behind it: what the pages show in pictures.

Its time is a Friday afternoon, whenever it is made, so that it looks alike each time.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import time_machine

from platforms.sipsim.simulator import Config, DayCall, Record, events, make_day
from store import fleet, inbox, jobs
from store.inbox import Arrival
from tests.retag_desk import HOUR, alive, working
from tests.service import SAMPLE
from tests.waiting import eventually
from tests.worker_bench import Bench, bench
from worker.retag import orders
from worker.retag.asked import Asked
from worker.why import State

NOW = datetime(2026, 11, 20, 15, 20, tzinfo=UTC)
BUSY = 12
"""So many times as many calls as on another day are on the present one."""
SECRETS = {"sipsim_webhook_secrets": Config().webhook_secret}
LATER = """
  - id: long-call-20
    description: Tried in the shadow before the limit is lowered
    mode: shadow
    when: {field: duration, gt: 20m}
    tag: Long Call

  - id: refund
    description: Somebody asked for the money back
    when: {field: transcript, mentions: [refund, money back]}
    tag: Refund
    tests:
      - {call: {transcript: "I would like a refund"}, match: true}

  - id: summer-campaign
    mode: off
    when: {field: custom.campaign_code, eq: summer-26}
    tag: Summer
"""
"""Rules that were added a week ago."""


def rules_then() -> str:
    """The rules of the first weeks."""
    return SAMPLE.read_text()


def rules_now() -> str:
    """The rules in force."""
    rules, mark, tests = rules_then().partition("\ntests: #")
    return rules + LATER + mark + tests


@dataclass(frozen=True, slots=True)
class Showroom:
    """What is in it: references of calls, numbers of jobs and of an event."""

    bench: Bench
    tagged: str
    """A call with a transcript and a tag that a person took off."""
    plain: str
    """A call that no rule tagged."""
    undone: int
    planned: int
    dead: int


@contextmanager
def showroom(folder: Path, redis: str, days: int = 30, calls: int = 20, **more: str) -> Iterator[Showroom]:
    """So many days before the present one with so many calls each; its time lasts as long as the block."""
    began = NOW - timedelta(days=days)
    rules = rules_then()
    with (
        time_machine.travel(began, tick=True) as clock,
        bench(folder, redis, Config(), rules, None, rules_edit="on", **SECRETS, **more) as made,
    ):
        played, dead = list[DayCall](), 0
        for before in range(days, 0, -1):
            if before == min(days // 2, 7):
                made.rules(rules_now())
            on = (NOW - timedelta(days=before)).date()
            played += took(made, clock, make_day(calls, seed=before, on=on, first_id=1000 * before))
            if before == 2:
                dead = given_up(made)
        (folder / "rules.yaml").write_text(rules_now())
        busy = make_day(calls * BUSY, seed=99, on=NOW.date(), first_id=900_001)
        played += took(made, clock, [call for call in busy if ended(call) < NOW.timestamp() - HOUR])
        clock.move_to(time.time() + 120)
        tagged = edited(made, played)
        undone, planned = retagged(made)
        took(made, clock, [call for call in busy if NOW.timestamp() - HOUR <= ended(call) < NOW.timestamp()])
        clock.move_to(NOW)
        with made.database.write() as connection:
            fleet.beat(connection, "a live worker", "worker", time.time() + HOUR)
        alive(made)
        plain = next(call.record.reference for call in reversed(played) if not made.tags(call.record))
        yield Showroom(made, tagged, plain, undone, planned, dead)


def ended(call: DayCall) -> float:
    """When the call was over, in Unix seconds."""
    return datetime.fromisoformat(str(call.facts["ended_at"])).timestamp()


def took(made: Bench, clock: time_machine.Traveller, day: Iterable[DayCall]) -> list[DayCall]:
    """The calls end one after the other, and each is decided as its events are there."""
    played = list(day)
    for call in played:
        made.simulator.add(call.record)
        at = ended(call)
        arrivals = [
            Arrival("sipsim", orjson.dumps(sending.payload), at + sending.delay, at + sending.delay)
            for sending in call.sendings
        ]
        clock.move_to(max(arrival.received_at for arrival in arrivals) + 0.2)
        with made.database.write() as connection:
            inbox.accept(connection, arrivals)
        made.settle()
    return played


def edited(made: Bench, played: list[DayCall]) -> str:
    """A person takes a tag off a call on which something was said, and puts another."""
    call = next(call for call in reversed(played) if call.record.segments and made.tags(call.record))
    record = call.record
    names = made.simulator.edit(record.reference, ["Called Back"], made.tags(record)[:1])
    made.receive(events.tags(record, time.time(), names))
    made.settle()
    return record.reference


def given_up(made: Bench) -> int:
    """Calls that the platform does not know, and an event that cannot be read; gives its number."""
    began = time.time() - 400
    for number in range(3):
        unknown = Record(
            990_000 + number, f"call_lost{number}", "inbound", "+33601020304", "+33184800100", began, 2000
        )
        made.end(unknown)
    made.settle()
    made.receive({"event": "incoming_call_end", "time": "yesterday", "pbx_id": "call_odd"})
    made.settle()
    with made.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT max(id) FROM events").scalar_one())


def retagged(made: Bench) -> tuple[int, int]:
    """The newer rule on the calls of before it: run and taken back; then planned again."""
    asked = Asked(since="40d", source="store", rule=["refund"])
    state, database = State(made.settings, made.database, made.worker.rules), made.database

    def is_(number: int, wanted: jobs.JobState) -> bool:
        with database.read() as connection:
            return orders.find(connection, number).state is wanted

    def run(number: int) -> int:
        eventually(lambda: is_(number, jobs.JobState.PLANNED), f"job {number} is planned", 60)
        orders.run(database, number)
        eventually(lambda: is_(number, jobs.JobState.DONE), f"job {number} is done", 60)
        return number

    with working(made):
        undone = run(orders.plan_as_asked(state, asked))
        run(orders.undo(database, undone))
        planned = orders.plan_as_asked(state, Asked(since="40d", source="store"))
        eventually(lambda: is_(planned, jobs.JobState.PLANNED), f"job {planned} is planned", 60)
    return undone, planned
