"""Which call is which: rows that only the platform's id names find the call whose events name it otherwise.

SIPSIM's speech and summary events tell a `call_id` and nothing else. Such a row costs one look at the
platform, and is then held against the calls between the same numbers; when it is one of them, the two rows
become one.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from platforms.adapter import Client, Platform, Record
from platforms.errors import PlatformError
from rules.facts import facts_from_json, facts_to_json
from store import inbox, linking, similar_calls
from store.calls import LeasedCall, Outcome
from store.inbox import Arrival
from worker import outcomes
from worker.context import Worker
from worker.lookup import Miss, Wanted, fits, span
from worker.plan import Work
from worker.settings import Account

BUSY_WAIT = 2.0
"""Seconds until a merge is tried again when another worker has the call."""
LINK_WAIT = 30.0
"""Seconds after which a call goes on though the record that was fetched for it was not linked to it."""


TWIN_WAIT = 30.0
"""Seconds from the first event for which a call that may have a second row waits to be united with it."""

BEING_READ = "the platform's record of the call is being read"


class Ambiguous(PlatformError):
    """Several calls fit; taking one of them would be a guess."""

    permanent = True


@dataclass
class Identified:
    """What came of it: calls that need nothing more now, calls to go on with, calls that are due by it."""

    outcomes: list[Outcome] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    due: list[int] = field(default_factory=list)


def platform_id(work: Work, id_kind: str) -> str | None:
    """What the call's tags are put by, if that is known."""
    by_ref = next((reference for _account, kind, reference in work.refs if kind == id_kind), None)
    return by_ref or work.call.platform_id


def reference_of(work: Work) -> str:
    """The reference that may serve as the call's id."""
    return min(reference for _account, _kind, reference in work.refs)


def call_id_of(work: Work, id_kind: str) -> str:
    """The call's id on the platform, or what may be it."""
    return platform_id(work, id_kind) or reference_of(work)


def only_by_id(work: Work, platform: Platform) -> bool:
    """Whether the row may be one half of a call, of which other events tell by another name."""
    return platform.aliases and all(kind == platform.id_kind for _account, kind, _reference in work.refs)


def identify(worker: Worker, account: Account, client: Client, works: Iterable[Work]) -> Identified:
    """Settles which calls the rows known only by the platform's id are."""
    if not account.platform.aliases:
        return Identified(works=list(works))
    result = Identified()
    unheard: list[Work] = []
    works = list(works)
    twins = _with_strangers(worker, account, works)
    for work in works:
        if work.call.id in twins:
            result.outcomes.append(_postponed(work, "the call is being united with what its id told of it"))
        elif not only_by_id(work, account.platform):
            result.works.append(work)
        elif not work.folded.recorded:
            unheard.append(work)
        else:
            _join(worker, account, client, work, result)
    if unheard:
        result.outcomes += _read(worker, account, client, unheard)
    return result


def _read(worker: Worker, account: Account, client: Client, works: Sequence[Work]) -> list[Outcome]:
    """Asks for the platform's records; one that was asked for already is only waiting in the inbox."""
    with worker.database.read() as connection:
        heard = similar_calls.with_numbers(connection, [work.call.id for work in works])
    waiting = [work for work in works if work.call.id in heard and _is_young(work)]
    asked = [work for work in works if work not in waiting]
    later = time.time() + BUSY_WAIT
    known = [Outcome(work.call, "due", BEING_READ, later) for work in waiting]
    return known + (_fetch(worker, account, client, asked) if asked else [])


def _fetch(worker: Worker, account: Account, client: Client, works: Sequence[Work]) -> list[Outcome]:
    """Asks the platform what calls these are; the answers go through the inbox like any event."""

    def ask(work: Work) -> Record | PlatformError:
        try:
            return client.get_call(platform_id(work, account.platform.id_kind) or "")
        except PlatformError as fault:
            return fault

    answers = list(worker.pool.map(ask, works))
    now = time.time()
    records = [answer for answer in answers if isinstance(answer, Record)]
    if records:
        with worker.database.write() as connection:
            inbox.accept(connection, [Arrival(account.name, one.body, now, now, "record") for one in records])
        worker.messages.wake()
    return [_heard(work, answer, now) for work, answer in zip(works, answers, strict=True)]


def _heard(work: Work, answer: Record | PlatformError, now: float) -> Outcome:
    """The facts are noted at once, so that who records the same call from now on finds this row."""
    if isinstance(answer, PlatformError):
        return outcomes.failed(work, answer)
    facts = facts_to_json({**answer.event.facts, **work.folded.facts})
    return Outcome(work.call, "due", BEING_READ, now + LINK_WAIT, facts=facts)


def _join(worker: Worker, account: Account, client: Client, work: Work, result: Identified) -> None:
    candidates = _candidates(worker, account, work)
    if not candidates:
        if _is_young(work) and _others_unread(worker, account):
            result.outcomes.append(_postponed(work, "calls that this may be are just being read"))
        else:
            result.works.append(work)
        return
    try:
        call = candidates[0].call if len(candidates) == 1 else _narrowed(account, client, work, candidates)
    except PlatformError as fault:
        result.outcomes.append(outcomes.failed(work, fault))
        return
    now = time.time()
    with worker.database.write() as connection:
        merged = linking.merge(connection, call, work.call.id, now, worker.name)
    if merged:
        result.due.append(call)
    else:
        result.outcomes.append(Outcome(work.call, "due", "another worker has the call", now + BUSY_WAIT))


def _is_young(work: Work) -> bool:
    return time.time() < work.call.first_at + TWIN_WAIT


def _postponed(work: Work, reason: str) -> Outcome:
    """The facts are noted, so that the other row finds this one."""
    facts = facts_to_json(work.folded.facts)
    return Outcome(work.call, "due", reason, time.time() + BUSY_WAIT, facts=facts)


def _others_unread(worker: Worker, account: Account) -> bool:
    with worker.database.read() as connection:
        return similar_calls.unread(connection, account.name, account.platform.id_kind)


def _with_strangers(worker: Worker, account: Account, works: Sequence[Work]) -> set[int]:
    """The young calls to be written that a row known only by the id may be: it is to join them first."""
    kind = account.platform.id_kind
    facts = {
        work.call.id: work.folded.facts
        for work in works
        if work.changes and _is_young(work) and all(name != kind for _account, name, _reference in work.refs)
    }
    pairs = {(str(one.get("caller")), str(one.get("receiver"))) for one in facts.values()}
    since = _lately(work.call for work in works)
    with worker.database.read() as connection:
        rows = similar_calls.only_by_id(connection, account.name, pairs, kind, since)
    return {call for call, mine in facts.items() if any(fits(mine, row.facts) for row in rows)}


def _lately(calls: Iterable[LeasedCall]) -> float:
    """The time before which a call was first heard of that is none of these."""
    return min((call.first_at for call in calls), default=0.0) - outcomes.UNKNOWN_FOR


def _candidates(worker: Worker, account: Account, work: Work) -> list[Wanted]:
    """The calls that this row may be: first heard of no further apart than one waits for a call."""
    caller, receiver = str(work.folded.facts.get("caller")), str(work.folded.facts.get("receiver"))
    with worker.database.read() as connection:
        rows = similar_calls.similar(connection, account.name, [(caller, receiver)], account.platform.id_kind)
        refs = linking.refs_of(connection, [row.id for row in rows])
    lately = [row for row in rows if abs(row.first_at - work.call.first_at) < outcomes.UNKNOWN_FOR]
    found = [wanted for row in lately if (wanted := stored(row, refs.get(row.id, []))) is not None]
    return [one for one in found if fits(one.facts, work.folded.facts)]


def _narrowed(account: Account, client: Client, work: Work, candidates: Sequence[Wanted]) -> int:
    """The one among several calls in whose own time the platform lists this id; raises `Ambiguous`."""
    call_id = platform_id(work, account.platform.id_kind)
    near = [
        one.call
        for one in candidates
        if any(record.id == call_id for record in client.list_calls(one.since, one.until, one.number))
    ]
    if len(near) != 1:
        raise Ambiguous(Miss.SEVERAL.value)
    return near[0]


def stored(row: similar_calls.SimilarCall, refs: Iterable[linking.Ref]) -> Wanted | None:
    """A call of the store as something to look for; None where its time is not known."""
    facts = facts_from_json(row.facts)
    ended_at = facts.get("ended_at")
    when = span(facts, ended_at if isinstance(ended_at, datetime) else None)
    names = frozenset((kind, reference) for _account, kind, reference in refs)
    return Wanted(row.id, names, facts, *when) if when else None


def wake_strangers(
    connection: Connection, account: Account, results: Sequence[Outcome], now: float
) -> list[int]:
    """Makes rows known only by their id due again when a call was recorded that they may be."""
    if not account.platform.aliases:
        return []
    known = {
        result.call.id: result.facts
        for result in results
        if result.facts is not None and result.call.account == account.name
    }
    pairs = {
        (facts["caller"], facts["receiver"])
        for facts in known.values()
        if "caller" in facts and "receiver" in facts
    }
    since = _lately(result.call for result in results)
    rows = similar_calls.only_by_id(connection, account.name, pairs, account.platform.id_kind, since)
    strangers = {row.id for row in rows}  # they do not wake each other: that would have no end
    telling = [facts for call, facts in known.items() if call not in strangers]
    found = [row.id for row in rows if any(fits(facts, row.facts) for facts in telling)]
    return similar_calls.wake(connection, found, now, BUSY_WAIT)
