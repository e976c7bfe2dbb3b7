"""Calls as lines of JSON, and what the rules say of each."""

from typing import Any

import orjson

from rules.evaluate import Applied, Evaluation, evaluate
from rules.facts import FactError, Facts, facts_from_json
from rules.ruleset import RuleSet

APPLIED = "applied"


def read_line(line: bytes) -> tuple[Facts, tuple[Applied, ...] | None]:
    """The facts of a call and, where the line tells them, our tags on it; raises `FactError`."""
    call, applied = split_line(line)
    return facts_from_json(call), applied


def split_line(line: bytes) -> tuple[dict[str, Any], tuple[Applied, ...] | None]:
    """As `read_line`, the facts as JSON has them, unchecked."""
    try:
        call = orjson.loads(line)
    except orjson.JSONDecodeError as fault:
        raise FactError(f"not JSON: {fault.msg}") from None
    if not isinstance(call, dict):
        raise FactError("not a JSON object")
    applied = call.pop(APPLIED, None)
    return call, None if applied is None else _applied(applied)


def _applied(items: Any) -> tuple[Applied, ...]:
    if not isinstance(items, list) or not all(map(_is_applied, items)):
        raise FactError('\'applied\' is a list of {"tag": ..., "rule": ...}')
    return tuple(Applied(item["tag"], item["rule"]) for item in items)


def _is_applied(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() == {"tag", "rule"}
        and all(isinstance(x, str) for x in item.values())
    )


def evaluate_line(ruleset: RuleSet, line: bytes, number: int) -> dict[str, Any]:
    """What `calltag rules eval` answers to a line: an evaluation, or `{"error": ...}`."""
    try:
        facts, applied = read_line(line)
    except FactError as fault:
        return {"error": f"line {number}: {fault}"}
    found = evaluation_to_json(evaluate(ruleset, facts, applied or ()))
    if applied is None:
        del found["remove"]
    return found


def evaluation_to_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "tags": list(evaluation.tags),
        "shadow_tags": list(evaluation.shadow_tags),
        "rules": {id_: outcome.value for id_, outcome in evaluation.rules.items()},
        "remove": [removal._asdict() for removal in evaluation.remove],
    }
