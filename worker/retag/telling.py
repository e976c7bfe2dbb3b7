"""A job as people and programs see it: what was asked, how far it is, what it will take."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rules.faults import RuleSetFaults
from rules.ruleset import RuleSet
from store import job_changes, job_windows, jobs
from store.jobs import AT_WORK, ENDED, Job, JobState
from worker.retag.orders import find
from worker.retag.spec import Spec, asking
from worker.settings import Account
from worker.why import State

DERIVED_FROM = {
    **dict.fromkeys(("remote_number", "our_number", "remote_country"), ("caller", "receiver")),
    **dict.fromkeys(("local_time", "local_date", "weekday"), ("started_at", "ended_at")),
}
"""The fields that follow from others, with those of which one must be told."""


def listed(state: State, most: int, before: int | None = None) -> list[dict[str, Any]]:
    """The jobs, newest first, without what takes long to count."""
    now = time.time()
    with state.database.read() as connection:
        found = jobs.newest(connection, most, before)
    return [shown(job, state.settings.accounts.get(job.account), now) for job in found]


def told(state: State, number: int) -> dict[str, Any]:
    """All that is known of a job; raises `NoSuchJob`.

    As `how_far`, and under `reasons` why calls failed or were skipped, each with their number; under
    `lacking` the rules that ask for what the platform's list does not carry, with those fields.
    """
    found = how_far(state, number)
    with state.database.read() as connection:
        job = find(connection, number)
        reasons = job_changes.reasons(connection, number)
    found["reasons"] = [
        {"state": call_state, "reason": reason, "calls": calls} for call_state, reason, calls in reasons
    ]
    found["lacking"] = _lacking(state, job)
    return found


def how_far(state: State, number: int) -> dict[str, Any]:
    """As `shown`, with the parts of the range that were walked in the plan or the run; raises `NoSuchJob`."""
    with state.database.read() as connection:
        job = find(connection, number)
        walked, windows = job_windows.windows_walked(connection, number)
    found = shown(job, state.settings.accounts.get(job.account), time.time())
    return found | {"walked": {"done": walked, "of": windows}}


def works(told: Mapping[str, Any]) -> bool:
    """Whether a job, as told, is being planned or run."""
    return told["state"] in AT_WORK


def shown(job: Job, account: Account | None, now: float) -> dict[str, Any]:
    """The job, with what is left of it; times in ISO 8601, counts as the plan and the run have them.

    `progress` counts calls of the run: `done` are those of which nothing more is to be said, `of` how many
    the plan had.
    """
    return {
        "job": job.id,
        "account": job.account,
        "kind": job.kind,
        "undoes": job.undoes,
        "state": "paused" if job.paused and job.state not in ENDED else job.state.value,
        "reason": job.reason,
        "asked": _asked(job),
        "ruleset": job.ruleset,
        **{
            name: _moment(getattr(job, name))
            for name in ("created_at", "planned_at", "started_at", "ended_at")
        },
        "plan": dict(job.plan),
        "run": dict(job.run),
        "progress": (progress := _progress(job)),
        "requests": requests(job),
        "takes": seconds(requests(job), account),
        "left": _left(job, account),
        "rate": _speed(job, progress["done"], now),
    }


def _asked(job: Job) -> dict[str, Any]:
    """What was asked for, by the names of `Asked`."""
    spec = Spec.from_json(job.spec)
    return {
        "since": _moment(spec.since),
        "until": _moment(spec.until),
        "rule": list(spec.rules),
        "tag": list(spec.tags),
        "where": spec.where,
        "having": spec.having,
        "source": spec.source,
        "orphaned": spec.orphaned,
        "fetch": "transcript" if spec.fetch else None,
    }


def _progress(job: Job) -> dict[str, int]:
    found = {
        "changed": job.run.get("done", 0),
        "unchanged": job.run.get("same", 0) + job.run.get("outside", 0),
        "failed": job.run.get("failed", 0),
        "skipped": job.run.get("skipped", 0),
    }
    return {"of": job.plan.get("listed", 0), "done": sum(found.values()), **found}


def requests(job: Job) -> int:
    """How many requests the run will need: a page each, and one for each tag to be put or taken off."""
    pages = job.plan.get("pages", 0) if _lists(job) else 0
    return int(pages + job.plan.get("add", 0) + job.plan.get("remove", 0))


def _lists(job: Job) -> bool:
    return job.kind == "retag" and Spec.from_json(job.spec).source == "platform"


def seconds(number: int, account: Account | None) -> int | None:
    """How long so many requests take at the account's rate, with nobody else asking."""
    return None if account is None else math.ceil(number / account.settings.rate)


def _left(job: Job, account: Account | None) -> int | None:
    """Seconds until the run has ended, at the account's rate."""
    if job.state is not JobState.RUNNING:
        return None
    gone = (
        job.run.get("added", 0) + job.run.get("removed", 0) + (job.run.get("pages", 0) if _lists(job) else 0)
    )
    return seconds(max(requests(job) - gone, 0), account)


def _speed(job: Job, settled: int, now: float) -> float | None:
    """Calls a second, changed or settled otherwise, since the run began."""
    if job.started_at is None:
        return None
    return round(settled / max((job.ended_at or now) - job.started_at, 1.0), 2)


def lacking(ruleset: RuleSet, account: Account) -> dict[str, list[str]]:
    """The rules that ask for what the platform's list does not carry, each with those fields."""
    told = {"platform", "account", *account.platform.listed}
    told |= {field for field, sources in DERIVED_FROM.items() if told.intersection(sources)}
    return {rule: missing for rule, asked in asking(ruleset).items() if (missing := sorted(asked - told))}


def _lacking(state: State, job: Job) -> dict[str, list[str]]:
    """As `lacking`, of the rules that the job is about, without what it fetches."""
    account = state.settings.accounts.get(job.account)
    if account is None or not _lists(job):
        return {}
    try:
        ruleset = state.rules.by_hash(job.ruleset)
    except (KeyError, RuleSetFaults):  # a set that an older version took
        return {}
    spec = Spec.from_json(job.spec)
    fetched = account.platform.fetched if spec.fetch else frozenset()
    return {
        rule: left
        for rule, fields in lacking(ruleset, account).items()
        if not spec.rules or rule in spec.rules
        if not spec.tags or set(spec.tags).intersection(ruleset.by_id[rule].tags)
        if (left := [field for field in fields if field not in fetched])
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
