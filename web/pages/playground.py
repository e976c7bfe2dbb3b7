"""`/playground`: rules tried on a call while they are typed."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rules.loader import in_order
from rules.words import quote
from store import backtests, rulesets
from store.backtests import Busy
from web.pages.render import counted
from web.pages.visit import Site, Visit, action, headers, page
from worker.aside import Aside, TooDear
from worker.backtesting import Runner
from worker.comparing import edit_of, read_range, to_publish
from worker.known import known_call
from worker.playground import LONGEST_TEXT, call_text, opened, samples, words
from worker.publishing import Edit, why_not

LONGEST_FORM = 8 * LONGEST_TEXT
"""Bytes of a form: what is typed, with each sign written as three."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What is on the page: a file of the rules, and a call.

    `began` is the fingerprint of the file at the rules' path, empty where there is none; `fault` says why
    what was asked for is not here.
    """

    file: str
    text: str
    began: str = ""
    call: str = ""
    ref: str = ""
    sample: str = ""
    at: str = ""
    name: str = ""
    only: str = ""
    fault: str | None = None
    note: str | None = None

    @property
    def edit(self) -> Edit:
        return Edit(self.file, self.text, self.began or None)


def routes(site: Site) -> list[Route]:
    aside, runner = Aside(), Runner(site.state.database, site.state.settings.database)

    def shown(visit: Visit) -> Response:
        return _page(visit, _begun(visit), None)

    def sent(visit: Visit) -> Response:
        if visit.field("do") in ("backtest", "publish"):
            return _counted(visit, aside, runner, _sent(visit))
        do = DO.get(visit.field("do"), _as_sent)
        return _told(visit, aside, do(visit, aside, _sent(visit)))

    return [
        Route("/playground", page(site, shown), methods=["GET"]),
        Route("/playground", action(site, sent, viewers=True, longest=LONGEST_FORM), methods=["POST"]),
    ]


def _begun(visit: Visit) -> Desk:
    """The desk as its address says: `file`, `sample`, `version` or `backtest` of rules, and `call`."""
    with visit.state.database.read() as connection:
        found = opened(visit.state.settings, connection)
    file = visit.query("file") or next(iter(found.files))
    desk = Desk(file, found.files.get(file, ""), found.began.get(file, ""), fault=found.fault)
    if file not in found.files:
        desk = replace(desk, fault=f"there is no file '{quote(file)}'; publishing makes it")
    if name := visit.query("sample"):
        desk = replace(desk, text=samples()[name].text) if name in samples() else desk
    if version := visit.query("version"):
        desk = _of_version(visit, version, desk)
    if counted := visit.query("backtest"):
        desk = _of_backtest(visit, counted, desk)
    return _with_ref(visit, replace(desk, ref=visit.query("call") or ""))


def _of_backtest(visit: Visit, id_: str, desk: Desk) -> Desk:
    """What was counted from here, as it was then."""
    with visit.state.database.read() as connection:
        found = backtests.find(connection, id_, time.time())
    edit = edit_of(found.asked) if found else None
    if edit is None:
        return replace(desk, fault="there is no such backtest; they are kept for a day")
    return Desk(edit.file, edit.text, edit.began or "")


def _of_version(visit: Visit, version: str, desk: Desk) -> Desk:
    with visit.state.database.read() as connection:
        try:
            files = rulesets.files(connection, version)
        except KeyError:
            return replace(desk, fault="there is no rule set of that hash")
    data = files.get(desk.file) or next(iter(files.values()))
    return replace(desk, text=data.decode())


def _sent(visit: Visit) -> Desk:
    return Desk(**{name: _clean(visit.field(name)) for name in FIELDS})


FIELDS = ("file", "text", "began", "call", "ref", "sample", "at", "name", "only")


def _clean(text: str) -> str:
    """As a file has it; half of a surrogate pair is no text."""
    return text.replace("\r\n", "\n").encode(errors="replace").decode()


Do = Callable[[Visit, Aside, Desk], Desk]


def _as_sent(_visit: Visit, _aside: Aside, desk: Desk) -> Desk:
    return desk


def _load_ref(visit: Visit, _aside: Aside, desk: Desk) -> Desk:
    return _with_ref(visit, desk)


def _with_ref(visit: Visit, desk: Desk) -> Desk:
    """With the stored call that `ref` names; a viewer gets it without what is personal."""
    if not desk.ref:
        return desk
    account, *reference = re.split("[:/]", desk.ref.strip(), maxsplit=1)
    with visit.state.database.read() as connection:
        known = known_call(connection, account, reference[0]) if reference else None
    if known is None:
        return replace(desk, fault=f"there is no call '{quote(desk.ref)}'; one is sipsim:call_abc123")
    return replace(desk, call=call_text(known, visit.is_admin), name=desk.name or desk.ref)


def _load_sample(_visit: Visit, _aside: Aside, desk: Desk) -> Desk:
    name, _, call = desk.sample.partition("/")
    found = samples()[name].calls.get(call) if name in samples() else None
    return replace(desk, call=found) if found else replace(desk, fault="there is no such sample")


def _keep_test(visit: Visit, aside: Aside, desk: Desk) -> Desk:
    asked = {"ask": "test", "file": desk.file, "name": desk.name or "a call from the playground"}
    found = _asked(visit, aside, desk, asked)
    if fault := found.get("dear") or found.get("fault"):
        return replace(desk, fault=fault)
    note = f"the test is at the end of the file{'; ' if found['note'] else ''}{found['note'] or ''}"
    return replace(desk, text=found["text"], note=note)


DO: Mapping[str, Do] = {"load-ref": _load_ref, "load-sample": _load_sample, "test": _keep_test}
"""What the buttons change on the desk."""


def _files(visit: Visit, desk: Desk) -> dict[str, str]:
    """The whole set as it would be, in the order in which it is read."""
    with visit.state.database.read() as connection:
        files = {**opened(visit.state.settings, connection).files, desk.file: desk.text}
    return {name: files[name] for name in in_order(files)}


def _asked(visit: Visit, aside: Aside, desk: Desk, what: Mapping[str, str]) -> dict[str, Any]:
    """The answer to what is asked of the rules and the call; `dear` says why there is none."""
    files = _files(visit, desk)
    length = max(sum(map(len, files.values())), len(desk.call))
    if length > LONGEST_TEXT:
        return {
            "faults": [],
            "dear": f"too long to be tried here: {length:,} of at most {LONGEST_TEXT:,} signs",
        }
    try:
        return aside.ask({"files": files, "call": desk.call, "at": desk.at, **what})
    except TooDear as fault:
        return {"faults": [], "dear": str(fault)}


def _tried(visit: Visit, aside: Aside, desk: Desk) -> dict[str, Any]:
    """See `worker.trial.tried`."""
    return _asked(visit, aside, desk, {"ask": "try", "only": desk.only})


def _counted(visit: Visit, aside: Aside, runner: Runner, desk: Desk) -> Response:
    """Counts the rules on the calls of the last month, against those in force; publishing begins so too."""
    if not visit.is_admin:
        return visit.fault(403, "you may try rules, and neither count nor publish them: log in as an admin")
    tried = _tried(visit, aside, desk)
    if reason := tried.get("dear") or _in_the_way(visit, desk, tried):
        return _page(visit, replace(desk, fault=reason), tried)
    with visit.state.database.read() as connection:
        in_force = rulesets.active(connection)
    asked = {"title": f"{desk.file} of the playground", **to_publish(desk.edit, tried["hash"])}
    try:
        month = read_range("30d", "", time.time())
        id_ = runner.begin(_files(visit, desk), in_force, asked | month)
    except Busy:
        busy = "a backtest runs already: one at a time; try again soon"
        return _page(visit, replace(desk, fault=busy), tried)
    return visit.go(f"/backtest/{id_}")


def _in_the_way(visit: Visit, desk: Desk, tried: Mapping[str, Any]) -> str | None:
    """Why the rules on the desk can be neither counted nor, where that is wanted, published."""
    if "hash" not in tried:
        return "the rules have a fault; mend it first"
    if visit.field("do") == "backtest":
        return None
    if tried["failed"]:
        return "a test of the rules fails; mend it first"
    return why_not(visit.state.settings, desk.file)


def _told(visit: Visit, aside: Aside, desk: Desk) -> Response:
    """The page, or for its own script what changed on it."""
    if "application/json" not in visit.request.headers.get("accept", ""):
        return _page(visit, desk, _tried(visit, aside, desk))
    tried = _tried(visit, aside, desk)
    told = {
        "marks": [fault for fault in tried["faults"] if fault["file"] == desk.file],
        "summary": summary(tried),
        "said": visit.fragment("_parts/said.html", desk=desk),
        "html": visit.fragment("_parts/tried.html", tried=tried, desk=desk),
        "text": desk.text,
        "call": desk.call,
        "name": desk.name,
    }
    return JSONResponse(told, headers=headers("-"))


def summary(tried: Mapping[str, Any]) -> str:
    """What came of it in one line, for those who hear it while they type."""
    if "hash" not in tried:
        faults = len(tried["faults"]) + tried.get("more", 0)
        return str(tried.get("dear") or counted(faults, "fault"))
    failed = f"{counted(tried['failed'], 'test')} failed. " if tried["failed"] else "No faults. "
    tags = ", ".join(tried["decision"]["tags"]) or "none" if "decision" in tried else None
    return failed + (f"Tags: {tags}." if tags else tried.get("call_fault", ""))


def _page(visit: Visit, desk: Desk, tried: dict[str, Any] | None) -> Response:
    """The page; with nothing `tried` it comes at once, and its script asks for the rest."""
    with visit.state.database.read() as connection:
        files = list(opened(visit.state.settings, connection).files)
    return visit.render(
        "playground.html",
        desk=desk,
        files=files,
        tried=tried,
        samples=samples().values(),
        words=words(),
        why_not=why_not(visit.state.settings, desk.file),
    )
