"""The platform's ids of the tags that rules give: read once, kept, and made where they are missing."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from platforms.adapter import Client, Tag
from platforms.errors import Conflict, PlatformError
from rules.ruleset import CatalogueTag
from store import fleet
from store.database import Database
from store.fleet import PlatformTag


class NoSuchTag(PlatformError):
    """There is no such tag on the platform, and none can be made."""

    permanent = True


@dataclass
class TagIds:
    """One account's tags during one batch of calls.

    The ids are kept in the database; the platform's list is read again only for a name that is not there,
    or when an id proved wrong. A tag that was renamed on the platform is found by its id. One that was
    deleted there is made again only if the catalogue has it.
    """

    database: Database
    account: str
    catalogue: Mapping[str, CatalogueTag]
    client: Client
    by_name: bool = False
    """The platform knows tags by their names alone."""
    fresh: bool = False
    """The list was read from the platform during this batch."""
    listed: dict[str, Tag] = field(default_factory=dict, repr=False)
    """The definitions by id, as far as they were read or made during this batch."""
    read_at: float = 0.0
    """When the list was asked for (Unix seconds)."""
    _tags: dict[str, PlatformTag] | None = field(default=None, repr=False)

    def of(self, names: Collection[str]) -> tuple[dict[str, str], dict[str, PlatformError]]:
        """The ids of the tags, and why there is none for those that have none. Raises `PlatformError` when
        the list cannot be read."""
        if self.by_name:
            return {name: name for name in names}, {}
        if not self.fresh and any(self.id_of(name) is None for name in names):
            self.read_again()
        missing = [name for name in sorted(set(names)) if self.id_of(name) is None]
        faults = self._make(missing)
        if missing:
            self._keep()
        ids = {name: self.id_of(name) for name in names}
        return {name: tag_id for name, tag_id in ids.items() if tag_id is not None}, faults

    def read_again(self) -> None:
        """Takes the ids from the platform's list."""
        self.read_at = time.time()
        self.listed = {tag.id: tag for tag in self.client.list_tags()}
        self._tags = merged(self._known(), self.listed.values())
        self.fresh = True
        self._keep()

    def deleted(self, names: Collection[str]) -> set[str]:
        """Those of the names whose definition is gone from the platform. Raises `PlatformError`."""
        if not self.fresh:
            self.read_again()
        return {name for name in names if self.id_of(name) is None}

    def find(self, name: str) -> Tag | None:
        """The definition that people call so on the platform, else the one that rules call so, once the list
        was read."""
        by_name = next((tag for tag in self.listed.values() if tag.name == name), None)
        return by_name or self.given_as(name)

    def given_as(self, name: str) -> Tag | None:
        """The definition that a rule means by the name, once the list was read."""
        return self.listed.get(self.id_of(name) or "")

    def was_deleted(self, name: str) -> bool:
        """Whether the tag was on the platform once, and is not any more."""
        return name in self._known() and self.id_of(name) is None

    def our_names(self, tag: Tag) -> set[str]:
        """The names by which rules, and what we noted, mean the tag."""
        names = {name for name, known in self._known().items() if known.id == tag.id}
        return names | {tag.name} if self.id_of(tag.name) == tag.id else names

    def names_of_deleted(self, name: str) -> set[str]:
        """The names by which we noted a tag that was called so, where it is not on the platform any more."""
        known = self._known().items()
        return {ours for ours, tag in known if tag.id is None and name in (ours, tag.known_as)}

    def by_our_names(self, names: Iterable[str], ours: Collection[str]) -> list[str]:
        """The platform's names of tags, those of ours that were renamed there by the name that rules give."""
        renamed = {tag.known_as: name for name, tag in self._known().items() if name in ours}
        return [name if name in ours else renamed.get(name, name) for name in names]

    def _known(self) -> dict[str, PlatformTag]:
        if self._tags is None:
            with self.database.read() as connection:
                self._tags = fleet.tags_on_platform(connection, self.account)
        return self._tags

    def id_of(self, name: str) -> str | None:
        """The id of the tag that rules mean by the name, as far as it is known."""
        if self.by_name:
            return name
        known = self._known()
        if name in known:
            return known[name].id
        return next((tag.id for tag in known.values() if tag.known_as == name and tag.id), None)

    def _make(self, names: Collection[str]) -> dict[str, PlatformError]:
        """Makes these tags; gives why for those of which there is none then."""
        faults: dict[str, PlatformError] = {
            name: NoSuchTag(
                f"the tag '{name}' was deleted on the platform; it is made again once `tags` has it"
            )
            for name in names
            if name in self._known() and name not in self.catalogue
        }
        while left := [name for name in names if name not in faults and self.id_of(name) is None]:
            answers = self.client.create_tags([self.catalogue.get(name, CatalogueTag(name)) for name in left])
            made = {name: tag for name, tag in answers.items() if isinstance(tag, Tag)}
            self.listed |= {tag.id: tag for tag in made.values()}
            self._known().update({name: PlatformTag(tag.id, tag.name) for name, tag in made.items()})
            faults |= self._found({name for name, fault in answers.items() if isinstance(fault, Conflict)})
            refused = {name: fault for name, fault in answers.items() if isinstance(fault, PlatformError)}
            faults |= {name: fault for name, fault in refused.items() if not isinstance(fault, Conflict)}
            silent = next((fault for fault in refused.values() if not fault.permanent), None)
            if silent is not None:
                return faults | {name: silent for name in left if name not in answers}
        return faults

    def _found(self, names: Collection[str]) -> dict[str, PlatformError]:
        """Finds tags that somebody made in between, or that are there in another letter case."""
        faults: dict[str, PlatformError] = {}
        if names:
            try:
                self.read_again()
            except PlatformError as fault:
                return dict.fromkeys(names, fault)
        for name in names:
            try:
                self._known()[name] = self._in_any_case(name)
            except NoSuchTag as fault:
                faults[name] = fault
        return faults

    def _in_any_case(self, name: str) -> PlatformTag:
        there = [tag for tag in self._known().values() if tag.id is not None]
        exact = [tag for tag in there if tag.known_as == name]
        alike = exact or [tag for tag in there if tag.known_as.casefold() == name.casefold()]
        if len(alike) != 1:
            raise NoSuchTag(
                f"the platform refuses to make the tag '{name}' because it exists, but does not list it"
            )
        return alike[0]

    def _keep(self) -> None:
        with self.database.write() as connection:
            fleet.keep_tags(connection, self.account, self._known())


def merged(known: Mapping[str, PlatformTag], listed: Iterable[Tag]) -> dict[str, PlatformTag]:
    """What is known after a look at the platform's list: tags go by their id, new ones by their name."""
    by_id = {tag.id: tag for tag in listed}
    after = {
        name: PlatformTag(tag.id, by_id[tag.id].name) if tag.id in by_id else PlatformTag(None, tag.known_as)
        for name, tag in known.items()
    }
    found = {tag.id for tag in after.values()}
    for tag in by_id.values():
        if tag.id not in found and (tag.name not in after or after[tag.name].id is None):
            after[tag.name] = PlatformTag(tag.id, tag.name)
    return after
