"""Every sample set loads without a word and passes its own tests."""

from pathlib import Path

import pytest

import rules
from rules.loader import load
from rules.testing import run_tests

SAMPLES = sorted((Path(rules.__file__).parent / "samples").glob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_loads_without_warnings(path: Path) -> None:
    assert load(path).warnings == ()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_the_tests_of_a_sample_pass(path: Path) -> None:
    results = list(run_tests(load(path)))
    assert [result for result in results if not result.passed] == []
    assert len(results) >= 3


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_an_editor_finds_the_schema_of_a_sample(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).is_file()
