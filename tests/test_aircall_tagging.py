"""Calls of Aircall through the real worker: what is its own beside the contract of all platforms."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.valkey import Valkey
from platforms.aircall.simulator import Simulated
from platforms.simulated import Fault
from tests.platform_bench import PlatformBench, platform_bench

RULES = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
  - {id: refund, when: {field: transcript_caller, mentions: refund}, tag: Refund}
"""


@pytest.fixture
def bench(tmp_path: Path, valkey: Valkey, empty_database: Path) -> Iterator[PlatformBench]:
    with platform_bench(tmp_path, valkey.url, "aircall", empty_database, rules=RULES) as made:
        yield made


@pytest.fixture
def platform(bench: PlatformBench) -> Simulated:
    assert isinstance(bench.platform, Simulated)
    return bench.platform


def test_a_transcript_that_its_event_carries_costs_no_request(bench: PlatformBench) -> None:
    reference = bench.call(duration=60)
    bench.tell(reference, "call.ended", "transcription.created")
    assert bench.tags(reference) == ["Refund"]
    assert bench.platform.requests == {"200": 2, "201": 2}, "tags listed, made; call read, tagged"


@pytest.mark.parametrize("events", [("call.ended", "transcription.created"), ("transcription.created",)])
def test_a_transcript_that_its_event_only_tells_of_is_asked_for_once(
    bench: PlatformBench, platform: Simulated, events: tuple[str, ...]
) -> None:
    platform.company.bare = True
    reference = bench.call()
    bench.tell(reference, *events)
    bench.later()
    assert bench.tags(reference) == ["Long Call", "Refund"]
    before = platform.requests.total()
    bench.tell(reference, "call.archived")
    assert platform.requests.total() == before


def test_a_transcript_that_is_not_there_keeps_no_call_from_its_tags(
    bench: PlatformBench, platform: Simulated
) -> None:
    platform.company.bare = True
    reference = bench.call()
    platform.company.calls[int(reference)].lines = ()
    bench.tell(reference, "call.ended", "transcription.created")
    before = platform.requests.total()
    bench.later()
    assert (bench.tags(reference), bench.state(reference).state) == (["Long Call"], "done")
    assert platform.requests.total() == before
    assert platform.requests["404"] == 2, "as often as something was told of the call: its events, our tag"


def test_a_transcript_is_asked_for_again_when_the_platform_did_not_answer(
    bench: PlatformBench, platform: Simulated
) -> None:
    platform.company.bare = True
    reference = bench.call(duration=60)
    bench.tell(reference, "call.ended")
    platform.fail(Fault("503", count=1))
    bench.tell(reference, "transcription.created")
    assert bench.state(reference).state in ("due", "parked")
    bench.later()
    bench.rest()
    assert (bench.tags(reference), bench.state(reference).state) == (["Refund"], "done")


def test_a_call_gets_all_its_tags_by_two_requests(bench: PlatformBench, platform: Simulated) -> None:
    for name in ("Long Call", "Refund"):
        bench.platform.define(name)
    first, second = bench.call(), bench.call()
    bench.tell(first, "transcription.created", "call.ended")
    before = platform.requests.total()
    bench.tell(second, "transcription.created", "call.ended")
    assert bench.tags(first) == bench.tags(second) == ["Long Call", "Refund"]
    assert platform.requests.total() == before + 2
