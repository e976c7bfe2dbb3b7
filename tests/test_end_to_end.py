"""The whole path with real processes: a webhook comes in, the tag is on the call at the platform."""

import os
from collections.abc import Iterable
from pathlib import Path

import kombu
import orjson
import pytest

from platforms.sipsim.simulator import DayCall
from tests.processes import descendants
from tests.service import PLAIN, SAMPLE, Run, a_day, calltag_up, expected_tags, part_of, platform
from tests.waiting import eventually

TALK = """\
version: 1
rules:
  - id: long-refund
    description: A refund was spoken of, in a call over two minutes
    when:
      all:
        - {field: duration, gt: 2m}
        - {field: transcript_caller, contains: refund}
    tag: Long Refund
  - id: praised
    when: {all: [{field: rating, gte: 40}, {field: summary, exists: true}]}
    tag: Praised
"""
EVERY = """\
version: 1
rules:
  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: out, when: {field: direction, eq: outbound}, tag: Outbound}
  - {id: long, when: {field: duration, gt: 5m}, tag: Long}
"""
FIRST = "version: 1\nrules:\n  - {id: in, when: {field: direction, eq: inbound}, tag: First}\n"
SECOND = FIRST.replace("First", "Second")
BROKEN = FIRST + "  - {id: bad, when: {field: durration, gt: 5}, tag: Bad}\n"


def written(folder: Path, text: str) -> Path:
    rules = folder / "rules.yaml"
    rules.write_text(text)
    return rules


def inbound(day: Iterable[DayCall]) -> list[DayCall]:
    return [call for call in day if call.record.direction == "inbound"]


def named_by_reference(day: Iterable[DayCall]) -> list[DayCall]:
    """The calls all of whose events carry the `pbx_id`."""
    return [call for call in day if all("pbx_id" in sending.payload for sending in call.sendings)]


def test_a_call_that_ends_gets_its_tag(tmp_path: Path) -> None:
    day = a_day(40)
    expected = expected_tags(SAMPLE, day)
    one = next(call for call in day if "Long Call" in expected[call.record.reference])
    with platform() as (simulator, url), calltag_up(tmp_path, simulator, url) as run:
        run.play([one])
        run.ends_right()
        call = run.call(one.record.reference)
        assert call["state"] == "done"
        assert {tag["name"]: (tag["whose"], tag["rule"]) for tag in call["tags"]}["Long Call"] == (
            "rule",
            "long-call",
        )
        assert call["decisions"][0]["trace"]


def test_each_part_is_a_process_that_is_shown_by_its_name(tmp_path: Path) -> None:
    with platform() as (simulator, url), calltag_up(tmp_path, simulator, url) as run:
        parts = {part_of(process): process.pid for process in descendants(run.process.pid)}
        assert parts.keys() == {"web", "worker", "batch", "sweeper", "valkey"}
        assert len(set(parts.values())) == 5
        for pid in parts.values():
            os.kill(pid, 0)
        assert run.part("worker") not in run.pool()
    assert run.process.returncode == 0


def test_five_hundred_calls_at_once_each_event_twice_and_out_of_order(tmp_path: Path) -> None:
    day = named_by_reference(a_day(900))[:500]
    assert len(day) == 500
    disorder = {"duplicate_rate": 1, "reorder_rate": 1, "reorder_seconds": 2}
    with (
        platform(disorder) as (simulator, url),
        calltag_up(tmp_path, simulator, url, written(tmp_path, EVERY)) as run,
    ):
        run.play(day)
        run.ends_right(PLAIN)
        sender, counters = simulator.sender.counts, simulator.counters
        assert sender.given_up == 0
        bodies = {orjson.dumps(sending.payload) for call in day for sending in call.sendings}
        events = run.status()["events"]
        assert events["accepted"] == len(bodies) + counters.put_201  # each tag comes back as an event
        kept = events["accepted"] + events["duplicate"]
        assert (
            sender.delivered <= kept <= sender.answers.total()
        )  # more than taken where an answer came too late
        requests = sum(sum(answers.values()) for answers in counters.requests.values())
        assert requests <= 1.02 * counters.put_201


@pytest.mark.parametrize("ids", ["reference", "integer"])
def test_what_was_said_and_how_long_it_took_are_judged_together(tmp_path: Path, ids: str) -> None:
    day, rules = a_day(150), written(tmp_path, TALK)
    expected = [tags for tags in expected_tags(rules, day).values() if tags]
    assert ["Long Refund"] in expected
    assert any("Praised" in tags for tags in expected)
    with platform({"ids": ids}) as (simulator, url), calltag_up(tmp_path, simulator, url, rules) as run:
        run.play(day, 100)
        run.ends_right()


def test_a_good_change_of_the_rules_is_live_within_seconds(tmp_path: Path) -> None:
    rules, day = written(tmp_path, FIRST), inbound(a_day(20))
    with platform() as (simulator, url), calltag_up(tmp_path, simulator, url, rules) as run:
        run.play(day[:1])
        run.ends_right()
        before = run.status()["ruleset"]
        rules.write_text(SECOND)
        eventually(lambda: run.status()["ruleset"] != before, "the new set is in force", 5)
        run.play(day[1:2])
        run.settles(PLAIN)
        tags = run.simulator.call_tags()
        assert [tags[call.record.reference] for call in day[:2]] == [["First"], ["Second"]]


def test_a_broken_change_is_refused_by_name_and_place_and_the_last_good_rules_stay(tmp_path: Path) -> None:
    rules, day = written(tmp_path, FIRST), inbound(a_day(20))
    with platform() as (simulator, url):
        with calltag_up(tmp_path, simulator, url, rules) as run:
            good = run.status()["ruleset"]
            rules.write_text(BROKEN)
            refused(run)
            assert run.status()["ruleset"] == good
        with calltag_up(tmp_path, simulator, url, rules) as run:  # a start with the broken file
            refused(run)
            assert run.status()["ruleset"] == good
            run.play(day[:1])
            run.settles(PLAIN)
            assert simulator.call_tags()[day[0].record.reference] == ["First"]
            rules.write_text(SECOND)
            eventually(lambda: run.health()["status"] == "ok", "the mended set is in force", 10)


def refused(run: Run) -> None:
    """Health says which place of which file is wrong, and the service goes on."""
    eventually(lambda: "rules" in run.health()["degraded"], "the set is refused", 10)
    health = run.health()
    assert health["status"] == "degraded"
    assert "rules.yaml:4" in health["degraded"]["rules"]
    assert run.get("/readyz").status_code == 200


def test_the_path_over_postgresql_and_redis(
    tmp_path: Path, postgres_url: str, separate_redis_url: str
) -> None:
    settings = {"CALLTAG_DATABASE_URL": postgres_url, "CALLTAG_REDIS_URL": separate_redis_url}
    through(tmp_path, settings)


def test_the_path_over_postgresql_and_rabbitmq(tmp_path: Path, postgres_url: str, amqp_url: str) -> None:
    try:
        through(tmp_path, {"CALLTAG_DATABASE_URL": postgres_url, "CALLTAG_BROKER_URL": amqp_url})
    finally:
        with kombu.Connection(amqp_url) as connection:
            kombu.Queue("live").bind(connection.channel()).delete()


def through(folder: Path, settings: dict[str, str]) -> None:
    """A part of a day, as ever, with these servers."""
    with platform() as (simulator, url), calltag_up(folder, simulator, url, settings=settings) as run:
        run.play(a_day(40), 100)
        run.ends_right()
