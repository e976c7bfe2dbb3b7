"""The sections of a rule file that rules refer to: time zone, tags, lists, schedules."""

import re
from datetime import date
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from rules.faults import Faults, Placed
from rules.fields import WEEKDAYS
from rules.literals import MIDNIGHT, read_date, read_time_of_day, seconds_of
from rules.nodes import List, Map, Node, Scalar
from rules.ruleset import CatalogueTag
from rules.schedules import Schedule, Span
from rules.shapes import Scope, check_keys, is_whole, read_list, read_map, read_text
from rules.text import nfc
from rules.words import did_you_mean, quote

COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
TAG_KEYS = ("color", "description", "group")


def read_timezone(node: Node, faults: Faults) -> ZoneInfo | None:
    """The zone of an IANA name, or None with a fault told."""
    name = read_text(node, "'timezone'", faults)
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # what `zoneinfo` raises for a folder, a bad name, an unknown one
        near = did_you_mean(name, _zones()) or "; a zone is such as Europe/Paris"
        faults.add(node, f"unknown time zone '{quote(name)}'{near}")
        return None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())  # reads folders, so only where a zone is unknown


def read_tag(name: str, node: Node, faults: Faults) -> CatalogueTag:
    """An entry of the tag catalogue."""
    entry = read_map(node, f"the tag '{quote(name)}'", faults)
    if entry is None:
        return CatalogueTag(name)
    check_keys(entry, TAG_KEYS, (), "a tag", faults)
    texts = {
        key: read_text(entry.entries[key], f"'{key}'", faults) for key in TAG_KEYS if key in entry.entries
    }
    color = texts.get("color")
    if color is not None and not COLOR.fullmatch(color):
        faults.add(entry.entries["color"], f"""'{quote(color)}' is no colour; one is such as "#EF4444\"""")
    return CatalogueTag(name, color, texts.get("description"), texts.get("group"))


def read_values(name: str, node: Node, faults: Faults) -> List | None:
    """A named list: single values, which each use reads as its field asks; bad ones are broken nodes."""
    items = [_value(name, item, faults) for item in read_list(node, f"the list '{quote(name)}'", faults)]
    return List(*node.place, items) if isinstance(node, List) else None


def _value(name: str, item: Node, faults: Faults) -> Node:
    if isinstance(item, Scalar) and item.value is None:
        faults.add(item, "null is no value for a list")
    elif isinstance(item, Scalar) and _names_list(item):
        faults.add(
            item, f"'{quote(item.raw)}' is a list within a list; `$$` writes a text that begins with `$`"
        )
    elif is_whole(item) and not isinstance(item, Scalar):
        faults.add(item, f"the list '{quote(name)}' holds single values")
    else:
        return item
    return Node(*item.place)


def _names_list(item: Scalar) -> bool:
    return isinstance(item.value, str) and item.value.startswith("$") and not item.value.startswith("$$")


def read_schedule(name: str, node: Node, scope: Scope) -> Schedule | None:
    """Opening hours, or None with the faults told."""
    entry = read_map(node, f"the schedule '{quote(name)}'", scope.faults)
    if entry is None:
        return None
    zone, closed = scope.timezone, frozenset[date]()
    days: list[tuple[Span, ...]] = [()] * 7
    taken: dict[int, Scalar] = {}
    for key, value in entry.entries.items():
        if key == "timezone":
            zone = read_timezone(value, scope.faults) or zone
        elif key == "closed":
            closed = _closed(value, scope.faults)
        else:
            spans = _spans(key, value, scope.faults)
            for day in _weekdays(entry.keys[key], taken, scope.faults):
                days[day] = spans
    return Schedule(name, zone, days, closed)


def _weekdays(key: Scalar, taken: dict[int, Scalar], faults: Faults) -> list[int]:
    """The days that `mon`, `mon-fri` or `fri-mon` stands for; a fault where one is taken."""
    names = key.raw.split("-")
    if len(names) > 2 or any(name not in WEEKDAYS for name in names):
        near = did_you_mean(key.raw, [*WEEKDAYS, "closed", "timezone"])
        allowed = "; a schedule has timezone, closed, and weekdays: mon to sun, or such as mon-fri"
        faults.add(key, f"unknown key '{quote(key.raw)}'{near or allowed}")
        return []
    first, last = WEEKDAYS.index(names[0]), WEEKDAYS.index(names[-1])
    days = [(first + day) % 7 for day in range((last - first) % 7 + 1)]
    for day in days:
        if day in taken:
            faults.add(key, f"'{WEEKDAYS[day]}' is given twice, first on line {taken[day].line}")
        taken.setdefault(day, key)
    return days


def _spans(key: str, node: Node, faults: Faults) -> tuple[Span, ...]:
    spans = (_span(item, faults) for item in read_list(node, f"'{quote(key)}'", faults))
    return tuple(span for span in spans if span)


def _span(node: Node, faults: Faults) -> Span | None:
    text = read_text(node, "a span", faults)
    if text is None:
        return None
    start, _, end = text.partition("-")
    try:
        span = (
            seconds_of(read_time_of_day(start)),
            MIDNIGHT if end == "24:00" else seconds_of(read_time_of_day(end)),
        )
    except ValueError:
        faults.add(node, f'\'{quote(text)}\' is no span; one is such as "09:00-12:30" or "22:00-24:00"')
        return None
    if span[0] == span[1]:
        faults.add(node, f"the span '{text}' ends when it starts; a whole day is \"00:00-24:00\"")
        return None
    return span


def _closed(node: Node, faults: Faults) -> frozenset[date]:
    days = set()
    for item in read_list(node, "'closed'", faults, empty=True):
        text = read_text(item, "a closed day", faults)
        try:
            days |= {read_date(text)} if text is not None else set()
        except ValueError:
            faults.add(item, f"'{quote(str(text))}' is no date; one is such as \"2026-12-25\"")
    return frozenset(days)


class Names:
    """The names of one section over all files: each stands once."""

    def __init__(self, kind: str, faults: Faults) -> None:
        self.kind = kind
        self.faults = faults
        self.nodes: dict[str, Node] = {}
        self.keys: dict[str, Placed] = {}

    def add(self, section: Map) -> None:
        for raw, key in section.keys.items():
            name = nfc(raw)
            if not name.strip():
                self.faults.add(key, f"an empty {self.kind} name")
            elif name in self.nodes:
                first = self.keys[name].place
                self.faults.add(key, f"duplicate {self.kind} '{quote(name)}', first at {first}")
            else:
                self.nodes[name], self.keys[name] = section.entries[raw], key
