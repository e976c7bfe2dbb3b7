"""One call as text: what `calltag calls show` prints on a terminal."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from cli.told import cell, moment, tell_table


def tell_text(call: Mapping[str, Any]) -> None:
    """Prints the call as `worker.why.call` gives it."""
    names = ", ".join(f"{call['account']}:{reference}" for reference in call["references"].values())
    typer.echo(f"{cell(names)}: {call['state']}{_because(call['reason'])}")
    if call["forgotten_at"] is not None:
        typer.echo(
            f"forgotten at {moment(call['forgotten_at'])}; its tags on the platform stayed as they were"
        )
    _section("what is known", ("field", "value"), call["facts"].items())
    tags = [(tag["name"], tag["whose"], tag["rule"], moment(tag["when"]), _job(tag)) for tag in call["tags"]]
    _section("tags", ("tag", "whose", "rule", "since", "by"), tags)
    for decision in call["decisions"][:1]:
        _decision(decision)
    older = [
        (
            moment(decision["at"]),
            decision["ruleset"][:12],
            decision["tags"],
            decision["added"],
            _removed(decision),
            _job(decision),
        )
        for decision in call["decisions"][1:]
    ]
    _section("decided before that", ("at", "rule set", "tags", "added", "removed", "by"), older)
    events = [
        (event["id"], moment(event["received_at"]), event["name"], event["source"], event["state"],
         "dropped" if event["emptied_at"] is not None else "")
        for event in call["events"]
    ]  # fmt: skip
    _section("events", ("id", "received", "event", "from", "state", "body"), events)


def _job(found: Mapping[str, Any]) -> str:
    """The re-tagging job that did it, if one did."""
    return f"job {found['job']}" if found["job"] is not None else ""


def _because(reason: str | None) -> str:
    return f" ({cell(reason)})" if reason else ""


def _section(title: str, columns: tuple[str, ...], rows: Any) -> None:
    rows = list(rows)
    if rows:
        typer.echo()
        typer.secho(title, bold=True)
        tell_table(columns, rows)


def _decision(decision: Mapping[str, Any]) -> None:
    typer.echo()
    by = f"rule set {decision['ruleset'][:12]}" + (f", {_job(decision)}" if _job(decision) else "")
    typer.secho(f"decided at {moment(decision['at'])} by {by}", bold=True)
    for what in ("tags", "added"):
        typer.echo(f"{what}: {cell(decision[what]) or 'none'}")
    typer.echo(f"removed: {cell(_removed(decision)) or 'none'}")
    if decision["no_trace"]:
        typer.echo(f"why cannot be told any more: {decision['no_trace']}")
    for rule in decision["trace"]:
        typer.echo(f"{rule['outcome']:8}{rule['rule']}{_note(rule)}")
        if rule["condition"]:
            typer.echo("\n".join(_steps(rule["condition"], 1)))


def _removed(decision: Mapping[str, Any]) -> str:
    return "; ".join(f"{removal['tag']}, since {removal['why']}" for removal in decision["removed"])


def _note(rule: Mapping[str, Any]) -> str:
    notes = [] if rule["mode"] == "live" else [rule["mode"]]
    notes += [f"skipped by {rule['skipped_by']}"] if rule["skipped_by"] else []
    notes += [f"{lost['tag']} lost its group to {lost['to']}" for lost in rule["lost"]]
    return f"  ({'; '.join(notes)})" if notes else ""


def _steps(step: Mapping[str, Any], depth: int) -> Iterator[str]:
    """One line a condition: its truth, its text, the value found, its place."""
    found = f"  found {_value(step['value'])}" if "value" in step else ""
    yield f"{step['result']:8}{'  ' * depth}{cell(step['text'])}{found}  {step['place']}"
    for item in step.get("items", ()):
        yield from _steps(item, depth + 1)


def _value(value: Any) -> str:
    return "no value" if value is None else cell(json.dumps(value, ensure_ascii=False))
