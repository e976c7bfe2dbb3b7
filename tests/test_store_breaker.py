"""The circuit breaker: when it opens, who may probe, and what is due when it closes."""

from sqlalchemy import func, insert, select

from store import breaker
from store.breaker import FIRST_PAUSE, FOR_PLATFORM, LONGEST_PAUSE, PROBE_TIME, STEP, THRESHOLD, Gate
from store.database import Database
from store.schema import calls
from tests.rows import ACCOUNT, NOW, change, column, ended_calls


def fail(database: Database, times: int = 1, now: float = NOW, probe: bool = False) -> list[bool]:
    with database.write() as connection:
        return [breaker.failed(connection, ACCOUNT, now, probe) for _ in range(times)]


def enter(database: Database, now: float = NOW, account: str = ACCOUNT) -> tuple[Gate, float]:
    with database.write() as connection:
        return breaker.enter(connection, account, now)


def answer(database: Database) -> bool:
    with database.write() as connection:
        return breaker.answered(connection, ACCOUNT)


def test_it_opens_after_three_batches_in_a_row_without_an_answer(database: Database) -> None:
    assert enter(database)[0] is Gate.CLOSED
    assert fail(database, THRESHOLD) == [False, False, True], "it says once that it opens"
    assert enter(database) == (Gate.OPEN, NOW + FIRST_PAUSE)


def test_an_answer_between_two_failures_starts_the_count_anew(database: Database) -> None:
    fail(database, 2)
    assert not answer(database)
    fail(database, 2)
    assert enter(database)[0] is Gate.CLOSED


def test_after_its_pause_one_process_probes_and_the_others_wait_for_it(database: Database) -> None:
    fail(database, THRESHOLD)
    later = NOW + FIRST_PAUSE
    assert enter(database, later) == (Gate.PROBE, later + PROBE_TIME)
    assert enter(database, later) == (Gate.OPEN, later + PROBE_TIME)
    assert enter(database, later + PROBE_TIME)[0] is Gate.PROBE, "the first may have died"


def test_a_probe_without_an_answer_doubles_the_pause_up_to_a_limit(database: Database) -> None:
    fail(database, THRESHOLD)
    now, pauses = NOW + FIRST_PAUSE, []
    for _ in range(8):
        assert enter(database, now)[0] is Gate.PROBE
        assert fail(database, now=now, probe=True) == [False]
        gate, until = enter(database, now)
        assert gate is Gate.OPEN
        pauses.append(until - now)
        now = until
    assert pauses == [10.0, 20.0, 40.0, *[LONGEST_PAUSE] * 5]


def test_batches_that_were_under_way_when_it_opened_do_not_hold_it_open(database: Database) -> None:
    fail(database, THRESHOLD)
    assert fail(database, 20, NOW + 1) == [False] * 20
    assert enter(database, NOW + 1) == (Gate.OPEN, NOW + FIRST_PAUSE)


def test_when_it_closes_what_waited_for_it_is_due_and_nothing_else(database: Database) -> None:
    waiting, limited, dead, elsewhere = ended_calls(database, 4)
    with database.write() as connection:
        parked = {"state": "parked", "next_at": NOW + 900, "queued_until": NOW + 900}
        change(connection, waiting, **parked, parked_for=FOR_PLATFORM)
        change(connection, limited, **parked)
        change(connection, dead, **parked | {"state": "dead"}, parked_for=FOR_PLATFORM)
        change(connection, elsewhere, **parked, parked_for=FOR_PLATFORM, account="other")
    fail(database, THRESHOLD)
    assert answer(database)
    with database.write() as connection:
        assert not breaker.wake(connection, ACCOUNT, NOW + 7), "all of it in one step"
    times = [column(database, call, "next_at") for call in (waiting, limited, dead, elsewhere)]
    assert times == [NOW + 7, *[NOW + 900] * 3]
    assert column(database, waiting, "queued_until") == 0.0
    assert enter(database)[0] is Gate.CLOSED
    with database.read() as connection:
        states = connection.execute(select(calls.c.state).order_by(calls.c.id)).scalars().all()
    assert states == ["parked", "parked", "dead", "parked"]


def test_each_account_has_its_own(database: Database) -> None:
    fail(database, THRESHOLD)
    assert enter(database, account="other")[0] is Gate.CLOSED
    with database.read() as connection:
        assert breaker.failures(connection, "other") == 0
        assert breaker.open_accounts(connection) == [ACCOUNT]


def test_many_calls_are_made_due_in_steps(database: Database) -> None:
    with database.write() as connection:
        parked = {"account": ACCOUNT, "state": "parked", "facts": {}, "first_at": NOW, "next_at": NOW + 900}
        rows = [parked | {"parked_for": FOR_PLATFORM}] * (STEP + 1)
        connection.execute(insert(calls), rows)
    with database.write() as connection:
        steps = [breaker.wake(connection, ACCOUNT, NOW) for _ in range(2)]
        due = select(func.count()).where(calls.c.next_at == NOW)
        assert connection.execute(due).scalar() == STEP + 1
    assert steps == [True, False]
