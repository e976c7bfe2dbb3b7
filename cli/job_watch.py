"""Looking on while workers plan or run a job: a bar on a terminal, elsewhere a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import typer

from cli.told import refuse
from worker.retag.orders import nobody_works
from worker.retag.telling import how_far, works
from worker.retag.words import Told, line, named, share
from worker.why import State

LOOK = 0.25
SIGN_OF_LIFE = 15.0
"""Seconds between two lines, where there is no terminal for a bar."""
PATIENCE = 15.0
"""Seconds for which a job waits for workers before that is told: a part that restarts takes a few."""


def follow(state: State, job: int) -> Told:
    """The job once it is neither planned nor run any more; exits with 1 on Ctrl-C, or when nobody works."""
    try:
        with _shown() as show:
            missing_since: float | None = None
            while works(told := how_far(state, job)):
                show(told)
                with state.database.read() as connection:
                    missing = nobody_works(connection)
                now = time.monotonic()
                missing_since = None if missing is None else missing_since or now
                if missing_since is not None and now >= missing_since + PATIENCE:
                    refuse(f"job {job} waits, for {missing}; with `calltag up` it goes on")
                time.sleep(LOOK)
    except KeyboardInterrupt:
        refuse(
            f"job {job} goes on without you: `calltag retag watch {job}` looks on again, "
            f"`calltag retag pause {job}` and `calltag retag cancel {job}` hold it"
        )
    return told


@contextmanager
def _shown() -> Iterator[Callable[[Told], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    pace = Pace()
    if not console.is_terminal:
        shown_at, reason = time.monotonic(), None

        def tell(told: Told) -> None:
            nonlocal shown_at, reason
            more = _more(told, pace)
            if told["reason"] != reason or time.monotonic() >= shown_at + SIGN_OF_LIFE:
                shown_at, reason = time.monotonic(), told["reason"]
                typer.echo(f"{named(told)}: {more}", err=True)

        yield tell
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[more]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, visible=False, more="")

        def draw(told: Told) -> None:
            done, of = share(told)
            more = _more(told, pace)
            progress.update(
                task, visible=True, description=named(told), completed=done, total=of or None, more=more
            )

        yield draw


def _more(told: Told, pace: "Pace") -> str:
    left = "" if told["left"] is None else f", {timedelta(seconds=told['left'])} left or more"
    why = f" ({told['reason']})" if told["reason"] else ""
    return f"{line(told)}; {pace.of(told):.0f} calls a second{left}{why}"


class Pace:
    """Calls a second since one began to look on."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def of(self, told: Told) -> float:
        calls = told["plan"].get("listed", 0) if told["started_at"] is None else told["progress"]["done"]
        now = time.monotonic()
        if self._first is None:
            self._first = (now, calls)
        began, before = self._first
        return float(calls - before) / max(now - began, 1.0)
