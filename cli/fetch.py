"""`calltag calls fetch`: fills the store with the calls that the platform lists, without tagging them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from cli.errors import UserError
from cli.operating import check_account, opened, read_moment
from cli.options import Format
from cli.told import ask, moment, number, refuse, tell_json, tell_table
from platforms.errors import PlatformError
from store.jobs import Place
from worker import fetching, log
from worker.checks import no_account
from worker.context import Worker, open_worker
from worker.fetching import Step
from worker.settings import Account, Settings

GRACE = 120.0
"""Seconds that webhooks have to tell of a call before it is fetched as one of the past."""
DAY = 86_400.0
SIGN_OF_LIFE = 15.0
"""Seconds between two lines about how far it came, where there is no terminal for a bar."""
GOES_ON = "what was fetched is kept, and the same command goes on"
BECAME = {
    "new": "not known before",
    "known": "known already",
    "ambiguous": "left out: several calls of ours fit, or one fits several",
    "going_on": "left out: the list does not tell that they ended",
}


@dataclass(frozen=True, slots=True)
class Range:
    """From when to when (Unix seconds)."""

    since: float
    until: float


class Nobody:
    """Who is told of what is fetched."""

    def send(self, calls: Sequence[int]) -> None:
        """See `worker.context.Messages`."""

    def wake(self) -> None:
        """See `worker.context.Messages`."""

    def drive(self, _place: Place, /) -> bool:
        """See `worker.context.Messages`."""
        return False


def fetch(
    config: Path | None,
    form: Format,
    since: str,
    until: str | None,
    account: str | None,
    transcripts: bool,
    yes: bool,
) -> None:
    """Fetches and says what became of it; raises `UserError`."""
    with opened(config, new=True) as store:
        if account is not None:
            check_account(store, account)
        accounts = [one for one in store.settings.accounts.values() if account in (None, one.name)]
        if not accounts:
            raise UserError(no_account())
        wanted = read_range(store.settings, since, until)
        log.configure(store.settings.model_copy(update={"log_level": "error"}), "fetch")
        with open_worker(store.settings, Nobody(), "fetch") as worker:
            fetched = [_fetch(worker, one, wanted, form, transcripts, yes) for one in accounts]
    if form is Format.JSON:
        tell_json(fetched)


def read_range(settings: Settings, since: str, until: str | None) -> Range:
    """The range that can be kept; says which part cannot, and raises `UserError` where that is all."""
    first, last = read_moment(since, "--since"), read_moment(until, "--until")
    now = time.time()
    assert first is not None  # noqa: S101 it was given
    if first >= (now if last is None else last):
        end = "now" if last is None else f"--until {until}"
        raise UserError(f"--since {since} is not before {end}: there is nothing between them")
    last = min(last or now, now - GRACE)
    oldest = now - settings.keep_calls * DAY if settings.keep_calls else 0.0
    kept = f"calls are kept for {settings.keep_calls} days (CALLTAG_KEEP_CALLS)"
    if last <= oldest:
        raise UserError(f"{kept}: all of that time is longer ago")
    if first >= last:
        raise UserError(
            "the last two minutes are left to the webhooks: there is nothing before them to fetch"
        )
    if first < oldest:
        typer.echo(f"{kept}: those before {moment(oldest)} are left out", err=True)
    return Range(max(first, oldest), last)


def _fetch(
    worker: Worker, account: Account, wanted: Range, form: Format, transcripts: bool, yes: bool
) -> dict[str, Any]:
    """What became of the calls of one account, as JSON has it."""
    counts = _walk(account, "calls", wanted, fetching.fetch(worker, account, wanted.since, wanted.until))
    if form is Format.TEXT:
        _tell(account, wanted, counts)
    if transcripts and counts["lacking"]:
        ask(_cost(account, counts["lacking"]), yes)
        steps = fetching.transcribe(worker, account, wanted.since, wanted.until)
        counts += _walk(account, "transcripts", wanted, steps)
        if form is Format.TEXT:
            found, asked = number(counts["transcripts"], "transcript"), number(counts["asked"], "call")
            typer.echo(f"{found} of {asked} fetched")
    names = ("listed", *BECAME, "lacking", "asked", "transcripts")
    return {"account": account.name, **asdict(wanted), **{name: counts[name] for name in names}}


def _tell(account: Account, wanted: Range, counts: Counter[str]) -> None:
    span = f"from {moment(wanted.since)} to {moment(wanted.until)}"
    typer.echo(f"{account.name}: {number(counts['listed'], 'call')} listed {span}")
    if counts["listed"]:
        rows = [(counts[name], name.replace("_", " "), text) for name, text in BECAME.items()]
        tell_table(("calls", "", ""), rows)


def _cost(account: Account, calls: int) -> str:
    rate = account.settings.rate
    takes = timedelta(seconds=round(calls / rate))
    return (
        f"Fetch the transcripts of {number(calls, 'call')} that may have one? That is a request for each, "
        f"at {rate:g} a second {takes} or more"
    )


def _walk(account: Account, what: str, wanted: Range, steps: Iterator[Step]) -> Counter[str]:
    """Goes through the steps, and shows how far it came; raises `UserError`."""
    counts: Counter[str] = Counter()
    try:
        with _progress(f"{account.name}: {what}", wanted) as show:
            for step in steps:
                counts = step.counts
                show(step)
    except PlatformError as fault:
        so_far = f"; {GOES_ON}" if counts else ""
        raise UserError(f"{account.name}: the platform's calls cannot be listed: {fault}{so_far}") from None
    except KeyboardInterrupt:
        refuse(f"stopped; {GOES_ON}")
    return counts


@contextmanager
def _progress(title: str, wanted: Range) -> Iterator[Callable[[Step], None]]:
    """Shows each step: a bar on a terminal, elsewhere a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    began = time.monotonic()
    if not console.is_terminal:
        told = began

        def line(step: Step) -> None:
            nonlocal told
            if time.monotonic() > told + SIGN_OF_LIFE:
                told = time.monotonic()
                typer.echo(f"{title}: up to {moment(step.reached)}, {_pace(step, began)}", err=True)

        yield line
        return
    columns: Sequence[Any] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[pace]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=wanted.until - wanted.since, pace="")
        yield lambda step: progress.update(
            task, completed=step.reached - wanted.since, pace=_pace(step, began)
        )


def _pace(step: Step, began: float) -> str:
    done = step.counts["asked"] or step.counts["listed"]
    return f"{number(done, 'call')}, {done / max(time.monotonic() - began, 0.001):.0f}/s"
