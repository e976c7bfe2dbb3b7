"""One call under everything that can happen to it: once all is quiet, its tags are those of the rules.

What is expected is worked out here from what was emitted and what people did, without the product's rules,
folding or store. A tag whose owner nobody can tell (a person took it while our write of it was under way) may
be on the call or not.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from platforms.sipsim.simulator import Segment, events
from tests.one_call import Died, OneCall

EXAMPLES = int(os.environ.get("CALLTAG_TEST_EXAMPLES", "200"))
MEMORY = Path("/dev/shm")  # noqa: S108 a database here is quick
REFUND, FINE = "I want a refund", "all is well"
STEP = st.integers(1, 20)
NEWS = st.none() | st.integers(1, 9)
DEATHS_IN_A_ROW = 3
"""Fewer than make a dead letter."""


@dataclass(frozen=True)
class Facts:
    """What was emitted last."""

    rating: int | None = None
    transcript: str | None = None
    others: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    id: str
    tags: tuple[str, ...]
    when: str
    holds: Callable[[Facts], bool | None]
    more: str = ""

    @property
    def decides(self) -> bool:
        return not self.more

    def text(self) -> str:
        return f"  - {{id: {self.id}, when: {{{self.when}}}, tag: [{', '.join(self.tags)}]{self.more}}}\n"


def rated(test: Callable[[int], bool]) -> Callable[[Facts], bool | None]:
    return lambda facts: None if facts.rating is None else test(facts.rating)


def said(word: str) -> Callable[[Facts], bool | None]:
    return lambda facts: None if facts.transcript is None else word in facts.transcript


LONG = Rule("long", ("Long",), "field: duration, gt: 30m", lambda _: True)
REFUNDS = Rule("refund", ("Refund",), "field: transcript, contains: refund", said("refund"))
BAD = Rule("bad", ("Bad",), "field: rating, lt: 5", rated(lambda rating: rating < 5))
GOOD = Rule("good", ("Good",), "field: rating, gt: 3", rated(lambda rating: rating > 3))
KEPT = Rule("kept", ("Kept",), "field: rating, lt: 3", rated(lambda rating: rating < 3), ", on_unmatch: keep")
VIP = Rule("vip", ("Follow",), "field: tags, includes: VIP", lambda facts: "VIP" in facts.others)
SHADOW = Rule("bad", BAD.tags, BAD.when, BAD.holds, ", mode: shadow")
SETS: tuple[tuple[Rule, ...], ...] = (
    (LONG, REFUNDS, BAD, GOOD, KEPT, VIP),
    (Rule("long", ("Long", "Extra"), LONG.when, LONG.holds), SHADOW, GOOD, KEPT, VIP),
    (
        Rule("long", ("Long", "Extra"), "field: duration, lt: 60", lambda _: False),
        GOOD,
        BAD,
        KEPT,
        REFUNDS,
    ),
)
MOOD = frozenset({"Bad", "Good", "Neutral"})
OWNERS = {"Long": "long", "Extra": "long", "Refund": "refund", "Bad": "bad", "Good": "good", "Kept": "kept",
          "Follow": "vip"}  # fmt: skip
TAGS = sorted({*OWNERS, "VIP", "Neutral"})
CATALOGUE = "".join(f"  {name}: {{group: mood}}\n" for name in sorted(MOOD))


def text_of(rules: tuple[Rule, ...]) -> str:
    return f"version: 1\ntags:\n{CATALOGUE}rules:\n{''.join(one.text() for one in rules)}"


def verdicts(rules: tuple[Rule, ...], facts: Facts, blocked: set[str]) -> dict[str, str]:
    """For each tag that rules can give: `on`, `off`, or `stays` where it is left as it is."""
    winner: str | None = "a person's" if facts.others & MOOD else None
    given: set[str] = set()
    for one in rules:
        if one is SHADOW or one.holds(facts) is not True:
            continue
        for name in one.tags:
            if name in MOOD:
                winner = winner or name
                if winner != name:
                    continue
            given.add(name)
    by_id = {one.id: one for one in rules}
    found = {}
    for name, owner in OWNERS.items():
        rule_of = by_id.get(owner)
        if name in given:
            found[name] = "off" if name in blocked else "on"
        elif rule_of is None or not rule_of.decides:
            found[name] = "stays"
        elif name not in rule_of.tags or rule_of.holds(facts) is False:
            found[name] = "off"
        else:
            found[name] = "off" if name in MOOD and winner not in (None, name) else "stays"
    return found


@dataclass
class People:
    """What people did: tags of theirs, tags of ours that they took off, and those that may be either's."""

    theirs: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)
    unclear: set[str] = field(default_factory=set)

    def add(self, name: str, on_call: bool, state: str | None) -> None:
        if on_call:
            return
        self.unclear.discard(name)
        self.blocked.discard(name)
        if state in (None, "blocked", "off"):
            self.theirs.add(name)
        else:
            self.unclear.add(name)

    def remove(self, name: str, on_call: bool, state: str | None) -> None:
        if not on_call:
            return
        whose = "theirs" if name in self.theirs else "unclear" if name in self.unclear else "ours"
        self.theirs.discard(name)
        self.unclear.discard(name)
        if whose == "ours" and state == "ours":
            self.blocked.add(name)
        elif whose != "theirs" or state is not None:
            self.unclear.add(name)


class OneCallMachine(RuleBasedStateMachine):
    @initialize(which=st.integers(0, len(SETS) - 1), tagged=st.booleans())
    def begin(self, which: int, tagged: bool) -> None:
        memory = MEMORY if MEMORY.is_dir() else None
        self.folder = tempfile.TemporaryDirectory(dir=memory)
        self.in_force = SETS[which]
        self.world = OneCall(Path(self.folder.name), self.empty, text_of(self.in_force))
        self.people = People()
        self.facts = Facts()
        self.emitted = 0
        self.ended = False
        self.changed = False
        """The rules in force are others than at the call's last evaluation."""
        self.deaths = 0
        if tagged:
            self.ends()
            self.rest()

    empty: Path

    def emit(self, payload: dict[str, Any]) -> None:
        self.emitted += 1
        self.world.platform.emit(payload | {"number": self.emitted})
        self.world.pass_time(1.0)

    @rule(kind=st.sampled_from(["start", "answer"]))
    def goes_on(self, kind: str) -> None:
        self.emit(events.step(self.world.call, kind, self.world.call.started))

    @precondition(lambda self: not self.ended)
    @rule()
    def ends(self) -> None:
        self.ended = True
        self.world.ends()

    @rule()
    def leaves_a_voicemail(self) -> None:
        self.emit(events.voicemail(self.world.call, self.world.call.started + 1900, 20, "x"))

    @rule(score=st.integers(1, 9))
    def is_rated(self, score: int, named: bool = False) -> None:
        self.facts = Facts(score, self.facts.transcript)
        name = {"pbx_id": self.world.call.reference} if named else {}
        self.emit(events.rating(self.world.call.id, score) | name)

    @rule(words=st.sampled_from([REFUND, FINE]), named=st.booleans())
    def is_transcribed(self, words: str, named: bool = False) -> None:
        self.facts = Facts(self.facts.rating, words)
        name = {"pbx_id": self.world.call.reference} if named else {}
        self.emit(events.speech(self.world.call.id, [Segment(words, 0.0, 2.0, "left")]) | name)

    @rule(number=st.integers(0, 20))
    def event_arrives(self, number: int) -> None:
        if self.world.platform.outbox:
            self.world.deliver(number % len(self.world.platform.outbox))

    @rule()
    def all_events_arrive(self) -> None:
        self.world.deliver()

    @rule(number=st.integers(0, 20))
    def event_arrives_again(self, number: int) -> None:
        if self.world.delivered:
            self.world.arrive(self.world.delivered[number % len(self.world.delivered)])

    @rule()
    def events_are_linked(self) -> None:
        self.world.link()

    @rule()
    def workers_work(self) -> None:
        self.world.work()
        self.deaths = 0
        self.look_whose()

    def work_until(self, step: int, score: int | None, happen: Callable[[], None]) -> None:
        """Workers work, on a call that is due by a new rating if one is given; at that step it happens."""
        if score is not None:
            self.is_rated(score, named=True)
            self.world.deliver()
        self.world.steps.at(step, happen)
        try:
            self.world.work()
        finally:
            self.world.steps.never()
        self.look_whose()

    @precondition(lambda self: self.deaths < DEATHS_IN_A_ROW)
    @rule(step=STEP, score=NEWS, powerless=st.booleans())
    def worker_dies(self, step: int, score: int | None, powerless: bool) -> None:
        """Alone, or since the machine loses its power."""

        def die() -> None:
            raise Died

        try:
            self.work_until(step, score, die)
        except Died:
            self.deaths += 1
            if powerless:
                self.world.database.lose_power()
            self.world.restart()
            self.look_whose()

    @rule(step=STEP, score=NEWS, name=st.sampled_from(TAGS), adds=st.booleans(), arrives=st.booleans())
    def person_edits_while_a_worker_works(
        self, step: int, score: int | None, name: str, adds: bool, arrives: bool
    ) -> None:
        def edit() -> None:
            names = self.world.platform.names
            self.person(name if adds or not names else names[step % len(names)], adds)
            if arrives:
                self.world.deliver()
                self.world.link()

        self.work_until(step, score, edit)

    @rule(step=STEP, score=NEWS, words=st.sampled_from([REFUND, FINE]))
    def is_transcribed_while_a_worker_works(self, step: int, score: int | None, words: str) -> None:
        def transcribe() -> None:
            self.is_transcribed(words, named=True)
            self.world.deliver()
            self.world.link()

        self.work_until(step, score, transcribe)

    @rule(name=st.sampled_from(TAGS))
    def person_adds(self, name: str) -> None:
        self.person(name, adds=True)

    @precondition(lambda self: self.world.platform.names)
    @rule(number=st.integers(0, 8), arrives=st.booleans())
    def person_removes(self, number: int, arrives: bool) -> None:
        names = self.world.platform.names
        self.person(names[number % len(names)], adds=False)
        if arrives:
            self.world.deliver()

    def person(self, name: str, adds: bool) -> None:
        on_call, state = name in self.world.platform.names, self.world.ours().get(name)
        (self.people.add if adds else self.people.remove)(name, on_call, state)
        self.world.person([name] if adds else [], [] if adds else [name])

    @rule(which=st.integers(0, len(SETS) - 1))
    def rules_change(self, which: int) -> None:
        self.changed |= self.in_force is not SETS[which]
        self.in_force = SETS[which]
        self.world.rules(text_of(self.in_force))

    @rule(kind=st.sampled_from(["429", "503", "404", "drop_before", "drop_after"]), times=st.integers(1, 4))
    def platform_fails(self, kind: str, times: int) -> None:
        self.world.platform.faults.extend([kind] * times)

    @rule(kind=st.sampled_from(["503", "404", "drop_before", "drop_after", None]))
    def platform_is_away(self, kind: str | None) -> None:
        self.world.platform.outage = kind

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 61.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    def look_whose(self) -> None:
        """A tag that a person put while ours was under way may be either's; so may one that we took off
        before we knew that a person had."""
        states = self.world.ours()
        under_way = {name for name, state in states.items() if state in ("intended", "removing")}
        self.people.unclear |= self.people.theirs & under_way
        self.people.theirs -= self.people.unclear
        again = {name for name in self.people.blocked if name in self.world.platform.taken_off}
        self.people.unclear |= again
        self.people.blocked -= again
        self.world.platform.taken_off.clear()

    @rule()
    def comes_to_rest(self) -> None:
        world = self.world
        world.platform.faults.clear()
        world.platform.outage = None
        if not self.ended:
            self.ends()
        self.rest()
        if self.changed:
            self.emit(events.summary(self.emitted, world.call.id, "newest facts"))
            self.changed = False
            self.rest()
        self.deaths = 0
        self.holds()

    def rest(self) -> None:
        self.world.rest()
        self.look_whose()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.comes_to_rest()
            finally:
                self.world.close()
                self.folder.cleanup()

    def holds(self) -> None:
        people, on_call, ours = self.people, set(self.world.platform.names), self.world.ours()
        (row,) = self.world.rows()
        assert row.state == "done", row.reason
        agree(ours, on_call, row.others)
        unclear = people.unclear | (MOOD if people.unclear & MOOD else set())
        facts = Facts(self.facts.rating, self.facts.transcript, frozenset(people.theirs))
        found = verdicts(self.in_force, facts, people.blocked)
        assert people.theirs - unclear <= on_call, "what a person added is there"
        assert not people.blocked & on_call, "what a person removed is not"
        for name, verdict in found.items():
            if name not in unclear and name not in people.theirs and verdict != "stays":
                assert (name in on_call) == (verdict == "on"), f"{name} must be {verdict}"
        for name in people.blocked:
            assert ours.get(name) == "blocked", f"{name} is shown as taken off by a person"


def agree(ours: dict[str, str], on_call: set[str], others: list[str] | None) -> None:
    """What calltag knows is what is on the platform."""
    assert set(ours.values()) <= {"ours", "off", "blocked"}, "nothing is under way"
    mine = {name for name, state in ours.items() if state == "ours"}
    assert mine <= on_call
    assert not {name for name, state in ours.items() if state != "ours"} & on_call
    assert set(others or ()) - mine == on_call - mine


@pytest.fixture
def machine(empty_database: Path) -> type[OneCallMachine]:
    class Machine(OneCallMachine):
        empty = empty_database

    return Machine


def test_whatever_happens_the_tags_end_as_the_rules_say(machine: type[OneCallMachine]) -> None:
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(machine, settings=profile)


FOLLOWED = "version: 1\nrules: [{id: bad, when: {field: rating, lt: 5}, tag: Bad}]\n"


@pytest.mark.parametrize("step", range(10, 24))
def test_a_tag_is_known_as_ours_wherever_the_machine_lost_its_power(
    empty_database: Path, tmp_path: Path, step: int
) -> None:
    def die() -> None:
        raise Died

    world = OneCall(tmp_path, empty_database, FOLLOWED)
    world.ends()
    world.platform.emit(events.rating(world.call.id, 2) | {"pbx_id": world.call.reference})
    world.deliver()
    world.steps.at(step, die)
    with suppress(Died):
        world.work()
    world.steps.never()
    world.database.lose_power()
    world.restart()
    world.rest()
    assert world.platform.names == ["Bad"]
    world.pass_time(2.0)
    world.platform.emit(events.rating(world.call.id, 9) | {"pbx_id": world.call.reference})
    world.rest()
    assert world.platform.names == [], "it was ours to take off"
    world.close()
