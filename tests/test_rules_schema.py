"""The schema takes every good file, and refuses every bad one that a schema can refuse."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import rules
from rules.faults import Faults
from rules.nodes import plain, read_yaml
from rules.schema import schema
from tests.test_rules_bad_files import BAD
from tests.test_rules_conditions import TABLE

ROOM = Path(rules.__file__).parent
GOOD = sorted((ROOM / "samples").glob("*.yaml"))
VALIDATOR = jsonschema.Draft7Validator(schema())

BEYOND_A_SCHEMA = {
    "between-the-wrong-way-round",
    "between-equal-hours",
    "bad-pattern",
    "pattern-with-look-around",
    "cycle",
    "cycle-of-one",
    "duplicate-id",
    "ignore-case-beside-mentions",
    "ignore-case-on-a-custom-number",
    "list-of-the-wrong-type",
    "no-rules",
    "phone-without-digits",
    "schedule-span-without-length",
    "schedule-weekday-twice",
    "schedule-bad-zone",
    "timezone-that-is-a-folder",
    "two-tags-of-one-group",
    "undefined-condition",
    "undefined-list",
    "undefined-schedule",
    "unknown-timezone",
}
"""What concerns two places at once, or a table that no schema holds."""


def content(path: Path) -> Any:
    """The file's content; None where YAML itself has a fault."""
    faults = Faults()
    node = read_yaml(path.name, path.read_bytes(), faults)
    return plain(node) if node and not faults else None


READABLE = [path for path in sorted(BAD.glob("*.yaml")) if content(path) is not None]


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(schema())


def test_the_schema_beside_the_samples_is_up_to_date() -> None:
    assert json.loads((ROOM / "schema.json").read_text()) == schema()


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_the_schema_takes_a_sample(path: Path) -> None:
    VALIDATOR.validate(content(path))


@pytest.mark.parametrize("condition", [condition for condition, _, _ in TABLE])
def test_the_schema_takes_every_condition_that_the_loader_takes(condition: str) -> None:
    text = f"version: 1\nrules: [{{id: a, when: {condition}, tag: T}}]".encode()
    node = read_yaml("a", text, Faults())
    assert node
    VALIDATOR.validate(plain(node))


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.stem)
def test_the_schema_refuses_a_bad_file_where_it_can(path: Path) -> None:
    assert VALIDATOR.is_valid(content(path)) is (path.stem in BEYOND_A_SCHEMA)
