"""Snapshots: what a call's events said stays, part by part, when their bodies are gone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from platforms.adapter import Event, Phase
from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from store.inbox import InboxEvent
from worker import snapshot
from worker.fold import Folded, fold, tell
from worker.settings import Account
from worker.snapshot import Told, reduced

ACCOUNT = Account("sipsim", PLATFORMS["sipsim"], SipsimSettings())
T0 = 1_795_000_000

seconds = st.integers(0, 300)
numbers = st.sampled_from(["+33612345678", "+33184800000", "101", "anonymous", "0612345678"])
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
custom = st.dictionaries(
    st.sampled_from(["queue", "ivr choice", "Score", "vip"]),
    st.one_of(words, st.integers(-5, 5), st.floats(-1e6, 1e6), st.booleans(), st.none()),
    max_size=3,
)
CALLS = (
    "incoming_call_start",
    "incoming_call_start_chain_member_call",
    "incoming_call_answer",
    "incoming_call_end",
    "outgoing_call_end",
    "voicemail",
)


def times() -> st.SearchStrategy[str | None]:
    return st.none() | seconds.map(lambda at: datetime.fromtimestamp(T0 + at, UTC).isoformat())


def body(name: str, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.tuples(custom, st.fixed_dictionaries({"event": st.just(name), **fields}, optional={})).map(
        lambda pair: {**pair[0], **pair[1], "pbx_id": "call_1"}
    )


status = st.sampled_from(["ANSWER", "MISSED", "BUSY", "odd"])
payloads = st.one_of(
    *(
        body(name, caller=numbers, receiver=numbers, time=times(), duration=seconds, status=status)
        for name in CALLS
    ),
    body("tags", time=times(), tags=st.lists(words, max_size=3)),
    body("rating", overall_score=st.integers(0, 10)),
    body("summary", summary=words, call_id=st.just(7)),
    st.builds(
        lambda segments: {"call_id": 7, "speech_state": "speech_stored", "payload": segments},
        st.lists(
            st.builds(lambda t, c: {"text": t, "channel": c}, words, st.sampled_from(["left", "right"]))
        ),
    ),
)
records = st.builds(
    lambda duration, tags: {"id": 7, "direction": "inbound", "duration_sec": duration, "tags": tags},
    seconds,
    st.lists(st.builds(lambda name: {"name": name}, words), max_size=2),
)


def row(payload: Mapping[str, object], source: str, at: int) -> InboxEvent:
    return InboxEvent(1, ACCOUNT.name, source, orjson.dumps(payload), T0 + at, T0 + at + 0.5, at + 1)


rows = st.one_of(
    st.builds(row, payloads, st.just("webhook"), seconds), st.builds(row, records, st.just("record"), seconds)
)


def dropped(events: Sequence[InboxEvent]) -> list[InboxEvent]:
    """The one row that stands for these."""
    if not events:
        return []
    version = max(event.version or 0 for event in events)
    body = snapshot.write((told for event in events for told in tell(ACCOUNT, event)), version)
    newest = max(event.received_at for event in events)
    return [InboxEvent(2, ACCOUNT.name, snapshot.SOURCE, body, newest, newest, version)]


@given(st.lists(st.tuples(rows, st.integers(0, 2)), max_size=10))
def test_a_call_folds_to_the_same_whichever_of_its_events_were_dropped(
    events: list[tuple[InboxEvent, int]],
) -> None:
    """Those marked 0 were dropped first, then 1 with the snapshot of the first; 2 came later, or stayed."""
    first, second, third = ([event for event, when in events if when == n] for n in range(3))
    kept = dropped([*dropped(first), *second])
    assert in_full(fold(ACCOUNT, [*third, *kept])) == in_full(fold(ACCOUNT, [event for event, _ in events]))


def in_full(found: Folded) -> tuple[object, ...]:
    end = found.end and (found.end.phase, found.end.time)
    return found.facts, found.told, end, found.recorded, found.received_at


def test_an_event_that_comes_late_and_belongs_before_the_dropped_ones_replaces_nothing() -> None:
    first = {"pbx_id": "call_1", "caller": "+33612345678", "receiver": "+33184800000"}
    end = row({**first, "event": "incoming_call_end", "duration": 60, "status": "ANSWER"}, "webhook", 50)
    late = {**first, "event": "incoming_call_start", "caller": "+33699999999", "queue": "sales"}
    found = fold(ACCOUNT, [*dropped([end]), row(late, "webhook", 90)]).facts
    assert found["caller"] == "+33612345678"
    assert found["custom.queue"] == "sales"


def test_what_a_later_event_replaced_is_in_no_snapshot() -> None:
    first, second = (
        row({"event": "summary", "call_id": 7, "summary": text}, "webhook", at)
        for text, at in (("the old words", 1), ("the new words", 2))
    )
    (kept,) = dropped([first, second])
    assert b"the new words" in kept.body
    assert b"the old words" not in kept.body


def told(is_webhook: bool, phase: Phase, at: float) -> Told:
    return Told((is_webhook, phase, at, b""), Event("an event", phase, facts={"duration": at}))


def test_that_a_call_was_recorded_and_its_end_told_stays_though_all_they_said_was_replaced() -> None:
    record, end, later = told(False, Phase.AFTER, 1), told(True, Phase.END, 2), told(True, Phase.AFTER, 3)
    assert [part.place for part in reduced([later, end, record])] == [record.place, end.place, later.place]
    assert reduced([told(True, Phase.START, 1), later]) == [later]
