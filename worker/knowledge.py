"""Whose tag it is: what is known of the tags on a call, and when the platform must be asked.

What we put is in `applied_tags`; what others put is what else was seen on the call. The platform tells of
every change by an event with the whole list, of our own changes too, late, twice, in any order. A list that
is what we know, or a state between our own writes, tells nothing. Any other one leads to one read of the
call's tags, and only that read proves that a person added or removed something.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

from store.calls import LEASE, Intent, LeasedCall, TagState
from worker.fold import CLOCKS, Folded, TagLists

ECHO_TIME = 3.0
"""Seconds within which the events of our own writes have all come, as a rule."""


class Look(Enum):
    """What is to be done before the difference to what is on the call can be trusted."""

    NOTHING = "what is known explains what was told"
    WAIT = "it may be a state between our own writes, of which the last has not been told yet"
    READ = "something else happened to the call's tags, or may have"


@dataclass(frozen=True, slots=True)
class Known:
    """The tags on one call, as far as we know."""

    others: tuple[str, ...] | None
    """Those that are not ours; None while they were never seen."""
    ours: tuple[Intent, ...]
    """What we put, are about to put or to take off, and what a person took off."""
    changed: tuple[Intent, ...] = ()
    """Those of them that a read showed in another state than was noted."""
    gone: tuple[str, ...] = ()
    """Tags of ours that a read showed to be off the call, or to be somebody else's now."""
    read: bool = False
    """The platform was asked."""

    def names(self, *states: TagState) -> set[str]:
        return {intent.tag for intent in self.ours if intent.state in states}


def expected(known: Known, told: Collection[str]) -> bool:
    """Whether the list is what is on the call once our writes under way are done."""
    if known.others is None and not known.ours:
        return False
    return between_our_writes(known, told) and not _differing(known, told, TagState.OURS, TagState.INTENDED)


def between_our_writes(known: Known, told: Collection[str]) -> bool:
    """Whether the list differs from what we know by tags of ours alone."""
    ours = known.names(*set(TagState) - {TagState.BLOCKED})
    return set(told) - ours == set(known.others or ()) - ours


def _differing(known: Known, told: Collection[str], *on_call: TagState) -> list[Intent]:
    """The tags of ours that the list shows otherwise than those of these states being on the call."""
    return [intent for intent in known.ours if (intent.tag in told) != (intent.state in on_call)]


def _explained(known: Known, told: Collection[str], latest: float) -> bool:
    """Whether the list is what is on the call, with or without our unfinished writes, or was before we wrote
    what differs; `latest` is when the call can last have borne it."""
    before = _differing(known, told, TagState.OURS, TagState.REMOVING)
    after = _differing(known, told, TagState.OURS, TagState.INTENDED)
    return not before or all(latest < intent.at for intent in after)


def _led_through(known: Known, told: Collection[str], latest: float) -> bool:
    """Whether the call can have borne the list before or between our writes of the time up to `latest`: it
    holds all that was ours long before.

    What a person takes off of that is told from it. Of what was put lately it is not: a list without it may
    be told of the moment before, by the call's end or by the echo of the first of several writes.
    """
    long_before = latest - CLOCKS - LEASE
    settled = {
        intent.tag for intent in known.ours if intent.at < long_before and intent.state is TagState.OURS
    }
    return settled <= set(told)


def look(call: LeasedCall, folded: Folded, known: Known, now: float) -> Look:
    """What is to be done about a call, before the difference is taken. Pure."""
    if not known.ours:
        return Look.NOTHING  # nothing of ours to protect: the newest list is believed
    if call.unsure:
        return Look.READ
    told = folded.told
    if told is None or told.version <= call.tags_version:
        return Look.NOTHING
    if not all(between_our_writes(known, names) for names in told.lists):
        return Look.READ
    explained = [names for names in told.lists if _explained(known, names, told.latest)]
    if explained and all(
        names in explained or _led_through(known, names, told.latest) for names in told.lists
    ):
        return Look.NOTHING
    return Look.WAIT if now < told.received_at + ECHO_TIME else Look.READ


def believe(known: Known, told: TagLists | None, accounted: int) -> Known:
    """Takes the newest list as it is, where nothing of ours was ever on the call and nothing surer is known;
    lists up to the version `accounted` are older than what is known."""
    if known.ours or told is None or told.version <= accounted:
        return known
    return replace(known, others=told.lists[-1])


def after_read(known: Known, on_call: Collection[str], deleted: Collection[str]) -> Known:
    """What a read of the call's tags proves. `deleted` are tags whose definition is gone from the platform:
    nobody took those off this call. Pure."""
    changed: list[Intent] = []
    gone: list[str] = []
    for intent in known.ours:
        state = _proved(intent, intent.tag in on_call, intent.tag in deleted)
        if state is None:
            gone.append(intent.tag)
        elif state != intent.state:
            changed.append(replace(intent, state=state))
    after = {intent.tag: intent for intent in (*known.ours, *changed) if intent.tag not in gone}
    mine = {tag for tag, intent in after.items() if intent.state not in (TagState.OFF, TagState.BLOCKED)}
    others = tuple(tag for tag in on_call if tag not in mine)
    return Known(others, tuple(after.values()), tuple(changed), tuple(gone), read=True)


def given_up(known: Known, tags: Collection[str]) -> Known:
    """What a read proves of these tags, whose writing was begun and which the rules now leave as they are:
    what was about to be put is not there, what was about to go is still ours."""
    back = tuple(
        replace(intent, state=TagState.OURS)
        for intent in known.ours
        if intent.tag in tags and intent.state is TagState.REMOVING
    )
    gone = known.names(TagState.INTENDED) & set(tags)
    return replace(known, changed=(*known.changed, *back), gone=(*known.gone, *sorted(gone)))


def _proved(intent: Intent, on_call: bool, deleted: bool) -> TagState | None:
    """The state of a tag of ours by what the read showed; None when it is no longer ours."""
    match intent.state:
        case TagState.OURS:
            return TagState.OURS if on_call else None if deleted else TagState.BLOCKED
        case TagState.INTENDED:
            return TagState.OURS if on_call else TagState.INTENDED
        case TagState.REMOVING:
            return TagState.REMOVING if on_call else TagState.OFF
        case TagState.OFF | TagState.BLOCKED:
            return None if on_call else intent.state  # a person put it back: it is theirs
