"""Each platform fills the facts that its adapter declares, and no others."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from platforms.adapter import Event
from platforms.filled import Way, ways
from rules.fields import CUSTOM, CUSTOM_FIELD, FIELDS
from tests.platform_bench import WIDE, PlatformBench

CALLS = 25
"""Of a realistic day: enough for one of each kind."""


def brought(events: Iterable[Event]) -> set[str]:
    """The fields that these events fill, a platform's own ones apart."""
    found: set[str] = set()
    for event in events:
        found |= {*event.facts, *event.defaults}
        found |= {"tags"} if event.tags is not None else set()
        if (event.caller_speech, event.receiver_speech) != (None, None):
            found |= {"transcript_caller", "transcript_agent"}
    return {name for name in found if not name.startswith(CUSTOM)}


def test_webhooks_tell_the_facts_that_they_are_declared_to_and_no_others(bench: PlatformBench) -> None:
    bench.platform.play(CALLS, 1e6)
    if bench.account.platform.echoes:
        bench.platform.edit(next(iter(bench.platform.facts)), add=["By hand"])
    events = [bench.read(post) for post in bench.posts()]
    assert brought(events) == bench.account.platform.told
    assert any(name.startswith(CUSTOM) for event in events for name in event.facts)


def test_records_bring_the_facts_that_they_are_declared_to_and_no_others(bench: PlatformBench) -> None:
    bench.platform.play(CALLS, 1e6)
    now, platform = datetime.now(UTC), bench.account.platform
    records = list(bench.client.list_calls(now - 3 * WIDE, now + timedelta(hours=1)))
    assert brought(record.event for record in records) == platform.listed
    whole = [bench.client.transcribed(record).event for record in records]
    assert brought(whole) == platform.listed | platform.fetched


def test_what_rules_can_ask_of_a_platform_is_what_it_declares(bench: PlatformBench) -> None:
    platform = bench.account.platform
    told = {name for name, field in FIELDS.items() if Way.WEBHOOK in ways(platform, field)}
    derived = {"remote_number", "our_number", "remote_country", "local_time", "local_date", "weekday"}
    assert told == platform.told | derived | {"platform", "account"}
    assert ways(platform, CUSTOM_FIELD) == [Way.WEBHOOK, Way.LIST]
    assert {
        name for name, field in FIELDS.items() if Way.REQUEST in ways(platform, field)
    } == platform.fetched
