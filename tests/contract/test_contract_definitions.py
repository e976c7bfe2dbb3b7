"""What a tag's definition is on every platform, and that the rules' tags agree with it."""

from rules.ruleset import CatalogueTag
from tests.platform_bench import PlatformBench
from worker import tags
from worker.tagids import TagIds

VIP = CatalogueTag("VIP", "#112233", "Our best customers")
REFUND = CatalogueTag("Refund", "#445566", "Money back")
WANTED = {tag.name: tag for tag in (VIP, REFUND)}


def test_a_definition_has_what_is_declared_that_one_can_have_and_nothing_else(bench: PlatformBench) -> None:
    defines = bench.account.platform.defines
    bench.client.create_tags([VIP])
    (tag,) = bench.client.list_tags()
    assert (tag.color == VIP.color, tag.description == VIP.description) == (
        "color" in defines,
        "description" in defines,
    )
    if defines:
        changed = bench.client.update_tag(tag.id, **{what: getattr(REFUND, what) for what in defines})
        assert all(getattr(changed, what) == getattr(REFUND, what) for what in defines)


def test_several_tags_are_made_and_the_rules_tags_agree_with_them_from_then_on(bench: PlatformBench) -> None:
    bench.platform.define("Refund")
    defines = bench.account.platform.defines

    def synced(apply: bool) -> tags.Synced:
        found = TagIds(bench.database, bench.account.name, WANTED, bench.client)
        return tags.sync(found, WANTED, apply, defines)

    first = synced(apply=True)
    assert (first.made, first.faults, bench.platform.defined()) == (["VIP"], {}, ["Refund", "VIP"])
    again = synced(apply=False)
    assert (again.ids, again.made, again.differing) == (first.ids, [], [])
    lacking = [what for what in ("color", "description") if what not in defines]
    assert again.left_out == {what: ["VIP", "Refund"] for what in lacking}


def test_a_tag_that_exists_does_not_keep_others_from_being_made(bench: PlatformBench) -> None:
    ids = TagIds(bench.database, bench.account.name, WANTED, bench.client)
    ids.read_again()
    bench.platform.define("Refund")
    found, faults = ids.of(["Refund", "VIP"])
    assert (sorted(found), faults, bench.platform.defined()) == (["Refund", "VIP"], {}, ["Refund", "VIP"])
