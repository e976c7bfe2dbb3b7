"""A re-tagging job as text: what `calltag retag` prints on a terminal."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import typer

from cli.told import cell, tell_table
from worker.retag.words import CALLS_OF_PLAN, Told, change, has_written, named, nothing_to_do

CALLS = CALLS_OF_PLAN | {
    "lacking": "of them for want of a transcript, which --fetch transcript gets",
    "outside": "left out by --where",
}
NEXT = {
    "planning": "`calltag retag watch {job}` looks on",
    "planned": "`calltag retag run {job}` carries it out, `calltag retag report {job}` lists each call",
    "running": "`calltag retag watch {job}` looks on",
    "paused": "`calltag retag resume {job}` lets it go on, `calltag retag cancel {job}` ends it",
    "stopped": "`calltag retag resume {job}` lets it go on, `calltag retag cancel {job}` ends it",
    **dict.fromkeys(
        ("done", "cancelled"),
        "`calltag retag report {job}` lists each call, `calltag retag undo {job}` takes it back",
    ),
}
"""What can be done with a job, by its state."""


def tell_job(told: Told) -> None:
    """All of it: what was asked, the plan, the run, and what comes next."""
    typer.echo(f"{named(told)}: {told['state']}{_because(told['reason'])}")
    typer.echo("; ".join(_asked(told)))
    if told["started_at"] is None:
        _tell_plan(told)
    else:
        _tell_run(told)
    reasons = [(one["calls"], one["state"], one["reason"]) for one in told["reasons"]]
    _section("why not", ("calls", "state", "reason"), reasons)
    if hint := next_step(told):
        typer.echo()
        typer.echo(hint)


def next_step(told: Told) -> str | None:
    """What can be done with the job now."""
    if nothing_to_do(told) or (told["state"] in ("done", "cancelled") and not has_written(told)):
        return None
    hint = NEXT.get(told["state"])
    return None if hint is None else hint.format(job=told["job"])


def _because(reason: str | None) -> str:
    return f" ({cell(reason)})" if reason else ""


def _asked(told: Told) -> Iterator[str]:
    asked = told["asked"]
    yield f"account {told['account']}"
    if told["undoes"] is None:
        yield f"calls from {asked['since']} to {asked['until']}, by the {_source(asked)}"
    for name in ("rule", "tag"):
        if asked[name]:
            yield f"only the {name}{'s' * (len(asked[name]) > 1)} {cell(asked[name])}"
    for name in ("where", "having"):
        if asked[name]:
            yield f"{name} {cell(asked[name])}"
    if asked["orphaned"] == "remove":
        yield "orphaned tags are taken off"
    if asked["fetch"]:
        yield "transcripts are fetched"
    yield f"rule set {told['ruleset'][:12]}"


def _source(asked: Mapping[str, Any]) -> str:
    return "platform's list" if asked["source"] == "platform" else "store"


def _tell_plan(told: Told) -> None:
    plan = told["plan"]
    if told["state"] == "planned" and not plan.get("listed"):
        typer.echo("there is no call in that range")
        return
    calls = [(plan.get(name, 0), text) for name, text in CALLS.items() if name in plan]
    _section("calls", ("number", "what"), calls)
    _tell_tags(plan)
    _tell_rules(plan)
    if told["lacking"]:
        _section("rules that ask for more than the platform's list tells", ("rule", "fields"),
                 told["lacking"].items())  # fmt: skip
    if told["state"] != "planned":
        return
    typer.echo()
    if nothing_to_do(told):
        typer.echo("nothing is to be changed")
    else:
        typer.echo(f"the run: {change(told)}")


def _tell_run(told: Told) -> None:
    run, progress = told["run"], told["progress"]
    counts = [(name, progress[name]) for name in ("done", "changed", "unchanged", "failed", "skipped")]
    tags = [("tags put on", run.get("added", 0)), ("tags taken off", run.get("removed", 0))]
    strays = [("not as planned", run["strays"])] if run.get("strays") else []
    _section(f"calls, of {progress['of']}", ("what", "number"), [*counts, *tags, *strays])
    typer.echo()
    left = "" if told["left"] is None else f", {timedelta(seconds=told['left'])} left or more"
    typer.echo(f"{told['rate']:g} calls a second{left}")


def _tell_tags(plan: Mapping[str, Any]) -> None:
    samples = plan.get("samples", {})
    rows = [
        (tag, ways.get("gain", 0), ways.get("lose", 0), _sample(samples.get(tag, {})))
        for tag, ways in sorted(plan.get("tags", {}).items())
    ]
    _section("tags", ("tag", "calls gain it", "calls lose it", "such as (-: loses it)"), rows)


def _sample(ways: Mapping[str, list[str]]) -> list[str]:
    return [*ways.get("gain", ()), *(f"-{call}" for call in ways.get("lose", ()))]


def _tell_rules(plan: Mapping[str, Any]) -> None:
    rows = [
        (rule, *(found.get(name, 0) for name in ("match", "unknown", "add", "remove")))
        for rule, found in sorted(plan.get("rules", {}).items())
    ]
    _section("rules", ("rule", "true", "unknown", "puts on", "takes off"), rows)


def _section(title: str, columns: tuple[str, ...], rows: Any) -> None:
    rows = list(rows)
    if rows:
        typer.echo()
        typer.secho(title, bold=True)
        tell_table(columns, rows)
