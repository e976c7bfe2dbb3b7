"""The platform's tag ids: read once, kept, made where they are missing."""

import time
from collections.abc import Callable

import pytest

from platforms.errors import Forbidden, Unreachable
from platforms.sipsim.simulator import Config, PlannedFault
from rules.ruleset import CatalogueTag
from tests.worker_bench import CREATE_TAG, LIST_TAGS, Bench
from worker.tagids import NoSuchTag, TagIds

Make = Callable[..., Bench]
VIP = {"VIP": CatalogueTag("VIP", "#112233", "Our best customers")}


def tag_ids(bench: Bench) -> TagIds:
    """As a new batch has them."""
    client = bench.worker.client(bench.account, time.monotonic())
    return TagIds(bench.database, "sipsim", VIP, client)


def test_tags_are_listed_once_and_kept(make_bench: Make) -> None:
    bench = make_bench()
    vip, other = bench.simulator.tags.create("VIP"), bench.simulator.tags.create("Other")
    assert tag_ids(bench).of(["VIP"]) == ({"VIP": str(vip.id)}, {})
    assert tag_ids(bench).of(["VIP", "Other"]) == ({"VIP": str(vip.id), "Other": str(other.id)}, {})
    assert (bench.requests(LIST_TAGS), bench.requests(CREATE_TAG)) == (1, 0)


def test_a_missing_tag_is_made_as_the_catalogue_says(make_bench: Make) -> None:
    bench = make_bench()
    ids, faults = tag_ids(bench).of(["VIP", "Plain"])
    assert faults == {}
    made = {name: bench.simulator.tags.named(name) for name in ids}
    assert {name: str(tag.id) for name, tag in made.items() if tag} == ids
    vip = made["VIP"]
    assert vip
    assert (vip.color, vip.description) == ("#112233", "Our best customers")
    tag_ids(bench).of(["VIP", "Plain"])
    assert (bench.requests(LIST_TAGS), bench.requests(CREATE_TAG)) == (1, 2)


def test_a_tag_that_somebody_makes_in_between_is_read_again(make_bench: Make) -> None:
    bench = make_bench()
    ids = tag_ids(bench)
    ids.read_again()
    made = bench.simulator.tags.create("VIP")
    assert ids.of(["VIP"]) == ({"VIP": str(made.id)}, {})
    assert (bench.answers(CREATE_TAG), bench.requests(LIST_TAGS)) == ({"409": 1}, 2)


def test_several_tags_that_somebody_makes_in_between_are_found_by_one_reading(make_bench: Make) -> None:
    bench = make_bench()
    ids = tag_ids(bench)
    ids.read_again()
    made = {name: str(bench.simulator.tags.create(name).id) for name in ("Inbound", "Outbound")}
    assert ids.of(list(made)) == (made, {})
    assert (bench.answers(CREATE_TAG), bench.requests(LIST_TAGS)) == ({"409": 1}, 2)


def test_a_tag_of_another_letter_case_is_taken_where_the_platform_says_so(make_bench: Make) -> None:
    bench = make_bench(Config(tags_ignore_case=True))
    made = bench.simulator.tags.create("vip")
    assert tag_ids(bench).of(["VIP"]) == ({"VIP": str(made.id)}, {})
    before = bench.requests()
    assert tag_ids(bench).of(["VIP"]) == ({"VIP": str(made.id)}, {})
    assert bench.requests() == before, "it is remembered"


def test_a_tag_of_another_letter_case_is_another_where_the_platform_makes_it(make_bench: Make) -> None:
    bench = make_bench()
    made = bench.simulator.tags.create("vip")
    ids, _ = tag_ids(bench).of(["VIP"])
    assert ids["VIP"] != str(made.id)


def test_two_tags_that_differ_in_letter_case_are_not_chosen_from(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.tags.create("vip")
    bench.simulator.tags.create("Vip")
    bench.simulator.plan(PlannedFault(kind="409", route=CREATE_TAG))
    ids, faults = tag_ids(bench).of(["VIP"])
    assert ids == {}
    assert isinstance(faults["VIP"], NoSuchTag)


def test_a_tag_that_exists_and_is_not_listed_is_a_permanent_fault(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="409", route=CREATE_TAG))
    ids, faults = tag_ids(bench).of(["VIP", "Plain"])
    assert ids == {}
    assert faults["VIP"].permanent
    assert str(faults["VIP"]) == (
        "the platform refuses to make the tag 'VIP' because it exists, but does not list it"
    )


def test_a_tag_that_exists_and_is_not_listed_makes_its_call_a_dead_letter(make_bench: Make) -> None:
    bench = make_bench()
    call = bench.call()
    bench.end(call)
    bench.simulator.plan(PlannedFault(kind="409", route=CREATE_TAG))
    bench.settle()
    assert bench.state(call.reference).state == "dead"
    assert "'Long Call'" in str(bench.state(call.reference).reason)


def test_one_tag_that_cannot_be_made_does_not_keep_another_from_it(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="403", route=CREATE_TAG, count=1))
    ids, faults = tag_ids(bench).of(["A", "B"])
    assert ids.keys() == {"B"}
    assert isinstance(faults["A"], Forbidden)


def test_a_list_that_cannot_be_read_is_said(make_bench: Make) -> None:
    bench = make_bench()
    bench.simulator.plan(PlannedFault(kind="503", route=LIST_TAGS, count=1))
    with pytest.raises(Unreachable):
        tag_ids(bench).of(["VIP"])


def test_a_name_that_is_known_costs_no_request_and_reading_again_forgets_what_is_gone(
    make_bench: Make,
) -> None:
    bench = make_bench()
    tag_ids(bench).of(["VIP"])
    before = bench.requests()
    ids = tag_ids(bench)
    ids.of(["VIP"])
    assert bench.requests() == before
    old = bench.simulator.tags.named("VIP")
    assert old
    bench.simulator.tags.delete(old.id)
    ids.read_again()
    assert ids.deleted(["VIP"]) == {"VIP"}
