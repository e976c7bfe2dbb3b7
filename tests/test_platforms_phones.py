"""Numbers in E.164 where that is certain."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platforms.phones import e164

NUMBERS = [
    ("+33 6 12 34 56 78", None, "+33612345678"),
    ("0033 6 12-34-56-78", None, "+33612345678"),
    ("+44 (0)20 7946 0000", None, "+442079460000"),
    ("+33612345678", "GB", "+33612345678"),
    ("06 12 34 56 78", "FR", "+33612345678"),
    ("06 12 34 56 78", None, "0612345678"),
    ("020 7946 0018", "GB", "+442079460018"),
    ("011 33 6 12 34 56 78", "US", "+33612345678"),
    ("101", "FR", "101"),
    ("1-0-1", None, "101"),
    ("*98#", "FR", "*98#"),
    ("+1 23", None, "+123"),
    ("+999 123 456", None, "+999123456"),
    ("00", None, "00"),
    ("00 33 12", None, "003312"),
    ("anonymous", "FR", "anonymous"),
    ("Caller (withheld)", "FR", "Callerwithheld"),
    ("", "FR", ""),
]


@pytest.mark.parametrize(("reported", "region", "number"), NUMBERS)
def test_a_number_becomes_e164_where_that_is_certain(reported: str, region: str | None, number: str) -> None:
    assert e164(reported, region) == number


@given(st.text(max_size=300), st.sampled_from([None, "FR", "US", "ZZ"]))
def test_any_text_has_an_answer_that_stays_the_same(text: str, region: str | None) -> None:
    once = e164(text, region)
    assert e164(once, region) == once


def test_the_tables_of_numbers_are_loaded_when_needed() -> None:
    program = "import sys, platforms.phones; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
