"""`calltag tags` where a tag's name is its id, on a real store and a simulated CallRail."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from platforms.simulated import Simulated, simulator
from rules.loader import parse
from store import rulesets
from store.database import Database, migrate
from tests.commands import Said, operator
from tests.platform_bench import environment

RULES = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
"""
Run = Callable[..., Said]


@pytest.fixture
def platform() -> Iterator[Simulated]:
    with simulator("callrail")() as platform:
        yield platform


@pytest.fixture
def run(tmp_path: Path, platform: Simulated) -> Iterator[Run]:
    database = Database(f"sqlite:///{tmp_path / 'calltag.db'}", busy=5.0)
    migrate(database)
    ruleset = parse({"rules.yaml": RULES.encode()})
    with database.write() as connection:
        rulesets.activate(connection, ruleset.hash, ruleset.files, time.time())
    at = operator(tmp_path, database)
    given = {name: value for name, value in at.environment.items() if "SIPSIM" not in name}
    at = replace(at, environment={**given, **environment("callrail", "callrail", platform)})
    yield lambda *arguments: at.process("tags", *arguments)
    database.close()


def test_a_tag_that_is_renamed_is_another_one_for_the_rules(platform: Simulated, run: Run) -> None:
    platform.define("Long Call")
    said = run("rename", "Long Call", "Longer")
    assert said.status == 0, said.err
    assert "change the rules" in said.out
    assert platform.defined() == ["Longer"]


def test_a_tag_is_deleted_by_its_name(platform: Simulated, run: Run) -> None:
    platform.define("Long Call")
    assert run("delete", "Long Call", "--yes").status == 0
    assert platform.defined() == []
