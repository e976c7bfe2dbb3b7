"""`calltag rules backtest`: many calls read, counted and told."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from cli.errors import UserError
from cli.processes import side_by_side

if TYPE_CHECKING:
    from rules.backtest import Backtest, Counts
    from rules.calls import Raw
    from rules.reading import Calls
    from rules.ruleset import RuleSet
    from worker.stored import Bounds

BARS = " ▁▂▃▄▅▆▇█"
MOST_BARS = 40
FAULTS_TOLD = 5


class BacktestFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    CSV = "csv"


def moment(text: str | None, option: str, ruleset: "RuleSet", end: bool) -> float | None:
    """A date (a whole day of the set's zone) or a time with an offset, in Unix seconds."""
    from rules.literals import read_date, read_time

    if text is None:
        return None
    try:
        day = read_date(text)
    except ValueError:
        try:
            return read_time(text).timestamp()
        except ValueError:
            raise UserError(f"{option} is a date such as 2026-11-20, or a time with an offset") from None
    return datetime.combine(day, time.max if end else time.min, ruleset.timezone).timestamp()


def parts_of(
    path: Path, ruleset: "RuleSet", config: Path | None, asked: "Bounds"
) -> "Iterator[Callable[[], Calls]]":
    """What reads each part of the calls of that time, in whichever process: those of a JSONL or CSV file (by
    its name), of the store for `store`, of standard input for `-`."""
    from rules.calls import HeaderError, read_header, read_json, read_row, read_rows

    if str(path) == "store":
        from cli.rules_store import stored_parts

        yield from stored_parts(config, asked)
    elif path.suffix.lower() != ".csv":
        with _opened(path) as lines:
            yield from _parts(enumerate(lines, 1), read_json, asked)
    else:
        with _opened(path) as lines:
            texts = (line.decode("utf-8", "surrogateescape") for line in lines)
            try:
                header = read_header(_without_mark(texts))
            except HeaderError as fault:
                raise UserError(f"{path}: {fault}") from None
            tell_missing(path, header, ruleset)
            yield from _parts(read_rows(texts, len(header)), partial(read_row, header=header), asked)


def _parts(
    items: Iterator[Any], read: "Callable[[Any], Raw]", asked: "Bounds"
) -> "Iterator[Callable[[], Calls]]":
    from rules.reading import PART

    while part := list(islice(items, PART)):
        yield partial(_read, part, read, asked)


def _read(items: list[Any], read: "Callable[[Any], Raw]", asked: "Bounds") -> "Calls":
    from rules.reading import read_calls

    return read_calls([read(item) for item in items]).within(*asked)


def _without_mark(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line.removeprefix("\ufeff")


def tell_missing(path: Path, header: list[str], ruleset: "RuleSet") -> None:
    from rules.backtest import asked_fields

    missing = [name for name in asked_fields(ruleset) if name not in header]
    if missing:
        print(f"{path}: no column {', '.join(missing)}; the rules find no value there", file=sys.stderr)


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a file, with a bar of progress on a terminal."""
    if str(path) == "-":
        yield iter(sys.stdin.buffer)
        return
    from rich.console import Console
    from rich.progress import wrap_file

    console = Console(stderr=True)
    try:
        size = path.stat().st_size
        with path.open("rb") as plain:
            if not console.is_terminal:
                yield plain
                return
            with wrap_file(plain, total=size, description="calls", console=console, transient=True) as shown:
                yield iter(shown)
    except OSError as fault:
        raise UserError(f"{path} cannot be read: {fault.strerror}") from None


def count(backtest: "Backtest", parts: "Iterator[Callable[[], Calls]]") -> int:
    """Adds the calls; gives how many lines were bad, the first of which it tells."""
    bad = 0
    for counted in side_by_side(partial(_counted, backtest), parts):
        for name, fault in counted.bad[: max(FAULTS_TOLD - bad, 0)]:
            print(f"{name}: {fault}", file=sys.stderr)
        bad += len(counted.bad)
        backtest.counts.add(counted.counts)
    if bad:
        print(f"{bad} of the calls could not be read and were not counted", file=sys.stderr)
    return bad


class Counted(NamedTuple):
    """What one part came to, and what could not be read, by name."""

    counts: "Counts"
    bad: Sequence[tuple[str, str]]


def _counted(backtest: "Backtest", read: "Callable[[], Calls]") -> Counted:
    calls = read()
    return Counted(backtest.count(calls.block, calls.names), calls.bad)


def tell(backtest: "Backtest", form: BacktestFormat) -> None:
    for remark in backtest.remarks():
        print(f"warning: {remark}", file=sys.stderr)
    if form is BacktestFormat.JSON:
        print(json.dumps(as_json(backtest), ensure_ascii=False, indent=2))
    elif form is BacktestFormat.CSV:
        print(_as_csv(backtest), end="")
    else:
        _show(backtest)


def as_json(backtest: "Backtest") -> dict[str, Any]:
    from rules.backtest import CHANGES
    from rules.evaluation import Outcome

    found: dict[str, Any] = {"calls": backtest.calls, "rules": {}, "tags": dict(backtest.tags)}
    for id_, rule in backtest.rules.items():
        outcomes = {outcome.value: rule.outcomes[outcome] for outcome in Outcome}
        days = {day.isoformat(): rule.days[day] for day in sorted(rule.days)}
        found["rules"][id_] = {**outcomes, "share": round(backtest.share(id_), 6), "days": days}
    if backtest.against:
        found["changes"] = {
            tag: {**{kind: change.counts[kind] for kind in CHANGES}, "samples": change.samples}
            for tag, change in sorted(backtest.changes.items())
        }
    return found


def _as_csv(backtest: "Backtest") -> str:
    from rules.backtest import CHANGES, TagChange
    from rules.evaluation import Outcome

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["kind", "name", "calls", *(o.value for o in Outcome), "share", "gained", "lost", "unchanged"]
    )
    for id_, rule in backtest.rules.items():
        counts = [rule.outcomes[outcome] for outcome in Outcome]
        writer.writerow(["rule", id_, backtest.calls, *counts, f"{backtest.share(id_):.6f}", "", "", ""])
    for tag in sorted({*backtest.tags, *backtest.changes}):
        change = backtest.changes.get(tag, TagChange())
        changes = [change.counts[kind] if backtest.against else "" for kind in CHANGES]
        writer.writerow(["tag", tag, backtest.tags[tag], *[""] * len(Outcome), "", *changes])
    return out.getvalue()


def _show(backtest: "Backtest") -> None:
    from cli.rules_files import number
    from cli.rules_show import show_table
    from rules.backtest import CHANGES
    from rules.evaluation import Outcome

    days = sorted(backtest.days)
    span = f", {days[0]} to {days[-1]}" if days else ""
    typer.echo(f"{number(backtest.calls, 'call')}{span}\n")
    rows = []
    for id_, rule in backtest.rules.items():
        counts = [str(rule.outcomes[outcome]) for outcome in Outcome]
        rows.append(
            [id_, *counts, f"{backtest.share(id_):.1%}", bars([rule.days[day] for day in all_days(days)])]
        )
    show_table(["rule", *(outcome.value for outcome in Outcome), "share", "by day"], rows)
    typer.echo()
    if not backtest.against:
        show_table(["tag", "calls"], [[tag, str(calls)] for tag, calls in backtest.tags.most_common()])
        return
    rows = [
        [
            tag,
            str(backtest.tags[tag]),
            *(str(change.counts[kind]) for kind in CHANGES),
            _samples(change.samples),
        ]
        for tag, change in sorted(backtest.changes.items())
    ]
    show_table(["tag", "calls", *CHANGES, "of these"], rows)


def _samples(samples: dict[str, list[str]]) -> str:
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in samples.items() if names)


def all_days(days: list[date]) -> list[date]:
    """Every day from the first to the last, those without calls too."""
    return (
        [date.fromordinal(at) for at in range(days[0].toordinal(), days[-1].toordinal() + 1)] if days else []
    )


def bars(counts: list[int]) -> str:
    """One sign a day; of many days, several to a sign."""
    width = -(-len(counts) // MOST_BARS) or 1
    grouped = [sum(counts[at : at + width]) for at in range(0, len(counts), width)]
    most = max(grouped, default=0)
    return "".join(BARS[-(-number * 8 // most)] if most else BARS[0] for number in grouped)
