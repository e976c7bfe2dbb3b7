"""Definitions of tags: made, compared, renamed, deleted, and what that means for calls that are tagged."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from platforms.errors import Conflict, Forbidden, NotFound, Unreachable
from platforms.sipsim.simulator import PlannedFault
from rules.loader import parse
from rules.ruleset import CatalogueTag
from tests.worker_bench import CREATE_TAG, Bench
from worker import tags
from worker.tagids import TagIds
from worker.tags import Difference

Make = Callable[..., Bench]
DELETE_TAG = "DELETE /api/v2/tags/{tag}"
CHANGE_TAG = "PATCH /api/v2/tags/{tag}"
VIP = CatalogueTag("VIP", "#112233", "Our best customers")
PLAIN = CatalogueTag("Plain")
LONG_AGAIN = """
version: 1
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
"""
REFUND = """
version: 1
tags:
  Unused: {color: "#445566"}
rules:
  - {id: long-call, when: {field: duration, gt: 30m}, tag: Long Call}
  - {id: longer, when: {field: duration, gt: 60m}, tag: [Long Call, Refund]}
  - {id: off, mode: "off", when: {field: duration, gt: 1}, tag: Idle}
"""


def tag_ids(bench: Bench, *wanted: CatalogueTag) -> TagIds:
    client = bench.worker.client(bench.account, time.monotonic())
    found = TagIds(bench.database, "sipsim", {entry.name: entry for entry in wanted}, client)
    found.read_again()
    return found


def sync(bench: Bench, *wanted: CatalogueTag, apply: bool = False) -> tags.Synced:
    found = tag_ids(bench, *wanted)
    return tags.sync(found, found.catalogue, apply)


def test_wanted_tags_are_made_once(make_bench: Make) -> None:
    bench = make_bench()
    first = sync(bench, VIP, PLAIN)
    assert (first.made, first.differing, first.faults) == (["VIP", "Plain"], [], {})
    made = bench.simulator.tags.named("VIP")
    assert made
    assert (made.color, made.description) == ("#112233", "Our best customers")
    again = sync(bench, VIP, PLAIN)
    assert (again.ids, again.made) == (first.ids, [])
    assert bench.requests(CREATE_TAG) == 2


def test_what_differs_is_told_and_changed_only_where_that_is_wanted(make_bench: Make) -> None:
    bench = make_bench()
    there = bench.simulator.tags.create("VIP", "#000000", "Somebody's words")
    bench.simulator.tags.create("Plain", "#123456", "Anything")
    differing = [
        Difference("VIP", "color", "#000000", "#112233"),
        Difference("VIP", "description", "Somebody's words", "Our best customers"),
    ]
    told = sync(bench, VIP, PLAIN)
    assert (told.differing, told.changed, told.made) == (differing, [], [])
    assert bench.requests(CHANGE_TAG) == 0
    done = sync(bench, VIP, PLAIN, apply=True)
    assert (done.differing, done.changed) == ([], differing)
    assert (there.color, there.description, there.name) == ("#112233", "Our best customers", "VIP")
    assert sync(bench, VIP, PLAIN, apply=True).changed == []
    assert bench.requests(CHANGE_TAG) == 1, "both at once, and nothing of the tag of which nothing is said"


def test_a_colour_in_other_letters_is_the_same(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.tags.create("VIP", "#aabbcc")
    assert sync(bench, CatalogueTag("VIP", "#AABBCC")).differing == []


def test_a_tag_that_was_renamed_there_is_not_made_again(make_bench: Make) -> None:
    bench = make_bench()
    made = sync(bench, VIP).ids["VIP"]
    bench.simulator.tags.tags[int(made)].name = "Very Important"
    again = sync(bench, VIP, apply=True)
    assert (again.ids, again.made, again.renamed) == ({"VIP": made}, [], {"VIP": "Very Important"})
    assert bench.simulator.tags.tags[int(made)].name == "Very Important"


def test_a_tag_that_was_deleted_there_is_made_again_where_it_is_wanted(make_bench: Make) -> None:
    bench = make_bench()
    old = sync(bench, VIP).ids["VIP"]
    bench.simulator.tags.delete(int(old))
    again = sync(bench, VIP)
    assert again.made == ["VIP"]
    assert again.ids["VIP"] != old


def test_a_tag_that_is_refused_does_not_keep_the_others_from_it(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="403", route=CREATE_TAG, count=1))
    found = sync(bench, VIP, PLAIN)
    assert (found.made, list(found.ids)) == (["VIP"], ["VIP"])
    assert isinstance(found.faults["Plain"], Forbidden)


def test_a_platform_that_stops_answering_ends_it_and_repeating_goes_on(make_bench: Make) -> None:
    bench = make_bench()
    ids = tag_ids(bench, PLAIN, VIP)
    bench.simulator.plan(PlannedFault(kind="drop_after", route=CREATE_TAG, count=1))
    with pytest.raises(Unreachable):
        tags.sync(ids, ids.catalogue, False)
    assert bench.requests(CREATE_TAG) == 1
    assert [tag.name for tag in bench.simulator.tags.tags.values()] == ["Plain"], "it took effect"
    assert sync(bench, PLAIN, VIP).made == ["VIP"]


def test_the_tags_of_the_platform_are_told_with_what_they_are_to_us(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.settle()
    bench.simulator.edit(call.reference, add=["Foreign"])
    long = bench.simulator.tags.named("Long Call")
    assert long
    long.name = "Longer"
    ruleset = parse({"rules.yaml": REFUND.encode()})
    ids = tag_ids(bench)
    foreign, longer = tags.standing(ids, ruleset)
    assert (foreign.tag.name, foreign.names, foreign.rules, foreign.calls) == ("Foreign", ("Foreign",), (), 0)
    assert (longer.tag.name, longer.calls) == ("Longer", 1)
    assert (longer.names, longer.rules) == (("Long Call", "Longer"), ("long-call", "longer"))
    assert tags.missing(ids, ruleset) == {"Refund": ["longer"]}


def test_a_new_tag_with_the_old_name_of_a_renamed_one_is_not_taken_for_it(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.settle()
    long = bench.simulator.tags.named("Long Call")
    assert long
    long.name = "Longer"
    new = bench.simulator.tags.create("Long Call")
    by_id = {each.tag.id: each for each in tags.standing(tag_ids(bench), parse({"r.yaml": REFUND.encode()}))}
    assert (by_id[str(new.id)].calls, by_id[str(new.id)].rules, by_id[str(new.id)].names) == (0, (), ())
    assert by_id[str(long.id)].calls == 1


def test_a_renamed_tag_is_still_given_by_its_old_name(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.tags.create("Long Call")
    ids = tag_ids(bench)
    tag = ids.find("Long Call")
    assert tag
    assert tags.rename(ids, tag, "Longer").name == "Longer"
    assert ids.find("Long Call") == ids.find("Longer")
    call = bench.call()
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Longer"]
    assert bench.requests(CREATE_TAG) == 0


def test_a_name_that_another_tag_has_is_a_conflict(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.tags.create("Long Call")
    bench.simulator.tags.create("VIP")
    ids = tag_ids(bench)
    tag = ids.find("Long Call")
    assert tag
    with pytest.raises(Conflict):
        tags.rename(ids, tag, "VIP")


def tagged(bench: Bench, number: int = 1) -> str:
    call = bench.call(number)
    bench.end(call)
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    return call.reference


def test_a_deleted_tag_is_off_our_calls_and_nobody_is_said_to_have_taken_it_off(make_bench: Make) -> None:
    bench = make_bench()
    names = [tagged(bench, 1), tagged(bench, 2)]
    ids = tag_ids(bench)
    assert tags.on_calls(bench.database, "sipsim", ["Long Call"]) == 2
    assert tags.delete(ids, ids.find("Long Call"), {"Long Call"}) == 2
    assert [bench.ours(name) for name in names] == [{}, {}]
    assert tags.on_calls(bench.database, "sipsim", ["Long Call"]) == 0
    assert ids.find("Long Call") is None
    assert ids.was_deleted("Long Call")


def test_a_tag_that_is_made_again_is_put_on_a_call_that_had_the_deleted_one(make_bench: Make) -> None:
    bench = make_bench()
    reference = tagged(bench)
    ids = tag_ids(bench)
    tags.delete(ids, ids.find("Long Call"), {"Long Call"})
    record = bench.simulator.book.find(reference)
    assert record
    bench.receive({"event": "rating", "call_id": record.id, "overall_score": 5, "pbx_id": reference})
    bench.settle()
    assert bench.tags(record) == ["Long Call"], "the rules' `tags` has it"
    assert bench.ours(reference) == {"Long Call": "ours"}
    assert bench.state(reference).state == "done"


def test_a_deletion_that_was_cut_off_is_noted_when_it_is_repeated(make_bench: Make) -> None:
    bench = make_bench()
    reference = tagged(bench)
    ids = tag_ids(bench)
    bench.simulator.plan(PlannedFault(kind="drop_after", route=DELETE_TAG, count=1))
    with pytest.raises(Unreachable):
        tags.delete(ids, ids.find("Long Call"), {"Long Call"})
    assert bench.ours(reference) == {"Long Call": "ours"}
    ids = tag_ids(bench)
    assert (ids.find("Long Call"), ids.names_of_deleted("Long Call")) == (None, {"Long Call"})
    assert tags.delete(ids, None, {"Long Call"}) == 1
    assert bench.ours(reference) == {}
    assert bench.requests(DELETE_TAG) == 1


def test_a_tag_that_somebody_deletes_at_the_same_time_is_deleted(make_bench: Make) -> None:
    bench = make_bench()
    reference = tagged(bench)
    ids = tag_ids(bench)
    tag = ids.find("Long Call")
    assert tag
    bench.simulator.tags.delete(int(tag.id))
    with pytest.raises(NotFound):
        ids.client.delete_tag(tag.id)
    assert tags.delete(ids, tag, {"Long Call"}) == 1
    assert bench.ours(reference) == {}


def test_a_tag_that_the_platform_does_not_delete_stays_ours(make_bench: Make) -> None:
    bench = make_bench()
    reference = tagged(bench)
    ids = tag_ids(bench)
    bench.simulator.plan(PlannedFault(kind="403", route=DELETE_TAG, count=1))
    with pytest.raises(Forbidden):
        tags.delete(ids, ids.find("Long Call"), {"Long Call"})
    assert bench.ours(reference) == {"Long Call": "ours"}


def test_a_rename_on_the_platform_and_then_in_the_rules_leaves_the_tag_on_its_calls(make_bench: Make) -> None:
    bench = make_bench()
    reference = tagged(bench)
    ids = tag_ids(bench)
    tag = ids.find("Long Call")
    assert tag
    tags.rename(ids, tag, "Longer")
    bench.rules(LONG_AGAIN.replace("tag: Long Call", "tag: Longer"))
    record = bench.simulator.book.find(reference)
    assert record
    bench.receive({"event": "rating", "call_id": record.id, "overall_score": 5, "pbx_id": reference})
    bench.settle()
    assert bench.tags(record) == ["Longer"]
    assert bench.ours(reference) == {"Longer": "ours"}
    bench.rules(LONG_AGAIN.replace("30m", "60m").replace("tag: Long Call", "tag: Longer"))
    bench.receive({"event": "rating", "call_id": record.id, "overall_score": 6, "pbx_id": reference})
    bench.settle()
    assert (bench.tags(record), bench.ours(reference)) == ([], {})


def test_a_tag_that_is_deleted_while_a_worker_has_put_it_is_looked_for_before_it_is_relied_on(
    make_bench: Make,
) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    put = bench.worker.pool.map

    def delete_after(*arguments: Any) -> Any:
        done = list(put(*arguments))
        if bench.tags(call):
            ids = tag_ids(bench)
            tags.delete(ids, ids.find("Long Call"), {"Long Call"})
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.worker.pool, "map", delete_after)
        bench.settle()
    assert bench.tags(call) == []
    assert bench.ours(call.reference) == {"Long Call": "ours"}, "it was recorded after it was deleted"
    bench.receive({"event": "rating", "call_id": call.id, "overall_score": 5, "pbx_id": call.reference})
    bench.settle()
    assert bench.tags(call) == ["Long Call"]
    assert bench.ours(call.reference) == {"Long Call": "ours"}
