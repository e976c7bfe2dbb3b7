"""Transcriptions and summaries, in every shape in which they may come."""

from typing import Any

import pytest

from platforms.aircall.spoken import spoken, summary

UTTERANCES = [
    {"text": " How can I help? ", "participant_type": "internal"},
    {"text": " ", "participant_type": "external"},
    {"text": "A refund.", "participant_type": "external"},
    {"text": "Now.", "participant_type": "external"},
]
CONTENT = {"language": "en-US", "utterances": UTTERANCES}


@pytest.mark.parametrize(
    "told",
    [
        {"transcription": {"id": 1, "call_id": 2, "content": CONTENT}},
        {"id": 1, "call_id": 2, "content": CONTENT},
        {"transcription": CONTENT},
        CONTENT,
    ],
)
def test_a_transcription_is_found_wherever_it_stands(told: Any) -> None:
    assert spoken(told) == {
        "transcript": "How can I help? A refund. Now.",
        "transcript_caller": "A refund. Now.",
        "transcript_agent": "How can I help?",
    }


def test_without_a_side_nobody_s_words_are_told_apart() -> None:
    assert spoken({"utterances": [{"text": "Hello."}]}) == {"transcript": "Hello."}


@pytest.mark.parametrize(
    "told",
    [None, {}, "said", {"content": None}, {"content": {"utterances": "x"}}, {"utterances": [5, {"text": 5}]}],
)
def test_where_nothing_was_said_there_is_no_fact(told: Any) -> None:
    assert spoken(told) == {}


@pytest.mark.parametrize(
    "told",
    [
        {"summary": {"id": 1, "content": " A refund. "}},
        {"id": 1, "content": "A refund."},
        {"summary": "A refund."},
        "A refund.",
    ],
)
def test_a_summary_is_found_wherever_it_stands(told: Any) -> None:
    assert summary(told) == "A refund."


@pytest.mark.parametrize("told", [None, {}, " ", 5, {"content": ["A refund."]}, {"summary": {}}])
def test_where_there_is_no_summary_there_is_no_fact(told: Any) -> None:
    assert summary(told) is None
