"""A job in words, from what `worker.retag.telling` tells: what the commands and the pages share."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from worker.words import number

Told = Mapping[str, Any]
"""A job as `worker.retag.telling` tells it."""
CALLS_OF_PLAN = {
    "listed": "listed",
    "change": "to be changed",
    "same": "as they should be",
    "unknown": "of which a rule cannot be decided",
    "lacking": "of them for want of a transcript",
    "blocked": "on which a person took off a tag that a rule gives: it stays off",
    "touched": "touched by somebody since: what they did stays",
    "outside": "left out by the condition",
    "skipped": "skipped",
}
"""The plan's counts of calls."""
OFFERED = {
    "planning": ("pause", "cancel"),
    "planned": ("run", "cancel"),
    "running": ("pause", "cancel", "retry-failed"),
    "paused": ("resume", "cancel"),
    "stopped": ("resume", "cancel", "undo"),
    "done": ("retry-failed", "undo"),
    "cancelled": ("undo",),
    "failed": (),
}
"""What can be asked of a job, by its state."""


def offered(told: Told) -> list[str]:
    """What can be asked of the job as it is."""
    apart = {
        "run": not nothing_to_do(told),
        "retry-failed": told["progress"]["failed"] > 0,
        "undo": has_written(told),
    }
    return [order for order in OFFERED[told["state"]] if apart.get(order, True)]


def has_written(told: Told) -> bool:
    """Whether the job put a tag on a call or took one off."""
    return bool(told["run"].get("added") or told["run"].get("removed"))


def named(told: Told) -> str:
    """`job 3`, `undoing of job 3, job 4`."""
    what = "job" if told["undoes"] is None else f"undoing of job {told['undoes']}, job"
    return f"{what} {told['job']}"


def nothing_to_do(told: Told) -> bool:
    """Whether it is planned and has nothing to change."""
    return told["state"] == "planned" and not told["plan"].get("change")


def cost(told: Told) -> str:
    """`30 requests, 0:00:03 or more at the account's rate`."""
    takes = told["takes"]
    time = "" if takes is None else f", {timedelta(seconds=takes)} or more at the account's rate"
    return f"{number(told['requests'], 'request')}{time}"


def change(told: Told) -> str:
    """`18 calls: 26 tags put on, 2 taken off; 30 requests, ...`, as planned."""
    plan = told["plan"]
    put, off = number(plan.get("add", 0), "tag"), plan.get("remove", 0)
    return f"{number(plan.get('change', 0), 'call')}: {put} put on, {off} taken off; {cost(told)}"


def line(told: Told) -> str:
    """How far the plan or the run is, in one line."""
    if told["started_at"] is None:
        plan = told["plan"]
        return f"{number(plan.get('listed', 0), 'call')} listed, {plan.get('change', 0)} to be changed"
    progress = told["progress"]
    counts = ", ".join(f"{progress[name]} {name}" for name in ("changed", "unchanged", "failed", "skipped"))
    return f"{progress['done']} of {progress['of']} done: {counts}"


def share(told: Told) -> tuple[int, int]:
    """How far a bar is: parts of the range that were walked, or calls that are done; needs `how_far`."""
    part = told["walked"] if told["started_at"] is None else told["progress"]
    return part["done"], part["of"]
