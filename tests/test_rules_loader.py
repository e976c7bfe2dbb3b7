"""Files, folders, hashes, and what YAML's scalars are."""

from pathlib import Path

import pytest

from rules.faults import RuleSetFaults
from rules.loader import load, parse, read_files
from rules.ruleset import CatalogueTag, Mode, RuleSet
from rules.trace import trace
from tests.rule_sets import faults, rule_set, tags_of

FIRST = "rules: [{id: a, when: {is: c0}, tag: T}]"
RULE = "rules: [{id: %s, when: {field: duration, gt: 1}, tag: T}]\n"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_yaml", ".yaml").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"version: 1\n{text}")


def ids(ruleset: RuleSet) -> list[str]:
    return [rule.id for rule in ruleset.rules]


def test_a_folder_is_read_in_the_order_of_its_paths_part_by_part(tmp_path: Path) -> None:
    names = ["b_yaml", "a__z_yml", "a__b__c_yaml", "a-b_yaml", "Z_yaml"]
    write(tmp_path, **{name: RULE % f"r{at}" for at, name in enumerate(names)})
    assert list(read_files(tmp_path)) == ["Z.yaml", "a/b/c.yaml", "a/z.yml", "a-b.yaml", "b.yaml"]
    assert ids(load(tmp_path)) == ["r4", "r2", "r1", "r3", "r0"]


def test_other_files_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, rules_yaml=RULE % "a")
    for name in (".rules.yaml", "notes.txt", "rules.yaml~", ".mount/rules.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nonsense")
    assert list(read_files(tmp_path)) == ["rules.yaml"]


def test_names_are_known_in_all_files_of_a_set(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml="rules: [{id: a, when: {any: [{is: c}, {field: queue, in: $l}]}, tag: T}]",
        b_yaml="conditions: {c: {field: ended_at, during: s}}\nlists: {l: [x]}\n",
        d_yaml="schedules: {s: {mon: ['09:00-10:00']}}\n",
        c_yaml="timezone: Asia/Tokyo\ntags: {T: {color: '#AABBCC', group: g}}\n",
    )
    ruleset = load(tmp_path)
    assert ruleset.schedules["s"].timezone.key == ruleset.timezone.key == "Asia/Tokyo"
    assert ruleset.tags == {"T": CatalogueTag("T", "#AABBCC", None, "g")}
    assert ruleset.warnings == parse(read_files(tmp_path)).warnings
    assert dict(ruleset.files) == read_files(tmp_path)


def test_a_path_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(RuleSetFaults, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(RuleSetFaults, match=r"no \*.yaml or \*.yml file"):
        load(tmp_path)
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RuleSetFaults, match=r"gone.yaml:1:1: cannot be read"):
        load(tmp_path)


def test_the_hash_is_of_the_content_and_not_of_its_layout() -> None:
    plain = (
        "timezone: UTC\nlists: {l: [1, 2]}\nrules:\n  - {id: a, when: {field: duration, gt: 60}, tag: T}\n"
    )
    block = """
# a comment
lists: {"l": [1.0, 2]}
rules:
  - tag: 'T'
    id: a
    when:
      gt: 6e1
      field: duration
"""
    moved = "lists: {l: [2, 1]}\nrules:\n  - {id: a, when: {field: duration, gt: 60}, tag: T}\n"
    assert rule_set(plain).hash == rule_set(block).hash
    assert rule_set(plain).hash != rule_set(moved).hash
    assert len(rule_set(plain).hash) == 64


def test_the_hash_does_not_change_when_a_set_is_split_in_files() -> None:
    rules = "".join(f"  - {{id: {name}, when: {{field: duration, gt: 1}}, tag: T}}\n" for name in "ab")
    whole = rule_set(f"rules:\n{rules}")
    parts = parse({name: b"version: 1\n" + (RULE % name).encode() for name in ("a", "b")})
    assert parts.hash == whole.hash


@pytest.mark.parametrize(
    "word",
    [
        "no",
        "on",
        "yes",
        "Off",
        "True",
        "NULL",
        "~",
        "010",
        "0x1F",
        "1_000",
        "12:30",
        "2026-12-25",
        ".5",
        "+1",
        "1.",
        "=",
        ".inf",
    ],
)
def test_words_that_other_readers_of_yaml_turn_into_something_else_are_texts(word: str) -> None:
    ruleset = rule_set(f"rules: [{{id: a, when: {{field: queue, eq: {word}}}, tag: {word}}}]")
    assert ruleset.rules[0].tags == (word,)


@pytest.mark.parametrize("word", ["1", "-0.5", "1e3", "true", "false", "null", ""])
def test_json_numbers_constants_and_nothing_are_no_texts(word: str) -> None:
    assert faults(f"rules: [{{id: a, when: {{field: queue, eq: {word}}}, tag: T}}]") != []


def test_a_rule_has_its_defaults() -> None:
    rule = rule_set(RULE % "a").rules[0]
    assert (rule.mode, rule.stop, rule.keep, rule.tests, rule.description) == (
        Mode.LIVE,
        False,
        False,
        (),
        None,
    )


def test_tags_are_compared_in_their_composed_form() -> None:
    text = 'tags: {"Cafe\u0301": {group: g}}\nrules: [{id: a, when: {field: duration, gt: 1}, tag: Café}]'
    ruleset = rule_set(text)
    assert ruleset.group_of(ruleset.rules[0].tags[0]) == "g"


def test_a_long_chain_of_named_conditions_is_taken() -> None:
    chain = "".join(f"  c{n}: {{not: {{is: c{n + 1}}}}}\n" for n in range(5000))
    ruleset = rule_set(f"conditions:\n{chain}  c5000: {{field: duration, gt: 1}}\n{FIRST}")
    assert tags_of(ruleset, duration=2).tags == ("T",)
    assert tags_of(ruleset, duration=1).tags == ()


def test_named_conditions_that_double_at_each_step_take_linear_time() -> None:
    chain = "".join(f"  c{n}: {{all: [{{is: c{n + 1}}}, {{is: c{n + 1}}}]}}\n" for n in range(60))
    text = (
        f"conditions:\n{chain}  c60: {{field: duration, gt: 1}}\nrules: [{{id: a, when: {{is: c0}}, tag: T}}]"
    )
    from tests.rule_sets import tags_of

    ruleset = rule_set(text)
    assert tags_of(ruleset, duration=2).tags == ("T",)
    assert trace(ruleset, {"duration": 2})[0].outcome == "true"


def test_a_name_that_may_be_in_a_broken_file_is_not_told_as_undefined() -> None:
    with pytest.raises(RuleSetFaults) as refused:
        parse(
            {
                "a": b"version: 1\nlists: {",
                "b": b"version: 1\n" + (RULE % "a").replace("gt: 1", "in: $l").encode(),
            }
        )
    assert [fault.file for fault in refused.value.faults] == ["a"]


@pytest.mark.parametrize("lists", ["l: [a", "{l: b}", "{l: []}", "[l]", "{l: [{a: b}]}"])
def test_a_broken_list_is_told_once_and_not_also_as_undefined(lists: str) -> None:
    told = faults(f"lists: {lists}\nrules: [{{id: a, when: {{field: queue, in: $l}}, tag: T}}]")
    assert len(told) == 1
    assert "undefined" not in told[0]


def test_names_are_found_in_their_composed_form() -> None:
    text = """
lists: {"caf\u00e9": [a]}
conditions: {"caf\u00e9": {field: queue, in: "$cafe\u0301"}}
rules: [{id: a, when: {is: "cafe\u0301"}, tag: T}]
"""
    assert tags_of(rule_set(text), queue="a").tags == ("T",)
