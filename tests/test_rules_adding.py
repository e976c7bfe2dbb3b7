"""A test is written where the author would write it, and all else of the file stays as it is."""

import pytest

from rules.adding import CannotAdd, with_test
from rules.loader import parse

RULE = """\
version: 1
rules:
  - id: long # a remark
    when: {field: duration, gt: 30m}
    tag: Long
"""
CALL = {"duration": 1900, "queue": "a 'b' \" \u0085 \u200f #📞\U000e0001"}


def added(text: str) -> str:
    new = with_test(text, "it's long: yes", CALL, ["Long"])
    ruleset = parse({"rules.yaml": new.encode()})
    assert ruleset.tests[-1].name == "it's long: yes"
    assert ruleset.tests[-1].facts == CALL
    assert ruleset.tests[-1].expect == {"Long"}
    return new


def test_a_file_without_tests_gets_a_section() -> None:
    new = added(RULE)
    assert new.startswith(RULE + '\ntests:\n  - name: "it\'s long: yes"\n    call: {')
    assert new.endswith('    expect: ["Long"]\n')
    assert added(RULE.rstrip()) == new


SECTIONS = {
    "at the end": ("tests:\n  - {call: {}, expect: []}\n", ""),
    "without indentation": ("tests:\n- call: {}\n  expect: []\n", ""),
    "with nothing after its last line": ("tests:\n  - call: {}\n    expect: []", ""),
    "with a remark of its own": ("tests:\n  - {call: {}, expect: []} # one\n", ""),
    "before another": ("tests:\n  - {call: {}, expect: []}\n", "\n# the zone\ntimezone: Europe/Paris\n"),
    "on one line": ("tests: [{call: {}, expect: []}", "]\ntimezone: Europe/Paris\n"),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_gets_it_at_its_end(name: str) -> None:
    before, after = SECTIONS[name]
    new = added(RULE + before + after)
    assert new.startswith(RULE + before)
    assert new.endswith(after)
    assert "yes" in new.removeprefix(RULE + before).removesuffix(after)


def test_one_may_follow_another() -> None:
    assert len(parse({"a": added(added(added(RULE))).encode()}).tests) == 3


@pytest.mark.parametrize("text", ["rules: [", "- a", "", "a: &x 1\nb: *x", "\0", "\ud800", "[" * 5000])
def test_a_broken_text_is_not_made_worse(text: str) -> None:
    with pytest.raises(CannotAdd, match="mend it first"):
        with_test(text, "x", {}, [])


ODD = [
    "{version: 1}",
    RULE + "tests: null\n",
    RULE + "tests: [{call: {}, expect: []},]\n",
    RULE + "tests: 5\n",
]


@pytest.mark.parametrize("text", [*ODD, RULE + "...\n"])
def test_a_way_of_writing_that_takes_no_more_is_told(text: str) -> None:
    with pytest.raises(CannotAdd, match="copy the test"):
        with_test(text, "x", {}, [])
