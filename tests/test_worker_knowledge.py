"""Whose tag it is: echoes of our own writes, what people did, and the read that proves it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path

import pytest

from platforms.sipsim.simulator import Segment, events
from store.calls import Intent, LeasedCall, TagState
from tests.one_call import Died, OneCall
from tests.worker_bench import LONG, Bench
from worker.fold import Folded, TagLists
from worker.knowledge import Known, Look, after_read, expected, look

READ = "call tags"
THREE = """
version: 1
rules:
  - {id: long, when: {field: duration, gt: 30m}, tag: Long}
  - {id: inbound, when: {field: direction, eq: inbound}, tag: Inbound}
  - {id: answered, when: {field: status, eq: answered}, tag: Answered}
"""
RATED = """
version: 1
tags:
  Bad: {group: mood}
  Good: {group: mood}
  Neutral: {group: mood}
rules:
  - {id: long, when: {field: duration, gt: 30m}, tag: Long}
  - {id: bad, when: {field: rating, lt: 5}, tag: Bad}
  - {id: good, when: {field: rating, gte: 5}, tag: Good}
"""

New = Callable[..., OneCall]


@pytest.fixture
def new(tmp_path: Path, empty_database: Path) -> Iterator[New]:
    """Makes a call that has ended, and is tagged by these rules unless `tagged` is false."""
    with ExitStack() as stack:

        def make(rules: str = THREE, tagged: bool = True) -> OneCall:
            world = OneCall(tmp_path, empty_database, rules)
            stack.callback(world.close)
            world.ends()
            if tagged:
                world.rest()
                world.pass_time(60)
            return world

        yield make


def rate(world: OneCall, score: int) -> None:
    """The call is rated, which is known and worked on at once."""
    world.pass_time(2)
    world.platform.emit(events.rating(world.call.id, score))
    world.deliver(len(world.platform.outbox) - 1)
    world.settle()


def once_a_tag_is_on(world: OneCall, happen: Callable[[], None]) -> None:
    """Something happens at the first step after which the call has a tag."""

    def look() -> None:
        if world.platform.names:
            happen()
        else:
            world.steps.at(1, look)

    world.steps.at(1, look)


def asked(world: OneCall) -> int:
    return world.platform.requests[READ]


# A person takes a tag off, puts one on


def test_a_tag_removed_by_a_person_is_not_put_back(new: New) -> None:
    world = new()
    world.person(remove=["Inbound"])
    world.rest()
    assert asked(world) == 1, "one read proves it"
    assert world.ours() == {"Answered": "ours", "Inbound": "blocked", "Long": "ours"}
    rate(world, 2)
    world.rest()
    assert sorted(world.platform.names) == ["Answered", "Long"]
    assert asked(world) == 1


def test_a_persons_removal_on_the_simulated_platform_is_seen_and_stands(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(rules=LONG + "  - {id: in, when: {field: direction, eq: inbound}, tag: Inbound}\n")
    call = bench.call()
    bench.end(call)
    bench.settle()
    names = bench.simulator.edit(call.reference, remove=["Long Call"])
    bench.receive(events.tags(call, time.time() + 5, names), received_at=time.time() - 10)
    bench.due()
    bench.later()
    assert bench.answers("GET /api/v2/calls/{call}/tags") == {"200": 1}
    assert bench.ours(call.reference) == {"Inbound": "ours", "Long Call": "blocked"}
    bench.receive({"event": "rating", "overall_score": 2, "pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Inbound"]


def test_a_tag_added_by_a_person_is_theirs_and_stays(new: New) -> None:
    world = new(RATED)
    world.person(add=["Bad"])
    world.rest()
    assert world.ours() == {"Long": "ours"}
    rate(world, 9)
    world.rest()
    assert sorted(world.platform.names) == ["Bad", "Long"], "and holds its group"


def test_a_blocked_tag_that_a_person_puts_back_is_theirs(new: New) -> None:
    world = new(RATED)
    rate(world, 2)
    world.rest()
    world.person(remove=["Bad"])
    world.rest()
    world.person(add=["Bad"])
    world.rest()
    assert world.ours() == {"Long": "ours"}
    rate(world, 9)
    world.rest()
    assert sorted(world.platform.names) == ["Bad", "Long"], "we do not take off what a person put on"


def test_a_blocked_tag_holds_its_group(new: New) -> None:
    world = new(RATED.replace("lt: 5", "gt: 0"))
    rate(world, 6)
    world.rest()
    world.person(remove=["Bad"])
    world.rest()
    rate(world, 7)
    world.rest()
    assert world.platform.names == ["Long"]


def test_a_tag_of_others_in_the_group_takes_ours_off(new: New) -> None:
    world = new(RATED)
    rate(world, 2)
    world.rest()
    assert sorted(world.platform.names) == ["Bad", "Long"]
    world.person(add=["Neutral"])
    world.rest()
    assert sorted(world.platform.names) == ["Long", "Neutral"]
    world.person(remove=["Neutral"])
    world.rest()
    assert sorted(world.platform.names) == ["Bad", "Long"], "and once it is gone ours comes back"


def test_a_person_who_adds_and_one_who_removes_are_both_seen_by_one_read(new: New) -> None:
    world = new()
    world.person(add=["VIP"])
    world.person(remove=["Long"])
    world.rest()
    assert world.ours()["Long"] == "blocked"
    assert world.rows()[0].others == ["VIP"]
    assert asked(world) == 1


# Echoes of our own writes


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_echoes_in_any_order_and_twice_cause_no_read_and_no_write(new: New, order: tuple[int, ...]) -> None:
    world = new(tagged=False)
    world.deliver()
    world.settle()
    echoes = list(world.platform.outbox)
    assert len(echoes) == 3
    requests = world.platform.requests.total()
    world.pass_time(1)
    for number in order:
        for _ in range(2):
            world.arrive(echoes[number])
            world.settle()
    world.platform.outbox.clear()
    world.rest()
    assert world.platform.requests.total() == requests
    assert set(world.ours().values()) == {"ours"}


def test_echoes_of_tags_that_were_put_over_several_seconds_cause_no_read(new: New) -> None:
    world = new(tagged=False)
    world.deliver()
    once_a_tag_is_on(world, lambda: world.pass_time(2.2))
    world.settle()
    times = {arrival.signed_at for arrival in world.platform.outbox}
    assert len(times) == 2, "the clock moved between the writes"
    requests = world.platform.requests.total()
    for number in reversed(range(3)):
        world.deliver(number)
        world.settle()
    world.rest()
    assert world.platform.requests.total() == requests


def test_a_list_that_is_what_we_know_does_not_wake_the_call(new: New) -> None:
    world = new(tagged=False)
    world.deliver()
    world.settle()
    before = world.rows()
    world.deliver(2)
    world.link()
    assert world.rows() == before


def test_an_echo_that_comes_an_hour_late_causes_nothing(new: New) -> None:
    world = new(RATED)
    rate(world, 2)
    (echo,) = world.platform.outbox
    world.platform.outbox.clear()
    rate(world, 9)
    world.rest()
    requests = world.platform.requests.total()
    world.pass_time(3600)
    world.arrive(echo)
    world.rest()
    assert world.platform.requests.total() == requests
    assert world.ours() == {"Bad": "off", "Good": "ours", "Long": "ours"}


def test_the_last_echo_that_never_comes_costs_one_read(new: New) -> None:
    world = new(tagged=False)
    world.deliver()
    world.settle()
    world.platform.outbox.pop()
    world.rest()
    assert asked(world) == 1
    assert set(world.ours().values()) == {"ours"}


def test_plain_calls_with_several_tags_cost_no_read(new: New) -> None:
    world = new()
    assert world.platform.requests == {"tags": 1, "create": 3, "call put": 3}


# A person among our own writes


def test_a_persons_removal_between_two_of_our_writes_is_seen(new: New) -> None:
    world = new(RATED)
    world.person(remove=["Long"])
    removal = world.platform.outbox.pop()
    rate(world, 2)
    world.deliver()
    world.arrive(removal)
    world.rest()
    assert world.ours() == {"Bad": "ours", "Long": "blocked"}
    assert world.platform.names == ["Bad"]


def test_a_persons_removal_is_seen_where_our_own_writes_are_not_told(new: New) -> None:
    """Its event comes after we wrote another tag, and no echo of that tells of it."""
    world = new(RATED)
    world.platform.echoes = False
    world.person(remove=["Long"])
    removal = world.platform.outbox.pop()
    rate(world, 2)
    world.arrive(removal)
    world.rest()
    assert world.ours() == {"Bad": "ours", "Long": "blocked"}


def test_a_persons_removal_before_our_write_was_recorded_is_seen(new: New) -> None:
    """The event is linked while the write is still an intent, of which the list shows the state before."""
    world = new(RATED, tagged=False)

    def remove() -> None:
        world.person(remove=["Long"])
        world.deliver()
        world.link()

    world.deliver()
    once_a_tag_is_on(world, remove)
    world.settle()
    world.rest()
    assert world.ours() == {"Long": "blocked"}
    assert world.platform.names == []


def test_a_person_who_adds_within_the_second_of_an_echo_is_seen(new: New) -> None:
    world = new(RATED)
    rate(world, 2)
    world.platform.edit(add=["VIP"])
    stamps = {arrival.signed_at for arrival in world.platform.outbox}
    assert len(stamps) == 1
    world.rest()
    assert world.rows()[0].others == ["VIP"]


def test_a_person_who_removes_an_older_tag_within_the_second_of_an_echo_is_seen(new: New) -> None:
    world = new(RATED)
    world.pass_time(60)
    rate(world, 2)
    world.platform.edit(remove=["Long"])
    assert len({arrival.signed_at for arrival in world.platform.outbox}) == 1
    world.rest()
    assert world.ours() == {"Bad": "ours", "Long": "blocked"}
    rate(world, 9)
    world.rest()
    assert world.platform.names == ["Good"]


def test_while_an_echo_may_still_come_the_call_waits_for_it(new: New) -> None:
    world = new(RATED)
    world.person(remove=["Long"])
    world.deliver()
    world.work()
    assert asked(world) == 0
    world.rest()
    assert asked(world) == 1


# Definitions


def test_a_deleted_definition_is_no_removal(new: New) -> None:
    world = new()
    deleted = world.platform.defined("Inbound")
    del world.platform.definitions[deleted]
    world.platform.on_call.remove(deleted)
    world.platform.tell()
    world.rest()
    assert "Inbound" not in world.ours(), "nobody took it off this call"
    assert "Inbound" not in world.platform.names, "the catalogue does not have it: it is not made again"
    rows = world.rows()
    assert rows[0].state == "dead"
    assert "deleted on the platform" in rows[0].reason


def test_a_deleted_definition_that_the_catalogue_has_is_made_again(new: New) -> None:
    world = new("version: 1\ntags: {Inbound: {}}" + THREE.removeprefix("\nversion: 1"))
    deleted = world.platform.defined("Inbound")
    del world.platform.definitions[deleted]
    world.platform.on_call.remove(deleted)
    world.platform.tell()
    world.rest()
    assert sorted(world.platform.names) == ["Answered", "Inbound", "Long"]
    assert world.ours() == {"Answered": "ours", "Inbound": "ours", "Long": "ours"}


def test_a_renamed_tag_is_found_by_its_id_and_stays_ours(new: New) -> None:
    world = new(RATED)
    rate(world, 2)
    world.rest()
    world.platform.definitions[world.platform.defined("Bad")] = "Not good"
    world.person(add=["VIP"])
    world.rest()
    assert world.ours() == {"Bad": "ours", "Long": "ours"}
    rate(world, 9)
    world.rest()
    assert sorted(world.platform.names) == ["Good", "Long", "VIP"], "it goes with its rule"


# A write that was begun and is no longer wanted

KEPT = RATED + "  - {id: kept, when: {field: rating, lt: 3}, tag: Kept, on_unmatch: keep}\n"


@pytest.mark.parametrize(("fault", "left"), [("drop_before", {}), ("drop_after", {"Kept": "ours"})])
def test_an_unfinished_write_that_no_rule_wants_any_more_is_settled_by_a_read(
    new: New, fault: str, left: dict[str, str]
) -> None:
    world = new(KEPT.replace("lt: 5", "lt: 0").replace("gte: 5", "gt: 9"), tagged=False)
    world.platform.echoes = False
    world.platform.defined("Kept")
    rate(world, 5)
    world.rest()
    world.platform.faults.append(fault)
    rate(world, 1)
    assert world.ours()["Kept"] == "intended"
    rate(world, 9)
    world.rest()
    assert world.ours() == {"Long": "ours"} | left
    assert world.platform.names == ["Long", *left]


# A lease that was lost


def test_after_a_lost_lease_what_is_on_the_call_is_read_and_nothing_is_put_twice(new: New) -> None:
    world = new(tagged=False)
    world.deliver()
    die_after_the_first_put(world)
    assert len(world.platform.names) == 1
    world.rest()
    assert asked(world) == 1
    assert world.platform.requests["call put"] == 3
    assert set(world.ours().values()) == {"ours"}


def test_what_a_lost_lease_left_unsure_is_read_once_the_platform_answers_again(new: New) -> None:
    world = new(tagged=False)
    world.platform.echoes = False
    world.deliver()
    die_after_the_first_put(world)
    world.pass_time(61)
    world.platform.faults.append("503")
    world.work()
    assert asked(world) == 1
    world.rest()
    assert asked(world) == 2, "the first one had no answer"
    assert world.platform.requests["call put"] == 3


def test_a_read_that_does_not_find_a_call_which_was_tagged_is_tried_again(new: New) -> None:
    world = new()
    world.person(remove=["Long"])
    world.platform.faults.append("404")
    world.rest()
    assert asked(world) == 2
    assert world.ours()["Long"] == "blocked"


def die_after_the_first_put(world: OneCall) -> None:
    def die() -> None:
        raise Died

    once_a_tag_is_on(world, die)
    with pytest.raises(Died):
        world.settle()
    world.restart()


# What is known of one call, as values


def intent(tag: str, state: str = "ours", at: float = 100.0) -> Intent:
    return Intent(1, tag, TagState(state), "a-rule", "f" * 64, at)


def known(*ours: Intent, others: tuple[str, ...] | None = ()) -> Known:
    return Known(others, ours)


def looked(ours: Known, *lists: tuple[str, ...], latest: float = 200.0, now: float = 300.0) -> Look:
    call = LeasedCall(1, "sipsim", 7, ours.others, None, 0.0, 0, tags_version=3)
    told = TagLists(lists, 4, 250.0, latest)
    return look(call, Folded({}, told, None, False, 250.0), ours, now)


@pytest.mark.parametrize(
    ("state", "told", "nothing_new"),
    [
        ("ours", ("A",), True),
        ("ours", (), False),
        ("intended", ("A",), True),
        ("intended", (), False),
        ("removing", (), True),
        ("removing", ("A",), False),
        ("off", (), True),
        ("off", ("A",), False),
        ("blocked", (), True),
        ("blocked", ("A",), False),
        ("ours", ("A", "X"), False),
    ],
)
def test_a_list_tells_nothing_when_it_is_what_is_expected(
    state: str, told: tuple[str, ...], nothing_new: bool
) -> None:
    assert expected(known(intent("A", state)), told) is nothing_new


def test_nothing_is_expected_of_a_call_whose_tags_were_never_seen() -> None:
    assert not expected(known(others=None), ())


@pytest.mark.parametrize(
    ("ours", "lists", "latest", "now", "does"),
    [
        (known(intent("A")), [("A",)], 200.0, 251.0, Look.NOTHING),
        (known(intent("A")), [()], 200.0, 251.0, Look.WAIT),
        (known(intent("A")), [()], 200.0, 254.0, Look.READ),
        (known(intent("A")), [()], 99.0, 254.0, Look.NOTHING),
        (known(intent("A"), intent("B", at=220.0)), [("B",)], 210.0, 254.0, Look.READ),
        (known(intent("A"), intent("B", at=220.0)), [()], 210.0, 254.0, Look.READ),
        (known(intent("A"), intent("B", at=220.0)), [("A",)], 210.0, 254.0, Look.NOTHING),
        (known(intent("A")), [("A",), ()], 200.0, 254.0, Look.READ),
        (known(intent("A", at=199.0)), [("A",), ()], 200.0, 254.0, Look.NOTHING),
        (known(intent("A", at=220.0)), [("A",), ()], 200.0, 254.0, Look.NOTHING),
        (
            known(intent("A", at=199.0), intent("B", at=199.0)),
            [("A",), ("A", "B")],
            200.0,
            254.0,
            Look.NOTHING,
        ),
        (known(intent("A"), intent("B", at=199.0)), [("B",), ("A", "B")], 200.0, 254.0, Look.READ),
        (known(intent("A", "off", at=199.0)), [("A",), ()], 200.0, 254.0, Look.NOTHING),
        (known(intent("A")), [("A",), ("A", "X")], 200.0, 251.0, Look.READ),
        (known(intent("A", "blocked")), [("A",)], 200.0, 251.0, Look.READ),
        (known(intent("A", "intended")), [()], 200.0, 254.0, Look.NOTHING),
        (known(others=("X",)), [()], 200.0, 254.0, Look.NOTHING),
    ],
)
def test_what_a_list_of_tags_leads_to(
    ours: Known, lists: list[tuple[str, ...]], latest: float, now: float, does: Look
) -> None:
    assert looked(ours, *lists, latest=latest, now=now) is does


@pytest.mark.parametrize(
    ("state", "on_call", "deleted", "after"),
    [
        ("ours", True, False, "ours"),
        ("ours", False, False, "blocked"),
        ("ours", False, True, None),
        ("intended", True, False, "ours"),
        ("intended", False, False, "intended"),
        ("removing", True, False, "removing"),
        ("removing", False, False, "off"),
        ("off", True, False, None),
        ("off", False, False, "off"),
        ("blocked", True, False, None),
        ("blocked", False, False, "blocked"),
    ],
)
def test_what_a_read_proves(state: str, on_call: bool, deleted: bool, after: str | None) -> None:
    found = after_read(
        known(intent("A", state), others=None), ["X", *["A"] * on_call], ["A"] if deleted else []
    )
    assert {one.tag: one.state.value for one in found.ours} == ({"A": after} if after else {})
    assert found.gone == (() if after else ("A",))
    theirs = on_call and after is None
    assert found.others == ("X", "A") if theirs else found.others == ("X",)


def test_speech_of_a_row_that_becomes_one_with_the_call_keeps_what_people_did(new: New) -> None:
    """The row that only the platform's id names was tagged, and a person took that tag off."""
    world = new(tagged=False)
    end = world.platform.outbox.pop()
    world.platform.emit(events.speech(world.call.id, [Segment("hello", 0.0, 1.0, "left")]))
    world.rest()
    assert sorted(world.platform.names) == ["Inbound", "Long"]
    world.person(remove=["Long"])
    world.rest()
    world.pass_time(10)
    world.arrive(end)
    world.rest()
    assert len(world.rows()) == 1
    assert world.ours()["Long"] == "blocked"
    assert "Long" not in world.platform.names
