"""The platform's past is fetched page by page, whatever happens between two of them."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from platforms.errors import PageExpired, Unreachable
from platforms.sipsim.simulator import Config, PlannedFault, Segment
from store import erasure
from tests.worker_bench import LIST_CALLS, Bench
from worker.fetching import RESTARTS, Window, fetch, transcribe, windows

Make = Callable[..., Bench]
HOUR = 3600.0
TRANSCRIPT = "GET /api/v2/calls/{call}/transcription"
SAID = (Segment("I want a refund", 0.0, 2.0, "left"),)


def fetched(bench: Bench, hours: float = 1.0) -> Counter[str]:
    now = time.time()
    *_, last = fetch(bench.worker, bench.account, now - hours * HOUR, now)
    return last.counts


def transcribed(bench: Bench) -> Counter[str]:
    now = time.time()
    *_, last = transcribe(bench.worker, bench.account, now - HOUR, now)
    return last.counts


def many(bench: Bench, number: int) -> None:
    for n in range(1, number + 1):
        bench.call(n, caller=f"+336{n:08d}", duration=60 + n % 600)


@pytest.mark.parametrize(
    ("longest", "length"), [(None, 24), (timedelta(days=30), 24), (timedelta(hours=5), 5)]
)
def test_windows_cover_the_range_without_a_gap(longest: timedelta | None, length: int) -> None:
    begin, end = 1000.0, 1000.0 + 50 * HOUR
    found = list(windows(begin, end, longest))
    assert [one.since for one in found] == [begin, *(one.until for one in found[:-1])]
    assert found[-1].until == end
    assert max(one.until - one.since for one in found) == length * HOUR
    assert list(windows(end, begin, longest)) == []
    assert list(windows(begin, begin + 1, longest)) == [Window(begin, begin + 1)]


def test_every_call_of_every_page_is_kept_once(make_bench: Make) -> None:
    bench = make_bench()
    many(bench, 2100)
    assert fetched(bench) == Counter(listed=2100, new=2100, lacking=2100)
    assert bench.answers(LIST_CALLS) == {"200": 3}
    assert fetched(bench) == Counter(listed=2100, known=2100, lacking=2100)
    assert bench.rows() == 2100
    assert bench.due() == []


def test_each_step_says_how_far_it_came(make_bench: Make) -> None:
    bench = make_bench()
    now = time.time()
    bench.call(1, started=now - 30 * HOUR)
    bench.call(2, started=now - 2 * HOUR)
    since = now - 36 * HOUR
    steps = [(step.reached, step.counts["listed"]) for step in fetch(bench.worker, bench.account, since, now)]
    assert steps == [(since, 1), (now - 12 * HOUR, 1), (now - 12 * HOUR, 2), (now, 2)]


def test_what_cannot_be_told_is_counted_and_left_out(make_bench: Make) -> None:
    bench = make_bench()
    calls = [bench.call(n) for n in (1, 2)]
    bench.call(3, caller="+33600000003", status="MISSED", duration=0)
    bench.end(calls[0])
    bench.settle()
    assert fetched(bench) == Counter(listed=3, ambiguous=2, going_on=1)
    assert bench.rows() == 1


def test_a_call_that_began_long_ago_has_ended_though_the_list_does_not_say_so(make_bench: Make) -> None:
    bench = make_bench()
    bench.call(1, status="MISSED", duration=0, started=time.time() - 30 * HOUR)
    bench.call(2, status="MISSED", duration=0)
    assert fetched(bench, hours=48.5) == Counter(listed=2, new=1, going_on=1)
    assert transcribed(bench) == Counter()


def test_a_page_that_expires_has_its_window_listed_again(make_bench: Make) -> None:
    bench = make_bench()
    many(bench, 1100)
    steps = fetch(bench.worker, bench.account, time.time() - HOUR, time.time())
    next(steps)
    bench.simulator.plan(PlannedFault(kind="410", route=LIST_CALLS, count=1))
    *_, last = steps
    assert last.counts == Counter(listed=2100, new=1100, known=1000, lacking=2100)
    assert bench.rows() == 1100


def test_pages_that_always_expire_come_to_an_end(make_bench: Make) -> None:
    bench = make_bench(Config(page_seconds=0))
    many(bench, 1100)
    with pytest.raises(PageExpired):
        fetched(bench)
    assert bench.answers(LIST_CALLS) == {"200": RESTARTS + 1, "400": RESTARTS + 1}
    assert bench.rows() == 1000


def test_a_platform_that_is_away_for_a_moment_is_asked_again(make_bench: Make) -> None:
    bench = make_bench()
    many(bench, 1100)
    steps = fetch(bench.worker, bench.account, time.time() - HOUR, time.time())
    next(steps)
    bench.simulator.plan(PlannedFault(kind="503", route=LIST_CALLS, count=2))
    *_, last = steps
    assert last.counts["new"] == 1100
    assert bench.answers(LIST_CALLS) == {"200": 2, "503": 2}


def test_a_platform_that_is_down_at_the_start_is_told_at_once(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="503", route=LIST_CALLS))
    with pytest.raises(Unreachable):
        fetched(bench)
    assert bench.answers(LIST_CALLS) == {"503": 1}


def test_transcripts_are_asked_for_where_they_are_lacking(make_bench: Make) -> None:
    bench = make_bench()
    spoken = bench.call(1, caller="+33600000001", segments=SAID)
    bench.call(2, caller="+33600000002")
    known = bench.call(3, caller="+33600000003", segments=SAID)
    bench.end(known)
    bench.receive({"call_id": known.id, "speech_state": "speech_stored",
                   "payload": [{"text": "hello", "channel": "left"}]})  # fmt: skip
    bench.settle()
    assert fetched(bench) == Counter(listed=3, new=2, known=1, lacking=2)
    assert transcribed(bench) == Counter(asked=2, transcripts=1)
    assert bench.answers(TRANSCRIPT) == {"200": 1, "404": 1}
    assert bench.state(str(spoken.id)).facts["transcript"] == "I want a refund"
    assert bench.state(str(spoken.id)).facts["transcript_caller"] == "I want a refund"
    assert bench.state(known.reference).facts["transcript"] == "hello"
    assert fetched(bench)["lacking"] == 1
    assert bench.due() == []


def test_a_forgotten_call_is_not_asked_about(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call(1, segments=SAID)
    fetched(bench)
    with bench.database.write() as connection:
        erasure.forget(connection, [bench.find("call_id", str(call.id))], time.time())
    assert fetched(bench) == Counter(listed=1, known=1)
    assert transcribed(bench) == Counter()


def test_where_no_request_brings_a_transcript_none_is_lacking(make_bench: Make) -> None:
    bench = make_bench()
    bench.call(1, segments=SAID)
    bench.account = replace(bench.account, platform=replace(bench.account.platform, fetched=frozenset()))
    assert fetched(bench) == Counter(listed=1, new=1)
    assert transcribed(bench) == Counter()
    assert bench.requests(TRANSCRIPT) == 0
