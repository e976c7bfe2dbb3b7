"""What the REST clients of all platforms do alike: pages of a list, ids in paths, JSON answers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import orjson

from platforms.adapter import Event, Record, Tag
from platforms.errors import Conflict, NotFound, PlatformError, Unreachable, Unreadable
from platforms.payload import Payload, identifier, mapping, text
from rules.ruleset import CatalogueTag

Item = TypeVar("Item")


def walk(turn: Callable[[str | None], tuple[list[Item], str | None]]) -> Iterator[Item]:
    """The items of a list, page by page; `turn` gives those of one page and the token of the next one."""
    page: str | None = None
    seen: set[str] = set()
    while True:
        items, page = turn(page)
        yield from items
        if page is None:
            return
        if page in seen:
            raise Unreachable("the pages of a list go round in a circle")
        seen.add(page)


def one_by_one(
    create: Callable[[str, str | None, str | None], Tag], wanted: Iterable[CatalogueTag]
) -> dict[str, Tag | PlatformError]:
    """`Client.create_tags` by a request for each."""
    answers: dict[str, Tag | PlatformError] = {}
    for tag in wanted:
        try:
            answers[tag.name] = create(tag.name, tag.color, tag.description)
        except PlatformError as fault:
            answers[tag.name] = fault
            if isinstance(fault, Conflict) or (not fault.permanent and fault.status is None):
                break  # the others may be there as well, or have no answer either
    return answers


def record_of(read: Callable[[Payload], Event], item: Any) -> Record:
    """One call of an answer, which `read` reads."""
    event = readable("a call", lambda: read(mapping(item)))
    return Record(event.references[0].value, orjson.dumps(item), event)


def tag_of(item: Any, id_key: str = "id", name_key: str = "name") -> Tag:
    """A tag's definition in an answer, with the colour and description that it may tell."""
    tag_id, name = readable(
        "a tag", lambda: (identifier(mapping(item), id_key), text(item, name_key, limit=None))
    )
    if tag_id is None or name is None:
        raise Unreachable(f"a tag was answered without {id_key} and {name_key}")
    looks = (value if isinstance(value := item.get(key), str) else None for key in ("color", "description"))
    return Tag(tag_id, name, *looks)


def readable(what: str, read: Callable[[], Item]) -> Item:
    """What `read` makes of an answer; one that cannot be read counts as an outage (`Unreachable`)."""
    try:
        return read()
    except Unreadable as fault:
        raise Unreachable(f"{what} was answered that cannot be read: {fault}") from None


def remedy(fault: PlatformError, base_url: str, otherwise: str | None) -> str:
    """What `doctor` says of a request that failed, with what to look at if the platform answers at all."""
    if isinstance(fault, Unreachable):
        return f"{fault}; does {base_url} answer from this machine?"
    return f"{fault}; {otherwise}" if otherwise else str(fault)


def path_part(value: str) -> str:
    """An id as one part of a path. `..` would lead elsewhere: to the tag itself, not the tag on a call."""
    if not value.strip("."):
        raise NotFound("nothing has that id")
    return quote(value, safe="")


def json_object(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; raises `Unreachable` when it is none: what stands between us and the platform
    answers so while something is down."""
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(
            f"{response.request.method} was answered {response.status_code} without a JSON object"
        )
    return found
