"""`/rules`: what each rule does, what they do together; versions, what changed, and going back."""

import re
import time
from collections.abc import Callable, Iterator

import pytest

from rules.loader import parse
from store import rulesets
from tests.pages import VIEWER, Person, running_pages, visiting, words
from tests.worker_bench import Bench
from worker.sweeper import RulesWatch

Make = Callable[..., Bench]
RULES = """\
version: 1
rules:
  - id: long-call
    description: Half an hour and more
    when: {field: duration, gt: 30m} # <b>bold</b>
    tag: Long Call
  - {id: short, when: {field: duration, lt: 60}, tag: "<b>Short</b>"}
  - {id: rated, when: {field: rating, lt: 3}, tag: Bad}
  - {id: trial, mode: shadow, when: {field: duration, gt: 25m}, tag: Trial}
  - {id: old, mode: "off", when: {field: duration, exists: true}, tag: Old}
"""
CHANGED = RULES.replace("gt: 30m", "gt: 20m").replace("  - {id: rated", "  # a comment\n  - {id: rated")


@pytest.fixture
def desk(make_bench: Make) -> Bench:
    """25 calls by now, of which two are long and one is short."""
    bench = make_bench(rules=RULES, rules_edit="on")
    bench.settings.rules.write_text(RULES)
    for number in range(25):
        bench.end(bench.call(number, duration={0: 1900, 1: 2000, 2: 10}.get(number, 300)))
    bench.settle()
    return bench


@pytest.fixture
def person(desk: Bench) -> Iterator[Person]:
    with visiting(desk.settings) as person:
        yield person


def row(html: str, rule: str) -> str:
    return words("<main" + html.partition(f'<tr id="rule-{rule}"')[2].partition("</tr>")[0])


def hashes(person: Person) -> list[str]:
    return list(
        dict.fromkeys(re.findall("/rules/versions/([0-9a-f]{64})", person.get("/rules/versions").text))
    )


def load(desk: Bench, text: str) -> str:
    """The sweeper finds other rules; gives their hash."""
    desk.settings.rules.write_text(text)
    RulesWatch(desk.database, desk.settings.rules).look()
    return parse({"rules.yaml": text.encode()}).hash


def test_each_rule_shows_its_text_and_what_it_did(person: Person) -> None:
    html = person.get("/rules").text
    today = time.strftime("%Y-%m-%d", time.gmtime())
    long = row(html, "long-call")
    assert "id: long-call description: Half an hour and more when: {field: duration, gt: 30m}" in long
    assert re.search(rf"live 2 0 8\.0 % {today}$", long)
    assert re.search(r"live 0 25 0\.0 % never$", row(html, "rated"))
    assert re.search(rf"shadow 0 2 as shadow 0 8\.0 % {today}$", row(html, "trial"))
    assert row(html, "old").endswith("off")
    assert 'aria-label="2 calls in 30 days, 2 at most"' in html


def test_rules_that_never_match_are_named(person: Person) -> None:
    assert "1 rule matched no call that this set decided rated" in person.reads("/rules")


def test_a_rule_that_matched_long_ago_is_not_one_that_never_did(person: Person, desk: Bench) -> None:
    with desk.database.write() as connection:
        connection.exec_driver_sql("UPDATE rule_days SET day = day - 90 WHERE rule = 'short'")
    assert "1 rule matched no call that this set decided rated" in person.reads("/rules")


def test_before_a_set_decided_enough_nothing_is_said_of_never(person: Person, desk: Bench) -> None:
    load(desk, CHANGED)
    text = person.reads("/rules")
    assert "too few calls" in text
    assert row(person.get("/rules").text, "long-call").count("–") == 1


def test_rules_are_found_by_name_tag_and_mode(person: Person) -> None:
    for query, expected in {
        "find=bad": ["rated"],
        "mode=shadow": ["trial"],
        "find=HALF+an": ["long-call"],
    }.items():
        assert re.findall('<tr id="rule-([^"]+)"', person.get(f"/rules?{query}").text) == expected
    assert "No rule fits" in person.reads("/rules?find=nothing")


def test_many_rules_come_page_by_page(person: Person, desk: Bench) -> None:
    rules = "\n".join(f"  - {{id: r{n}, when: {{field: duration, gt: {n}}}, tag: T}}" for n in range(70))
    load(desk, f"version: 1\nrules:\n{rules}\n")
    first = person.get("/rules").text
    assert first.count('<tr id="rule-') == 50
    following = re.search('href="(/rules[^"]+after=r49)"', first)
    assert following
    second = person.get(following[1].replace("&amp;", "&")).text
    assert re.findall('<tr id="rule-([^"]+)"', second) == [f"r{n}" for n in range(50, 70)]


def test_rules_that_match_the_same_calls_are_told(person: Person) -> None:
    for path, headers in (("/rules/overlap", {}), ("/rules/overlap", {"HX-Request": "true"})):
        answered = person.get(path, headers=headers)
        assert ("<html" in answered.text) == (not headers)
        text = words(answered.text)
        assert "asked about 25 calls" in text
        assert "long-call 2 8.0 % trial 100 % call_0000" in text
        assert "trial shadow live, it would bring a new tag to 2 calls 2 8.0 % long-call 100 %" in text
        assert "1 rule matched none of these calls: rated" in text


def test_every_version_says_how_and_when_it_came(person: Person, desk: Bench) -> None:
    changed = load(desk, CHANGED)
    with desk.database.write() as connection:
        rulesets.activate(connection, "f" * 64, {"rules.yaml": b"x"}, time.time(), by=rulesets.PAGE)
    text = person.reads("/rules/versions")
    assert "in force" in text
    assert text.index("published from the page") < text.index(changed[:12])
    assert "found in the rules' path 25" in text
    assert len(hashes(person)) == 3


def test_what_changed_is_told_in_meaning_and_in_text(person: Person, desk: Bench) -> None:
    before = parse({"rules.yaml": RULES.encode()}).hash
    changed = load(desk, CHANGED)
    text = person.reads(f"/rules/versions/{changed}")
    assert "In force since" in text
    condition = "condition before {field: duration, gt: 30m} after {field: duration, gt: 20m}"
    assert f"changed rule long-call: {condition}" in text.replace(" :", ":")
    assert "- when: {field: duration, gt: 30m}" in text
    assert "+ # a comment" in text
    text = person.reads(f"/rules/versions/{before}?against={changed}")
    assert "after {field: duration, gt: 30m}" in text


def test_a_version_that_is_not_there_is_not_found(person: Person) -> None:
    (hash_,) = hashes(person)
    for path in (f"/rules/versions/{'0' * 64}", "/rules/versions/x", f"/rules/versions/{hash_}?against=x"):
        assert person.get(path).status_code == 404
    assert person.get("/rules/versions?before=x").status_code == 400


def test_one_goes_back_to_an_earlier_version(person: Person, desk: Bench) -> None:
    before = parse({"rules.yaml": RULES.encode()}).hash
    load(desk, CHANGED)
    assert "Go back to this version" in person.reads(f"/rules/versions/{before}")
    answered = person.send("/rules/back", hash=before)
    assert "The earlier rules are written" in words(answered.text)
    assert desk.settings.rules.read_text() == RULES
    RulesWatch(desk.database, desk.settings.rules).look()
    assert f"In force: {before[:12]}" in person.reads("/rules")
    answered = person.send("/rules/back", hash=before)
    assert "Not gone back: the files are those of that version already." in words(answered.text)


def test_where_rules_are_not_edited_here_it_says_why(make_bench: Make) -> None:
    bench = make_bench(rules=RULES)
    changed = load(bench, CHANGED)
    load(bench, RULES)
    with running_pages(bench.settings) as address:
        person = Person(address)
        with person.client:
            person.log_in()
            text = person.reads(f"/rules/versions/{changed}")
            assert "Going back to it from here is not possible: publishing from here is switched off" in text
            answered = person.send("/rules/back", hash=changed)
            assert "Not gone back: publishing from here is switched off" in words(answered.text)
    assert bench.settings.rules.read_text() == RULES


def test_a_viewer_changes_nothing(person: Person, desk: Bench) -> None:
    before = parse({"rules.yaml": RULES.encode()}).hash
    load(desk, CHANGED)
    viewer = Person(person.address)
    with viewer.client:
        viewer.log_in(VIEWER)
        assert "Go back" not in viewer.reads(f"/rules/versions/{before}")
        assert viewer.send("/rules/back", hash=before).status_code == 403
    assert desk.settings.rules.read_text() == CHANGED


def test_names_and_texts_of_rules_are_shown_as_text(person: Person, desk: Bench) -> None:
    odd = "<script>alert(1)</script>' \u202e <b>" + "z" * 10_000
    changed = load(
        desk, RULES.replace("Half an hour and more", f'"{odd}"').replace("tag: Bad", f'tag: "{odd}"')
    )
    for path in ("/rules", "/rules/overlap", f"/rules/versions/{changed}"):
        html = person.get(path).text
        assert "<script>" not in html
        assert "<b>" not in html
    assert odd in words(person.get("/rules").text)


def test_without_rules_it_says_what_to_do(make_bench: Make) -> None:
    bench = make_bench()
    with bench.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM rulesets")
    with running_pages(bench.settings) as address:
        person = Person(address)
        with person.client:
            person.log_in()
            assert "No rule set is in force yet. Write one to" in person.reads("/rules")
            assert "No rule set has been in force yet" in person.reads("/rules/versions")


def test_a_set_that_is_refused_is_told(person: Person, desk: Bench) -> None:
    desk.settings.rules.write_text("version: 1\nrules: <i>")
    RulesWatch(desk.database, desk.settings.rules).look()
    assert "A newer set cannot be loaded, and what is in force stays: rules.yaml:2:8" in person.reads(
        "/rules"
    )
