"""The overview: is all well, in words; what happens now; how much there was."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
import redis
from sqlalchemy import update

from platforms.sipsim.simulator import events
from store import breaker, fleet, schema
from store.database import Database
from store.days import DAY
from tests.pages import VIEWER, Person, visiting, words
from tests.retag_desk import alive
from tests.rows import NOW, change, ended_call
from tests.waiting import eventually
from tests.web_part import TOKEN, running_web
from tests.worker_bench import LONG, Bench
from worker.overview import charts

Make = Callable[..., Bench]
MARKUP = '<script>alert("x")</script>'


def section(person: Person, name: str) -> str:
    return words(person.get(f"/overview/{name}").text)


def test_what_needs_a_hand_comes_first_in_words(make_bench: Make) -> None:
    bench = make_bench()
    with visiting(bench.settings) as person:
        told = person.reads("/")
        assert "What needs a hand" in told
        assert "sweeper : no sweeper runs" in told
        assert told.index("no sweeper runs") < told.index("is in force for")
        alive(bench)
        with bench.database.write() as connection:
            fleet.beat(connection, "a", "worker", time.time())
            for _ in range(breaker.THRESHOLD):
                breaker.failed(connection, "sipsim", time.time())
            fleet.report(connection, "platform:sipsim", f"does not answer {MARKUP}", time.time() - 605)
        told = section(person, "health")
        assert "no sweeper runs" not in told
        assert f"platform:sipsim : does not answer {MARKUP} (for 10 min)" in told
        assert "platform of sipsim" not in told
        assert MARKUP not in person.get("/").text
        with bench.database.write() as connection:
            breaker.answered(connection, "sipsim")
            fleet.clear(connection, "platform:sipsim")
        told = section(person, "health")
        assert told.startswith("All is well")
        assert "platform of sipsim : answers" in told
        assert "rate of sipsim : free, at most 5000 requests a second" in told


def test_dead_letters_and_calls_that_wait_too_long_are_told(make_bench: Make) -> None:
    bench = make_bench()
    alive(bench)
    dead = ended_call(bench.database, "dead")
    with bench.database.write() as connection:
        change(connection, dead, state="dead", reason="it cannot be tagged")
    with visiting(bench.settings) as person:
        assert "dead letters : 1 call given up" in section(person, "health")
        ended_call(bench.database, "late", NOW)
        with bench.database.write() as connection:
            connection.execute(update(schema.calls).values(next_at=time.time() - 185))
        assert "waiting : the oldest waiting call has been due for 3 min" in section(person, "health")


def test_a_rate_that_is_used_up_is_told(make_bench: Make) -> None:
    bench = make_bench()
    with visiting(bench.settings) as person, redis.Redis.from_url(bench.settings.redis) as client:
        client.set("calltag:rate:sipsim", f"{time.time() + 95:.6f}")
        assert "rate of sipsim : used up: the next request may go in 1 min" in section(person, "health")


def test_a_redis_that_does_not_answer_is_told_and_the_page_shown(make_bench: Make) -> None:
    bench = make_bench()
    settings = bench.settings.model_copy(update={"redis_url": "unix:///nowhere/valkey.sock"})
    with visiting(settings) as person:
        assert "broker : Redis does not answer" in person.reads("/")


def test_a_decision_is_shown_with_its_call_tag_rule_and_time(make_bench: Make) -> None:
    bench = make_bench()
    bench.end(bench.call(1))
    bench.end(bench.call(2, duration=100))
    bench.settle()
    with visiting(bench.settings, VIEWER) as person:
        told = person.reads("/")
        assert "call_00001 + Long Call by long-call ·" in told
        assert "call_00002 no tag ·" in told
        assert "ms after its event" in told
        assert 'href="/calls/sipsim/call_00001"' in person.get("/").text


def test_a_decision_that_took_a_tag_off_says_why(make_bench: Make) -> None:
    bench = make_bench()
    record = bench.call(1)
    bench.end(record)
    bench.settle()
    bench.rules(LONG.replace("30m", "2h"))
    bench.receive(events.rating(record.id, 5) | {"pbx_id": record.reference})
    bench.settle()
    assert bench.tags(record) == []
    with visiting(bench.settings, VIEWER) as person:
        assert "− Long Call since rule 'long-call' is false ·" in person.reads("/")


def test_tags_and_references_with_markup_show_as_text(make_bench: Make) -> None:
    tag = f"\u202e{MARKUP}'\"&amp; " + "x" * 60
    bench = make_bench(
        rules=f"version: 1\nrules:\n- {{id: a, when: {{field: duration, gt: 1}}, tag: {json.dumps(tag)}}}"
    )
    record = bench.call(1)
    bench.end(record)
    bench.settle()
    with visiting(bench.settings) as person:
        html = person.get("/").text
        assert "<script>alert" not in html
        assert "<bdi" in html
        assert MARKUP in words(html)


def listen(address: str, cookies: dict[str, str], seen: list[str]) -> None:
    """Somebody whose browser takes the live list, until the pages end."""
    with (
        suppress(httpx.TransportError),
        httpx.Client(base_url=address, cookies=cookies, timeout=60, trust_env=False) as client,
        client.stream("GET", "/overview/decisions") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        seen.append("connected")
        seen.extend(stream.iter_lines())


def _told(seen: list[str], what: str) -> bool:
    return any(what in line for line in seen)


def test_a_decision_comes_to_all_who_listen_as_it_is_made(make_bench: Make) -> None:
    bench = make_bench()
    both: list[list[str]] = [[], []]
    with ThreadPoolExecutor(2) as pool, visiting(bench.settings) as person:
        for seen in both:
            pool.submit(listen, person.address, dict(person.client.cookies), seen)
        eventually(lambda: all(both), "both listen")
        for name in ("call_00001", "call_00002"):
            bench.end(bench.call(int(name[-1])))
            bench.settle()
            for seen in both:
                eventually(partial(_told, seen, name), "it is told")
        assert [sum("data-key" in line for line in seen) for seen in both] == [2, 2]


def test_who_is_not_logged_in_hears_nothing(make_bench: Make) -> None:
    with visiting(make_bench().settings) as person:
        person.client.cookies.clear()
        answered = person.get("/overview/decisions", headers={"Accept": "text/event-stream"})
        assert answered.status_code == 401


def test_calls_are_counted_by_minute_and_tags_by_day(database: Database) -> None:
    now = (NOW // DAY) * DAY + 3600.5
    for n, at in enumerate((now - 61, now - 59.9, now - 30, now - 3599, now - 3700)):
        ended_call(database, f"call_{n}", at)
    with database.write() as connection:
        days = {0: {"Long Call": 2, "Short": 1}, 13: {"Long Call": 3}, 14: {"Old": 9}}
        rows = [
            {"day": int(now // DAY) - ago, "tag": tag, "put": put}
            for ago, tags in days.items()
            for tag, put in tags.items()
        ]
        connection.execute(schema.tag_days.insert(), rows)
        drawn = charts(connection, now)
    assert [calls for _, calls in drawn.calls] == [*[0] * 57, 1, 2, 0]
    assert drawn.calls[-1][0] == now - 0.5
    assert drawn.tags == ["Long Call", "Short"]
    assert (drawn.days[0], drawn.days[-1]) == (
        (now - 3600.5 - 13 * DAY, [3, 0]),
        (now - 3600.5, [2, 1]),
    )


def test_more_tags_than_a_chart_can_tell_apart_are_one(database: Database) -> None:
    with database.write() as connection:
        rows = [{"day": int(NOW // DAY), "tag": f"tag {n}", "put": 20 - n} for n in range(12)]
        connection.execute(schema.tag_days.insert(), rows)
        drawn = charts(connection, NOW)
    assert drawn.tags == [*(f"tag {n}" for n in range(7)), "all others"]
    assert drawn.days[-1][1] == [20, 19, 18, 17, 16, 15, 14, 13 + 12 + 11 + 10 + 9]


@pytest.mark.parametrize("path", ["/", "/overview/charts"])
def test_the_charts_have_their_numbers_in_a_table(make_bench: Make, path: str) -> None:
    bench = make_bench()
    bench.end(bench.call(1), received_at=time.time() - 120)
    bench.settle()
    with visiting(bench.settings) as person:
        told = person.reads(path)
    assert "Minute (UTC) Calls" in told
    assert f"{time.strftime('%Y-%m-%d', time.gmtime())} 1" in told


def test_a_web_part_that_is_ended_lets_go_of_who_listens(tmp_path: Path) -> None:
    with running_web(tmp_path / "data") as web, httpx.Client(base_url=web.url, trust_env=False) as client:
        client.post("/login", data={"token": TOKEN})
        with client.stream("GET", "/overview/decisions", timeout=60) as stream:
            assert stream.status_code == 200
            web.process.terminate()
            assert list(stream.iter_lines()) == []  # its end is no broken connection
        web.process.wait(20)
