"""The logs, as a process writes them: one line an event, and nothing in them that is secret or personal."""

import json
import subprocess
import sys
from typing import Any

import pytest

PROCESS = """
import logging, sys
import structlog
from worker.log import configure
from worker.settings import load_settings
settings = load_settings(None, {"CALLTAG_LOG_LEVEL": sys.argv[1], "CALLTAG_LOG_FORMAT": sys.argv[2]})
configure(settings, "a part")
log, library = structlog.get_logger(), logging.getLogger("some.library")
def fail():
    number = "+33612345678"
    try:
        int(number + " in words")
    except ValueError as fault:
        raise KeyError(number) from fault
"""


def lines(level: str, form: str, code: str) -> list[str]:
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROCESS + code, level, form],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert child.stdout == ""
    return child.stderr.splitlines()


def events(level: str, code: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(level, "json", code)]


def test_a_json_line_names_the_event_its_level_time_part_and_values() -> None:
    (event,) = events("info", "log.info('rule set in force', rules=3, name='é\\nnext line')")
    time = event.pop("timestamp")
    assert time.endswith("Z")
    assert event == {
        "event": "rule set in force",
        "level": "info",
        "part": "a part",
        "rules": 3,
        "name": "é\nnext line",
    }


def test_a_console_line_is_one_line_for_people() -> None:
    (line,) = lines("info", "console", "log.warning('broker away', fault='x\\ny')")
    assert "warning" in line
    assert "broker away" in line
    assert "part" in line
    assert "\x1b" not in line, "no colours where nobody looks"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warning", "error", "library warning", "library error"]),
        ("info", ["info", "warning", "error", "library warning", "library error"]),
        ("warning", ["warning", "error", "library warning", "library error"]),
        ("error", ["error", "library error"]),
    ],
)
def test_the_level_holds_for_our_lines_and_for_libraries_from_warnings_on(
    level: str, shown: list[str]
) -> None:
    code = """
for name in ("debug", "info", "warning", "error"):
    getattr(log, name)(name)
for name in ("debug", "info", "warning", "error"):
    getattr(library, name)("library %s", name)
"""
    found = events(level, code)
    assert [event["event"] for event in found] == shown
    assert {event["part"] for event in found} == {"a part"}


FAULTS = {
    "ours": "log.error('it failed', exc_info=True)",
    "ours, as an exception": "log.exception('it failed')",
    "ours, with the fault given": "log.error('it failed', exc_info=fault)",
    "a library's": "library.exception('it failed')",
}


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("call", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_by_kind_and_place_and_never_by_its_text(call: str, form: str) -> None:
    text = "\n".join(lines("info", form, f"try:\n    fail()\nexcept KeyError as fault:\n    {call}\n"))
    assert "it failed" in text
    assert "KeyError" in text
    assert "ValueError" in text, "what it followed from"
    assert "in fail" in text
    assert "+336" not in text
    assert "in words" not in text.replace('+ " in words"', "")


def test_a_hint_of_a_fault_where_there_is_none_is_no_fault() -> None:
    (event,) = events("info", "log.error('it failed', exc_info=True)")
    assert "exception" not in event


def test_values_bound_to_the_context_are_on_every_line() -> None:
    code = "structlog.contextvars.bind_contextvars(account='sipsim'); log.info('a'); library.error('b')"
    assert [event["account"] for event in events("info", code)] == ["sipsim", "sipsim"]
