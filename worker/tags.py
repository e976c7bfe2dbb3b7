"""The definitions of tags on a platform: made, held against what is wanted, renamed, deleted."""

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from platforms.adapter import Tag
from platforms.errors import NotFound, PlatformError
from rules.ruleset import CatalogueTag, Mode, RuleSet
from store import tagged
from store.database import Database
from worker.tagids import TagIds

FIELDS = ("color", "description")
"""What a tag is wanted to have, beside its name."""
PART = 200
"""Calls that are changed in one transaction."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a definition is on the platform, and what it is wanted to be."""

    name: str
    field: str
    """`color` or `description`."""
    there: str | None
    wanted: str


@dataclass
class Synced:
    """What came of the wanted tags; each is in `ids`, or in `faults` with the reason."""

    ids: dict[str, str] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    """Those that somebody renamed on the platform, with their name there."""
    differing: list[Difference] = field(default_factory=list)
    changed: list[Difference] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    """What the platform keeps of no tag, with the tags of which it is wanted; by field."""
    faults: dict[str, PlatformError] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """A tag of the platform, and what it is to us."""

    tag: Tag
    names: tuple[str, ...]
    """The names by which rules and what we noted mean it."""
    rules: tuple[str, ...]
    """The rules that give it, off ones apart."""
    calls: int
    """The calls on which it stands by us."""


def sync(
    tag_ids: TagIds, wanted: Mapping[str, CatalogueTag], apply: bool, defines: Collection[str] = FIELDS
) -> Synced:
    """Makes the wanted tags that are not on the platform, and finds what differs of the others, which `apply`
    changes. `defines` are those of the `FIELDS` that a tag has there.

    What the platform refuses is told in `faults`. Raises `PlatformError` when it does not answer; what was
    done until then is found done when this is repeated.
    """
    tag_ids.read_again()
    before = set(tag_ids.listed)
    ids, faults = tag_ids.of(list(wanted))
    synced = Synced(left_out=_left_out(wanted.values(), defines))
    for name, entry in wanted.items():
        try:
            if name in faults:
                raise faults[name]
            _compare(tag_ids, _sayable(entry, defines), ids[name], apply, synced)
        except PlatformError as fault:
            if not fault.permanent:
                raise
            synced.faults[name] = fault
    synced.made = [name for name, tag_id in synced.ids.items() if tag_id not in before]
    return synced


def _left_out(wanted: Iterable[CatalogueTag], defines: Collection[str]) -> dict[str, list[str]]:
    """What is wanted of tags and cannot be said of one there, with their names."""
    found: dict[str, list[str]] = {}
    for entry in wanted:
        for what in FIELDS:
            if what not in defines and getattr(entry, what) is not None:
                found.setdefault(what, []).append(entry.name)
    return found


def _sayable(wanted: CatalogueTag, defines: Collection[str]) -> CatalogueTag:
    left: dict[str, Any] = {what: None for what in FIELDS if what not in defines}
    return replace(wanted, **left)


def _compare(tag_ids: TagIds, wanted: CatalogueTag, tag_id: str, apply: bool, synced: Synced) -> None:
    there = tag_ids.listed[tag_id]
    differing = differences(wanted, there)
    if apply and differing:
        changes = {each.field: each.wanted for each in differing}
        tag_ids.listed[there.id] = tag_ids.client.update_tag(there.id, **changes)
    synced.ids[wanted.name] = there.id
    (synced.changed if apply else synced.differing).extend(differing)
    if there.name != wanted.name:
        synced.renamed[wanted.name] = there.name


def differences(wanted: CatalogueTag, there: Tag) -> list[Difference]:
    """What of the definition is not as wanted; what is not said of it may be anything."""
    found = (
        ("color", there.color, wanted.color, (there.color or "").upper() == (wanted.color or "").upper()),
        ("description", there.description, wanted.description, there.description == wanted.description),
    )
    return [
        Difference(wanted.name, what, is_now, should_be)
        for what, is_now, should_be, same in found
        if should_be is not None and not same
    ]


def givers(ruleset: RuleSet) -> dict[str, list[str]]:
    """By tag, the rules that give it, or would if they were live."""
    found: dict[str, list[str]] = {}
    for rule in ruleset.rules:
        if rule.mode is not Mode.OFF:
            for tag in rule.tags:
                found.setdefault(tag, []).append(rule.id)
    return found


def standing(tag_ids: TagIds, ruleset: RuleSet) -> list[Standing]:
    """All tags of the platform, by name. Raises `PlatformError`."""
    if not tag_ids.fresh:
        tag_ids.read_again()
    with tag_ids.database.read() as connection:
        calls = tagged.count(connection, tag_ids.account)
    given = givers(ruleset)
    return [
        Standing(
            tag,
            tuple(names := sorted(tag_ids.our_names(tag))),
            tuple(dict.fromkeys(rule for name in names for rule in given.get(name, ()))),
            sum(calls.get(name, 0) for name in names),
        )
        for tag in sorted(tag_ids.listed.values(), key=lambda tag: (tag.name, tag.id))
    ]


def missing(tag_ids: TagIds, ruleset: RuleSet) -> dict[str, list[str]]:
    """The tags that rules give and that are not on the platform, with those rules."""
    return {name: rules for name, rules in givers(ruleset).items() if tag_ids.given_as(name) is None}


def rename(tag_ids: TagIds, tag: Tag, name: str) -> Tag:
    """Gives the tag another name on the platform; raises `Conflict` when another one has it.

    Its id is noted first under the name that it had, by which rules go on giving it.
    """
    renamed = tag_ids.client.update_tag(tag.id, name=name)
    tag_ids.read_again()
    return renamed


def delete(tag_ids: TagIds, tag: Tag | None, names: Collection[str]) -> int:
    """Deletes the tag, unless it is gone already (None), and notes that it is off our calls.

    Gives their number. `names` are those by which we noted it. To be repeated when it was interrupted.
    """
    before = tag_ids.read_at
    if tag is not None:
        before = time.time()
        with contextlib.suppress(NotFound):  # somebody was quicker
            tag_ids.client.delete_tag(tag.id)
        tag_ids.read_again()
    return _note_off(tag_ids.database, tag_ids.account, names, before)


def _note_off(database: Database, account: str, names: Collection[str], before: float) -> int:
    with database.read() as connection:
        being_written = tagged.leased(connection, account, time.time())
        bearing = tagged.bearing(connection, account, names, before)
    for part in _parts(being_written):
        with database.write() as connection:
            tagged.doubt(connection, part)
    for part in _parts(bearing):
        with database.write() as connection:
            tagged.note_off(connection, part, names, before)
    return len(bearing)


def _parts(calls: Sequence[int]) -> Iterator[Sequence[int]]:
    return (calls[at : at + PART] for at in range(0, len(calls), PART))


def on_calls(database: Database, account: str, names: Iterable[str]) -> int:
    """On how many calls a tag of these names stands by us."""
    with database.read() as connection:
        calls = tagged.count(connection, account)
    return sum(calls.get(name, 0) for name in names)
