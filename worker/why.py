"""What is known, and why it is so: the answers that the API and the commands share, as JSON has them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from rules.evaluate import Applied
from rules.facts import facts_from_json
from rules.faults import RuleSetFaults
from rules.trace import RuleTrace, trace
from store import calls, counters, fleet, history, inbox, jobs, listing, rulesets
from store.calls import Intent, TagState
from store.database import Database
from store.history import Call, Decision
from worker.context import RulesInForce
from worker.fold import fold
from worker.plan import ON_THE_CALL
from worker.settings import Settings

DECISIONS = 20
"""How many decisions of a call are shown with their trace."""
EVENTS = 200
"""How many events of a call are shown."""
WHOSE = {
    "ours": "rule",
    "intended": "rule, being put",
    "removing": "rule, being taken off",
    "blocked": "taken off by a person",
}
"""Whose a tag of ours is, by its state."""


@dataclass(frozen=True, slots=True)
class State:
    """Where the answers come from."""

    settings: Settings
    database: Database
    rules: RulesInForce


def amiss(connection: Connection, now: float) -> dict[str, str]:
    """What is not well, by subject, as far as the database shows it."""
    found = {notice.subject: notice.text for notice in fleet.amiss(connection)}
    if rulesets.active(connection) is None and "rules" not in found:
        found["rules"] = "no rule set is in force yet"
    if not fleet.living(connection, "worker", now):
        found["worker"] = "no worker has shown a sign of life for 30 s"
    if jobs.any_at_work(connection) and not fleet.living(connection, "batch", now):
        found["batch"] = (
            "a re-tagging job waits: no worker of the queue batch has shown a sign of life for 30 s"
        )
    if not fleet.held(connection, "sweeper", now):
        found["sweeper"] = "no sweeper runs"
    return found


def status(state: State) -> dict[str, Any]:
    """Depth by state, events by outcome, the rule set in force, what is amiss.

    Events not linked yet are due.
    """
    now = time.time()
    with state.database.read() as connection:
        states = calls.by_state(connection, now)
        states["due"] += inbox.number(connection, "new")
        counted = counters.counts(connection)
        return {
            "calls": states,
            "events": {
                "accepted": counted.get("events.accepted", 0),
                "duplicate": counted.get("events.duplicate", 0),
                "dead": inbox.number(connection, "dead"),
            },
            "ruleset": rulesets.active(connection),
            "oldest_due": calls.oldest_due(connection, now),
            "accounts": list(state.settings.accounts),
            "amiss": amiss(connection, now),
        }


def call(state: State, account: str, reference: str) -> dict[str, Any] | None:
    """One call by any of its references: facts, state, decisions with their trace, tags, events; or None."""
    with state.database.read() as connection:
        found = history.call_by_reference(connection, account, reference, time.time())
        if found is None:
            return None
        decisions = history.decisions_of(connection, found.id)[:DECISIONS]
        tags = history.our_tags(connection, found.id)
        events = listing.events_of(connection, found.id, EVENTS)
    return {
        "account": account,
        "references": found.references,
        "facts": found.facts,
        "state": found.state,
        "reason": found.reason,
        "first_at": found.first_at,
        "forgotten_at": found.forgotten_at,
        "decisions": [_decision(state, found, decision) for decision in decisions],
        "tags": [*map(_ours, tags), *_others(found)],
        "events": [event.to_json() for event in events],
    }


def _decision(state: State, found: Call, decision: Decision) -> dict[str, Any]:
    traces, missing = recomputed(state, found, decision)
    return {
        "at": decision.at,
        "ruleset": decision.ruleset,
        "rules": decision.outcomes,
        "tags": decision.tags,
        "added": decision.added,
        "removed": [removal._asdict() for removal in decision.removed],
        "job": decision.job,
        "trace": [rule.to_json() for rule in traces],
        "no_trace": missing,
    }


def recomputed(state: State, found: Call, decision: Decision) -> tuple[list[RuleTrace], str | None]:
    """The trace of a decision, recomputed from the facts of then and the rule set of then, or why it cannot
    be; `tags` is what is known now."""
    account = state.settings.accounts.get(found.account)
    if found.forgotten_at is not None:
        return [], "the call was forgotten"
    if account is None:
        return [], f"the account '{found.account}' is not configured"
    with state.database.read() as connection:
        if inbox.lost(connection, found.id, decision.version):
            return [], "the events that it rests on were dropped after CALLTAG_KEEP_BODIES days"
        rows = inbox.up_to_version(connection, found.id, decision.version)
    facts = dict(fold(account, rows).facts)
    if found.others is not None:
        facts["tags"] = found.others
    try:
        ruleset = state.rules.by_hash(decision.ruleset)
    except (KeyError, RuleSetFaults):
        return [], "the rule set of then can no longer be read"
    return trace(ruleset, facts), None


def asked_now(state: State, found: Call, ours: Sequence[Intent]) -> tuple[list[RuleTrace], str | None]:
    """The trace by the rules in force of what is known of the call now, or why there is none."""
    if found.forgotten_at is not None:
        return [], "the call was forgotten"
    ruleset = state.rules.now()
    if ruleset is None:
        return [], "no rule set is in force"
    facts = facts_from_json(found.facts if found.others is None else {**found.facts, "tags": found.others})
    applied = [Applied(intent.tag, intent.rule) for intent in ours if intent.state in ON_THE_CALL]
    blocked = [intent.tag for intent in ours if intent.state is TagState.BLOCKED]
    return trace(ruleset, facts, applied, blocked), None


def _ours(tag: dict[str, Any]) -> dict[str, Any]:
    named = {"name": tag["name"], "whose": WHOSE[tag["state"]], "rule": tag["rule"]}
    return {**named, "when": tag["at"], "job": tag["job"]}


def _others(found: Call) -> list[dict[str, Any]]:
    return [
        {"name": name, "whose": "somebody else", "rule": None, "when": None, "job": None}
        for name in found.others or ()
    ]
