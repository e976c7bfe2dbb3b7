"""`--plot`: one page that stands alone, with what a backtest counted."""

import os
from collections import Counter
from datetime import date
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import UserError
from cli.rules_backtest import all_days
from cli.told import number
from rules.evaluation import Outcome
from rules.histogram import histogram

if TYPE_CHECKING:
    from rules.backtest import Backtest, RuleCount, Threshold

WIDTH, HEIGHT, LEFT, FOOT = 720, 120, 48, 18

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h2 { margin: 2rem 0 .25rem } p { margin: .25rem 0; color: #4b5563 } svg { width: 100%; height: auto }
rect { fill: #6366f1 } text { font-size: 11px; fill: #6b7280 }
line { stroke: #d1d5db } .mark { stroke: #dc2626; stroke-width: 2 } .mark-text { fill: #dc2626 }
"""


def write_page(path: Path, backtest: "Backtest") -> None:
    """Writes the page as a whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(page(backtest), encoding="utf-8")
        unfinished.replace(path)
    except OSError as fault:
        raise UserError(f"{path} cannot be written: {fault.strerror}") from None


def page(backtest: "Backtest") -> str:
    """The page: for each rule its matches a day, and for each of its numbers how the calls lie around it."""
    days = all_days(sorted(backtest.days))
    parts = [f"<h1>{backtest.calls} calls</h1>"]
    if days:
        parts.append(f"<p>{days[0]} to {days[-1]}</p>")
    counted = backtest.rules
    for rule in backtest.ruleset.rules:
        parts.append(f"<h2>{escape(rule.id)}</h2><p>{escape(rule.description or rule.when.text)}</p>")
        parts.append(f"<p>{_matches(counted[rule.id])}, {backtest.share(rule.id):.1%} of all calls</p>")
        parts.append(_days(days, counted[rule.id].days))
        parts += [_histogram(threshold) for threshold in backtest.thresholds if threshold.rule == rule.id]
    head = f'<meta charset="utf-8"><title>calltag backtest</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _matches(count: "RuleCount") -> str:
    matches, dated = count.outcomes[Outcome.TRUE], count.days.total()
    without = f" ({matches - dated} of calls without a time)" if dated < matches else ""
    return f"{number(matches, 'match', 'matches')}{without}"


def _days(days: list[date], counts: Counter[date]) -> str:
    if not days:
        return ""
    columns = [(day.isoformat(), counts[day]) for day in days]
    return _chart("matches a day", columns, days[0].isoformat(), days[-1].isoformat())


def _histogram(threshold: "Threshold") -> str:
    found = histogram(threshold.values, threshold.marks)
    columns = list(zip(found.names(), found.bars, strict=True))
    marks = [(found.place(mark), f"{mark:g}") for mark in threshold.marks]
    title = f"calls by {threshold.asks}, and {threshold.text}"
    return _chart(title, columns, f"{found.start:g}", columns[-1][0], marks)


def _chart(
    title: str,
    columns: list[tuple[str, int]],
    first: str,
    last: str,
    marks: list[tuple[float, str]] | None = None,
) -> str:
    most = max(count for _, count in columns) or 1
    step = (WIDTH - LEFT) / len(columns)
    drawn = [
        f'<rect x="{LEFT + at * step:.1f}" y="{HEIGHT - count / most * HEIGHT:.1f}" '
        f'width="{max(step - 1, 0.5):.1f}" height="{count / most * HEIGHT:.1f}">'
        f"<title>{escape(name)}: {count}</title></rect>"
        for at, (name, count) in enumerate(columns)
    ]
    for place, text in marks or []:
        x = LEFT + place * (WIDTH - LEFT)
        drawn.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>')
        drawn.append(f'<text class="mark-text" x="{x + 4:.1f}" y="10">{escape(text)}</text>')
    axis = (
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/><text x="0" y="10">{most}</text>'
        f'<text x="{LEFT}" y="{HEIGHT + FOOT - 4}">{escape(first)}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + FOOT - 4}" text-anchor="end">{escape(last)}</text>'
    )
    label = escape(title, quote=True)
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" aria-label="{label}">'
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}{''.join(drawn)}{axis}</svg></figure>"
