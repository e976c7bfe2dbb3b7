"""What becomes of a call after one attempt: done, again later, or a dead letter; with the reason in words."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from platforms.errors import Limited, NotFound, OutOfTime, PlatformError, Unreachable
from rules.facts import facts_to_json
from store.breaker import FOR_PLATFORM
from store.calls import Intent, LeasedCall, Outcome, TagState
from worker.plan import Work

FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
UNKNOWN_FOR = 24 * 3600.0
"""Seconds from the first event's receipt for which a call that the platform does not know is looked for."""
UNCONFIGURED_WAIT = 300.0
WAIT_FOR_RULES = 5.0

log = structlog.get_logger()


def backoff(waits: int, longest: float = LONGEST_WAIT) -> float:
    """Seconds until the next attempt after so many: doubling, with full jitter, so that calls spread out."""
    return random.uniform(0.2, min(longest, FIRST_WAIT * 2.0 ** min(waits, 16)))  # noqa: S311 no secret


@dataclass
class Written:
    """What came of writing one call's tags to the platform."""

    id: str | None = None
    """The call's id on the platform, where all was written by it."""
    added: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """Tags that somebody else had put before."""
    fault: PlatformError | None = None


def unconfigured(call: LeasedCall) -> Outcome:
    """The call's account is not configured now."""
    reason = f"the account '{call.account}' is not configured"
    return Outcome(call, "parked", reason, time.time() + UNCONFIGURED_WAIT)


def no_rules(call: LeasedCall) -> Outcome:
    """There is nothing to decide by yet."""
    return Outcome(call, "due", "no rule set is in force", time.time() + WAIT_FOR_RULES)


def failed(work: Work, fault: PlatformError) -> Outcome:
    """Nothing could be written."""
    return written(work, Written(fault=fault))


def written(work: Work, result: Written) -> Outcome:
    """What follows from what was written, and from the fault that ended it, if one did."""
    state, wait = _consequence(work.call, result.fault) if result.fault else ("done", 0.0)
    silent = isinstance(result.fault, Unreachable)
    noted = state in ("done", "dead") or result.added or result.removed
    return Outcome(
        work.call,
        state,
        str(result.fault) if result.fault else work.remark,
        time.time() + wait,
        facts=facts_to_json(work.folded.facts),
        others=(*work.known.others, *result.seen) if work.known.others is not None else result.seen or None,
        platform_id=result.id,
        changed=[*work.known.changed, *_settled(work, result)],
        gone=[*work.known.gone, *result.seen],
        parked_for=FOR_PLATFORM if silent else None,
        in_vain=isinstance(result.fault, Unreachable | Limited | OutOfTime),
        read=work.known.read or bool(result.seen),
        decision=_decision(work, result) if noted else None,
    )


def _settled(work: Work, result: Written) -> list[Intent]:
    rules = {removal.tag: removal.rule for removal in work.evaluation.remove} | dict(work.evaluation.given_by)
    states = [(tag, TagState.OURS) for tag in result.ours] + [(tag, TagState.OFF) for tag in result.removed]
    return [Intent(work.call.id, tag, state, rules[tag], work.ruleset) for tag, state in states]


def unapplied(work: Work) -> Outcome:
    """The rules have decided, and the platform lets nobody put tags on its calls."""
    wanted = [
        f"would be {what}: {', '.join(tags)}"
        for what, tags in (("put", work.add), ("taken off", work.remove))
        if tags
    ]
    reason = f"not applied, as the platform takes no tags ({'; '.join(wanted)})"
    return replace(written(work, Written()), state="decided", reason=reason)


def waits(work: Work, until: float) -> Outcome:
    """The platform may not have told all of our own writes yet: it is looked at again then."""
    reason = "waiting for the platform to tell the last change of the call's tags"
    return Outcome(work.call, "due", reason, until, facts=facts_to_json(work.folded.facts))


def closed_off(work: Work, until: float) -> Outcome:
    """The platform has not answered for a while: nothing is asked until then."""
    return Outcome(
        work.call,
        "parked",
        "the platform does not answer",
        until,
        facts=facts_to_json(work.folded.facts),
        parked_for=FOR_PLATFORM,
        in_vain=True,
    )


def _decision(work: Work, result: Written) -> Mapping[str, Any]:
    return {
        "ruleset": work.ruleset,
        "received_at": work.folded.received_at,
        "outcomes": {rule: str(got) for rule, got in work.evaluation.rules.not_false.items()},
        "tags": list(work.evaluation.tags),
        "added": result.added,
        "removed": [one._asdict() for one in work.evaluation.remove if one.tag in result.removed],
    }


def _consequence(call: LeasedCall, fault: PlatformError) -> tuple[str, float]:
    if isinstance(fault, OutOfTime):
        return "due", fault.retry_after or 0.0
    if isinstance(fault, Limited):
        return "parked", fault.retry_after or backoff(call.waits)
    if isinstance(fault, NotFound):
        known_for = time.time() - call.first_at
        return ("parked", backoff(call.waits, 600.0)) if known_for < UNKNOWN_FOR else ("dead", 0.0)
    if fault.permanent:
        return "dead", 0.0
    return "parked", max(backoff(call.waits), fault.retry_after or 0.0)


def log_decision(outcome: Outcome) -> None:
    """One line for each decision, without anything personal in it."""
    if outcome.decision is not None:
        removed = [removal["tag"] for removal in outcome.decision["removed"]]
        log.info("call decided", call=outcome.call.id, account=outcome.call.account, state=outcome.state,
                 added=outcome.decision["added"], removed=removed)  # fmt: skip
    elif outcome.state not in ("done", "decided"):
        log.info("call waits", call=outcome.call.id, account=outcome.call.account, reason=outcome.reason)
