"""`calltag rules` as an author uses it: in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

RULES = """\
version: 1
timezone: Europe/Paris
tags: {Long Call: {group: length}, Short Call: {group: length}}
rules:
  - id: long-call
    when: {field: duration, gt: 30m}
    tag: Long Call
    tests:
      - {call: {duration: 1801}, match: true}
      - {call: {duration: 1800}, match: false}
  - id: night
    mode: shadow
    when:
      all:
        - {field: direction, eq: inbound}
        - not: {field: local_time, between: ["08:00", "20:00"]}
    tag: Night
    tests:
      - {call: {direction: inbound, local_time: "21:00"}, match: true}
tests:
  - {call: {duration: 1801}, expect: [Long Call]}
"""
CALLS: list[dict[str, object]] = [
    {"duration": 1801, "direction": "inbound", "started_at": "2026-11-20T22:10:00+01:00"},
    {"duration": 5, "direction": "inbound", "started_at": "2026-11-21T10:00:00+01:00"},
    {"direction": "outbound"},
]


def calltag(*arguments: object, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", "rules", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps(call) + "\n" for call in CALLS))
    return path


def broken(path: Path) -> Path:
    path.write_text(RULES.replace("duration, gt: 30m", "durration, gt: 30m").replace("shadow", "shadows"))
    return path


def test_check_says_what_a_good_set_has(rules: Path) -> None:
    done = calltag("check", rules)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{rules}: 2 rules, 4 tests, 0 warnings, ")
    assert len(done.stdout.split()[-1]) == 64


def test_check_tells_all_faults_with_the_path_as_it_was_given(rules: Path) -> None:
    done = calltag("check", broken(rules))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{rules}:6:19: unknown field 'durration', did you mean 'duration'?",
        f"{rules}:12:11: 'mode' must be live or shadow or off, not 'shadows', did you mean 'shadow'?",
    ]
    in_a_folder = calltag("check", rules.parent)
    assert in_a_folder.stdout == done.stdout


def test_check_tells_faults_to_programs_and_to_github(rules: Path) -> None:
    told = json.loads(calltag("check", broken(rules), "--format", "json").stdout)
    assert told["ok"] is False
    assert told["faults"][0] | {"message": ""} == {"file": str(rules), "line": 6, "column": 19, "message": ""}
    github = calltag("check", rules, "--format", "github").stdout.splitlines()
    assert (
        github[0]
        == f"::error file={rules},line=6,col=19::unknown field 'durration', did you mean 'duration'?"
    )


def test_warnings_are_faults_only_where_one_asks(rules: Path) -> None:
    rules.write_text(RULES.replace("timezone", "lists: {unused: [a]}\ntimezone"))
    plain, strict = calltag("check", rules), calltag("check", rules, "--strict")
    assert plain.returncode == 0
    assert plain.stdout.splitlines()[0] == f"{rules}:2:9: warning: the list 'unused' is not used"
    assert strict.returncode == 1
    assert strict.stdout == f"{rules}:2:9: the list 'unused' is not used\n"


def test_a_path_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for command in (["check"], ["test"], ["diff", tmp_path / "none"], ["eval", "-"]):
        where = [command[0], tmp_path / "none", *command[1:]]
        done = calltag(*where)
        assert done.returncode in (1, 2)
        assert "No such file or directory" in (done.stdout + done.stderr).splitlines()[0]
        assert "Traceback" not in done.stderr


def test_eval_gives_a_line_for_a_line(rules: Path, calls: Path) -> None:
    done = calltag("eval", rules, calls)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert answers == [
        {"tags": ["Long Call"], "shadow_tags": ["Night"], "rules": {"long-call": "true", "night": "true"}},
        {"tags": [], "shadow_tags": [], "rules": {"long-call": "false", "night": "false"}},
        {"tags": [], "shadow_tags": [], "rules": {"long-call": "unknown", "night": "false"}},
    ]


def test_eval_tells_a_bad_line_in_its_place(rules: Path) -> None:
    lines = ['{"duration": 5}', "{", '{"durration": 5}', "[]", '{"started_at": "2026-11-20T10:00:00"}', ""]
    done = calltag("eval", rules, "-", stdin="\n".join([*lines, '{"duration": 1801}']))
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [answer.get("error", answer.get("tags")) for answer in answers] == [
        [],
        "line 2: not JSON: unexpected end of data",
        "line 3: unknown field 'durration', did you mean 'duration'?",
        "line 4: not a JSON object",
        "line 5: 'started_at' is a time: ISO 8601 with an offset, such as 2026-12-25T18:00:00+01:00",
        "line 6: not JSON: input data is empty",
        ["Long Call"],
    ]


def test_eval_says_which_of_our_tags_must_go(rules: Path) -> None:
    line = {"duration": 5, "applied": [{"tag": "Long Call", "rule": "long-call"}]}
    answer = json.loads(calltag("eval", rules, "-", stdin=json.dumps(line)).stdout)
    assert answer["remove"] == [{"tag": "Long Call", "rule": "long-call", "why": "rule 'long-call' is false"}]
    bad = calltag("eval", rules, "-", stdin='{"applied": ["Long Call"]}')
    assert "'applied' is a list of" in json.loads(bad.stdout)["error"]


def test_eval_of_broken_rules_answers_nothing_and_tells_the_faults_aside(rules: Path, calls: Path) -> None:
    done = calltag("eval", broken(rules), calls)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown field 'durration'" in done.stderr


def test_test_passes_where_all_is_well(rules: Path) -> None:
    done = calltag("test", rules)
    assert (done.returncode, done.stdout) == (0, "4 tests, 4 passed, 0 failed\n")
    assert calltag("test", rules, "--rule", "night").stdout == "1 test, 1 passed, 0 failed\n"


def test_test_shows_why_a_test_fails(rules: Path) -> None:
    rules.write_text(RULES.replace("gt: 30m", "gt: 40m"))
    done = calltag("test", rules)
    assert done.returncode == 1
    assert "expected  true" in done.stdout
    assert "got       false" in done.stdout
    assert f"{{field: duration, gt: 40m}}  found 1801  <- decides  {rules}:6:11" in done.stdout
    assert "4 tests, 2 passed, 2 failed" in done.stdout


def test_test_tells_build_servers(rules: Path) -> None:
    rules.write_text(RULES.replace("gt: 30m", "gt: 40m"))
    told = json.loads(calltag("test", rules, "--format", "json").stdout)
    assert [result["passed"] for result in told] == [False, True, True, False]
    assert told[0]["trace"][0]["condition"]["value"] == 1801
    assert (told[3]["expected"], told[3]["got"]) == (["Long Call"], [])
    suite = Xml.fromstring(calltag("test", rules, "--format", "junit").stdout)  # noqa: S314  (our own output)
    assert (suite.get("tests"), suite.get("failures")) == ("4", "2")
    told = [failure.text or "" for failure in suite.findall("testcase/failure")]
    assert len(told) == 2
    for text in told:
        assert f"{rules}:" in text
        assert "\n  call      {" in text
        assert "<- decides" in text
        assert "\x1b" not in text


def test_test_tells_build_servers_what_xml_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        'version: 1\nrules:\n- id: a\n  tag: A\n  when: {field: queue, eq: "\\x01"}\n'
        '  tests: [{name: "bell \\a", call: {queue: b}, match: true}]\n'
    )
    suite = Xml.fromstring(calltag("test", path, "--format", "junit").stdout)  # noqa: S314  (our own output)
    assert [case.get("name") for case in suite] == ["bell \ufffd"]


def test_test_ends_with_2_where_the_rules_are_broken(rules: Path) -> None:
    assert calltag("test", broken(rules)).returncode == 2


def test_a_rule_that_is_not_there_is_told(rules: Path) -> None:
    done = calltag("test", rules, "--rule", "long-cal")
    assert done.returncode == 2
    assert done.stderr == "calltag: no rule 'long-cal' in this set, did you mean 'long-call'?\n"


def test_explain_shows_every_condition(rules: Path) -> None:
    done = calltag("explain", rules, "--call", "-", "--format", "text", stdin=json.dumps(CALLS[1]))
    lines = done.stdout.splitlines()
    assert lines[0] == "tags: none"
    place = f"{rules}:16:11"
    assert any("false" in line and " not" in line and place in line for line in lines)
    assert any('found "10:00:00"' in line or 'found "10:00"' in line for line in lines)


def test_explain_gives_json_where_there_is_no_terminal(rules: Path, tmp_path: Path) -> None:
    call = tmp_path / "call.json"
    call.write_text(
        json.dumps({**CALLS[0], "applied": [{"tag": "Short Call", "rule": "long-call"}]}, indent=2)
    )
    told = json.loads(calltag("explain", rules, "--call", call, "--rule", "long-call").stdout)
    assert told["tags"] == ["Long Call"]
    assert told["remove"][0]["why"] == "rule 'long-call' no longer names it"
    assert [rule["rule"] for rule in told["rules"]] == ["long-call"]
    assert told["rules"][0]["condition"] == {
        "place": "rules.yaml:6:11",
        "text": "{field: duration, gt: 30m}",
        "result": "true",
        "decides": True,
        "value": 1801,
    }


def test_explain_of_a_bad_call_is_one_line(rules: Path) -> None:
    for call in ("", "[]", '{"durration": 1}'):
        done = calltag("explain", rules, "--call", "-", stdin=call)
        assert done.returncode == 2
        assert done.stderr.startswith("calltag: -: ")
        assert done.stderr.count("\n") == 1
    assert "--call FILE" in calltag("explain", rules).stderr


def test_diff_tells_meaning_and_not_layout(rules: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.yaml"
    new.write_text(RULES.replace("gt: 30m", "gt: 1800"))
    assert calltag("diff", rules, new).stdout == "the two mean the same\n"
    new.write_text(RULES.replace("gt: 30m", "gt: 40m").replace("mode: shadow", "mode: live"))
    assert calltag("diff", rules, new).stdout.splitlines() == [
        "~ rule long-call: condition",
        "    - {field: duration, gt: 30m}",
        "    + {field: duration, gt: 40m}",
        "~ rule night: mode",
        "    - shadow",
        "    + live",
    ]
    assert json.loads(calltag("diff", rules, new, "--format", "json").stdout)[1]["what"] == "mode"


def test_schema_fields_and_operators_are_printed() -> None:
    assert json.loads(calltag("schema").stdout)["title"] == "calltag rules"
    assert "remote_country" in calltag("fields").stdout
    assert "starts_with" in calltag("operators").stdout
    named = {row["field"] for row in json.loads(calltag("fields", "--format", "json").stdout)}
    assert {"duration", "custom.<key>"} <= named
    assert len(json.loads(calltag("operators", "--format", "json").stdout)) == 18


def test_every_command_explains_itself() -> None:
    for command in ("check", "test", "eval", "explain", "backtest", "diff", "schema", "fields", "operators"):
        done = calltag(command, "--help")
        assert done.returncode == 0
        assert len(done.stdout) > 200


def test_a_call_with_ten_megabytes_of_transcript_is_evaluated(rules: Path, tmp_path: Path) -> None:
    rules.write_text(
        "version: 1\nrules:\n"
        "  - {id: a, when: {field: transcript, mentions: [cancel my contract]}, tag: A}\n"
        "  - {id: b, when: {field: transcript, matches: '(a+)+$'}, tag: B}\n"
        "  - {id: c, when: {field: transcript, contains: É, ignore_case: true}, tag: C}\n"
    )
    call = tmp_path / "call.jsonl"
    call.write_text(json.dumps({"transcript": "cancel my contracts é " * 470_000}) + "\n")
    done = calltag("eval", rules, call)
    assert json.loads(done.stdout)["rules"] == {"a": "false", "b": "false", "c": "true"}


def test_a_reader_that_goes_away_is_no_traceback(rules: Path) -> None:
    command = f"yes '{{}}' | head -c 3000000 | {sys.executable} -m cli rules eval {rules} - | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["schema", "operators", "eval {rules} {calls}"])
def test_output_that_nobody_reads_or_has_room_for_is_no_traceback(
    rules: Path, calls: Path, command: str
) -> None:
    run = f"{sys.executable} -m cli rules {command.format(rules=rules, calls=calls)}"
    closed = subprocess.run(
        ["bash", "-c", f"{run} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False
    )
    assert (closed.returncode, closed.stderr) == (1, "")
    full = subprocess.run(["sh", "-c", f"{run} > /dev/full"], capture_output=True, text=True, check=False)
    assert full.returncode == 2
    assert full.stderr == "calltag: nothing more can be written: No space left on device\n"


def test_a_folder_named_like_its_sub_folder_is_no_riddle(tmp_path: Path) -> None:
    folder = tmp_path / "rules" / "rules"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text("version: 2\n")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "rules", "check", "rules"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "rules/rules/a.yaml:1:10: 'version' must be the number 1"
