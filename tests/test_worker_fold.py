"""Folding: the same facts whatever the order in which a call's events came."""

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st

from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from store.inbox import InboxEvent
from worker.fold import Folded, fold
from worker.settings import Account

ACCOUNT = Account("sipsim-lyon", PLATFORMS["sipsim"], SipsimSettings())
CALLER, RECEIVER = "+33612345678", "+33184800000"
T0 = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def row(payload: Mapping[str, object], signed_at: float = 0.0, source: str = "webhook") -> InboxEvent:
    return InboxEvent(1, ACCOUNT.name, source, orjson.dumps(payload), signed_at, signed_at + 0.5)


def step(event: str, second: int = 0, **more: object) -> dict[str, object]:
    at = datetime.fromtimestamp(T0.timestamp() + second, UTC).isoformat()
    return {"event": event, "caller": CALLER, "receiver": RECEIVER, "time": at, "pbx_id": "call_1"} | more


def end(second: int = 100, duration: int = 60, **more: object) -> dict[str, object]:
    return step("incoming_call_end", second, duration=duration, audio_path=None, status="ANSWER") | more


def speech(text: str, channel: str = "left", **more: object) -> dict[str, object]:
    return {
        "call_id": 7,
        "speech_state": "speech_stored",
        "payload": [{"text": text, "channel": channel}],
    } | more


def folded(*rows: InboxEvent) -> Folded:
    return fold(ACCOUNT, rows)


EVENTS = [
    row(step("incoming_call_start", 0)),
    row(step("incoming_call_start_chain_member_call", 2, receiver="101")),
    row(step("incoming_call_answer", 5, receiver="+33184800009")),
    row(end(65)),
    row(end(65, duration=61)),
    row(end(66, duration=62, status="MISSED")),
    row(step("voicemail", 70, duration=9)),
    row(step("tags", 80, tags=["A"])),
    row(step("tags", 80, tags=["A", "B"])),
    row(step("tags", 81, tags=["C"])),
    row({"event": "rating", "call_id": 7, "overall_score": 3}, 200.0),
    row({"event": "rating", "call_id": 7, "overall_score": 4}, 300.0),
    row(speech("hello"), 250.0),
    row(speech("goodbye", "right"), 250.0),
    row({"id": 1, "summary": "short", "call_id": 7}, 260.0),
    row({"id": 7, "duration_sec": 59, "caller_number": "x", "tags": []}, 9e9, "record"),
    row({"id": 7, "duration_sec": 58, "tags": [{"name": "D"}]}, 9e9, "record"),
]


@given(
    st.lists(st.sampled_from(EVENTS), unique_by=id).flatmap(
        lambda e: st.tuples(st.just(e), st.permutations(e))
    )
)
def test_every_order_of_arrival_gives_the_same(orders: tuple[list[InboxEvent], list[InboxEvent]]) -> None:
    first, second = (folded(*rows) for rows in orders)
    assert first == second


@given(st.lists(st.sampled_from(EVENTS)))
def test_an_event_that_came_twice_counts_once(rows: list[InboxEvent]) -> None:
    assert folded(*rows, *rows) == folded(*rows)


def test_the_account_and_its_platform_are_facts() -> None:
    assert folded().facts == {"platform": "sipsim", "account": "sipsim-lyon"}


def test_a_later_phase_wins_over_a_later_time() -> None:
    late_start = step("incoming_call_start", 500, receiver="+33184800777")
    facts = folded(row(late_start), row(end(100))).facts
    assert facts["receiver"] == RECEIVER
    assert facts["started_at"] == datetime.fromtimestamp(T0.timestamp() + 500, UTC)


def test_within_a_phase_the_later_time_wins() -> None:
    assert folded(row(end(200, duration=20)), row(end(100, duration=10))).facts["duration"] == 20


def test_an_event_without_a_time_takes_its_signed_timestamp() -> None:
    scores = [row({"event": "rating", "call_id": 7, "overall_score": n}, 1000.0 - n) for n in (1, 2, 3)]
    assert folded(*scores).facts["rating"] == 1


def test_of_two_events_of_one_moment_one_always_wins() -> None:
    two = [row(end(100, duration=10)), row(end(100, duration=20))]
    assert folded(*two).facts["duration"] == folded(*reversed(two)).facts["duration"]


def test_a_default_counts_only_where_no_event_gives_the_fact() -> None:
    voicemail = row(step("voicemail", 70, duration=9))
    assert folded(voicemail).facts["status"] == "voicemail"
    facts = folded(voicemail, row(end(100, duration=0, status="MISSED"))).facts
    assert (facts["status"], facts["duration"], facts["has_voicemail"]) == ("missed", 0, True)


def test_the_start_that_a_start_event_tells_replaces_the_one_that_was_worked_out() -> None:
    assert folded(row(end(100, duration=60))).facts["started_at"] == datetime(
        2026, 11, 20, 9, 0, 40, tzinfo=UTC
    )
    facts = folded(row(end(100, duration=60)), row(step("incoming_call_start", 12))).facts
    assert facts["started_at"] == datetime(2026, 11, 20, 9, 0, 12, tzinfo=UTC)


def test_our_side_of_an_incoming_call_is_the_receivers() -> None:
    talk = [{"text": "help", "channel": "left"}, {"text": "hello", "channel": "right"}]
    facts = folded(row(end()), row(speech("", payload=talk))).facts
    assert (facts["transcript_caller"], facts["transcript_agent"]) == ("help", "hello")
    assert facts["transcript"] == "help hello"


def test_our_side_of_an_outgoing_call_is_the_callers() -> None:
    talk = [{"text": "help", "channel": "left"}, {"text": "hello", "channel": "right"}]
    facts = folded(row(end(event="outgoing_call_end")), row(speech("", payload=talk))).facts
    assert (facts["transcript_caller"], facts["transcript_agent"]) == ("hello", "help")


def test_nobodys_side_is_known_while_the_direction_is_not() -> None:
    facts = folded(row(speech("hello"))).facts
    assert facts["transcript"] == "hello"
    assert not {"transcript_caller", "transcript_agent"} & facts.keys()


def test_a_direction_known_by_default_settles_the_sides() -> None:
    chain = row(step("incoming_call_start_chain_member_call", 2, receiver="101"))
    assert folded(chain, row(speech("hello"))).facts["transcript_caller"] == "hello"


def newest(*rows: InboxEvent) -> tuple[tuple[str, ...], ...]:
    told = folded(*rows).told
    assert told is not None
    return told.lists


def test_the_newest_list_of_tags_counts() -> None:
    lists = [
        row(step("tags", second, tags=tags)) for second, tags in ((81, ["C"]), (80, ["A", "B"]), (79, []))
    ]
    assert newest(*lists) == (("C",),)
    assert folded(row(end())).told is None
    assert newest(row(step("tags", 90, tags=[])), *lists) == ((),)


def test_lists_of_one_second_may_each_be_the_last() -> None:
    same = [row(step("tags", 81, tags=tags)) for tags in (["A"], ["A", "B"])]
    assert set(newest(*same)) == {("A",), ("A", "B")}


def test_the_end_is_the_newest_that_a_webhook_told() -> None:
    found = folded(row(end(100)), row(end(120)), row(step("voicemail", 300, duration=9)))
    assert found.end is not None
    assert found.end.time == datetime(2026, 11, 20, 9, 2, tzinfo=UTC)
    assert folded(row(step("voicemail", 300, duration=9))).end is None


def test_the_platforms_record_changes_nothing_that_a_webhook_told() -> None:
    item = {
        "id": 7,
        "duration_sec": 5,
        "caller_number": "+331",
        "receiver_number": "+332",
        "direction": "outbound",
    }
    item |= {"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-01T00:00:00Z", "status": "busy"}
    webhooks = [row(step("incoming_call_start", 0)), row(end(100, duration=60))]
    alone = folded(*webhooks)
    both = folded(*webhooks, row(item, 9e9, "record"))
    assert both.facts == alone.facts
    assert both.recorded
    assert not alone.recorded


def test_the_platforms_record_wins_over_what_was_only_worked_out() -> None:
    item = {"id": 7, "duration_sec": 60, "start_time": "2026-11-20T09:00:30Z"}
    facts = folded(row(end(100, duration=60)), row(item, 9e9, "record")).facts
    assert facts["started_at"] == datetime(2026, 11, 20, 9, 0, 30, tzinfo=UTC)


def test_the_platforms_record_brings_what_no_webhook_told() -> None:
    item = {"id": 7, "duration_sec": 5, "caller_number": CALLER, "team": "north"}
    facts = folded(row({"event": "rating", "call_id": 7, "overall_score": 3}), row(item, 9e9, "record")).facts
    assert (facts["duration"], facts["caller"], facts["custom.team"], facts["rating"]) == (
        5,
        CALLER,
        "north",
        3,
    )


def test_a_row_that_can_no_longer_be_read_does_not_hold_up_the_others() -> None:
    broken = InboxEvent(2, ACCOUNT.name, "webhook", b"{", 0.0, 0.0)
    assert folded(broken, row(end())).facts["duration"] == 60


def test_the_newest_receipt_is_told() -> None:
    assert folded(row(end(), 10.0), row(speech("hello"), 30.0), row(speech("bye"), 20.0)).received_at == 30.5
