"""Times as people write them."""

import pytest

from worker.moments import read_moment

NOW = 1_000_000_000.0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - 7200),
        ("3d", NOW - 3 * 86_400),
        ("1d12h", NOW - 36 * 3600),
        ("1970-01-02", 86_400.0),
        ("1970-01-02T01:00:00+01:00", 86_400.0),
        ("1970-01-02T00:00:00Z", 86_400.0),
    ],
)
def test_a_time_is_an_age_a_day_or_a_moment(text: str, moment: float) -> None:
    assert read_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "d", "-1d", "yesterday", "2026-02-30", "2026-11-20T10:00:00", "9999999d", "١d"]
)
def test_what_is_no_time_is_told_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time; it is 2h or 3d \(ago\), 2026-12-25 \(UTC\), or"):
        read_moment(text, NOW)
