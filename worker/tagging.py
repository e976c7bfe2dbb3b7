"""Tagging: lease the calls, work on them, and record what came of it.

The order is what makes it safe to be killed anywhere: an intent is committed before each write, the result
after it, and a call stays due until its result is recorded.
"""

import time
from collections.abc import Sequence

import structlog

from store import calls as store_calls
from store import days
from store.calls import LeasedCall
from store.counters import count, spread
from store.database import Unavailable
from worker import outcomes
from worker.attempt import Attempt, attempt, note_answers
from worker.context import Worker, calls_in_lease
from worker.identity import wake_strangers
from worker.settings import Account

MOST = 64
"""Calls handed on at once that other processes left alone."""

log = structlog.get_logger()


def tag(worker: Worker, ids: Sequence[int]) -> None:
    """Brings the tags of those of the calls that are due to what the rules give. Raises `Unavailable`.

    So that no platform waits for another one's answers, calls of several accounts are handed on apart, and
    those of an account that another process of this worker is at are left to it. Calls for which the rate
    leaves no time are handed on as well.
    """
    if len(worker.settings.accounts) < 2:
        _tag_in_time(worker, next(iter(worker.settings.accounts), ""), ids)
        return
    with worker.database.read() as connection:
        found = store_calls.by_account(connection, ids)
    for account in list(found)[1:]:
        worker.messages.send(found.pop(account))
    for account, calls in found.items():
        with worker.places.taken(account) as mine:
            if mine:
                _tag_in_time(worker, account, calls)
        if mine and worker.places.turned_away(account):
            _send_waiting(worker, account)


def _send_waiting(worker: Worker, account: str) -> None:
    """Others were told of calls and left them to this process, which had the account's place until now."""
    with worker.database.read() as connection:
        waiting = store_calls.waiting(connection, account, time.time(), MOST)
    if waiting:
        worker.messages.send(waiting)


def _tag_in_time(worker: Worker, name: str, ids: Sequence[int]) -> None:
    account = worker.settings.accounts.get(name)
    most = len(ids) if account is None else calls_in_lease(account.settings.rate, len(ids))
    if later := ids[most:]:
        worker.messages.send(later)
    _tag(worker, ids[:most])


def _tag(worker: Worker, ids: Sequence[int]) -> None:
    with worker.database.write(repeatable=True) as connection:
        leased_at = time.monotonic()  # not before: it may have taken long to get a connection
        leased, lonely = store_calls.lease(connection, ids, worker.name, time.time())
    for account in dict.fromkeys(call.account for call in leased):
        _tag_leased(worker, account, [call for call in leased if call.account == account], leased_at)
    for call in lonely:
        _tag(worker, [call])


def _tag_leased(worker: Worker, name: str, leased: Sequence[LeasedCall], leased_at: float) -> None:
    account = worker.settings.accounts.get(name)
    if account is None:
        _record(worker, None, Attempt([outcomes.unconfigured(call) for call in leased]))
        return
    try:
        ruleset = worker.rules.now()
        if ruleset is None:
            made = Attempt([outcomes.no_rules(call) for call in leased])
        else:
            made = attempt(worker, account, leased, ruleset, leased_at)
    except Unavailable:
        raise  # the database: the leases run out, and the sweeper sends the calls again
    except Exception as fault:  # noqa: BLE001 a fault of ours in one call must not hold up the others
        _give_back(worker, leased, fault)
        return
    _record(worker, account, made)


def _record(worker: Worker, account: Account | None, made: Attempt) -> None:
    now = time.time()
    with worker.database.write(repeatable=True) as connection:
        recorded = store_calls.record(connection, worker.name, made.outcomes, now)
        due = [*made.due, *recorded.due]
        if account is not None:
            due += wake_strangers(connection, account, made.outcomes, now)
        days.count(connection, recorded.decided, now)
        count(connection, {**worker.counted(), **spread(_latencies(made, now))})
    if account is not None:
        note_answers(worker, account, made)
    for outcome in made.outcomes:
        outcomes.log_decision(outcome)
    if due:
        worker.messages.send(list(dict.fromkeys(due)))


def _latencies(made: Attempt, now: float) -> list[float]:
    """Seconds from the newest event's receipt to its tags, of the calls that were tagged."""
    decisions = [outcome.decision for outcome in made.outcomes if outcome.decision is not None]
    return [now - decision["received_at"] for decision in decisions if decision["added"]]


def _give_back(worker: Worker, leased: Sequence[LeasedCall], fault: Exception) -> None:
    log.error("calls could not be worked on", calls=[call.id for call in leased], fault=type(fault).__name__,
              exc_info=worker.settings.log_level == "debug")  # fmt: skip
    next_at = time.time() + (outcomes.backoff(leased[0].waits) if len(leased) == 1 else 0.0)
    with worker.database.write() as connection:
        reason = f"a fault in calltag: {type(fault).__name__}"
        store_calls.give_back(connection, worker.name, [call.id for call in leased], next_at, reason)
