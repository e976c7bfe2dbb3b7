"""Words and folding."""

import time
import unicodedata

import pytest

from rules.text import bare_phone, fold, mentions, spoken


@pytest.mark.parametrize(
    ("text", "phrase", "found"),
    [
        ("say hello, world", "hello", True),
        ("hello", "hello", True),
        ("othello hello2 hello_ hello\u0301", "hello", False),
        ("xhello hello", "hello", True),
        ("50% off", "50%", True),
        ("a-b", "a", True),
        ("²a", "a", True),  # a superscript is no digit of a number
        ("٣a", "a", False),
        ("the   end\nof", "END OF", True),
        ("the\x1cend", "the end", False),  # no white space to Unicode
        ("", "a", False),
    ],
)
def test_a_phrase_is_found_as_whole_words(text: str, phrase: str, found: bool) -> None:
    assert mentions(spoken(text), spoken(phrase)) is found


def test_folding_is_full_and_composed() -> None:
    assert fold("Straße") == fold("STRASSE")
    assert fold("e\u0301") == fold("É")
    assert fold(fold("İstanbul")) == fold("İstanbul")


def test_each_character_of_latin_1_is_folded_as_unicode_folds_it() -> None:
    for sign in map(chr, range(256)):
        for text in (f"É{sign}", f"{sign}\u2019"):  # with the sign of Latin-1 beside it, and with another one
            assert fold(text) == unicodedata.normalize("NFC", text.casefold())


def test_ten_megabytes_of_transcript_take_linear_time() -> None:
    def seconds(size: int) -> float:
        text = spoken("ab " * size)
        start = time.perf_counter()
        assert not mentions(text, "b a" * 20)
        return time.perf_counter() - start

    assert seconds(3_300_000) < 100 * max(seconds(330_000), 0.001)


def test_a_bare_number_is_left_as_it_is() -> None:
    assert bare_phone("+33612345678") == "+33612345678"
