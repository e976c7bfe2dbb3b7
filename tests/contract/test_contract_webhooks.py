"""What every platform's webhooks are held to: who may send them, what they say, in what order they come."""

import time

import orjson
import pytest
from sqlalchemy import func, select

from platforms.errors import BadSignature, BadTimestamp
from rules.fields import FIELDS
from store import schema
from tests.platform_bench import PlatformBench, Post

DAY = 86_400.0
AT_ONCE = {"direction": "inbound", "status": "answered", "duration": 1900}
"""Facts that every platform's events tell of the bench's call."""


@pytest.fixture
def post(bench: PlatformBench) -> Post:
    (post,) = bench.told(bench.call())
    return post


def test_what_the_platform_sends_is_genuine(bench: PlatformBench) -> None:
    posts = bench.told(bench.call(), *bench.platform.events)
    assert len(posts) == len(bench.platform.events)
    for each in posts:
        assert abs(bench.verify(each) - time.time()) < 60


def test_a_webhook_by_another_secret_is_refused(bench: PlatformBench, post: Post) -> None:
    with pytest.raises(BadSignature):
        bench.verify(post, secrets="another secret")


def test_while_a_secret_is_changed_both_are_taken(bench: PlatformBench, post: Post) -> None:
    known = bench.platform.settings["webhook_secrets"]
    for secrets in (f"another,{known}", f"{known},another"):
        assert bench.verify(post, secrets=secrets)


def test_without_a_secret_no_webhook_is_taken(bench: PlatformBench, post: Post) -> None:
    with pytest.raises(BadSignature):
        bench.verify(post, secrets="")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"token": null}', b"{" * 100_000])
def test_a_body_without_proof_is_refused(bench: PlatformBench, body: bytes) -> None:
    with pytest.raises(BadSignature):
        bench.verify(Post([], body))


def test_a_body_that_was_changed_is_refused(bench: PlatformBench, post: Post) -> None:
    if not bench.platform.signs:
        return  # nothing proves the rest of the body
    with pytest.raises(BadSignature):
        bench.verify(Post(post.headers, post.body + b" "))
    with pytest.raises(BadSignature):
        bench.verify(Post([*post.headers, *post.headers], post.body))


def test_an_old_webhook_is_told_from_one_by_a_stranger(bench: PlatformBench, post: Post) -> None:
    if not bench.platform.stamps:
        bench.verify(post, at=time.time() + DAY)
        return
    for off in (-DAY, DAY):
        with pytest.raises(BadTimestamp):
            bench.verify(post, at=time.time() + off)


def test_our_own_test_event_is_taken(bench: PlatformBench, post: Post) -> None:
    account = bench.account
    body, headers = account.platform.sign(account.settings, post.body, time.time())
    lower = [(key.lower().encode(), value.encode()) for key, value in headers.items()]
    assert abs(bench.verify(Post(lower, body)) - time.time()) < 60


def test_a_test_event_can_be_made_and_is_about_no_call(bench: PlatformBench) -> None:
    account = bench.account
    event = account.platform.read_event(account.settings, orjson.dumps(account.platform.example("test", {})))
    assert event.ignored
    assert event.references == ()


def test_every_documented_event_is_known_and_names_its_call(bench: PlatformBench) -> None:
    reference = bench.call()
    for name in bench.platform.events:
        (post,) = bench.told(reference, name)
        event = bench.read(post)
        assert event.name != "unknown", name
        assert bool(event.references) != bool(event.ignored), name
        told = {fact for fact in (*event.facts, *event.defaults) if not fact.startswith("custom.")}
        assert told <= set(FIELDS), name


def test_the_end_of_a_call_tells_what_rules_ask_first(bench: PlatformBench) -> None:
    reference = bench.call()
    (post,) = bench.told(reference)
    event = bench.read(post)
    assert event.ends
    assert reference in {found.value for found in event.references}
    facts = {**event.defaults, **event.facts}
    assert {name: facts.get(name) for name in AT_ONCE} == AT_ONCE
    assert {facts["caller"], facts["receiver"]} == {"+33612345678", "+33184800000"}


def test_the_same_webhook_twice_is_one_event(bench: PlatformBench) -> None:
    reference = bench.call()
    posts = bench.told(reference)
    bench.arrive(posts * 3)
    bench.rest()
    bench.arrive(posts)
    bench.rest()
    with bench.database.read() as connection:
        seen = connection.execute(select(func.count()).select_from(schema.events)).scalar_one()
    assert seen == 1 + (1 if bench.account.platform.echoes else 0)
    assert bench.tags(reference) == ["Long Call"]
    assert bench.platform.added == 1


def test_events_in_any_order_end_in_the_same_tags(bench: PlatformBench) -> None:
    names, ends = list(bench.platform.events), bench.platform.ends
    others = [name for name in names if name != ends]
    orders = (names, names[::-1], [ends, *others], [*others, ends])
    for order in orders:
        reference = bench.call()
        for name in order:
            bench.tell(reference, name)
        bench.later()
        bench.rest()
        assert (bench.tags(reference), bench.state(reference).state) == (["Long Call"], "done"), order
    assert bench.platform.added == len(orders)
