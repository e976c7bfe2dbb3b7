"""Every fault has a file named by it, with the messages that an author reads beside it."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules
from rules.faults import Fault, RuleSetFaults
from rules.loader import load, parse

BAD = Path(__file__).parent / "data" / "rules" / "bad"
SETS = sorted(path for path in BAD.iterdir() if path.suffix != ".txt")


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_bad_set_is_refused_with_all_its_faults(path: Path) -> None:
    with pytest.raises(RuleSetFaults) as refused:
        load(path)
    expected = (BAD / f"{path.stem}.txt").read_text().splitlines()
    assert [str(fault) for fault in refused.value.faults] == expected


def test_every_expectation_has_its_set() -> None:
    assert {path.stem for path in BAD.glob("*.txt")} == {path.stem for path in SETS}


def test_a_file_over_8_mib_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"version: 1\n#" + b"x" * 8 * 1024 * 1024)
    with pytest.raises(RuleSetFaults, match=r"large\.yaml:1:1: the file is over 8 MiB"):
        load(path)


def test_5000_nested_lists_are_refused() -> None:
    for text in (
        "[" * 5000,
        "- " * 5000,
        "{a: " * 5000,
        "not:\n" + "".join(" " * n + "not:\n" for n in range(1, 3000)),
    ):
        with pytest.raises(RuleSetFaults, match="nested over 50 deep"):
            parse({"deep.yaml": b"version: 1\nrules: " + text.encode() if text[0] in "[{" else text.encode()})


def test_a_pattern_of_10000_characters_is_taken_or_refused_in_one_line() -> None:
    rule = "version: 1\nrules: [{id: a, tag: A, when: {field: transcript, matches: '%s'}}]"
    parse({"a.yaml": (rule % ("(a|b)" * 2000)).encode()})
    with pytest.raises(RuleSetFaults) as refused:
        parse({"a.yaml": (rule % ("(" * 10000)).encode()})
    assert len(str(refused.value)) < 200


def nested(depth: int) -> bytes:
    """A rule file whose collections are so deep; its own mapping is the first."""
    nots = depth - 4  # the file, the list of rules, the rule, and the innermost condition
    when = "{not: " * nots + "{field: duration, gt: 1}" + "}" * nots
    return f"version: 1\nrules:\n  - {{id: a, tag: A, when: {when}}}\n".encode()


def test_fifty_collections_within_each_other_are_taken_and_one_more_is_not() -> None:
    parse({"a.yaml": nested(50)})
    with pytest.raises(RuleSetFaults, match="nested over 50 deep"):
        parse({"a.yaml": nested(51)})


def test_many_thousand_rules_take_linear_time() -> None:
    def seconds(rules: int) -> float:
        lines = (f"- {{id: r{n}, when: {{field: duration, gt: {n}}}, tag: T{n}}}\n" for n in range(rules))
        data = b"version: 1\nrules:\n" + "".join(lines).encode()
        start = time.process_time()
        parse({"a.yaml": data})
        return time.process_time() - start

    assert seconds(10_000) < 40 * seconds(1_000)


def test_a_set_full_of_faults_is_told_in_linear_time() -> None:
    def seconds(rules: int) -> float:
        lines = (f"- {{id: r{n}, when: {{is: missing{n}}}, tag: T}}\n" for n in range(rules))
        names = "".join(f"  c{n}: {{field: duration, gt: {n}}}\n" for n in range(rules))
        start = time.process_time()
        with pytest.raises(RuleSetFaults):
            parse({"a.yaml": f"version: 1\nconditions:\n{names}rules:\n{''.join(lines)}".encode()})
        return time.process_time() - start

    assert seconds(8_000) < 40 * seconds(2_000)


SAMPLE = (Path(rules.__file__).parent / "samples" / "opening-hours.yaml").read_bytes()
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b":", b"- ", b"\n", b"&a ", b"*a", b"!!x ", b"null", b"12", b'"', b"\xff", b"\0"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SAMPLE)), st.integers(0, 12), PIECES | st.binary(max_size=4)), max_size=4
    )
)
def test_whatever_is_in_a_file_is_a_set_or_faults_of_one_line_each(
    changes: list[tuple[int, int, bytes]],
) -> None:
    data = SAMPLE
    for at, gone, new in changes:
        data = data[:at] + new + data[at + gone :]
    assert all("\n" not in str(fault) for fault in told(data))


def told(data: bytes) -> tuple[Fault, ...]:
    try:
        parse({"a.yaml": data})
    except RuleSetFaults as refused:
        return refused.faults
    return ()
