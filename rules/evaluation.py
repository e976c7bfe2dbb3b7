"""What an evaluation gives."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What an evaluation says of a rule."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    OFF = "off"


OUTCOMES: Mapping[bool | None, Outcome] = {True: Outcome.TRUE, False: Outcome.FALSE, None: Outcome.UNKNOWN}


class Applied(NamedTuple):
    """A tag of ours that is on the call, and the id of the rule that gave it."""

    tag: str
    rule: str


class Removal(NamedTuple):
    """A tag of ours that must go, the rule that gave it, and why, in words."""

    tag: str
    rule: str
    why: str


class Outcomes(Mapping[str, Outcome]):
    """The outcome of every rule by its id, in the order of the rules; worked out when first asked for.

    `rules` has the ids, `tell` gives the outcomes that are not plainly false, in the same order.
    """

    __slots__ = ("_rules", "_tell", "_told")

    def __init__(self, rules: Mapping[str, object], tell: Callable[[], Mapping[str, Outcome]]) -> None:
        self._rules = rules
        self._tell = tell
        self._told: Mapping[str, Outcome] | None = None

    @property
    def not_false(self) -> Mapping[str, Outcome]:
        """Those that are not plainly false: of many rules, few."""
        if self._told is None:
            self._told = self._tell()
        return self._told

    def __getitem__(self, rule: str) -> Outcome:
        return self.not_false.get(rule) or self._false(rule)

    def _false(self, rule: str) -> Outcome:
        self._rules[rule]  # or a KeyError
        return Outcome.FALSE

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the rules say of a call.

    `tags`: what live rules give, in their order, each once; `given_by`: the first rule that gives each;
    `shadow_tags`: what shadow rules would have given; `rules`: the outcome of every rule, in their order;
    `remove`: tags of ours that must go; `stopped_by`: the rule that skipped the later ones; `winners`: the
    tag that won each group, None where a tag that is not ours is on the call.
    """

    tags: tuple[str, ...]
    given_by: Mapping[str, str]
    shadow_tags: tuple[str, ...]
    rules: Outcomes
    remove: tuple[Removal, ...] = ()
    stopped_by: str | None = None
    winners: Mapping[str, str | None] = field(default_factory=dict)
