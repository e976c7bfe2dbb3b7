"""The author's page: every rule on it loads, has tests that pass, and says nothing that must be warned of."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rules.loader import parse
from rules.ruleset import RuleSet
from rules.testing import run_tests

PAGE = (Path(__file__).parent.parent / "docs" / "rules.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = [text for kind, text in BLOCKS if kind == "yaml"]
SESSIONS = [text for kind, text in BLOCKS if kind == "console"]


def loaded(example: str) -> RuleSet:
    text = example if example.startswith("version:") else f"version: 1\n{example}"
    return parse({"rules.yaml": text.encode()})


def names(example: str) -> str:
    return "-".join(re.findall(r"- id: (\S+)", example))


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_an_example_loads_without_warnings_and_passes_its_tests(example: str) -> None:
    ruleset = loaded(example)
    assert ruleset.warnings == ()
    assert [result for result in run_tests(ruleset) if not result.passed] == []


def test_the_page_has_the_cookbook_of_twenty() -> None:
    numbered = [int(number) for number in re.findall(r"^\*\*(\d+)\. ", PAGE, re.MULTILINE)]
    assert numbered == list(range(1, 21))


@pytest.mark.parametrize("session", SESSIONS)
def test_what_the_page_shows_is_what_one_sees(session: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(EXAMPLES[0])
    calltag = f"{shlex.quote(sys.executable)} -m cli"
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert shown
    for command, expected in shown:
        done = subprocess.run(
            ["sh", "-c", command.replace("calltag", calltag)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == (expected, "")
