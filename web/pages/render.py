"""Templates: everything is escaped, a missing value is a fault, and values are shown as people read them."""

import hashlib
import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

WEB = Path(__file__).parent.parent
STATIC = WEB / "static"
LONGEST = 300
"""Characters of somebody's text that are shown before the rest is left to be opened."""
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
DIGITS = re.compile(r"\d")


@cache
def static_version() -> str:
    """The hash of all static files: a part of their addresses, so that browsers may keep them for ever."""
    files = sorted(path for path in STATIC.rglob("*") if path.is_file())
    found = hashlib.sha256()
    for path in files:
        found.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def static(path: str) -> str:
    """The address of a static file, by its path under `web/static`."""
    return f"/static/{static_version()}/{path}"


def moment(at: float | None) -> Markup:
    """A time in UTC, to the second."""
    if at is None:
        return Markup("")
    when = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"), when.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def clock(at: float) -> Markup:
    """The time of day in UTC, with the day where one points at it."""
    when = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        when.strftime("%Y-%m-%d %H:%M:%S UTC"),
        when.strftime("%H:%M:%S"),
    )


def instant(iso: str | None) -> Markup:
    """As `moment`, of a time in ISO 8601."""
    return moment(datetime.fromisoformat(iso).timestamp() if iso else None)


def day(at: float) -> Markup:
    """A UTC day by a time in it."""
    shown = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    return Markup('<time datetime="{0}">{0}</time>').format(shown)


def duration(seconds: float | None) -> str:
    """`850 ms`, `4.2 s`, `3 min 20 s`, `2 d 4 h`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{math.floor(seconds * 10) / 10:g} s"
    for index, (size, unit) in enumerate(UNITS):
        if seconds >= size:
            rest, smaller = UNITS[index + 1] if index + 1 < len(UNITS) else (1, "s")
            whole, left = int(seconds // size), int(seconds % size // rest)
            return f"{whole} {unit} {left} {smaller}" if left else f"{whole} {unit}"
    raise AssertionError(seconds)


def number(value: float | None) -> str:
    """`1,000,000`; at most two digits after the point."""
    return "" if value is None else f"{round(value, 2):,}"


def counted(value: int, one: str, many: str | None = None) -> str:
    """`1 call`, `2 calls`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def masked(text: str) -> str:
    """`+33612345642` as `+33•••••42`: the beginning and the last two signs."""
    if len(DIGITS.findall(text)) < 6:
        return "•••••"
    return f"{text[:3]}•••••{text[-2:]}"


def text(value: object, most: int = LONGEST) -> Markup:
    """Somebody's text, apart from the direction of the words around it; of a long one the title has all."""
    whole = str(value)
    if len(whole) <= most:
        return Markup("<bdi>{}</bdi>").format(whole)
    return Markup('<bdi title="{}">{}…</bdi>').format(whole, whole[:most])


def texts(values: Iterable[object], most: int = LONGEST) -> Markup:
    """Several of them, with commas between."""
    return Markup(", ").join(text(value, most) for value in values)


def short(hash: str | None) -> Markup:
    """A hash by its beginning."""
    return Markup('<code title="{}">{}</code>').format(hash, hash[:12]) if hash else Markup("")


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def environment() -> Environment:
    """The templates of `web/templates`."""
    made = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "as_json": as_json,
        "clock": clock,
        "counted": counted,
        "day": day,
        "duration": duration,
        "instant": instant,
        "masked": masked,
        "moment": moment,
        "number": number,
        "short": short,
        "text": text,
        "texts": texts,
    }
    made.globals["static"] = static
    return made
