"""The page of `--plot`: its bars say what there is, no more."""

import re
from typing import Any

import pytest

from cli.rules_plot import page
from rules.backtest import Backtest
from rules.block import Block
from rules.facts import facts_from_json
from rules.histogram import bin_width
from rules.loader import parse

RULES = """\
version: 1
rules:
  - {id: low, when: {field: rating, lt: 40}, tag: Low}
  - {id: long, when: {field: duration, gt: 30m}, tag: Long}
"""


def drawn(*calls: dict[str, Any]) -> str:
    backtest = Backtest(parse({"rules.yaml": RULES.encode()}))
    backtest.add(
        Block.of([facts_from_json(call) for call in calls]), [f"line {n}" for n in range(1, len(calls) + 1)]
    )
    return page(backtest)


def bars(text: str, caption: str) -> dict[str, int]:
    """What each bar of a chart stands for, and its calls."""
    figure = text.partition(f"<figcaption>{caption}")[2].partition("</figure>")[0]
    return {name: int(calls) for name, calls in re.findall(r"<title>(.*?): (\d+)</title>", figure)}


def test_values_that_are_equally_common_have_bars_of_one_height() -> None:
    found = bars(drawn(*({"rating": rating} for rating in range(100))), "calls by rating")
    assert found.pop("0 to 2") == 2
    assert set(found.values()) == {2}


def test_long_values_leave_no_gaps_between_bars() -> None:
    found = bars(drawn(*({"duration": seconds} for seconds in range(6000))), "calls by duration")
    assert sum(found.values()) == 6000
    assert min(found.values()) > 0.9 * found["100 to 200"]


def test_what_lies_beyond_is_in_the_last_bar_which_says_so() -> None:
    found = bars(drawn(*[{"duration": 60}] * 999, {"duration": 90_000}), "calls by duration")
    assert found["50 to 100"] == 999
    assert list(found.items())[-1] == ("2150 and more", 1)


def test_a_rule_says_how_many_of_its_matches_have_no_day() -> None:
    text = drawn({"rating": 1}, {"rating": 1, "started_at": "2026-11-20T10:00:00Z"})
    assert "2 matches (1 of calls without a time), 100.0% of all calls" in text


@pytest.mark.parametrize(
    ("span", "whole", "width"),
    [(100, True, 2), (50, True, 1), (3, True, 1), (3, False, 0.05), (60, False, 1), (61, False, 2)],
)
def test_bars_have_round_widths(span: float, whole: bool, width: float) -> None:
    assert bin_width(span, whole) == pytest.approx(width)
