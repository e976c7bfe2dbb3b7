"""What happened to one call, in order, as people read it; what is known of it, and by whom its tags are."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from rules.facts import FactError, derive, facts_from_json, facts_to_json
from rules.fields import find
from rules.trace import RuleTrace, Step
from store import calls as store_calls
from store import history, inbox, listing
from store.calls import Intent, TagState
from store.history import Call, Decision
from store.inbox import InboxEvent
from store.listing import EventRow
from worker import why
from worker.fold import tell
from worker.known import is_personal
from worker.settings import Account
from worker.snapshot import Told
from worker.why import DECISIONS, EVENTS, WHOSE, State

NOW = "now"
"""Asks what the rules in force say of what is known, instead of what a decision was."""
BEGAN = {
    TagState.INTENDED: "put",
    TagState.OURS: "put",
    TagState.BLOCKED: "put",
    TagState.REMOVING: "take off",
    TagState.OFF: "take off",
}
"""What was noted before it was done, by what became of it."""
ECHO = 60.0
"""Seconds by which the platform may tell of a write of ours before its result is recorded."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as JSON has it. `source` is the event that told it last; None where it follows from others, or
    where that cannot be told any more."""

    name: str
    value: Any
    unit: str | None
    meaning: str
    personal: bool
    derived: bool
    source: EventRow | None


@dataclass(frozen=True, slots=True)
class Bearing:
    """A tag on the call, or one that a person took off. `why`: the conditions that decided, where it is by a
    rule of the decision that is shown."""

    name: str
    whose: str
    blocked: bool
    rule: str | None
    at: float | None
    job: int | None
    why: Sequence[Step]


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened: an event, what people did to the tags, a write begun, or a decision.

    `began` is what a write was about to do, where that is known.
    """

    at: float
    kind: str
    event: EventRow | None = None
    decision: Decision | None = None
    intent: Intent | None = None
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    began: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """All of it. `shown` is the decision of `traces`; None: they are what the rules in force say now."""

    call: Call
    facts: Sequence[Fact]
    tags: Sequence[Bearing]
    moments: Sequence[Moment]
    more_events: bool
    decisions: Sequence[Decision]
    shown: Decision | None
    traces: Sequence[RuleTrace]
    no_trace: str | None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store has of a call."""

    call: Call
    decisions: Sequence[Decision]
    intents: Sequence[Intent]
    events: Sequence[EventRow]
    bodies: Sequence[InboxEvent]


def story(state: State, account: str, reference: str, asked: str | None = None) -> Story | None:
    """One call by any of its references; `asked` is the id of a decision, or `NOW`. None: no such call."""
    with state.database.read() as connection:
        found = history.call_by_reference(connection, account, reference, time.time())
        if found is None:
            return None
        stored = _Stored(
            found,
            history.decisions_of(connection, found.id)[:DECISIONS],
            store_calls.tags_of(connection, [found.id]).get(found.id, []),
            listing.events_of(connection, found.id, EVENTS + 1),
            inbox.of_calls(connection, [found.id]).get(found.id, []),
        )
    shown = _asked_for(stored.decisions, asked)
    traces, missing = (
        why.recomputed(state, found, shown) if shown else why.asked_now(state, found, stored.intents)
    )
    told = _told(state.settings.accounts.get(account), stored.bodies)
    return Story(
        found,
        _facts(stored, told, _zone(state)),
        _bearing(stored, traces),
        _moments(stored, told),
        len(stored.events) > EVENTS,
        stored.decisions,
        shown,
        traces,
        missing,
    )


def _asked_for(decisions: Sequence[Decision], asked: str | None) -> Decision | None:
    if asked == NOW:
        return None
    named = [one for one in decisions if str(one.id) == asked]
    return next(iter(named or decisions), None)


def _told(account: Account | None, rows: Iterable[InboxEvent]) -> list[tuple[Told, int]]:
    """What the events say, in the order of folding, each with the id of its row."""
    if account is None:
        return []
    pairs = [(one, row.id) for row in rows for one in tell(account, row)]
    return sorted(pairs, key=lambda pair: pair[0].place)


def _zone(state: State) -> ZoneInfo:
    """That of the rules in force, by which hours and days are told."""
    ruleset = state.rules.now()
    return ruleset.timezone if ruleset else ZoneInfo("UTC")


def _facts(stored: _Stored, told: Sequence[tuple[Told, int]], zone: ZoneInfo) -> list[Fact]:
    rows = {row.id: row for row in stored.events}
    sources: dict[str, int] = {}
    for one, id_ in told:
        sources |= dict.fromkeys((name for name in one.event.defaults if name not in sources), id_)
    for one, id_ in told:
        sources |= dict.fromkeys(one.event.facts, id_)
        if one.event.caller_speech or one.event.receiver_speech:
            sources |= dict.fromkeys(("transcript_caller", "transcript_agent"), id_)
    known = stored.call.facts
    return [
        _fact(name, value, name not in known, rows.get(sources.get(name, 0)))
        for name, value in _with_derived(known, zone).items()
    ]


def _with_derived(known: Mapping[str, Any], zone: ZoneInfo) -> Mapping[str, Any]:
    """With what follows from them."""
    try:
        return dict(known) | facts_to_json(derive(facts_from_json(known), zone))
    except FactError:  # a field that is in no catalogue any more
        return known


def _fact(name: str, value: Any, derived: bool, source: EventRow | None) -> Fact:
    field = find(name)
    unit, meaning = (field.unit, field.meaning) if field else (None, "")
    return Fact(name, value, unit, meaning, is_personal(name, value), derived, source)


def _bearing(stored: _Stored, traces: Sequence[RuleTrace]) -> list[Bearing]:
    by_rule = {rule.id: rule for rule in traces}
    ours = [
        Bearing(
            intent.tag,
            WHOSE[intent.state],
            intent.state is TagState.BLOCKED,
            intent.rule,
            intent.at,
            intent.job,
            _deciding(by_rule.get(intent.rule)),
        )
        for intent in stored.intents
        if intent.state is not TagState.OFF
    ]
    names = {tag.name for tag in ours if not tag.blocked}
    others = [name for name in stored.call.others or () if name not in names]
    return [*ours, *(Bearing(name, "somebody else", False, None, None, None, ()) for name in others)]


def _deciding(rule: RuleTrace | None) -> list[Step]:
    """The conditions on which it rests that the rule is true."""
    if rule is None or rule.step is None or rule.outcome != "true":
        return []
    return list(_leaves(rule.step))


def _leaves(step: Step) -> Iterable[Step]:
    if not step.items and step.decides:
        yield step
    for item in step.items:
        yield from _leaves(item)


ORDER = ("event", "people", "write", "decision", "forgotten")
"""Of what happened in one moment."""


def _moments(stored: _Stored, told: Sequence[tuple[Told, int]]) -> list[Moment]:
    found = [Moment(event.received_at, "event", event) for event in stored.events[:EVENTS]]
    found += [
        Moment(intent.at, "write", intent=intent, began=_began(intent, stored.decisions))
        for intent in stored.intents
    ]
    found += [Moment(decision.at, "decision", decision=decision) for decision in stored.decisions]
    found += _edits(stored, [one for one, _ in told])
    if stored.call.forgotten_at is not None:
        found.append(Moment(stored.call.forgotten_at, "forgotten"))
    return sorted(found, key=lambda moment: (moment.at, ORDER.index(moment.kind)))


def _began(intent: Intent, decisions: Sequence[Decision]) -> str | None:
    """What was about to be done. A tag that is off was taken off, or put, and its definition deleted since:
    only the decision that came of it tells which."""
    if intent.state is not TagState.OFF:
        return BEGAN[intent.state]
    since = [one for one in decisions if one.at >= intent.at]
    if any(intent.tag in _taken_off(one) for one in since):
        return "take off"
    return "put" if any(intent.tag in one.added for one in since) else None


def _taken_off(decision: Decision) -> list[str]:
    return [removal.tag for removal in decision.removed]


def _edits(stored: _Stored, told: Iterable[Told]) -> list[Moment]:
    """What the lists of tags that events told show people to have done: what no write of ours explains."""
    lists = sorted((one for one in told if one.event.tags is not None), key=lambda one: one.time)
    found = []
    before: set[str] = set()
    gone: set[str] = set()
    for one in lists:
        tags = set(one.event.tags or ())
        added = tags - before - _written(stored, one.received_at, off=False)
        ours = {item.tag for item in stored.intents if item.state is TagState.BLOCKED and item.at < one.time}
        removed = (before | (ours - gone)) - tags - _written(stored, one.received_at, off=True)
        gone |= removed
        if added or removed:
            found.append(
                Moment(one.received_at, "people", added=tuple(sorted(added)), removed=tuple(sorted(removed)))
            )
        before = tags
    return found


def _written(stored: _Stored, until: float, off: bool) -> set[str]:
    """The tags that we had put (or taken off) until then."""
    done = [_taken_off(one) if off else one.added for one in stored.decisions if one.at <= until + ECHO]
    wanted = "take off" if off else "put"
    begun = {one.tag for one in stored.intents if one.at <= until and BEGAN[one.state] == wanted}
    return begun.union(*done)
