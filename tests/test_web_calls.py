"""`/calls`: finding a call; `/calls/ACCOUNT/REFERENCE`: what happened to it, and why."""

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import orjson
import pytest
from sqlalchemy import update

from platforms.sipsim.simulator import events
from store import schema
from store.calls import lease
from tests.pages import VIEWER, Person, visiting, words
from tests.worker_bench import CALLER, RECEIVER, Bench
from worker import tags
from worker.tagids import TagIds

Make = Callable[..., Bench]
RULES = """
version: 1
timezone: Europe/Paris
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call, stop: true}
  - {id: refund, when: {field: summary, contains: refund}, tag: Refund}
  - {id: trial, mode: shadow, when: {field: caller, starts_with: "+336"}, tag: Mobile}
  - {id: short, when: {field: duration, lt: 60}, tag: Short}
  - {id: old, mode: "off", when: {field: duration, lt: 60}, tag: Short}
"""
SUMMARY = "the caller wants a refund"
ODD = ["a/b", "a%2Fb", "é ?x=1#y", "x" * 200, "a//b", "trailing/", "<script>alert(1)</script><b>"]
MARKUP = "<script>alert('x')</script>\"' \u202e RTL <b>"


def summary(reference: str, text: str) -> dict[str, object]:
    """An event that tells the summary of a call."""
    return {"event": "summary", "pbx_id": reference, "summary": text}


@pytest.fixture
def desk(make_bench: Make) -> Bench:
    """A long call of ten minutes ago with its tag, and a short one of which a summary tells."""
    bench = make_bench(rules=RULES, default_region="FR")
    long, short = bench.call(1), bench.call(2, duration=200)
    for record in (long, short):
        bench.end(record)
    bench.settle()
    bench.receive(summary("call_00002", SUMMARY))
    bench.settle()
    return bench


@pytest.fixture
def person(desk: Bench) -> Iterator[Person]:
    with visiting(desk.settings) as person:
        yield person


@pytest.fixture
def viewer(person: Person) -> Iterator[Person]:
    made = Person(person.address)
    with made.client:
        made.log_in(VIEWER)
        yield made


def section(html: str, begins: str, ends: str) -> str:
    return words("<main" + html.partition(f'id="{begins}"')[2].partition(f'id="{ends}"')[0])


def rule(html: str, id_: str) -> str:
    """What the page says of one rule."""
    return section(html, f"rule-{id_}", "rule-")


def test_calls_are_listed_newest_first_and_lead_to_their_page(person: Person) -> None:
    answered = person.get("/calls")
    found = re.findall('href="(/calls/sipsim/[^"]+)"', answered.text)
    assert found == ["/calls/sipsim/call_00002", "/calls/sipsim/call_00001"]
    assert "Long Call" in words(answered.text)
    assert person.get(found[0]).status_code == 200


ASKED = {
    "reference=call_00001": ["1"],
    "reference=sipsim:call_00001": ["1"],
    "reference=call": [],
    "number=06+12+34+56+78": ["2", "1"],
    "number=%2B33612345678&tag=Long+Call": ["1"],
    "tag=Long+Call": ["1"],
    "rule=refund": ["2"],
    "state=done": ["2", "1"],
    "state=dead": [],
    "since=2h": ["2", "1"],
    "until=2h": [],
    "account=sipsim": ["2", "1"],
    "tag=%00": [],
}


def test_calls_are_found_by_what_is_asked_for(person: Person) -> None:
    for query, expected in ASKED.items():
        answered = person.get(f"/calls?{query}")
        assert answered.status_code == 200, query
        assert re.findall('href="/calls/sipsim/call_0000([^"]+)"', answered.text) == expected, query


WRONG = {
    "since=yesterday": "since: 'yesterday' is no time",
    "number=nobody": "number: 'nobody' is no phone number",
    "state=odd": "state: 'odd' is none; it is one of due",
    "before=1_x": "before: this is no place in the list",
    "before=nan_1": "before: this is no place in the list",
}


def test_what_cannot_be_asked_for_is_said_in_one_line(person: Person) -> None:
    for query, told in WRONG.items():
        answered = person.get(f"/calls?{query}")
        assert answered.status_code == 400, query
        assert told in words(answered.text), query


def test_a_long_list_goes_on_from_where_the_page_ended(person: Person, desk: Bench) -> None:
    at = time.time() - 9e5
    rows = [
        {"account": "sipsim", "state": "done", "facts": {}, "first_at": at - n, "next_at": at}
        for n in range(60)
    ]
    with desk.database.write() as connection:
        connection.execute(schema.calls.insert(), rows)
    first = person.get("/calls?state=done").text
    assert first.count("<tr>") == 51
    following = re.search('href="(/calls[^"]+before=[^"]+)"', first)
    assert following
    second = person.get(following[1].replace("&amp;", "&")).text
    assert (second.count("<tr>"), "before=" in second) == (13, False)


def test_a_search_field_that_is_typed_in_gets_the_list_alone(person: Person) -> None:
    part = person.get("/calls?tag=Long+Call", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert "call_00001" in part
    assert "no place" in words(person.get("/calls?before=x", headers={"HX-Request": "true"}).text)


def test_each_tag_says_by_which_rule_when_and_why(person: Person) -> None:
    html = person.get("/calls/sipsim/call_00001").text
    assert re.search(
        r"Long Call rule long-call \d{4}-.* duration, gt: 30m.* it is 1900 s \(31 min 40 s\)",
        section(html, "tags", "facts"),
    )


def test_facts_tell_their_unit_and_the_event_that_told_them(person: Person) -> None:
    facts = section(person.get("/calls/sipsim/call_00002").text, "facts", "happened")
    assert "duration 200 s (3 min 20 s) incoming_call_end" in facts
    assert f"summary {SUMMARY} summary" in facts
    assert "remote_country FR follows from others" in facts
    assert "account sipsim settings" in facts


def test_what_happened_stands_in_order(person: Person, desk: Bench) -> None:
    happened = section(person.get("/calls/sipsim/call_00002").text, "happened", "why")
    order = [
        "event incoming_call_end",
        "no change : no rule gives a tag",
        "event summary",
        "we began to put Refund by rule refund",
        "decided : put Refund",
    ]
    happened = re.sub(" +:", " :", happened.replace(":", " :"))
    places = [happened.index(what) for what in order]
    assert places == sorted(places)


def test_a_decision_that_changed_nothing_says_so(person: Person, desk: Bench) -> None:
    person.get("/calls/sipsim/call_00001")
    person.send("/calls/again", account="sipsim", reference="call_00001")
    desk.settle()
    happened = section(person.get("/calls/sipsim/call_00001").text, "happened", "why")
    assert "no change: Long Call is wanted and nothing had to be done" in happened


def test_the_platforms_echo_of_our_own_tag_is_nobodys_edit(person: Person, desk: Bench) -> None:
    record = desk.simulator.call("call_00001")
    assert record
    desk.receive(events.tags(record, time.time() + 2, ["Long Call"]))
    desk.settle()
    happened = section(person.get("/calls/sipsim/call_00001").text, "happened", "why")
    assert "event tags" in happened
    assert "somebody" not in happened


def test_of_a_call_without_a_tag_every_false_rule_is_open(person: Person, desk: Bench) -> None:
    desk.end(desk.call(5, duration=200, caller="+441632960000"))
    desk.settle()
    html = person.get("/calls/sipsim/call_00005").text
    assert "No tag is on the call" in words(html)
    assert '<details class="others" open>' in html
    assert re.findall('id="rule-([^"]+)" open', html) == ["refund", "long-call", "trial", "short", "old"]


def test_a_tag_that_was_taken_off_says_why(person: Person, desk: Bench) -> None:
    desk.rules(RULES.replace("30m", "2h"))
    person.get("/calls/sipsim/call_00001")
    person.send("/calls/again", account="sipsim", reference="call_00001")
    desk.settle()
    html = person.get("/calls/sipsim/call_00001").text
    happened = section(html, "happened", "why")
    assert "we began to take off Long Call given by rule long-call" in happened
    assert "took off Long Call since rule 'long-call' is false" in happened
    assert "Taken off: Long Call since rule 'long-call' is false" in section(html, "why", "test")
    first = min(map(int, re.findall(r"decision=(\d+)", html)))
    older = person.get(f"/calls/sipsim/call_00001?decision={first}").text
    assert "Taken off" not in section(older, "why", "test")


def test_a_tag_that_is_gone_with_its_definition_was_not_taken_off(person: Person, desk: Bench) -> None:
    client = desk.worker.client(desk.account, time.monotonic())
    ids = TagIds(desk.database, "sipsim", {}, client)
    ids.read_again()
    assert tags.delete(ids, ids.find("Long Call"), {"Long Call"}) == 1
    happened = section(person.get("/calls/sipsim/call_00001").text, "happened", "why")
    assert "we began to put Long Call by rule long-call ; the tag itself was deleted since" in happened
    assert "take off" not in happened


def test_of_a_tag_that_is_off_nothing_is_said_that_no_decision_tells(person: Person, desk: Bench) -> None:
    with desk.database.write() as connection:
        connection.execute(update(schema.applied_tags).values(state="off"))
        connection.execute(update(schema.decisions).values(added=[]))
    happened = section(person.get("/calls/sipsim/call_00001").text, "happened", "why")
    assert "we began to put or take off Long Call given by rule long-call" in happened


def test_what_people_did_to_the_tags_is_told(person: Person, desk: Bench) -> None:
    record = desk.simulator.call("call_00001")
    assert record
    desk.simulator.edit("call_00001", add=["VIP"], remove=["Long Call"])
    desk.receive(events.tags(record, time.time() + 2, ["VIP"]))
    desk.later()
    html = person.get("/calls/sipsim/call_00001").text
    assert "somebody put VIP and took off Long Call" in section(html, "happened", "why")
    tags = section(html, "tags", "facts")
    assert "Long Call taken off by a person; rule long-call had given it" in tags
    assert "VIP somebody else" in tags
    answered = person.send("/calls/unblock", account="sipsim", reference="call_00001", tag="Long Call")
    assert "The rules may put the tag again." in words(answered.text)


def test_every_condition_of_every_rule_says_what_it_came_to(person: Person) -> None:
    html = person.get("/calls/sipsim/call_00001").text
    assert "✓ true long-call gives Long Call" in section(html, "why", "test")
    assert "skipped by rule long-call , which stops" in rule(html, "short")
    assert "✗ false {field: duration, lt: 60} it is 1900 s" in rule(html, "short")
    assert "? unknown {field: summary, contains: refund} there is no value" in rule(html, "refund")
    assert "shadow would give Mobile" in rule(html, "trial")
    assert "The rule is off" in rule(html, "old")


def test_one_rule_is_found_by_its_name_or_tag(person: Person) -> None:
    html = person.get("/calls/sipsim/call_00001?rule=short").text
    assert re.findall('<details class="rule" id="rule-([^"]+)" open', html) == ["short", "old"]


def test_an_older_decision_is_shown_as_it_was_then(person: Person, desk: Bench) -> None:
    html = person.get("/calls/sipsim/call_00002").text
    assert "✓ true" in rule(html, "refund")
    first = min(map(int, re.findall(r"decision=(\d+)", html)))
    html = person.get(f"/calls/sipsim/call_00002?decision={first}").text
    assert "? unknown" in rule(html, "refund")
    desk.rules(RULES.replace("lt: 60", "lt: 300"))
    html = person.get("/calls/sipsim/call_00002?decision=now").text
    assert "✓ true" in rule(html, "short")


def test_a_call_that_waits_is_asked_by_the_rules_in_force(person: Person, desk: Bench) -> None:
    desk.end(desk.call(3, duration=10))
    desk.due()
    html = person.get("/calls/sipsim/call_00003").text
    assert "waits its turn" in words(html)
    assert "nothing has been decided yet" in words(html)


def test_a_call_is_evaluated_again(person: Person, desk: Bench) -> None:
    person.get("/calls/sipsim/call_00001")
    answered = person.send("/calls/again", account="sipsim", reference="call_00001")
    assert "The call is due again" in words(answered.text)
    assert desk.state("call_00001").state == "due"


def test_a_call_that_a_worker_has_is_not(person: Person, desk: Bench) -> None:
    call = desk.state("call_00001")
    with desk.database.write() as connection:
        connection.execute(update(schema.calls).values(state="due"))
        lease(connection, [call.id], "worker", time.time())
    person.get("/calls/sipsim/call_00001")
    answered = person.send("/calls/again", account="sipsim", reference="call_00001")
    assert "not evaluated again: a worker has it now" in words(answered.text)


def test_a_call_is_forgotten_once_one_is_sure(person: Person, desk: Bench) -> None:
    person.get("/calls/sipsim/call_00002")
    asked = person.send("/calls/forget", account="sipsim", reference="call_00002")
    assert "and 2 events will be erased for ever" in words(asked.text)
    assert desk.state("call_00002").forgotten_at is None
    answered = person.send("/calls/forget", account="sipsim", reference="call_00002", sure="yes")
    assert "1 call is forgotten." in words(answered.text)
    assert SUMMARY not in answered.text
    assert "It cannot be told: the call was forgotten" in words(answered.text)


def test_all_calls_of_a_number_are_forgotten_from_the_page_of_one(person: Person, desk: Bench) -> None:
    others = desk.call(70, caller="+33700000001")
    desk.end(others)
    desk.settle()
    person.get("/calls/sipsim/call_00002")
    given = {"account": "sipsim", "reference": "call_00002", "of": "number"}
    asked = words(person.send("/calls/forget", **given).text)
    assert f"Forget {CALLER} ?" in asked
    number = asked.partition("this number: ")[2].partition(" and ")[0]
    assert number != "1 call"
    assert f"{number} are forgotten." in words(person.send("/calls/forget", sure="yes", **given).text)
    assert desk.state("call_00001").forgotten_at is not None
    assert desk.state("call_00070").forgotten_at is None


def test_its_test_leaves_out_what_is_personal(person: Person) -> None:
    snippet = section(person.get("/calls/sipsim/call_00002").text, "snippet", "nothing")
    assert '- name: "sipsim:call_00002"' in snippet
    assert '"duration": 200' in snippet
    assert CALLER not in snippet
    assert SUMMARY not in snippet


def test_a_viewer_sees_neither_numbers_nor_what_was_said_and_changes_nothing(
    viewer: Person, desk: Bench
) -> None:
    for path in ("/calls", "/calls/sipsim/call_00002", "/calls/sipsim/call_00002?decision=now"):
        html = viewer.get(path).text
        for personal in (CALLER, RECEIVER, CALLER[1:], SUMMARY):
            assert personal not in html, (path, personal)
        assert "+33•••••78" in html
    assert "hidden from viewers" in html
    for name in ("again", "forget", "unblock"):
        assert f"/calls/{name}" not in html
        answered = viewer.send(f"/calls/{name}", account="sipsim", reference="call_00002", sure="yes")
        assert answered.status_code == 403
    assert desk.state("call_00002").forgotten_at is None


def test_a_call_of_an_odd_reference_is_shown_as_text(person: Person, desk: Bench) -> None:
    for reference in ODD:
        desk.receive(summary(reference, MARKUP * 300))
        desk.due()
        answered = person.get(f"/calls/sipsim/{quote(reference, safe='')}")
        assert answered.status_code == 200, reference
        for html in (answered.text, person.get("/calls").text):
            assert "<script>alert" not in html
            assert "<b>" not in html


def test_odd_facts_tags_and_rules_are_shown_as_text(person: Person, desk: Bench) -> None:
    odd = MARKUP.replace('"', "").replace("'", "")
    desk.rules(
        f'version: 1\nrules: [{{id: odd, when: {{field: summary, contains: "{odd[:20]}"}}, tag: "{odd}"}}]'
    )
    record = desk.call(4)
    desk.end(record)
    desk.receive(summary("call_00004", odd + "y" * 10_000))
    desk.settle()
    html = person.get("/calls/sipsim/call_00004").text
    assert "<script>" not in html.replace('<script src="/static', "").replace('<script type="module" src', "")
    assert odd in words(html)
    assert "y" * 10_000 in html


def test_a_call_that_is_not_there_is_not_found(person: Person) -> None:
    for path in ("sipsim/none", "none/call_00001", "sipsim/%00", "sipsim/" + "x" * 4000):
        answered = person.get(f"/calls/{path}")
        assert answered.status_code == 404
        assert "no call of the account" in words(answered.text)


def test_an_event_that_nobody_reads_yet_does_not_hide_the_others(person: Person, desk: Bench) -> None:
    with desk.database.write() as connection:
        body = orjson.dumps({"event": "something new", "pbx_id": "call_00001"})
        connection.execute(update(schema.events).where(schema.events.c.id == 1).values(body=body))
    assert person.get("/calls/sipsim/call_00001").status_code == 200
