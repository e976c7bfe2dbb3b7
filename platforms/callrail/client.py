"""CallRail's REST interface, version 3: calls with their tags, and the tags' definitions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import orjson

from platforms.adapter import Changed, Check, Page, Record, Tag, TokenSource
from platforms.callrail.records import TALK, read_item
from platforms.callrail.settings import CallrailSettings
from platforms.errors import (
    Conflict,
    NotFound,
    PageExpired,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link
from platforms.payload import tag_names
from platforms.rest import json_object, one_by_one, path_part, record_of, remedy, tag_of, walk
from rules.ruleset import CatalogueTag

PAGE_SIZE = 250
"""The most that CallRail gives at once."""
FIELDS = (
    "call_type",
    "tags",
    "agent_email",
    "source",
    "source_name",
    "campaign",
    "medium",
    "keywords",
    "transcription",
    "call_summary",
    "lead_status",
    "note",
    "value",
    "first_call",
    "company_id",
    "company_name",
)
"""What is asked for beside the fields that a call always has."""
LEVEL = "account"
"""New tags are for all companies of the account."""


def connect(settings: CallrailSettings, link: Link, _tokens: TokenSource) -> "CallrailClient":
    return CallrailClient(settings, link)


class CallrailClient:
    """`platforms.adapter.Client` for CallRail. An answer that is not as documented counts as `Unreachable`:
    what stands between us and the platform answers so while something is down.

    A tag's id is its name, by which calls are tagged; CallRail's own number of it is looked up where a
    definition is changed.
    """

    def __init__(self, settings: CallrailSettings, link: Link) -> None:
        self._settings = settings
        self._link = link

    def list_tags(self) -> list[Tag]:
        return list({tag.name: tag for tag in map(_tag, self._definitions())}.values())

    def create_tag(self, name: str, color: str | None, description: str | None) -> Tag:  # noqa: ARG002
        """CallRail's colours are names of its own and it keeps no descriptions: neither is sent."""
        return _tag(self._define("POST", "tags", name, {"name": name, "tag_level": LEVEL}))

    def create_tags(self, wanted: Sequence[CatalogueTag]) -> Mapping[str, Tag | PlatformError]:
        return one_by_one(self.create_tag, wanted)

    def update_tag(
        self,
        tag_id: str,
        name: str | None = None,
        color: str | None = None,  # noqa: ARG002 - see `create_tag`
        description: str | None = None,  # noqa: ARG002
    ) -> Tag:
        definition = self._definition(tag_id)
        if name is None:
            return _tag(definition)
        return _tag(self._define("PUT", _path(definition), name, {"name": name}))

    def delete_tag(self, tag_id: str) -> None:
        self._send("DELETE", _path(self._definition(tag_id)))

    def change_tags(
        self, call_id: str, add: Mapping[str, str], remove: Mapping[str, str], changed: Changed
    ) -> None:
        """Adds by appending; what is to go can only be left out of a list that replaces all others, which is
        read just before and read back."""
        there = self.call_tags(call_id)
        changed.already.extend(name for name in add if name in there)
        missing = [name for name in add if name not in there]
        if missing:
            self._put_tags(call_id, missing, append=True)
            changed.added.extend(missing)
        if any(name in there for name in remove):
            # read anew: what came in between stays
            there = self.call_tags(call_id) if missing else there
            self._put_tags(call_id, [name for name in there if name not in remove], append=False)
            left = set(self.call_tags(call_id)) & set(remove)
            changed.removed.extend(name for name in remove if name not in left)
            if left:
                raise Unreachable("PUT was answered 200, but the call still has the tags that were taken off")
        else:
            changed.removed.extend(remove)

    def call_tags(self, call_id: str) -> list[str]:
        answer = json_object(self._send("GET", _call(call_id), params={"fields": "tags"}))
        names = tag_names(answer.get("tags"))
        if names is None:
            raise Unreachable("a call was answered without the names of its tags")
        return list(names)

    def get_call(self, call_id: str) -> Record:
        return self._call(call_id, FIELDS)

    def transcribed(self, record: Record) -> Record:
        whole = orjson.loads(self._call(record.id, (TALK,)).body)
        if not whole.get(TALK):
            return record
        body = {**orjson.loads(record.body), TALK: whole[TALK]}
        return replace(record, body=orjson.dumps(body), event=read_item(self._settings, body))

    def list_page(
        self,
        since: datetime,
        until: datetime,
        page: str | None = None,
        tag: str | None = None,
        number: str | None = None,
    ) -> Page:
        wanted = {
            "start_date": _iso(since),
            "end_date": _iso(until + timedelta(microseconds=999_999)),
            "time_zone": "Etc/UTC",
            "fields": ",".join(FIELDS),
            "tags[]": tag,
            "search": number,
        }
        params = {key: value for key, value in wanted.items() if value is not None}
        items, following = self._page("calls", params, page)
        return Page([self._read(item) for item in items], following)

    def list_calls(self, since: datetime, until: datetime, number: str | None = None) -> Iterator[Record]:
        return walk(lambda page: self.list_page(since, until, page, number=number))

    def check(self) -> list[Check]:
        try:
            tags = len(self.list_tags())
        except PlatformError as fault:
            return [
                Check(
                    "tags",
                    False,
                    remedy(fault, self._settings.base_url, "look at the API key and the account id"),
                )
            ]
        events = "set in CallRail for each company: Post-Call and Call Modified, and the outbound ones"
        return [Check("tags", True, f"{tags} on the platform"), Check("webhook events", True, events)]

    def enable_events(self) -> list[str]:
        """None: which events come to which address is set in CallRail, for each company."""
        return []

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request about the account; raises `Unauthorized` without sending it where no key is set."""
        key, account = self._settings.api_key, self._settings.account_id
        if key is None or account is None:
            raise Unauthorized("neither an API key nor an account id is set")
        url = f"{self._settings.base_url}/v3/a/{path_part(account)}/{path}.json"
        headers = {"Authorization": f'Token token="{key.get_secret_value()}"'}
        return self._link.send(method, url, headers=headers, **request)

    def _put_tags(self, call_id: str, names: list[str], append: bool) -> None:
        self._send("PUT", _call(call_id), json={"tags": names, "append_tags": append})

    def _definitions(self) -> Iterator[Mapping[str, Any]]:
        return walk(lambda page: self._page("tags", {}, page))

    def _define(self, method: str, path: str, name: str, definition: Mapping[str, str]) -> dict[str, Any]:
        """Makes or changes a tag. What is answered when the name is taken is not documented: whatever is
        refused while there is such a tag is a conflict."""
        try:
            return json_object(self._send(method, path, json=definition))
        except Refused as fault:
            if any(tag.name.casefold() == name.casefold() for tag in self.list_tags()):
                raise Conflict(f"{fault}: the name is taken", status=fault.status) from None
            raise

    def _definition(self, name: str) -> Mapping[str, Any]:
        for item in self._definitions():
            if _tag(item).name == name:
                return item
        raise NotFound("no tag has that name")

    def _call(self, call_id: str, fields: tuple[str, ...]) -> Record:
        return self._read(json_object(self._send("GET", _call(call_id), params={"fields": ",".join(fields)})))

    def _page(
        self, path: str, params: Mapping[str, str], page: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The items of one page of a list, under the list's name, and the number of the next one."""
        turn = {**params, "per_page": str(PAGE_SIZE), "page": page or "1"}
        if not (turn["page"].isascii() and turn["page"].isdigit()):
            raise PageExpired("that is no number of a page")
        answer = json_object(self._send("GET", path, params=turn))
        items, pages = answer.get(path), answer.get("total_pages")
        if not isinstance(items, list) or not isinstance(pages, int):
            raise Unreachable("a list was answered without its items or the number of its pages")
        following = int(turn["page"]) + 1
        return items, str(following) if following <= pages else None

    def _read(self, item: Any) -> Record:
        return record_of(partial(read_item, self._settings), item)


def _call(call_id: str) -> str:
    return f"calls/{path_part(call_id)}"


def _path(definition: Mapping[str, Any]) -> str:
    """Where a tag's definition is, by the number that CallRail gave it."""
    return f"tags/{path_part(str(definition['id']))}"


def _iso(moment: datetime) -> str:
    """In the time zone that is asked for with it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _tag(item: Any) -> Tag:
    """Its name is what calls are tagged by."""
    found = tag_of(item)
    return replace(found, id=found.name)
