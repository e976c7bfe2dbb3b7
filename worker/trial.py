"""Rules tried on a call, from nothing but their text: what the playground shows.

It runs in a process of its own (`worker.aside`), since a text can be written that costs more than there is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rules.adding import CannotAdd, with_test
from rules.evaluate import Outcome, evaluate
from rules.facts import FactError, Facts, Value
from rules.faults import Fault, RuleSetFaults
from rules.lines import evaluation_to_json, read_line
from rules.literals import read_time
from rules.loader import parse
from rules.ruleset import RuleSet
from rules.testing import run_tests
from rules.trace import RuleTrace, trace
from rules.words import quote
from worker.known import left_out, made_test
from worker.publishing import failure

LONGEST_VALUE = 300
"""Characters of a value that a trace shows."""
MOST_FAULTS = 100
MOST_RULES = 200
"""Rules whose trace is shown; of more, those that are not false come first."""

Question = Mapping[str, Any]
Answer = dict[str, Any]


def answer(question: Question) -> Answer:
    """The answer to one question, which names what is asked in `ask`; both are as JSON has them."""
    return ANSWERS[question["ask"]](question)


def tried(question: Question) -> Answer:
    """`files` (name to text), `call` (a JSON object as text, empty for none) and `at` (its time, or empty);
    of the rules those are shown whose id or tags have `only`.

    The answer has `faults`, and `hash`, `failed` tests, `tests` in number, `decision` and `rules` where there
    are none; `call_fault` says in one line what is wrong with the call.
    """
    try:
        ruleset = parse(_files(question))
    except RuleSetFaults as found:
        return {"faults": _shown(found.faults), "more": max(0, len(found.faults) - MOST_FAULTS)}
    results = list(run_tests(ruleset))
    failed = [result for result in results if not result.passed]
    said = [Fault(*result.test.place, failure(result), warning=True) for result in failed]
    return {
        "faults": _shown([*ruleset.warnings, *said]),
        "more": max(0, len(ruleset.warnings) + len(said) - MOST_FAULTS),
        "hash": ruleset.hash,
        "tests": len(results),
        "failed": len(failed),
        **_on_call(ruleset, question),
    }


def _shown(faults: Sequence[Fault]) -> list[Answer]:
    return [asdict(fault) for fault in faults[:MOST_FAULTS]]


def _files(question: Question) -> dict[str, bytes]:
    return {name: text.encode(errors="surrogatepass") for name, text in question["files"].items()}


def _on_call(ruleset: RuleSet, question: Question) -> Answer:
    if not question["call"].strip():
        return {}
    try:
        facts, applied = read_line(question["call"].encode(errors="surrogatepass"))
        facts = moved(facts, question["at"], ruleset.timezone)
    except FactError as fault:
        return {"call_fault": str(fault)}
    decision = evaluation_to_json(evaluate(ruleset, facts, applied or ()))
    del decision["rules"]
    found = trace(ruleset, facts, applied or ())
    shown = _chosen(found, question.get("only", "").strip().casefold())
    traces = [rule.to_json() for rule in shown]
    for rule in traces:
        _shorten(rule["condition"])
    return {"decision": decision, "rules": traces, "others": len(found) - len(shown)}


def _chosen(found: Sequence[RuleTrace], only: str) -> list[RuleTrace]:
    named = [rule for rule in found if any(only in name.casefold() for name in (rule.id, *rule.tags))]
    if len(named) <= MOST_RULES:
        return named
    return sorted(named, key=lambda rule: rule.outcome is Outcome.FALSE)[:MOST_RULES]


def _shorten(step: Answer | None) -> None:
    """A long text, which many conditions may ask for, is cut in all of them."""
    if step is None:
        return
    value = step.get("value")
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        step["value"] = f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
    for item in step.get("items", ()):
        _shorten(item)


def moved(facts: Facts, at: str, zone: ZoneInfo) -> Facts:
    """The call as if it had begun at that time; what follows from its time follows, and its end goes along.

    Without an offset the time is the rule set's own. Raises `FactError`.
    """
    if not at.strip():
        return facts
    start = _moment(at.strip(), zone)
    kept: dict[str, Value] = {name: value for name, value in facts.items() if name not in LOCAL}
    before, end = facts.get("started_at"), facts.get("ended_at")
    if isinstance(end, datetime):
        kept["ended_at"] = end + (start - before) if isinstance(before, datetime) else start
    return kept | {"started_at": start}


LOCAL = ("local_time", "local_date", "weekday")


def _moment(text: str, zone: ZoneInfo) -> datetime:
    try:
        return read_time(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2026-12-25T18:00, or 2026-12-25T18:00:00+01:00"
        raise FactError(f"'{quote(text)}' is no time of a call; one is {example}") from None
    return moment.replace(tzinfo=zone)


def kept_test(question: Question) -> Answer:
    """`files`, the `file` that gets the test, `call`, `at` and `name`; the answer has `text` or `fault`.

    The test expects what the rules say of the call without what is personal in it; `note` says what went.
    """
    try:
        ruleset = parse(_files(question))
        facts, _ = read_line(question["call"].encode(errors="surrogatepass"))
        facts = moved(facts, question["at"], ruleset.timezone)
        call, expect = made_test(facts, ruleset)
        text = with_test(question["files"][question["file"]], question["name"], call, expect)
    except RuleSetFaults as found:
        return {"fault": f"the rules have a fault; mend it first: {found.faults[0]}"}
    except (FactError, CannotAdd) as fault:
        return {"fault": str(fault)}
    return {"text": text, "note": left_out(facts, call)}


ANSWERS: Mapping[str, Callable[[Question], Answer]] = {"try": tried, "test": kept_test}
