"""What becomes of a call after one attempt."""

import time

import pytest

from platforms.errors import (
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    OutOfTime,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from rules.loader import parse
from store.calls import Intent, LeasedCall, Outcome, TagState
from worker import outcomes
from worker.fold import Folded
from worker.knowledge import Known
from worker.outcomes import Written, backoff, failed, unconfigured, written
from worker.plan import Work, plan

RULES = b"""
version: 1
rules:
  - {id: long, when: {field: duration, gt: 30m}, tag: Long}
  - {id: short, when: {field: duration, lt: 60}, tag: Short}
  - {id: refund, when: {field: transcript, contains: refund}, tag: Refund}
"""


def work(known_for: float = 0.0, waits: int = 0) -> Work:
    call = LeasedCall(7, "sipsim", 3, ("VIP",), None, time.time() - known_for, waits)
    known = Known(("VIP",), (Intent(7, "Short", TagState.OURS, "short", "f" * 64),))
    return plan(
        call, [], Folded({"duration": 1900}, None, None, False, 12.5), known, parse({"r.yaml": RULES})
    )


def states(outcome: Outcome) -> dict[str, str]:
    return {intent.tag: str(intent.state) for intent in outcome.changed}


def wait(outcome: Outcome) -> float:
    return outcome.next_at - time.time()


def test_a_call_on_which_all_was_written_is_done() -> None:
    found = written(work(), Written("id-7", added=["Long"], ours=["Long"]))
    assert (found.state, found.reason, found.platform_id, states(found)) == (
        "done",
        None,
        "id-7",
        {"Long": "ours"},
    )
    assert found.facts == {"duration": 1900, "tags": ["VIP"]}
    assert found.decision == {
        "ruleset": parse({"r.yaml": RULES}).hash,
        "received_at": 12.5,
        "outcomes": {"long": "true", "refund": "unknown"},
        "tags": ["Long"],
        "added": ["Long"],
        "removed": [],
    }


def test_tags_that_somebody_else_had_put_are_theirs() -> None:
    found = written(work(), Written("id-7", seen=["Long"], removed=["Short"]))
    assert (found.others, found.gone, states(found)) == (("VIP", "Long"), ["Long"], {"Short": "off"})
    assert found.decision is not None
    assert found.decision["removed"] == [{"tag": "Short", "rule": "short", "why": "rule 'short' is false"}]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Unreachable("PUT was answered 503"), "parked"),
        (Limited("PUT was answered 429", 7.0), "parked"),
        (NotFound("PUT was answered 404"), "parked"),
        (OutOfTime("no slot"), "due"),
        (Unauthorized("PUT was answered 401"), "dead"),
        (Forbidden("PUT was answered 403"), "dead"),
        (Refused("PUT was answered 422"), "dead"),
        (Conflict("POST was answered 409"), "dead"),
    ],
)
def test_each_fault_has_its_consequence_and_says_why(fault: PlatformError, state: str) -> None:
    found = failed(work(), fault)
    assert (found.state, found.reason) == (state, str(fault))
    assert (found.decision is not None) == (state == "dead")


def test_what_was_written_before_a_fault_is_recorded() -> None:
    found = written(work(), Written(added=["Long"], ours=["Long"], fault=Unreachable("PUT had no answer")))
    assert (found.state, states(found)) == ("parked", {"Long": "ours"})
    assert found.decision is not None
    assert found.decision["added"] == ["Long"]


def test_a_call_that_the_platform_does_not_know_is_looked_for_for_a_day() -> None:
    for hours, state in ((0, "parked"), (23.9, "parked"), (24.1, "dead")):
        assert failed(work(hours * 3600), NotFound("PUT was answered 404")).state == state


def test_a_pause_is_as_long_as_the_platform_asks() -> None:
    assert wait(failed(work(), Limited("429", 7.0))) == pytest.approx(7.0, abs=0.5)
    assert wait(failed(work(), Unreachable("503", 120.0))) == pytest.approx(120.0, abs=0.5)
    assert wait(failed(work(), OutOfTime("no slot", 3.0))) == pytest.approx(3.0, abs=0.5)
    assert wait(failed(work(), OutOfTime("no slot"))) <= 0.0


def test_waits_grow_and_stay_bounded() -> None:
    for waits, longest in ((0, 2.0), (1, 4.0), (3, 16.0), (5, 60.0), (10_000, 60.0)):
        tried = [backoff(waits) for _ in range(300)]
        assert 0.2 <= min(tried) < longest / 4
        assert longest / 2 < max(tried) <= longest
    assert max(backoff(10_000, 600.0) for _ in range(300)) > 300.0


def test_a_call_that_is_not_found_is_asked_for_ever_more_rarely() -> None:
    tried = [wait(failed(work(waits=12), NotFound("404"))) for _ in range(300)]
    assert 300.0 < max(tried) <= 600.5


def test_a_call_of_an_account_that_is_gone_says_so() -> None:
    found = unconfigured(work().call)
    assert (found.state, found.reason) == ("parked", "the account 'sipsim' is not configured")
    assert wait(found) == pytest.approx(outcomes.UNCONFIGURED_WAIT, abs=0.5)
