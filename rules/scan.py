"""All that is looked for in a text field, found in one pass over the text.

It becomes one RE2 set. Outside ASCII only Unicode knows what a letter is, and the set may say that a phrase
stands alone where it does not: there its hits are confirmed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import re2

from rules.checks import encoded
from rules.conditions import Comparison, Pattern, Test
from rules.text import WHITE_SPACE, fold, mentions, nfc, spoken

MEMORY = 64 * 1024 * 1024
"""Bytes that the automaton of one set may grow to."""

SPACE = re.sub(r"\\u(....)", r"\\x{\1}", WHITE_SPACE.pattern)


class Sought(NamedTuple):
    """One thing to look for: the operator, its text, whether case is ignored."""

    operator: str
    text: str
    folds: bool

    @property
    def view(self) -> Callable[[str], str]:
        """What the text must be made before it is looked through."""
        return fold if self.folds and self.operator != "matches" else nfc

    @property
    def pattern(self) -> str:
        """For RE2, on the text as `view` makes it."""
        if self.operator == "matches":
            return "(?i)" + self.text if self.folds else self.text
        if self.operator == "contains":
            return str(re2.escape(self.text))
        words = SPACE.join(map(re2.escape, self.text.split(" ")))
        return _edge(self.text[0]) + words + _edge(self.text[-1])


def _edge(sign: str) -> str:
    """Where no ASCII letter, digit or `_` is beside this sign."""
    return r"\b" if sign.isascii() and (sign.isalnum() or sign == "_") else r"\B"


def sought(comparison: Comparison, test: Test) -> list[Sought]:
    """What `contains`, `mentions` or `matches` looks for."""
    folds = comparison.ignore_case
    if test.operator == "mentions":
        return [Sought("mentions", spoken(item), True) for item in test.operand]
    if test.operator == "matches":
        return [Sought("matches", item.text, folds) for item in test.operand]
    return [Sought("contains", fold(item) if folds else nfc(item), folds) for item in test.operand]


def regexes(comparison: Comparison, test: Test) -> dict[Sought, Any]:
    """The compiled patterns of `matches`."""
    found = zip(sought(comparison, test), test.operand, strict=True)
    return {item: operand.regex for item, operand in found if isinstance(operand, Pattern)}


class Scan:
    """Looks through texts for all of it at once; all of it has the same view. `regexes` are of `matches`."""

    def __init__(self, items: Sequence[Sought], regexes: Mapping[Sought, Any], memory: int = MEMORY) -> None:
        self.items = items
        self.view = items[0].view
        self._regexes = regexes
        self._set = _set_of(items, memory)

    def find(self, text: str) -> list[Sought]:
        """What is in the text."""
        viewed = self.view(text)
        found = self._match(viewed)
        if found is None:
            return [item for item in self.items if self._holds(item, viewed)]
        if viewed.isascii():
            return found
        return [item for item in found if item.operator != "mentions" or _stands_alone(item.text, viewed)]

    def _match(self, viewed: str) -> list[Sought] | None:
        """None where the set cannot tell: there is none, or the text is no valid Unicode."""
        if self._set is None:
            return None
        try:
            return [self.items[at] for at in self._set.Match(viewed.encode()) or ()]
        except UnicodeEncodeError:
            return None

    def _holds(self, item: Sought, viewed: str) -> bool:
        if item.operator == "contains":
            return item.text in viewed
        if item.operator == "mentions":
            return _stands_alone(item.text, viewed)
        return self._regexes[item].search(encoded(viewed)) is not None


def _stands_alone(phrase: str, folded: str) -> bool:
    """Whether the text mentions the phrase; only within one of several words does white space matter."""
    return mentions(spoken(folded) if " " in phrase else folded, phrase)


def _set_of(items: Sequence[Sought], memory: int) -> Any:
    """None where it is too large: it is tried as it is compiled, and then has room enough for any text."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = memory
    found = re2.Set.SearchSet(options)
    try:
        for item in items:
            found.Add(item.pattern.encode())
        found.Compile()
    except (re2.error, UnicodeEncodeError):
        return None
    return found
