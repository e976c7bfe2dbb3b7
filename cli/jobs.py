"""`calltag retag`: makes jobs, looks on while workers plan and run them, and tells what came of it."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import typer

from cli.errors import UserError
from cli.job_text import next_step, tell_job
from cli.job_watch import follow
from cli.operating import opened
from cli.options import Format
from cli.told import ask, number, refuse, tell_json, tell_next, tell_table
from store.database import Database
from worker.context import RulesInForce
from worker.retag import orders
from worker.retag.asked import Asked
from worker.retag.orders import Refused
from worker.retag.report import FORMATS, rows
from worker.retag.spec import BadSpec
from worker.retag.telling import how_far, listed, seconds, told
from worker.retag.words import Told, change, line, named, nothing_to_do
from worker.why import State

WELL = ("planned", "done")
"""States of a job that came to the end of what it was to do."""


@contextmanager
def _at_jobs(config: Path | None) -> Iterator[State]:
    """The store; what cannot be is told in a line: 2 for what was asked wrongly, 1 for what is refused."""
    with opened(config) as store:
        try:
            yield State(store.settings, store.database, RulesInForce(store.database))
        except BadSpec as fault:
            raise UserError(str(fault)) from None
        except Refused as fault:
            refuse(str(fault))


def plan(config: Path | None, form: Format, asked: Asked, no_wait: bool, yes: bool) -> None:
    """Makes the job and shows its plan; exits with 1 when none could be made."""
    with _at_jobs(config) as state:
        if no_wait:
            if asked.fetch and not yes:
                raise UserError("--fetch says what it costs and asks: leave out --no-wait, or say --yes")
            _tell_state(state, form, orders.plan_as_asked(state, asked))
            return
        first = asked if yes else asked.model_copy(update={"fetch": None})
        job = orders.plan_as_asked(state, first, attended=True)
        found = _planned(state, form, job)
        if asked.fetch and not yes:
            found = _with_transcripts(state, form, found, asked)
        _tell(state, form, found)


def _with_transcripts(state: State, form: Format, found: Told, asked: Asked) -> Told:
    """Plans anew with them, once the person has agreed to the cost that the first plan shows."""
    lacking = found["plan"].get("lacking", 0)
    if not lacking:
        return found
    if form is Format.TEXT:
        tell_job(told(state, found["job"]))
    account = state.settings.accounts[found["account"]]
    takes = timedelta(seconds=seconds(lacking, account) or 0)
    ask(
        f"Fetch the transcripts of {number(lacking, 'call')} for the plan? "
        f"That is a request for each, {takes} or more at {account.settings.rate:g} a second.",
        yes=False,
    )
    orders.cancel(state.database, found["job"])
    return _planned(state, form, orders.plan_as_asked(state, asked))


def _planned(state: State, form: Format, job: int) -> Told:
    """The job once it is planned; exits with 1 when no plan could be made."""
    found = follow(state, job)
    if found["state"] != "planned":
        _tell(state, form, found)
        _ended_badly(found)
    return found


def run(config: Path | None, form: Format, job: int, no_wait: bool, yes: bool) -> None:
    """Carries out the plan, and looks on; exits as `watch`."""
    with _at_jobs(config) as state:
        _run(state, form, how_far(state, job), no_wait, yes)


def _run(state: State, form: Format, found: Told, no_wait: bool, yes: bool) -> None:
    with state.database.read() as connection:  # before a person is asked in vain
        orders.check_run(connection, orders.find(connection, found["job"]))
    ask(f"{named(found).capitalize()} changes {change(found)}. Go on?", yes)
    if not no_wait:
        orders.check_workers(state)
    orders.run(state.database, found["job"])
    if no_wait:
        _tell_state(state, form, found["job"])
    else:
        _watch(state, form, found["job"])


def watch(config: Path | None, form: Format, job: int) -> None:
    """Looks on until the job is neither planned nor run any more."""
    with _at_jobs(config) as state:
        _watch(state, form, job)


def _watch(state: State, form: Format, job: int) -> None:
    found = follow(state, job)
    _tell(state, form, found)
    if found["state"] not in WELL:
        _ended_badly(found)


def undo(config: Path | None, form: Format, job: int, no_wait: bool, yes: bool) -> None:
    """Plans the undoing, shows it, asks, and carries it out."""
    with _at_jobs(config) as state:
        if no_wait:
            _tell_state(state, form, orders.undo(state.database, job))
            return
        how_far(state, job)  # whether there is such a job, before anything else
        orders.check_workers(state)
        found = _planned(state, form, orders.undo(state.database, job))
        if nothing_to_do(found):
            refuse(f"nothing that job {job} did can be taken back: others have touched it since")
        if form is Format.TEXT:
            tell_job(told(state, found["job"]))
        _run(state, form, found, no_wait=False, yes=yes)


def tell(config: Path | None, form: Format, job: int | None) -> None:
    """Shows the job, or the newest one."""
    with _at_jobs(config) as state:
        newest = listed(state, 1) if job is None else []
        if job is None and not newest:
            refuse("there is no job yet; `calltag retag plan` makes one")
        _tell(state, form, how_far(state, newest[0]["job"] if job is None else job))


def tell_list(config: Path | None, form: Format, limit: int, before: int | None) -> None:
    """Lists the jobs; exits with 1 when there is none."""
    with _at_jobs(config) as state:
        found = listed(state, limit + 1, before)
    page, more = found[:limit], len(found) > limit
    last = page[-1]["job"] if more else None
    if form is Format.JSON:
        tell_json({"jobs": page, "next": last})
    elif page:
        columns = ("job", "account", "state", "what", "since", "until", "how far", "reason")
        tell_table(columns, [_line(job) for job in page])
        tell_next(last)
    if not page:
        refuse("there is no job; `calltag retag plan` makes one")


def _line(job: Told) -> tuple[object, ...]:
    what = job["kind"] if job["undoes"] is None else f"undo {job['undoes']}"
    since, until = (f"{job['asked'][end][:16]}Z" for end in ("since", "until"))
    return job["job"], job["account"], job["state"], what, since, until, line(job), job["reason"]


def pause(config: Path | None, form: Format, job: int) -> None:
    _order(config, form, job, orders.pause)


def resume(config: Path | None, form: Format, job: int) -> None:
    _order(config, form, job, orders.resume)


def cancel(config: Path | None, form: Format, job: int) -> None:
    _order(config, form, job, orders.cancel)


def retry_failed(config: Path | None, form: Format, job: int) -> None:
    _order(config, form, job, orders.retry_failed)


def _order(config: Path | None, form: Format, job: int, order: Callable[[Database, int], Any]) -> None:
    with _at_jobs(config) as state:
        order(state.database, job)
        _tell_state(state, form, job)


def report(config: Path | None, form: str, job: int, output: Path | None) -> None:
    """Writes the report, page by page: to a file that is there when it is whole, or as it comes."""
    with _at_jobs(config) as state:
        with state.database.read() as connection:
            found = orders.find(connection, job)
        text = FORMATS[form](rows(state.database, found))
        if output is None:
            sys.stdout.writelines(text)
            return
        try:
            _write_whole(output, text)
        except OSError as fault:
            raise UserError(f"--output {output} cannot be written: {fault.strerror}") from None


def _write_whole(path: Path, text: Iterable[str]) -> None:
    """Under another name beside it, until all of it is there; a pipe is written as it comes."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(text)
        return
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.writelines(text)
            file.flush()
            os.fsync(handle)
        Path(draft).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(draft).unlink()


def _tell_state(state: State, form: Format, job: int) -> None:
    if form is Format.JSON:
        tell_json(told(state, job))
    else:
        found = how_far(state, job)
        hint = next_step(found)
        typer.echo(f"{named(found)}: {found['state']}" + (f"; {hint}" if hint else ""))


def _tell(state: State, form: Format, found: Told) -> None:
    everything = told(state, found["job"])
    if form is Format.JSON:
        tell_json(everything)
    else:
        tell_job(everything)


def _ended_badly(found: Told) -> NoReturn:
    why = f": {found['reason']}" if found["reason"] else ""
    refuse(f"job {found['job']} is {found['state']}{why}")
