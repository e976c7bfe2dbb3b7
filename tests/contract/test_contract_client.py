"""What every platform's REST client is held to: tags, lists, tokens, and what an answer means."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from platforms.adapter import Changed, Client
from platforms.errors import (
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    OutOfTime,
    PageExpired,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link
from platforms.simulated import Call, Fault
from store.calls import LEASE
from tests.platform_bench import WIDE, PlatformBench
from worker.context import LONGEST_REQUEST
from worker.tokens import FleetTokens

Make = Callable[..., PlatformBench]
NOBODY = "999999999999"
FAULTS: dict[str, type[PlatformError]] = {
    "400": Refused,
    "401": Unauthorized,
    "403": Forbidden,
    "404": NotFound,
    "409": Conflict,
    "410": Refused,
    "422": Refused,
    "429": Limited,
    "500": Unreachable,
    "502": Unreachable,
    "503": Unreachable,
    "504": Unreachable,
    "drop_before": Unreachable,
    "drop_after": Unreachable,
}


def tag_id(bench: PlatformBench, name: str) -> str:
    """The id of a tag that is made by it."""
    return name if bench.account.platform.tags_by_name else bench.client.create_tag(name, None, None).id


def change(client: Client, call_id: str, add: dict[str, str], remove: dict[str, str]) -> Changed:
    changed = Changed()
    client.change_tags(call_id, add, remove, changed)
    return changed


def test_a_tag_that_is_made_is_listed(bench: PlatformBench) -> None:
    tag = bench.client.create_tag("Long Call", "#EF4444", "Calls over 30 minutes")
    assert tag.name == "Long Call"
    assert [(found.id, found.name) for found in bench.client.list_tags()] == [(tag.id, "Long Call")]
    assert bench.platform.defined() == ["Long Call"]


def test_a_tag_that_somebody_made_is_a_conflict_and_is_found(bench: PlatformBench) -> None:
    bench.platform.define("VIP")
    with pytest.raises(Conflict):
        bench.client.create_tag("VIP", None, None)
    assert [tag.name for tag in bench.client.list_tags()] == ["VIP"]
    assert bench.platform.defined() == ["VIP"]


def test_a_tag_is_renamed_and_deleted(bench: PlatformBench) -> None:
    tag = bench.client.create_tag("VIP", None, None)
    assert bench.client.update_tag(tag.id, name="Important").name == "Important"
    assert bench.platform.defined() == ["Important"]
    (found,) = bench.client.list_tags()
    bench.client.delete_tag(found.id)
    assert bench.platform.defined() == []


def test_a_tag_is_added_and_is_there_already_the_next_time(bench: PlatformBench) -> None:
    reference = bench.call()
    bench.platform.edit(reference, add=["By hand"])
    call_id, ids = bench.record().id, {name: tag_id(bench, name) for name in ("One", "Two")}
    assert change(bench.client, call_id, {"One": ids["One"]}, {}) == Changed(added=["One"])
    again = change(bench.client, call_id, ids, {})
    assert (again.added, again.already) == (["Two"], ["One"])
    assert bench.tags(reference) == sorted(bench.client.call_tags(call_id)) == ["By hand", "One", "Two"]
    assert bench.platform.added == 2


def test_a_tag_is_taken_off_or_that_is_refused_and_others_stay(bench: PlatformBench) -> None:
    reference = bench.call()
    bench.platform.edit(reference, add=["By hand"])
    call_id, one = bench.record().id, {"One": tag_id(bench, "One")}
    change(bench.client, call_id, one, {})
    if bench.account.platform.removes:
        assert change(bench.client, call_id, {}, one) == Changed(removed=["One"])
        assert bench.tags(reference) == bench.client.call_tags(call_id) == ["By hand"]
        return
    with pytest.raises(PlatformError) as fault:
        change(bench.client, call_id, {}, one)
    assert fault.value.permanent
    assert bench.tags(reference) == ["By hand", "One"]


def test_a_call_that_is_not_there_is_not_found(bench: PlatformBench) -> None:
    bench.call()
    ids = {"One": tag_id(bench, "One")}
    for request in (
        lambda: bench.client.get_call(NOBODY),
        lambda: bench.client.call_tags(NOBODY),
        lambda: change(bench.client, NOBODY, ids, {}),
        lambda: bench.client.get_call(".."),
    ):
        with pytest.raises(NotFound):
            request()


def test_a_listed_call_says_what_it_is_declared_to_and_is_read_again_from_its_body(
    bench: PlatformBench,
) -> None:
    reference = bench.call()
    bench.platform.edit(reference, add=["By hand"])
    record = bench.record()
    platform, settings = bench.account.platform, bench.account.settings
    assert (
        platform.read_record(settings, record.body) == record.event == bench.client.get_call(record.id).event
    )
    assert (platform.id_kind, record.id) in record.event.references
    assert record.event.tags == ("By hand",)
    told = {**record.event.defaults, **record.event.facts}
    assert platform.listed - {"tags"} <= set(told)
    assert (told["direction"], told["duration"]) == ("inbound", 1900)


def test_a_list_is_read_to_its_end_page_by_page_and_each_call_once(bench: PlatformBench) -> None:
    page, began = bench.platform.page, time.time() - 20_000
    for number in range(2 * page + 1):
        bench.platform.add(Call(started=began + number % 5000, duration=60))
    since, until = datetime.fromtimestamp(began - 60, UTC), datetime.now(UTC)
    first = bench.client.list_page(since, until)
    second = bench.client.list_page(since, until, first.next)
    third = bench.client.list_page(since, until, second.next)
    sizes = [len(each.records) for each in (first, second, third)]
    assert (sizes, third.next) == ([page, page, 1], None)
    ids = {record.id for each in (first, second, third) for record in each.records}
    assert len(ids) == 2 * page + 1
    assert {record.id for record in bench.client.list_calls(since, until)} == ids


def test_only_the_calls_of_the_time_and_number_that_are_asked_for_are_listed(bench: PlatformBench) -> None:
    now = time.time()
    for hours, caller in ((1, "+33612345678"), (3, "+33612345678"), (3.5, "+4930123456")):
        bench.platform.add(Call(started=now - hours * 3600, duration=60, caller=caller))
    at = datetime.fromtimestamp(now, UTC)
    since, until = at - timedelta(hours=4), at - timedelta(hours=2)
    assert len(list(bench.client.list_calls(since, until))) == 2
    (found,) = bench.client.list_calls(since, until, "+4930123456")
    assert found.event.facts["caller"] == "+4930123456"
    assert len(list(bench.client.list_calls(at - WIDE, at))) == 3


@pytest.mark.parametrize("page", ["garbage", "'", "-1", "page=2&limit=1"])
def test_a_page_that_is_none_has_expired(bench: PlatformBench, page: str) -> None:
    bench.call()
    now = datetime.now(UTC)
    with pytest.raises(PageExpired):
        bench.client.list_page(now - WIDE, now, page)


@pytest.mark.parametrize(("kind", "expected"), FAULTS.items())
def test_an_answer_means_the_same_on_every_platform(
    bench: PlatformBench, kind: str, expected: type[PlatformError]
) -> None:
    reference = bench.call()
    call_id = bench.record().id
    bench.platform.fail(Fault(kind, retry_after="1", count=None))
    with pytest.raises(expected) as fault:
        bench.client.get_call(call_id)
    assert type(fault.value) is expected
    bench.platform.mend()
    assert bench.client.get_call(call_id).id == call_id
    assert bench.tags(reference) == []


@pytest.mark.parametrize(("kind", "expected"), FAULTS.items())
def test_a_write_that_fails_can_be_done_again(
    bench: PlatformBench, kind: str, expected: type[PlatformError]
) -> None:
    reference = bench.call()
    call_id, ids = bench.record().id, {"One": tag_id(bench, "One")}
    bench.platform.fail(Fault(kind, retry_after="1", count=None if kind == "401" else 1, on="write"))
    changed = Changed()
    with pytest.raises(expected):
        bench.client.change_tags(call_id, ids, {}, changed)
    assert changed == Changed()
    bench.platform.mend()
    took_effect = kind == "drop_after"
    assert change(bench.client, call_id, ids, {}) == (
        Changed(already=["One"]) if took_effect else Changed(added=["One"])
    )
    assert (bench.tags(reference), bench.platform.added) == (["One"], 1)


def test_a_limit_stops_the_fleet_for_as_long_as_it_says(bench: PlatformBench) -> None:
    bench.call()
    call_id = bench.record().id
    bench.platform.fail(Fault("429", retry_after="7"))
    with pytest.raises(Limited) as fault:
        bench.client.get_call(call_id)
    assert fault.value.retry_after == 7.0
    before = bench.platform.requests.total()
    soon_over = LEASE - LONGEST_REQUEST - 3.0  # three seconds are left to begin a request in
    with pytest.raises(OutOfTime) as refused:
        bench.worker.client(bench.account, time.monotonic() - soon_over).get_call(call_id)
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 3.0
    assert bench.platform.requests.total() == before


def test_a_token_that_ended_is_renewed_once_for_all(bench: PlatformBench) -> None:
    bench.client.list_tags()
    issued = bench.platform.tokens
    if issued is None:
        return
    bench.platform.revoke()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bench.client.list_tags(), range(24)))
    assert answers == [[]] * 24
    assert bench.platform.tokens == issued + 1


def test_while_no_token_is_to_be_had_requests_are_tried_again_later(bench: PlatformBench) -> None:
    if bench.platform.tokens is None:
        return
    bench.platform.fail(Fault("503", on="token"))
    with pytest.raises(Unreachable):
        bench.client.list_tags()
    assert bench.client.list_tags() == []


def test_the_platform_s_limit_is_real_and_our_rate_keeps_below_it(make: Make) -> None:
    bench = make(limited=True)
    bench.call()
    for _ in range(12):
        bench.record()
    answers = bench.platform.requests
    assert answers["429"] == 0
    assert bench.platform.busiest <= float(bench.platform.settings["rate"]) + 1
    with httpx.Client(trust_env=False) as http:
        link = Link(http, lambda: None, lambda _seconds: None)
        tokens = FleetTokens(bench.worker.redis, "unlimited", bench.database)
        client = bench.account.platform.connect(bench.account.settings, link, tokens)
        with pytest.raises(Limited):
            any(client.list_tags() for _ in range(2000))
