"""Calls: which are due, who works on them, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update

from store.database import insert, storable
from store.days import Decided, day_of
from store.schema import applied_tags, calls, decisions

LEASE = 60.0
"""Seconds that a worker has for the calls it took; after them another one may take them."""
LONE_ATTEMPTS = 5
"""How often a call is tried alone, without its worker living to tell, before it is a dead letter."""
UNSURE = -1
"""The `tags_version` of a call whose tags must be read before they are relied on."""
STATES = ("due", "running", "done", "decided", "parked", "dead")
"""Of a call whose platform takes no tags, it is decided what it should bear; it is never done."""


class TagState(StrEnum):
    """What a tag of ours is on a call."""

    INTENDED = "intended"
    """About to be put; whether it was is not known while the intent stands."""
    OURS = "ours"
    REMOVING = "removing"
    """About to be taken off."""
    OFF = "off"
    """We took it off; the platform's events may still tell of it."""
    BLOCKED = "blocked"
    """A person took it off: no rule puts it back on this call."""


@dataclass(frozen=True, slots=True)
class LeasedCall:
    """A call that this worker has until the lease ends."""

    id: int
    account: str
    version: int
    others: tuple[str, ...] | None
    platform_id: str | None
    first_at: float
    waits: int
    tags_version: int = 0
    """The version of the facts up to which lists of the call's tags are accounted for."""
    unsure: bool = False
    """A lease ended without a result: what is on the call must be read before it is relied on."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A tag of ours on a call, or one that was, or is about to be."""

    call: int
    tag: str
    state: TagState
    rule: str
    ruleset: str
    at: float = 0.0
    """When it was noted that it was about to be."""
    job: int | None = None
    """The re-tagging job for which it was."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one lease: the call's next state, and what is to be recorded with it."""

    call: LeasedCall
    state: str
    reason: str | None = None
    next_at: float = 0.0
    facts: Mapping[str, Any] | None = None
    others: Sequence[str] | None = None
    platform_id: str | None = None
    changed: Sequence[Intent] = ()
    """Tags of ours whose state is another one now."""
    gone: Sequence[str] = ()
    """Tags that proved to be somebody else's, or whose definition is gone."""
    parked_for: str | None = None
    """What a parked call waits for."""
    in_vain: bool = False
    """The platform did not answer, or let nothing through: it says nothing of the call."""
    read: bool = False
    """The call's tags were read from the platform."""
    decision: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording: the calls that are due again, and the decisions, for `days.count`."""

    due: list[int]
    decided: list[Decided]


LEASED = (
    calls.c.id,
    calls.c.account,
    calls.c.version,
    calls.c.others,
    calls.c.platform_id,
    calls.c.first_at,
    calls.c.waits,
    calls.c.tags_version,
    calls.c.alone,
    calls.c.attempts,
)
"""What of a call is needed to lease it: not the facts, which are folded anew."""


def free(now: float) -> Any:
    return or_(calls.c.lease_until.is_(None), calls.c.lease_until <= now)


def _due(now: float) -> Any:
    return and_(calls.c.state.in_(("due", "parked")), calls.c.next_at <= now, free(now))


def lease(
    connection: Connection, ids: Sequence[int], owner: str, now: float, for_job: bool = False
) -> tuple[list[LeasedCall], list[int]]:
    """Takes those of the calls that are due; gives them, and the ids of those that must be taken alone. A
    re-tagging job takes them whatever their state.

    A call whose last lease ended without a result is taken only by itself, and only then does it cost an
    attempt: so one that kills its worker takes no neighbours along, and ends as a dead letter.
    """
    wanted = and_(calls.c.forgotten_at.is_(None), free(now)) if for_job else _due(now)
    rows = connection.execute(
        select(calls)
        .where(calls.c.id.in_(list(ids)), wanted)
        .order_by(calls.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    lonely = [row.id for row in rows if row.alone] if len(rows) > 1 else []
    spent = [row.id for row in rows if row.attempts >= LONE_ATTEMPTS and not for_job]
    if spent:
        _bury(connection, spent)
    taken = [row.id for row in rows if row.id not in lonely and row.id not in spent]
    leased = {"lease_owner": owner, "lease_until": now + LEASE, "alone": True}
    if len(rows) == 1 and not for_job:  # which counts its own
        leased["attempts"] = calls.c.attempts + 1
    if taken:
        connection.execute(update(calls).where(calls.c.id.in_(taken)).values(leased))
    given = [_leased(row) for row in rows if row.id in taken]
    return given, [call for call in lonely if call not in spent]


def _leased(row: Any) -> LeasedCall:
    others = None if row.others is None else tuple(row.others)
    return LeasedCall(
        row.id,
        row.account,
        row.version,
        others,
        row.platform_id,
        row.first_at,
        row.waits,
        row.tags_version,
        unsure=row.alone or row.tags_version == UNSURE,
    )


def known(connection: Connection, ids: Iterable[int]) -> list[LeasedCall]:
    """The calls as a lease would give them, without one: to look at. Not those that were forgotten."""
    rows = connection.execute(
        select(*LEASED).where(calls.c.id.in_(list(ids)), calls.c.forgotten_at.is_(None))
    )
    return [_leased(row) for row in rows]


def _bury(connection: Connection, ids: Sequence[int]) -> None:
    tried = f"given up after {LONE_ATTEMPTS} attempts alone: "
    reason = tried + func.coalesce(calls.c.reason, "its worker died each time")
    buried = {"state": "dead", "reason": reason, "lease_owner": None, "lease_until": None, "attempts": 0}
    connection.execute(update(calls).where(calls.c.id.in_(ids)).values(buried))


def record(
    connection: Connection, owner: str, outcomes: Iterable[Outcome], now: float, job: int | None = None
) -> Recorded:
    """Ends the leases with their results; the calls whose facts moved meanwhile are due again.

    A result of a lease that was lost is not recorded. A re-tagging job leaves the state of its calls as it
    is. The rows are taken in the order of their ids, as whoever links events takes them, so that nobody waits
    in a circle.
    """
    by_call = {outcome.call.id: outcome for outcome in outcomes}
    c = calls.c
    columns = (c.id, c.version, c.next_at, c.state, c.waits, c.first_at)
    mine = and_(calls.c.id.in_(list(by_call)), calls.c.lease_owner == owner)
    rows = connection.execute(select(*columns).where(mine).order_by(calls.c.id).with_for_update()).all()
    held = [(by_call[row.id], row) for row in rows]
    ended = [_ended(outcome, row, for_job=job is not None) for outcome, row in held]
    _update(connection, ended)
    _settle(connection, [outcome for outcome, _ in held])
    decided = [
        {"call_id": outcome.call.id, "at": now, "version": outcome.call.version, "job": job}
        | {"day": day_of(row.first_at), **outcome.decision}
        for outcome, row in held
        if outcome.decision is not None
    ]
    if decided:
        connection.execute(insert(connection, decisions), decided)
    due = [
        outcome.call.id
        for (outcome, row), values in zip(held, ended, strict=True)
        if row.version > outcome.call.version
        and values.get("next_at", row.next_at) <= now
        and values.get("state", row.state) == "due"
    ]
    return Recorded(due, [_decided(row) for row in decided])


def _decided(row: Mapping[str, Any]) -> Decided:
    return Decided(row["call_id"], row["day"], row["ruleset"], row["outcomes"], row["added"])


def _ended(outcome: Outcome, row: Any, for_job: bool) -> dict[str, Any]:
    """The columns of the call `of_call` by the result of its lease; `row` is the call as it was until now."""
    values = {
        "of_call": row.id,
        "queued_until": 0.0,
        "lease_owner": None,
        "lease_until": None,
        "alone": False,
        "attempts": 0,
        **_learnt(outcome),
    }
    if for_job:  # it leaves a call's state as it is, but that nobody had looked at the call is over
        looked_at = outcome.state == row.state == "done"
        return values | ({"reason": outcome.reason} if looked_at else {})
    moved = row.version > outcome.call.version
    return values | {
        "state": "due" if moved else outcome.state,
        "reason": None if moved else outcome.reason,
        "next_at": row.next_at if moved else outcome.next_at,
        "parked_for": outcome.parked_for,
        "waits": row.waits + 1 if outcome.state == "parked" else 0,
    }


def _update(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Sets columns of the calls `of_call`, by one statement for those of which the same columns are set."""
    alike: dict[frozenset[str], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(frozenset(row), []).append(row)
    for together in alike.values():
        connection.execute(update(calls).where(calls.c.id == bindparam("of_call")), together)


def _learnt(outcome: Outcome) -> dict[str, Any]:
    learnt: dict[str, Any] = {}
    if outcome.facts is not None:
        learnt |= _facts(outcome.facts)
    if outcome.others is not None:
        learnt["others"] = list(outcome.others)
    if outcome.platform_id is not None:
        learnt["platform_id"] = outcome.platform_id
    if outcome.read:
        learnt["tags_version"] = outcome.call.version
    elif outcome.call.unsure and outcome.state != "done":  # it could not be read yet
        learnt["tags_version"] = UNSURE
    if outcome.decision is not None:
        learnt["decided_version"] = outcome.call.version
    return learnt


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"facts": dict(facts), **{side: storable(facts.get(side)) for side in ("caller", "receiver")}}


def note_facts(connection: Connection, facts: Mapping[int, Mapping[str, Any]]) -> None:
    """Notes by call what is known of it, so that other processes can tell what it is before it is done."""
    for call in sorted(facts):
        connection.execute(update(calls).where(calls.c.id == call).values(_facts(facts[call])))


def due(connection: Connection, now: float, most: int, queued_until: float) -> list[int]:
    """The calls to be sent to workers now, oldest first; marks them as sent."""
    untold = and_(_due(now), calls.c.queued_until <= now)
    rows = select(calls.c.id).where(untold).order_by(calls.c.next_at).limit(most)
    found = list(connection.execute(rows.with_for_update(skip_locked=True)).scalars())
    if found:
        connection.execute(update(calls).where(calls.c.id.in_(found)).values(queued_until=queued_until))
    return found


def by_account(connection: Connection, ids: Iterable[int]) -> dict[str, list[int]]:
    """The ids of the calls, by account."""
    found: dict[str, list[int]] = {}
    rows = select(calls.c.account, calls.c.id).where(calls.c.id.in_(list(ids))).order_by(calls.c.id)
    for row in connection.execute(rows):
        found.setdefault(row.account, []).append(row.id)
    return found


def waiting(connection: Connection, account: str, now: float, most: int) -> list[int]:
    """Calls of the account that are due now, oldest first, whoever was told of them."""
    rows = select(calls.c.id).where(calls.c.account == account, _due(now)).order_by(calls.c.next_at)
    return list(connection.execute(rows.limit(most)).scalars())


def tags_of(connection: Connection, ids: Iterable[int]) -> dict[int, list[Intent]]:
    """What we put on each of the calls, or were about to."""
    found: dict[int, list[Intent]] = {}
    t = applied_tags.c
    columns = (t.call_id, t.tag, t.state, t.rule, t.ruleset, t.at, t.job)
    for row in connection.execute(select(*columns).where(t.call_id.in_(list(ids))).order_by(t.at, t.tag)):
        intent = Intent(row.call_id, row.tag, TagState(row.state), row.rule, row.ruleset, row.at, row.job)
        found.setdefault(row.call_id, []).append(intent)
    return found


def others_of(connection: Connection, ids: Iterable[int]) -> dict[int, list[str] | None]:
    """The tags on each of the calls that are not ours, as last seen; None where they were never seen."""
    rows = select(calls.c.id, calls.c.others).where(calls.c.id.in_(list(ids)))
    return dict(connection.execute(rows).all())


def give_back(connection: Connection, owner: str, ids: Sequence[int], next_at: float, reason: str) -> None:
    """Ends leases that came to nothing by a fault of ours: each of the calls is next tried alone."""
    release(connection, owner, ids, next_at=next_at, queued_until=0.0, reason=reason)


def release(connection: Connection, owner: str, ids: Sequence[int], **values: Any) -> None:
    """Ends leases without a result, and sets these columns."""
    held = and_(calls.c.id.in_(list(ids)), calls.c.lease_owner == owner)
    connection.execute(update(calls).where(held).values(lease_owner=None, lease_until=None, **values))


def held(connection: Connection, owner: str, ids: Sequence[int]) -> set[int]:
    """Those of the calls whose lease is still the owner's; it is until the transaction ends."""
    mine = select(calls.c.id).where(calls.c.id.in_(list(ids)), calls.c.lease_owner == owner)
    return set(connection.execute(mine.order_by(calls.c.id).with_for_update()).scalars())


def intend(connection: Connection, intents: Sequence[Intent], now: float) -> None:
    """Notes what is about to be put or taken off, before it is."""
    if not intents:
        return
    statement = insert(connection, applied_tags)
    noted = ("state", "rule", "ruleset", "at", "job")
    again = {name: statement.excluded[name] for name in noted}
    rows = [
        {"call_id": intent.call, "tag": intent.tag, "state": intent.state, "rule": intent.rule,
         "ruleset": intent.ruleset, "at": now, "job": intent.job}
        for intent in intents
    ]  # fmt: skip
    connection.execute(statement.on_conflict_do_update(index_elements=["call_id", "tag"], set_=again), rows)


def _settle(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """What became of the tags of ours."""
    this = and_(applied_tags.c.call_id == bindparam("of_call"), applied_tags.c.tag == bindparam("of_tag"))
    changed = [
        {"of_call": outcome.call.id, "of_tag": intent.tag, "state": intent.state, "rule": intent.rule,
         "ruleset": intent.ruleset}
        for outcome in outcomes
        for intent in outcome.changed
    ]  # fmt: skip
    if changed:
        connection.execute(update(applied_tags).where(this), changed)
    gone = [{"of_call": outcome.call.id, "of_tag": tag} for outcome in outcomes for tag in outcome.gone]
    if gone:
        connection.execute(delete(applied_tags).where(this), gone)


def by_state(connection: Connection, now: float) -> dict[str, int]:
    """How many calls are due, running, done, parked and dead."""
    state = case((calls.c.lease_until > now, "running"), else_=calls.c.state).label("shown")
    rows = select(state, func.count()).group_by("shown")
    found: dict[str, int] = dict(connection.execute(rows).all())
    return {name: found.get(name, 0) for name in STATES}


def oldest_due(connection: Connection, now: float) -> float:
    """How many seconds the call that is due longest has been waiting."""
    first = connection.execute(select(func.min(calls.c.next_at)).where(calls.c.state == "due")).scalar()
    return max(0.0, now - first) if first is not None else 0.0
