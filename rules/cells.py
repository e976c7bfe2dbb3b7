"""Cells of CSV files that people open in a spreadsheet."""

import re

BEGINNINGS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet takes for the beginning of a formula, or skips before one; the last are full-width."""
NUMBER = re.compile(r"[+-][0-9]+")
"""Such as a telephone number: a spreadsheet counts nothing there, and programs find it as it is."""


def as_text(text: str) -> str:
    """The text so that no spreadsheet runs it as a formula: with `'` before what begins like one."""
    begins = text.startswith(tuple(BEGINNINGS))
    return f"'{text}" if begins and not NUMBER.fullmatch(text) else text
