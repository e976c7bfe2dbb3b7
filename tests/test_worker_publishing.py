"""Publishing: the file is written whole or not at all, only what is good, and over nobody's change."""

import os
import stat
import threading
from pathlib import Path

import pytest

from rules.loader import load
from worker.publishing import (
    Edit,
    Refused,
    checked,
    files_now,
    fingerprint,
    going_back,
    publish,
    why_not,
    with_edit,
)
from worker.settings import Settings, load_settings

LONG = """\
version: 1
rules:
  - id: long
    when: {field: duration, gt: 30m}
    tag: Long
    tests: [{call: {duration: 1801}, match: true}]
"""
LONGER = LONG.replace("30m", "20m")
SHORT = """\
version: 1
rules:
  - id: short
    when: {field: duration, lt: 20s}
    tag: Short
    tests: [{call: {duration: 5}, match: true}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    path = folder / "rules.yaml"
    path.write_text(LONG)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "several"
    (folder / "sales").mkdir(parents=True)
    (folder / "long.yaml").write_text(LONG)
    (folder / "sales" / "short.yaml").write_text(SHORT)
    return folder


def settings(path: Path, edit: str = "on") -> Settings:
    return load_settings(None, {"CALLTAG_RULES": str(path), "CALLTAG_RULES_EDIT": edit})


def edit(path: Path, text: str = LONGER, file: str = "rules.yaml") -> Edit:
    return Edit(file, text, fingerprint(files_now(path).get(file)))


def published(path: Path, change: Edit, reviewed: str | None = None) -> str:
    """The set's hash, or why it was refused."""
    try:
        hash_ = reviewed or checked(with_edit(path, change)).hash
        return publish(settings(path), change, hash_).hash
    except Refused as fault:
        return str(fault)


def test_a_good_file_is_written_and_keeps_its_mode(path: Path) -> None:
    path.chmod(0o640)
    assert published(path, edit(path)) == load(path).hash
    assert path.read_text() == LONGER
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [name.name for name in path.parent.iterdir()] == ["rules.yaml"]


def test_the_lines_of_a_form_end_as_those_of_a_file(path: Path) -> None:
    published(path, edit(path, LONGER.replace("\n", "\r\n")))
    assert path.read_bytes() == LONGER.encode()


def test_a_first_file_is_made_where_there_was_none(path: Path) -> None:
    path.unlink()
    assert published(path, Edit("rules.yaml", LONG, None)) == load(path).hash


def test_rules_with_a_fault_are_refused_with_its_place(path: Path) -> None:
    reason = published(path, edit(path, LONG.replace("duration, gt", "durration, gt")), "any")
    assert reason == "rules.yaml:4:19: unknown field 'durration', did you mean 'duration'?"
    assert path.read_text() == LONG


def test_rules_whose_tests_fail_are_refused(path: Path) -> None:
    reason = published(path, edit(path, LONG.replace("30m", "40m")), "any")
    assert reason == "rules.yaml:6:13: 'test 1' of rule 'long' fails: expected true, got false"
    assert path.read_text() == LONG


def test_text_that_is_no_unicode_is_refused(path: Path) -> None:
    assert published(path, edit(path, LONG + "# \ud800"), "any") == "rules.yaml:7:3: the file is not UTF-8"


def test_a_file_that_somebody_changed_since_is_left_alone(path: Path) -> None:
    begun = edit(path)
    path.write_text(LONG + "# by hand\n")
    assert published(path, begun) == "somebody changed 'rules.yaml' since it was opened here"
    assert path.read_text() == LONG + "# by hand\n"


def test_a_file_that_somebody_made_since_is_left_alone(path: Path) -> None:
    assert "somebody changed" in published(path, Edit("rules.yaml", LONGER, None))
    assert path.read_text() == LONG


def test_only_what_was_looked_at_is_published(folder: Path) -> None:
    change = edit(folder, LONGER, "long.yaml")
    reviewed = checked(with_edit(folder, change)).hash
    (folder / "sales" / "short.yaml").write_text(SHORT.replace("20s", "10s"))
    assert "are not those that were looked at" in published(folder, change, reviewed)
    assert (folder / "long.yaml").read_text() == LONG


@pytest.mark.parametrize("given", ["off", ""])
def test_publishing_is_switched_off_unless_it_is_switched_on(path: Path, given: str) -> None:
    off = settings(path, given)
    assert "CALLTAG_RULES_EDIT=on" in str(why_not(off))
    with pytest.raises(Refused, match="switched off"):
        publish(off, edit(path), load(path).hash)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert why_not(settings(tmp_path / "none" / "rules.yaml")) == f"the folder {tmp_path}/none is not there"


def test_what_cannot_be_written_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda name, _mode: Path(name) != path)  # root may write everywhere
    assert why_not(settings(path)) == f"the file {path} is read-only for calltag"
    monkeypatch.setattr(os, "access", lambda name, _mode: Path(name) == path)
    assert why_not(settings(path)) == f"the folder {path.parent} cannot be written to by calltag"


def test_a_file_of_a_folder_is_edited_by_its_name(folder: Path) -> None:
    name = "sales/short.yaml"
    text = SHORT.replace("20s", "10s")
    assert published(folder, edit(folder, text, name)) == load(folder).hash
    assert (folder / name).read_text() == text
    assert published(folder, Edit("sales/new.yaml", "version: 1\n", None)) == load(folder).hash


def test_a_file_that_does_not_fit_the_others_is_refused(folder: Path) -> None:
    reason = published(folder, edit(folder, LONG, "sales/short.yaml"), "any")
    assert reason.startswith("sales/short.yaml:3:9: duplicate rule id 'long'")
    assert (folder / "sales" / "short.yaml").read_text() == SHORT


OUTSIDE = [
    *("../out.yaml", "/out.yaml", "sales/../../out.yaml", ".hidden.yaml", ".git/x.yaml", ".", "a//b.yaml"),
    *("./long.yaml", "long.txt", "long", "a\\b.yaml", "sales/", "", "a\0.yaml", "a\n.yaml"),
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_folder(folder: Path, name: str) -> None:
    before = sorted(folder.parent.rglob("*"))
    assert "is no name of a rule file" in published(folder, Edit(name, LONG, None))
    assert "is no name of a rule file" in published(folder, Edit(name, LONG, None), "any")
    assert sorted(folder.parent.rglob("*")) == before


def test_no_symbolic_link_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "rules.yaml").write_text("version: 1\n")
    (folder / "linked.yaml").symlink_to(outside / "rules.yaml")
    (folder / "away").symlink_to(outside)
    for name in ("linked.yaml", "away/rules.yaml", "away/new.yaml"):
        assert "a symbolic link" in published(folder, Edit(name, LONG, None), "any")
    assert (outside / "rules.yaml").read_text() == "version: 1\n"
    assert [file.name for file in outside.iterdir()] == ["rules.yaml"]


def test_a_set_of_one_file_has_no_other(path: Path) -> None:
    assert published(path, Edit("other.yaml", LONG, None)) == "the rule set is the one file 'rules.yaml'"
    assert [name.name for name in path.parent.iterdir()] == ["rules.yaml"]


def test_a_path_that_is_a_link_itself_stays_one(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "rules.yaml"
    link.symlink_to(path)
    assert published(link, edit(link)) == load(path).hash
    assert link.is_symlink()
    assert path.read_text() == LONGER


def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert published(path, edit(path)) == "'rules.yaml' cannot be written: No space left on device"
    assert path.read_text() == LONG
    assert [name.name for name in path.parent.iterdir()] == ["rules.yaml"]


def test_what_a_killed_process_left_is_in_nobodys_way(path: Path) -> None:
    (path.parent / ".rules.yaml.unfinished").write_text("half")
    assert published(path, edit(path)) == load(path).hash
    assert [name.name for name in path.parent.iterdir()] == ["rules.yaml"]


def test_of_several_who_began_with_the_same_one_publishes(path: Path) -> None:
    changes = [edit(path, LONG.replace("30m", f"{minutes}m")) for minutes in range(10, 20)]
    answers: list[str] = []
    threads = [threading.Thread(target=lambda c=c: answers.append(published(path, c))) for c in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if "somebody" in answer]
    assert len(answers) == 10
    assert len(refused) == 9
    assert load(path).hash in answers


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    big = LONG + "# " + "x" * 300_000 + "\n"
    ended, seen = threading.Event(), set()

    def look() -> None:
        while not ended.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for text in (big, LONG) * 10:
        assert len(published(path, edit(path, text))) == 64
    ended.set()
    reader.join()
    assert seen <= {LONG.encode(), big.encode()}


def test_an_earlier_set_is_one_edit_away(path: Path, folder: Path) -> None:
    assert going_back(path, {"rules.yaml": LONGER.encode()}) == edit(path)
    assert going_back(path, {"old-name.yaml": LONGER.encode()}) == edit(path)
    now = files_now(folder)
    assert going_back(folder, now | {"long.yaml": LONGER.encode()}) == edit(folder, LONGER, "long.yaml")
    new = {"new.yaml": b"version: 1\n"}
    assert going_back(folder, now | new) == Edit("new.yaml", "version: 1\n", None)


def test_an_earlier_set_of_other_files_is_copied_by_hand(folder: Path) -> None:
    for wanted in ({"long.yaml": LONGER.encode()}, {"long.yaml": LONG.encode()}):
        with pytest.raises(Refused, match="by hand"):
            going_back(folder, wanted)
    with pytest.raises(Refused, match="already"):
        going_back(folder, files_now(folder))
