"""What the playground begins with: the rule files, sample sets and calls, and the words of the language."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

import rules
from rules.facts import facts_to_json
from rules.faults import RuleSetFaults
from rules.fields import CATALOGUE as FIELDS
from rules.fields import CUSTOM_FIELD, Type
from rules.loader import load
from rules.operators import CATALOGUE as OPERATORS
from rules.testing import run_tests
from store import rulesets
from worker.known import Known, without_personal
from worker.publishing import files_now, fingerprint
from worker.settings import Settings

LONGEST_TEXT = 256 * 1024
"""Characters of all files of a set that can be tried, and of a call."""
SAMPLES = Path(rules.__path__[0]) / "samples"
FIRST = """\
version: 1
rules:
  - id: long-call
    description: Calls over 30 minutes
    when: {field: duration, gt: 30m}
    tag: Long Call
    tests:
      - {call: {duration: 1801}, match: true}
      - {call: {duration: 1800}, match: false}
"""
"""What somebody begins with who has no rules."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The files of a set as an editor begins with them.

    `began` has the fingerprint of each, by name; `fault` says why they are not those at the rules' path.
    """

    files: Mapping[str, str]
    began: Mapping[str, str]
    fault: str | None = None


def opened(settings: Settings, connection: Connection) -> Opened:
    """The files at the rules' path; those in force where there are none, else a first one."""
    path = settings.rules
    try:
        files, fault = files_now(path), f"there are no rules at {path}"
    except RuleSetFaults as found:
        files, fault = {}, str(found.faults[0])
    if files:
        return Opened(_texts(files), {name: str(fingerprint(data)) for name, data in files.items()})
    hash_ = rulesets.active(connection)
    if hash_ is not None:
        return Opened(_texts(rulesets.files(connection, hash_)), {}, f"{fault}; these are the rules in force")
    return Opened({_first_name(path): FIRST}, {}, fault if path.exists() else None)


def _first_name(path: Path) -> str:
    return "rules.yaml" if path.is_dir() else path.name


def _texts(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: data.decode("utf-8-sig", "replace") for name, data in files.items()}


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the sample sets: its text, and the calls of its tests by name, as JSON."""

    name: str
    text: str
    calls: Mapping[str, str]


@lru_cache(maxsize=1)
def samples() -> Mapping[str, Sample]:
    """The sample sets by name."""
    return {path.stem: _sample(path) for path in sorted(SAMPLES.glob("*.yaml"))}


def _sample(path: Path) -> Sample:
    calls: dict[str, str] = {}
    for result in run_tests(load(path)):
        rule = result.rule.id if result.rule else "all rules"
        calls.setdefault(f"{rule}: {result.name}", call_text(Known(result.facts, ())))
    return Sample(path.stem, path.read_text(encoding="utf-8"), calls)


def call_text(known: Known, personal: bool = True) -> str:
    """The call as JSON for people, our tags on it among it; without what is personal where that is wanted."""
    facts = known.facts if personal else without_personal(known.facts)
    found: dict[str, Any] = facts_to_json(facts)
    if known.applied:
        found["applied"] = [one._asdict() for one in known.applied]
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


@lru_cache(maxsize=1)
def words() -> dict[str, Any]:
    """What an editor completes: the fields and the operators, each with its meaning."""
    return {
        "fields": [
            {"name": field.name, "type": str(field.type), "meaning": field.meaning, "values": field.values}
            for field in (*FIELDS, CUSTOM_FIELD)
        ],
        "operators": [
            asdict(operator) | {"types": [str(type_) for type_ in Type if type_ in operator.types]}
            for operator in OPERATORS
        ],
    }
