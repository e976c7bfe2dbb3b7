"""The sweeper: rules in force, what is due sent again, what was forgotten told again, one on duty."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from store import fleet, rulesets, schema
from store.database import Database
from tests.waiting import eventually
from tests.worker_bench import LONG, Bench, Sent
from worker.intake import QUEUED
from worker.process import tied
from worker.sweeper import DUTY, RulesWatch, Sweeper

Make = Callable[..., Bench]
OTHER = LONG.replace("Long Call", "Endless")
BROKEN = LONG.replace("duration", "durration")


@contextmanager
def sweeping(bench: Bench) -> Iterator[Sent]:
    """A sweeper in a thread; gives what it sends."""
    sent, ended = Sent(), threading.Event()
    sweeper = Sweeper(bench.settings, sent)
    thread = threading.Thread(target=sweeper.run, args=[ended])
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()


@contextmanager
def sweeper_process(bench: Bench) -> "Iterator[subprocess.Popen[bytes]]":
    """`calltag sweeper`."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "CALLTAG_DATA_DIR": str(bench.settings.data_dir),
        "CALLTAG_RULES": str(bench.settings.rules),
        "CALLTAG_REDIS_URL": bench.settings.redis_url,
    }
    argv = tied([sys.executable, "-m", "cli", "sweeper"])
    folder = bench.settings.data_dir
    process = subprocess.Popen(argv, env=environ, cwd=folder, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def active(database: Database) -> str | None:
    """The text of the set in force."""
    with database.read() as connection:
        hash = rulesets.active(connection)
        return rulesets.files(connection, hash)["rules.yaml"].decode() if hash else None


def amiss(database: Database) -> list[str]:
    with database.read() as connection:
        return [notice.text for notice in fleet.amiss(connection) if notice.subject == "rules"]


def on_duty(database: Database) -> str | None:
    with database.read() as connection:
        now = schema.duties.c.until > time.time()
        return connection.execute(select(schema.duties.c.owner).where(now)).scalar()


# The rules


def test_a_good_change_is_in_force_within_five_seconds(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.write_text(LONG)
    with sweeping(bench):
        for text in (OTHER, LONG, OTHER):
            bench.settings.rules.write_text(text)
            eventually(lambda text=text: active(bench.database) == text, "the new set is in force", 5.0)  # type: ignore[misc]
        call = bench.call()
        bench.end(call)
        bench.settle()
        assert bench.tags(call) == ["Endless"]


def test_a_bad_change_is_told_with_its_place_and_the_last_good_set_stays(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.write_text(LONG)
    with sweeping(bench):
        eventually(lambda: active(bench.database) == LONG, "the set is in force")
        bench.settings.rules.write_text(BROKEN)
        (notice,) = eventually(lambda: amiss(bench.database), "the fault is told", 5.0)
        assert notice.startswith("rules.yaml:6:")
        assert "'durration'" in notice
        assert active(bench.database) == LONG
        bench.settings.rules.write_text(LONG)
        eventually(lambda: not amiss(bench.database), "all is well again", 5.0)
        assert active(bench.database) == LONG


def test_several_faults_are_told_as_one_with_their_number(make_bench: Make) -> None:
    bench = make_bench()
    second = "  - {id: second, when: {field: durration, lt: 5}, tag: Short}\n"
    bench.settings.rules.write_text(BROKEN + second)
    RulesWatch(bench.database, bench.settings.rules).look()
    (notice,) = amiss(bench.database)
    assert notice.endswith("(and 1 more)")


def test_a_path_that_is_missing_is_told_until_it_is_there(make_bench: Make) -> None:
    bench = make_bench()
    watch = RulesWatch(bench.database, bench.settings.rules)
    watch.look()
    (notice,) = amiss(bench.database)
    assert "cannot be read" in notice
    assert active(bench.database) == LONG, "what was in force before the start stays so"
    bench.settings.rules.write_text(OTHER)
    watch.look()
    assert (active(bench.database), amiss(bench.database)) == (OTHER, [])


def test_a_folder_of_files_is_a_set_too(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.mkdir()
    (bench.settings.rules / "rules.yaml").write_text(LONG)
    watch = RulesWatch(bench.database, bench.settings.rules)
    watch.look()
    more = "version: 1\nrules: [{id: all, when: {field: duration, gte: 0}, tag: Call}]\n"
    (bench.settings.rules / "more.yaml").write_text(more)
    watch.look()
    call = bench.call()
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Call", "Long Call"]


def test_who_was_off_duty_takes_the_files_for_new(make_bench: Make) -> None:
    """While it was, another one may have put a set in force that the files no longer say."""
    bench = make_bench(rules=OTHER)
    bench.settings.rules.write_text(LONG)
    with sweeping(bench):
        eventually(lambda: active(bench.database) == LONG, "the set is in force")
        with bench.database.write() as connection:
            taken = update(schema.duties).values(owner="another", until=time.time() + 5)
            connection.execute(taken)
        bench.rules(OTHER)
        eventually(lambda: active(bench.database) == LONG, "the files are in force again")


# What is due


def test_the_workers_are_told_again_of_events_that_nobody_took_up(make_bench: Make) -> None:
    bench = make_bench()
    bench.end(bench.call())
    sweeper = Sweeper(bench.settings, sent := Sent())
    sweeper.sweep()
    assert sent.woken == 0, "it came just now: the receiver has told of it"
    with bench.database.write() as connection:
        connection.execute(update(schema.events).values(received_at=time.time() - 1.5))
    sweeper.sweep()
    sweeper.sweep()
    assert sent.woken == 2, "until they have taken it up"
    bench.due()
    sweeper.sweep()
    assert sent.woken == 2
    sweeper.database.close()


def test_a_call_that_was_sent_is_left_alone_for_a_while(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.write_text(LONG)
    bench.end(bench.call())
    bench.due()
    sweeper = Sweeper(bench.settings, sent := Sent())
    sweeper.sweep()
    sweeper.sweep()
    assert sent.calls == [], "whoever linked its events has it"
    queued = update(schema.calls)
    with bench.database.write() as connection:
        (until,) = connection.execute(select(schema.calls.c.queued_until)).scalars()
        assert time.time() + QUEUED - 5 < until <= time.time() + QUEUED
        connection.execute(queued.values(queued_until=time.time() - 0.1))
    sweeper.sweep()
    sweeper.sweep()
    assert len(sent.calls) == 1, "nobody took it: it is sent again, once"
    sweeper.database.close()


@pytest.mark.parametrize(
    "values",
    [{"next_at": 3e9}, {"lease_until": 3e9, "lease_owner": "x"}, {"state": "done"}, {"state": "dead"}],
    ids=["later", "leased", "done", "dead"],
)
def test_a_call_that_is_not_due_is_not_sent(make_bench: Make, values: dict[str, object]) -> None:
    bench = make_bench()
    bench.end(bench.call())
    bench.due()
    with bench.database.write() as connection:
        connection.execute(update(schema.calls).values(queued_until=0.0, **values))
    sweeper = Sweeper(bench.settings, sent := Sent())
    sweeper.sweep()
    sweeper.database.close()
    assert sent.calls == []


def test_a_parked_call_and_one_whose_lease_ran_out_are_sent(make_bench: Make) -> None:
    bench = make_bench()
    for number in (1, 2):
        bench.end(bench.call(number, caller=f"+3360000000{number}"))
    first, second = bench.due()
    with bench.database.write() as connection:
        parked = {"state": "parked", "next_at": time.time() - 1}
        lost = {"lease_owner": "x", "lease_until": time.time() - 1}
        for call, values in ((first, parked), (second, lost)):
            changed = update(schema.calls).where(schema.calls.c.id == call)
            connection.execute(changed.values(queued_until=0.0, **values))
    sweeper = Sweeper(bench.settings, sent := Sent())
    sweeper.sweep()
    sweeper.database.close()
    assert sorted(sent.calls) == [first, second]


# One on duty


def test_of_two_sweepers_one_is_on_duty_and_the_other_takes_over_when_it_is_killed(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.write_text(LONG)
    with sweeper_process(bench) as first:
        owner = eventually(lambda: on_duty(bench.database), "one has the duty", 30)
        with sweeper_process(bench):
            bench.settings.rules.write_text(OTHER)
            eventually(lambda: active(bench.database) == OTHER, "it works", 5.0)
            assert on_duty(bench.database) == owner
            first.send_signal(signal.SIGKILL)
            taken = eventually(lambda: (o := on_duty(bench.database)) != owner and o, "the other", DUTY + 5)
            assert taken
            bench.settings.rules.write_text(LONG)
            eventually(lambda: active(bench.database) == LONG, "the other works", 5.0)


def test_a_sweeper_that_is_told_to_end_gives_the_duty_back_at_once(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.write_text(LONG)
    with sweeper_process(bench) as process:
        eventually(lambda: on_duty(bench.database), "it has the duty", 30)
        process.terminate()
        assert process.wait(5) == 0
    assert on_duty(bench.database) is None


def test_the_write_ahead_log_is_moved_into_the_database(make_bench: Make) -> None:
    bench = make_bench()
    bench.settings.rules.write_text(LONG)
    path = bench.settings.data_dir / "calltag.db"
    before = path.stat().st_mtime_ns
    bench.end(bench.call())
    bench.due()
    assert path.stat().st_mtime_ns == before, "nobody else does it"
    with sweeping(bench):
        eventually(lambda: path.stat().st_mtime_ns > before, "the database file has grown", 10.0)
