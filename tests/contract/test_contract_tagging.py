"""What every platform is held to with the real worker: tags come once, stay, go, and lead to no loop."""

import time
from collections.abc import Callable

import pytest

from platforms.adapter import Apply
from platforms.simulated import Fault
from tests.platform_bench import PlatformBench
from tests.waiting import eventually

Make = Callable[..., PlatformBench]
LONGER = "version: 1\nrules:\n  - {id: long-call, when: {field: duration, gt: 1h}, tag: Long Call}\n"
TWO = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
  - {id: inbound, when: {field: direction, eq: inbound}, tag: Inbound}
"""


@pytest.fixture
def reference(bench: PlatformBench) -> str:
    """A call that ended and was tagged."""
    reference = bench.call()
    bench.tell(reference)
    assert bench.tags(reference) == ["Long Call"]
    return reference


def writes(bench: PlatformBench) -> tuple[int, int]:
    return bench.platform.added, bench.platform.removed


def later_event(bench: PlatformBench) -> str:
    """One that comes after the call's end."""
    return bench.platform.events[-1]


def test_a_call_gets_all_its_tags_at_once_and_keeps_those_of_people(make: Make) -> None:
    bench = make(rules=TWO)
    reference = bench.call()
    bench.platform.edit(reference, add=["By hand"])
    bench.arrive(bench.posts())
    bench.tell(reference)
    assert bench.tags(reference) == ["By hand", "Inbound", "Long Call"]
    assert bench.ours(reference) == {"Inbound": "ours", "Long Call": "ours"}
    assert writes(bench) == (2, 0)


def test_our_own_writes_come_back_and_lead_to_nothing(bench: PlatformBench) -> None:
    reference = bench.call()
    bench.arrive(bench.told(reference))
    bench.settle()
    echoes = bench.posts()
    assert bool(echoes) == bench.account.platform.echoes
    requests = bench.platform.requests.total()
    for each in (*echoes, *reversed(echoes)):
        bench.arrive([each])
        bench.settle()
    bench.later()
    assert bench.platform.requests.total() == requests
    assert (bench.posts(), writes(bench)) == ([], (1, 0))


def test_a_tag_that_a_person_took_off_is_not_put_back(bench: PlatformBench, reference: str) -> None:
    if not bench.account.platform.echoes:
        return  # nothing tells of it
    second = int(time.time())
    eventually(lambda: int(time.time()) > second, "the platform's clock, of whole seconds, goes on")
    bench.platform.edit(reference, remove=["Long Call"])
    bench.arrive(bench.posts())

    def noticed() -> bool:  # it may be a state between our own writes, until no more of those can come
        bench.later()
        return bench.ours(reference) == {"Long Call": "blocked"}

    eventually(noticed, "the removal is seen to be a person's")
    bench.tell(reference, later_event(bench))
    bench.later()
    assert (bench.tags(reference), writes(bench)) == ([], (1, 0))


def test_a_tag_that_no_longer_fits_goes_where_the_platform_can_take_it_off(
    bench: PlatformBench, reference: str
) -> None:
    bench.rules(LONGER)
    bench.tell(reference, later_event(bench))
    bench.later()
    bench.rest()
    removes = bench.account.platform.removes
    assert bench.tags(reference) == ([] if removes else ["Long Call"])
    assert writes(bench) == (1, 1 if removes else 0)
    assert bench.state(reference).state == "done"


def test_a_tag_that_exists_is_used(bench: PlatformBench) -> None:
    bench.platform.define("Long Call")
    reference = bench.call()
    bench.tell(reference)
    assert (bench.tags(reference), bench.platform.defined()) == (["Long Call"], ["Long Call"])


@pytest.mark.parametrize("kind", ["429", "500", "503", "drop_before", "drop_after"])
def test_a_write_that_fails_for_a_while_is_done_once(bench: PlatformBench, kind: str) -> None:
    bench.platform.fail(Fault(kind, on="write"))
    reference = bench.call()
    bench.tell(reference)
    assert bench.state(reference).state in ("due", "parked")
    bench.worker.redis.flushall()  # the pause that a 429 asks for is over
    bench.later()
    bench.rest()
    assert (bench.tags(reference), writes(bench)) == (["Long Call"], (1, 0))
    assert bench.ours(reference) == {"Long Call": "ours"}


def test_where_a_call_may_not_be_tagged_it_is_given_up_and_said_so(bench: PlatformBench) -> None:
    bench.platform.fail(Fault("403", on="write"))
    reference = bench.call()
    bench.tell(reference)
    call = bench.state(reference)
    assert call.state == "dead"
    assert call.reason is not None
    assert "403" in call.reason


def test_where_no_tags_can_be_put_calls_are_decided_and_never_done(bench: PlatformBench) -> None:
    bench.able(apply=lambda _settings: Apply.NONE)
    reference = bench.call()
    for name in bench.platform.events:
        bench.tell(reference, name)
    bench.later()
    call = bench.state(reference)
    assert call.state == "decided"
    assert call.reason is not None
    assert "Long Call" in call.reason
    assert (bench.tags(reference), bench.ours(reference), bench.platform.defined()) == ([], {}, [])
    assert writes(bench) == (0, 0)
