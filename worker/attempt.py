"""One account's share of a batch: from leased calls to their outcomes.

Fold and evaluate; settle which calls the rows are; ask the platform where somebody else may have changed a
call's tags; write the difference. What needs the platform waits while its breaker is open.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from platforms.adapter import Apply, Client, Platform, Record
from platforms.errors import NotFound, PlatformError
from rules.ruleset import RuleSet
from store import breaker, fleet, inbox, linking
from store import calls as store_calls
from store.breaker import Gate
from store.calls import Intent, LeasedCall, Outcome, TagState
from store.inbox import Arrival
from store.linking import Ref
from worker import outcomes
from worker.context import Tally, Worker
from worker.fold import fold
from worker.identity import call_id_of, identify, only_by_id
from worker.knowledge import ECHO_TIME, Known, Look, after_read, given_up, look
from worker.outcomes import Written
from worker.plan import Choose, Work, everything, plan
from worker.settings import Account
from worker.tagids import TagIds
from worker.writing import write

Answer = list[str] | PlatformError | None
"""The names of the tags on a call; None where the platform does not know it by what we have."""


@dataclass
class Attempt:
    """What came of it: an outcome for each call, the calls that are due by it, how the platform answered."""

    outcomes: list[Outcome] = field(default_factory=list)
    due: list[int] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    probe: bool = False
    """It was made to see whether the platform answers again."""


def attempt(
    worker: Worker,
    account: Account,
    leased: Sequence[LeasedCall],
    ruleset: RuleSet,
    leased_at: float,
    choose: Choose = everything,
    job: int | None = None,
) -> Attempt:
    """Works on the calls, which are all of the account. `leased_at` in monotonic seconds.

    For a re-tagging `job`, which goes behind live calls, `choose` says what of it all it carries out.
    """
    made = Attempt()
    client = worker.client(account, leased_at, made.tally, behind_live=job is not None)
    works = _let_in(worker, account, _planned(worker, account, leased, ruleset, choose), made)
    identified = identify(worker, account, client, works)
    made.outcomes += identified.outcomes
    made.due += identified.due
    by_name = account.platform.tags_by_name
    tag_ids = TagIds(worker.database, account.name, ruleset.tags, client, by_name)

    def replan(work: Work, answer: Answer) -> Work:
        return _possible(_planned_anew(work, answer, tag_ids, ruleset, choose), account.platform)

    works = _transcribed(worker, client, account, identified.works, made) if job is None else identified.works
    works = _looked_at(worker, client, account, works, made, replan)
    made.outcomes += [outcomes.written(work, Written()) for work in works if not work.changes]
    changing = [work for work in works if work.changes]
    if changing and account.platform.apply(account.settings) is Apply.NONE:
        made.outcomes += map(outcomes.unapplied, changing)
    elif changing:
        made.outcomes += write(worker, account, client, changing, tag_ids, job)
    return made


def note_answers(worker: Worker, account: Account, made: Attempt) -> None:
    """Opens or closes the account's breaker, and says so in the health answers."""
    subject, now, tally = f"platform:{account.name}", time.time(), made.tally
    with worker.database.read() as connection:
        failures = breaker.failures(connection, account.name)
    if not (tally.silent and not tally.answered) and not (tally.answered and failures):
        return
    if tally.answered:
        _close(worker, account, subject, now)
        return
    with worker.database.write() as connection:
        if breaker.failed(connection, account.name, now, made.probe):
            fleet.report(connection, subject, "the platform does not answer; calls wait until it does", now)


def _close(worker: Worker, account: Account, subject: str, now: float) -> None:
    with worker.database.write() as connection:
        closes = breaker.answered(connection, account.name)
        if closes:
            fleet.clear(connection, subject)
    while closes:  # should this process die now, the others are due when the pause would have ended
        with worker.database.write() as connection:
            closes = breaker.wake(connection, account.name, now)


def _possible(work: Work, platform: Platform) -> Work:
    """Without what the platform cannot do, which is told."""
    if platform.removes or not work.remove:
        return work
    return replace(
        work, remove=(), remark=f"the platform takes no tag off a call: {', '.join(work.remove)} stays"
    )


def _planned(
    worker: Worker, account: Account, leased: Sequence[LeasedCall], ruleset: RuleSet, choose: Choose
) -> list[Work]:
    refs, ours, events = _stored(worker, leased)
    works = []
    for call in leased:
        folded = fold(account, events.get(call.id, []), worker.read)
        known = Known(call.others, tuple(ours.get(call.id, ())))
        work = plan(call, refs[call.id], folded, known, ruleset, choose)
        works.append(_possible(work, account.platform))
    return works


def _stored(
    worker: Worker, leased: Sequence[LeasedCall]
) -> tuple[Mapping[int, list[Ref]], Mapping[int, list[Intent]], Mapping[int, list[inbox.InboxEvent]]]:
    ids = [call.id for call in leased]
    with worker.database.read() as connection:
        return (
            linking.refs_of(connection, ids),
            store_calls.tags_of(connection, ids),
            inbox.of_calls(connection, ids),
        )


def _let_in(worker: Worker, account: Account, works: Sequence[Work], made: Attempt) -> list[Work]:
    """Those of the calls that may be worked on now: all, but while the breaker is open those that need the
    platform; one of them goes first as its probe."""
    asking = [work.call.id for work in works if _needs_platform(work, account)]
    gate, until = passed(worker, account) if asking else (Gate.CLOSED, 0.0)
    if gate is Gate.CLOSED:
        return list(works)
    made.probe = gate is Gate.PROBE
    let_in = asking[:1] if gate is Gate.PROBE else []
    kept_out = set(asking) - set(let_in)
    made.outcomes += [outcomes.closed_off(work, until) for work in works if work.call.id in kept_out]
    return [work for work in works if work.call.id not in kept_out]


def passed(worker: Worker, account: Account) -> tuple[Gate, float]:
    """Whether the account's platform may be asked now, and when it may be again where it may not."""
    with worker.database.read() as connection:
        if breaker.failures(connection, account.name) < breaker.THRESHOLD:
            return Gate.CLOSED, 0.0
    with worker.database.write() as connection:
        return breaker.enter(connection, account.name, time.time())


def _needs_platform(work: Work, account: Account) -> bool:
    unknown = only_by_id(work, account.platform) and not work.folded.recorded
    applies = account.platform.apply(account.settings) is not Apply.NONE
    return (
        unknown
        or work.folded.untold
        or (applies and (work.changes or _look(work, account.platform) is Look.READ))
    )


def _transcribed(
    worker: Worker, client: Client, account: Account, works: Sequence[Work], made: Attempt
) -> list[Work]:
    """Fetches the transcripts that events told of without carrying them; what comes goes through the inbox
    like any event, and makes its call due again. Gives the calls to go on with meanwhile."""

    def ask(work: Work) -> Record | PlatformError:
        try:
            return client.transcribed(client.get_call(call_id_of(work, account.platform.id_kind)))
        except PlatformError as fault:
            return fault

    untold = [work for work in works if work.folded.untold]
    answers = list(worker.pool.map(ask, untold))
    failed = {
        work.call.id: one for work, one in zip(untold, answers, strict=True) if isinstance(one, PlatformError)
    }
    fetched = account.platform.fetched
    records = [one for one in answers if isinstance(one, Record) and not fetched.isdisjoint(one.event.facts)]
    if records:
        now = time.time()
        with worker.database.write() as connection:
            inbox.accept(connection, [Arrival(account.name, one.body, now, now, "record") for one in records])
        worker.messages.wake()
    made.outcomes += [outcomes.failed(work, failed[work.call.id]) for work in works if work.call.id in failed]
    return [work for work in works if work.call.id not in failed]


def _look(work: Work, platform: Platform) -> Look:
    if work.given_up:  # whether it is on the call decides what becomes of it
        return Look.READ
    if work.remove and not platform.echoes:  # what people did was not told
        return Look.READ
    return look(work.call, work.folded, work.known, time.time())


def _looked_at(
    worker: Worker,
    client: Client,
    account: Account,
    works: Sequence[Work],
    made: Attempt,
    replan: Callable[[Work, Answer], Work],
) -> list[Work]:
    """The calls whose difference can be trusted, planned anew where the platform had to be asked."""
    if account.platform.apply(account.settings) is Apply.NONE:
        return list(works)
    looks = {work.call.id: _look(work, account.platform) for work in works}
    reading = [work for work in works if looks[work.call.id] is Look.READ]
    answers = worker.pool.map(lambda work: _read(client, account, work), reading)
    found = {work.call.id: answer for work, answer in zip(reading, answers, strict=True)}
    trusted = []
    for work in works:
        if looks[work.call.id] is Look.WAIT and work.folded.told is not None:
            made.outcomes.append(outcomes.waits(work, work.folded.told.received_at + ECHO_TIME))
        elif work.call.id not in found:
            trusted.append(work)
        else:
            try:
                trusted.append(replan(work, found[work.call.id]))
            except PlatformError as fault:
                made.outcomes.append(outcomes.failed(work, fault))
    return trusted


def _read(client: Client, account: Account, work: Work) -> Answer:
    try:
        return client.call_tags(call_id_of(work, account.platform.id_kind))
    except NotFound:
        return None
    except PlatformError as fault:
        return fault


def _planned_anew(work: Work, answer: Answer, tag_ids: TagIds, ruleset: RuleSet, choose: Choose) -> Work:
    if isinstance(answer, PlatformError):
        raise answer
    if answer is None:
        if work.known.names(TagState.OURS) or work.given_up:
            raise NotFound("the platform does not know the call any more")
        return work  # it may go by another id: writing will find out
    ours = {intent.tag for intent in work.known.ours}
    on_call = tag_ids.by_our_names(answer, ours)
    missing = work.known.names(TagState.OURS) - set(on_call)
    deleted = tag_ids.deleted(missing) if missing else set()
    if missing:  # reading the platform's list may have shown that they were renamed
        on_call = tag_ids.by_our_names(answer, ours)
    known = after_read(work.known, on_call, deleted)
    anew = plan(work.call, work.refs, work.folded, known, ruleset, choose)
    return replace(anew, known=given_up(anew.known, anew.given_up)) if anew.given_up else anew
