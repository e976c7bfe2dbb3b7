"""Tags: their definitions, and which call has which."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

DEFAULT_COLOR = "#6B7280"


class NameTakenError(ValueError):
    """A tag of this name exists."""


@dataclass(slots=True)
class Tag:
    id: int
    name: str
    color: str
    description: str

    def shown(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name, "color": self.color, "description": self.description}

    def brief(self) -> dict[str, object]:
        """As a call carries it."""
        return {"id": self.id, "name": self.name, "color": self.color}


class TagBook:
    """Definitions by id, and by call the ids of its tags in the order in which they came."""

    def __init__(self) -> None:
        self.tags: dict[int, Tag] = {}
        self.on_call: dict[int, tuple[int, ...]] = {}
        self.calls_with: dict[int, set[int]] = {}
        self._last_id = 0

    def named(self, name: str, ignore_case: bool = False) -> Tag | None:
        if ignore_case:
            folded = name.casefold()
            return next((tag for tag in self.tags.values() if tag.name.casefold() == folded), None)
        return next((tag for tag in self.tags.values() if tag.name == name), None)

    def create(
        self, name: str, color: str = DEFAULT_COLOR, description: str = "", ignore_case: bool = False
    ) -> Tag:
        """A new tag; NameTakenError where the name is taken."""
        if self.named(name, ignore_case):
            raise NameTakenError(f"Tag with name '{name}' already exists")
        self._last_id += 1
        tag = Tag(self._last_id, name, color, description)
        self.tags[tag.id] = tag
        self.calls_with[tag.id] = set()
        return tag

    def delete(self, tag_id: int) -> None:
        """Takes the tag off every call and forgets it; nothing where there is none."""
        self.tags.pop(tag_id, None)
        for call_id in self.calls_with.pop(tag_id, ()):
            self._take(call_id, tag_id)

    def put(self, call_id: int, tag_id: int) -> bool:
        """Whether the tag was added; False where the call has it already."""
        on_call = self.on_call.get(call_id, ())
        if tag_id in on_call:
            return False
        self.on_call[call_id] = (*on_call, tag_id)
        self.calls_with[tag_id].add(call_id)
        return True

    def take(self, call_id: int, tag_id: int) -> bool:
        """Whether the tag was on the call and is off now."""
        if tag_id not in self.on_call.get(call_id, ()):
            return False
        self._take(call_id, tag_id)
        self.calls_with[tag_id].discard(call_id)
        return True

    def _take(self, call_id: int, tag_id: int) -> None:
        left = tuple(other for other in self.on_call[call_id] if other != tag_id)
        if left:
            self.on_call[call_id] = left
        else:
            del self.on_call[call_id]

    def of(self, call_id: int) -> list[Tag]:
        return [self.tags[tag_id] for tag_id in self.on_call.get(call_id, ())]

    def calls_with_any(self, tag_ids: Iterable[int]) -> Set[int]:
        found = [self.calls_with[tag_id] for tag_id in tag_ids if tag_id in self.calls_with]
        return found[0] if len(found) == 1 else set().union(*found)
