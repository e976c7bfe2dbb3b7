"""Publishing rules: a file of the rule set is written whole or not at all, and only what is good.

The sweeper loads what was written as it loads every change; nothing here puts rules in force.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import structlog

from rules.faults import RuleSetFaults
from rules.loader import SUFFIXES, in_order, parse, read_files
from rules.ruleset import RuleSet
from rules.testing import Result, run_tests
from rules.words import quote
from worker.settings import Settings

FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC

log = structlog.get_logger()


class Refused(Exception):
    """Nothing was written; why, in one line."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One file of the set as somebody edited it.

    `began` is the `fingerprint` of the file that the editor began with, None where there was no such file.
    """

    file: str
    text: str
    began: str | None

    @property
    def data(self) -> bytes:
        """The file's content; forms send lines that end as on Windows."""
        return self.text.replace("\r\n", "\n").encode(errors="surrogatepass")  # the loader refuses those


def fingerprint(data: bytes | None) -> str | None:
    """What tells one content of a file from another; None of no file."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def files_now(path: Path) -> dict[str, bytes]:
    """The files at the rules' path, none where nothing is there; raises `RuleSetFaults`."""
    return read_files(path) if path.exists() else {}


def with_edit(path: Path, edit: Edit) -> dict[str, bytes]:
    """The files of the set with this one in its place, in the order in which they are read.

    Raises `Refused` where the set can have no such file, `RuleSetFaults` where one cannot be read.
    """
    _target(path, edit.file)
    files = {**(files_now(path) if path.is_dir() else {}), edit.file: edit.data}
    return {name: files[name] for name in in_order(files)}


def is_written(path: Path, edit: Edit) -> bool:
    """Whether the file at the rules' path is what the editor has."""
    try:
        return files_now(path).get(edit.file) == edit.data
    except RuleSetFaults:
        return False


def why_not(settings: Settings, file: str | None = None) -> str | None:
    """Why the rules, or this file of them, cannot be published from here, in one line; None if they can."""
    if not settings.rules_edit:
        return "publishing from here is switched off; CALLTAG_RULES_EDIT=on switches it on"
    try:
        target = _target(settings.rules, file) if file else settings.rules.resolve()
    except Refused as fault:
        return str(fault)
    folder = target if target.is_dir() else target.parent
    if not folder.is_dir():
        return f"the folder {folder} is not there"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} cannot be written to by calltag"
    if target.exists() and not os.access(target, os.W_OK):
        return f"the file {target} is read-only for calltag"
    return None


def checked(files: Mapping[str, bytes]) -> RuleSet:
    """The set of these files, whose tests pass; raises `Refused` with the first thing that is wrong."""
    try:
        ruleset = parse(files)
    except RuleSetFaults as found:
        raise Refused(_first(list(map(str, found.faults)))) from None
    failed = [failure(result) for result in run_tests(ruleset) if not result.passed]
    if failed:
        raise Refused(_first(failed))
    return ruleset


def failure(result: Result) -> str:
    """A test that failed, with its place, in one line."""
    whose = f"rule '{result.rule.id}'" if result.rule else "the whole set"
    expected, got = (", ".join(tags) or "no tag" for tags in (result.expected, result.got))
    return f"{result.test.place}: '{quote(result.name)}' of {whose} fails: expected {expected}, got {got}"


def _first(lines: list[str]) -> str:
    more = len(lines) - 1
    return lines[0] + (f" (and {more} more)" if more else "")


def publish(
    settings: Settings,
    edit: Edit,
    reviewed: str,
    announce: Callable[[RuleSet], object] = lambda _ruleset: None,
) -> RuleSet:
    """Writes the file, if it is still as the editor began, and the set with it is the one that was looked at.

    `reviewed` is that set's hash; `announce` is told just before the file is written. Raises `Refused`.
    """
    if reason := why_not(settings, edit.file):
        raise Refused(reason)
    target = _target(settings.rules, edit.file)
    try:
        with _alone(settings.rules), _folder(target.parent) as folder:
            if fingerprint(_content(target.name, folder)) != edit.began:
                raise Refused(f"somebody changed '{edit.file}' since it was opened here")
            ruleset = checked(with_edit(settings.rules, edit))
            if ruleset.hash != reviewed:
                raise Refused("the rules are not those that were looked at; look at the changes again")
            announce(ruleset)
            _write(target.name, edit.data, folder)
    except OSError as fault:
        raise Refused(f"'{edit.file}' cannot be written: {fault.strerror}") from None
    except RuleSetFaults as found:
        raise Refused(_first(list(map(str, found.faults)))) from None
    log.info("rules published", file=edit.file, ruleset=ruleset.hash)
    return ruleset


def going_back(path: Path, wanted: Mapping[str, bytes]) -> Edit:
    """The edit that makes the files those of an earlier set.

    Raises `Refused` where more than one file differs: several cannot be written as a whole or not at all.
    """
    try:
        now = files_now(path)
    except RuleSetFaults as found:
        raise Refused(_first(list(map(str, found.faults)))) from None
    if not path.is_dir() and len(now) == len(wanted) == 1:
        wanted = dict(zip(now, wanted.values(), strict=True))  # the file may have had another name
    differing = [name for name in {**now, **wanted} if now.get(name) != wanted.get(name)]
    if not differing:
        raise Refused("the files are those of that version already")
    if len(differing) > 1 or differing[0] not in wanted:
        raise Refused(f"{len(differing)} files are added, changed or gone since; copy them by hand")
    name = differing[0]
    return Edit(name, wanted[name].decode(), fingerprint(now.get(name)))


def _target(path: Path, file: str) -> Path:
    """Where a file of the set really lies; raises `Refused` for one that the set cannot have."""
    real = path.resolve()
    if not real.is_dir():
        if file != path.name:
            raise Refused(f"the rule set is the one file '{path.name}'")
        return real
    name = PurePosixPath(file)
    hidden = any(part.startswith(".") for part in name.parts)  # '..' among them
    plain = file.isprintable() and "\\" not in file and str(name) == file and not name.is_absolute()
    if not plain or hidden or name.suffix not in SUFFIXES:
        raise Refused(f"'{quote(file)}' is no name of a rule file; one is long.yaml, or sales/long.yaml")
    target = real / name
    if target.is_symlink() or target.parent.resolve() != target.parent:
        raise Refused(f"'{quote(file)}' is, or is behind, a symbolic link; edit what it leads to")
    return target


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One at a time publishes, of all processes; raises `Refused` where another one is about to."""
    real = path.resolve()
    with _folder(real if real.is_dir() else real.parent) as folder:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("somebody else is publishing at this moment; try again") from None
        yield


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | FLAGS)
    try:
        yield folder
    finally:
        os.close(folder)


def _content(name: str, folder: int) -> bytes | None:
    try:
        file = os.open(name, os.O_RDONLY | FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(file, "rb") as opened:
        return opened.read()


def _write(name: str, data: bytes, folder: int) -> None:
    """Under another name first, which the loader does not look at, then in one step in its place."""
    unfinished = f".{name}.unfinished"
    with suppress(FileNotFoundError):  # of one that was killed
        os.unlink(unfinished, dir_fd=folder)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, 0o644, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as opened:
            _as_before(name, opened.fileno(), folder)
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(unfinished, dir_fd=folder)
        raise
    os.fsync(folder)


def _as_before(name: str, file: int, folder: int) -> None:
    """Gives the new file the mode and, where we may, the owner of the one before it."""
    try:
        before = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    with suppress(PermissionError):  # only root gives files away
        os.fchown(file, before.st_uid, before.st_gid)
    os.fchmod(file, stat.S_IMODE(before.st_mode))
