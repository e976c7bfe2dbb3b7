"""Aircall's REST interface: tags, calls, and the events that webhooks are registered for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from math import ceil, floor
from typing import Any

import httpx
import orjson

from platforms.adapter import Changed, Check, Page, Record, Tag, TokenSource
from platforms.aircall.calls import kept, read_call, read_record
from platforms.aircall.settings import AircallSettings
from platforms.aircall.spoken import TRANSCRIPTION, spoken
from platforms.errors import (
    Conflict,
    Forbidden,
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

PER_PAGE = 50
REACH = 10_000
"""Calls that Aircall pages through, however many there are; what follows is listed from a later time."""
COLOR = "#767676"
"""Of a tag for which the rules say none: Aircall wants one."""

NO_WEBHOOK = "no webhook has a token that is set here; make one in Aircall and set its token"

NEEDED_EVENTS = (
    "call.created",
    "call.ended",
    "call.tagged",
    "call.untagged",
    "call.voicemail_left",
    "call.comm_assets_generated",
)
"""The events that bring facts which no other event brings."""


def connect(settings: AircallSettings, link: Link, _tokens: TokenSource) -> "AircallClient":
    return AircallClient(settings, link)


class AircallClient:
    """`platforms.adapter.Client` for Aircall. An answer that is not as documented counts as `Unreachable`:
    what stands between us and the platform answers so while something is down."""

    def __init__(self, settings: AircallSettings, link: Link) -> None:
        self._settings = settings
        self._link = link

    def list_tags(self) -> list[Tag]:
        return [tag_of(item) for item in walk(lambda page: self._items("tags", {}, page))]

    def create_tag(self, name: str, color: str | None, description: str | None) -> Tag:
        wanted = _given(name=name, color=color or COLOR, description=description)
        try:
            return tag_of(self._object("POST", "tags", "tag", json=wanted))
        except Refused as fault:
            raise self._taken(fault, name) from None

    def create_tags(self, wanted: Sequence[CatalogueTag]) -> Mapping[str, Tag | PlatformError]:
        return one_by_one(self.create_tag, wanted)

    def update_tag(
        self,
        tag_id: str,
        name: str | None = None,
        color: str | None = None,
        description: str | None = None,
    ) -> Tag:
        wanted = _given(name=name, color=color, description=description)
        try:
            return tag_of(self._object("PUT", f"tags/{path_part(tag_id)}", "tag", json=wanted))
        except Refused as fault:
            raise self._taken(fault, name) from None

    def delete_tag(self, tag_id: str) -> None:
        self._send("DELETE", f"tags/{path_part(tag_id)}")

    def change_tags(
        self, call_id: str, add: Mapping[str, str], remove: Mapping[str, str], changed: Changed
    ) -> None:
        """Sends only the tags that the call has not: what Aircall does with one twice is not documented."""
        if remove:
            raise Refused("Aircall has no documented way to take a tag off a call")
        there = {tag.id for tag in self._tags_on(call_id)}
        changed.already += [name for name, tag_id in add.items() if tag_id in there]
        missing = {name: tag_id for name, tag_id in add.items() if tag_id not in there}
        if missing:
            self._send("POST", f"calls/{path_part(call_id)}/tags", json={"tags": _numbers(missing.values())})
            changed.added += missing

    def call_tags(self, call_id: str) -> list[str]:
        return [tag.name for tag in self._tags_on(call_id)]

    def get_call(self, call_id: str) -> Record:
        return self._read(self._call(call_id))

    def transcribed(self, record: Record) -> Record:
        try:
            told = json_object(self._send("GET", f"calls/{path_part(record.id)}/transcription"))
        except NotFound:
            return record
        if not spoken(told):
            return record
        body = orjson.dumps({**orjson.loads(record.body), TRANSCRIPTION: told})
        return replace(record, body=body, event=read_record(self._settings, body))

    def list_page(
        self,
        since: datetime,
        until: datetime,
        page: str | None = None,
        tag: str | None = None,
        number: str | None = None,
    ) -> Page:
        """The token of a page is the time from which is listed, and the number of the page from there."""
        start, place = _place(page) if page else (floor(since.timestamp()), 1)
        params = {"from": str(start), "to": str(ceil(until.timestamp())), "order": "asc"}
        path = "calls/search" if tag or number else "calls"
        params |= _given(**{"tags[]": tag, "phone_number": number})
        try:
            items, following = self._items(path, params, str(place), "calls")
        except PlatformError as fault:
            if place > 1 and fault.status in (400, 404, 410, 422):
                raise PageExpired("the platform has no such page", status=fault.status) from None
            raise
        records = [self._read(item) for item in items]
        return Page(records, following and _following(start, place, items))

    def list_calls(self, since: datetime, until: datetime, number: str | None = None) -> Iterator[Record]:
        return walk(lambda page: self.list_page(since, until, page, number=number))

    def check(self) -> list[Check]:
        try:
            self._send("GET", "ping")
        except PlatformError as fault:
            return [Check("API key", False, self._remedy(fault))]
        return [Check("API key", True, "taken"), self._check_tags(), self._check_events()]

    def enable_events(self) -> list[str]:
        """Adds what is missing to the webhook that has our token; where Aircall had switched it off, all of
        its events are on again."""
        hook = self._webhook()
        if hook is None:
            raise NotFound(NO_WEBHOOK)
        missing, active = _missing(hook), hook.get("active") is not False
        events = [*(hook.get("events") or ()), *missing]
        if missing or not active:
            wanted = {"url": hook.get("url"), "events": events, "active": True}
            self._send("PUT", f"webhooks/{path_part(str(hook.get('webhook_id')))}", json=wanted)
        return missing if active else events

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        api_id, token = self._settings.api_id, self._settings.api_token
        if api_id is None or token is None:
            raise Unauthorized("no API id and token are set")
        url = f"{self._settings.base_url}/v1/{path}"
        return self._link.send(method, url, auth=(api_id, token.get_secret_value()), **request)

    def _object(self, method: str, path: str, key: str, **request: Any) -> Mapping[str, Any]:
        """The object that the answer holds under the key."""
        found = json_object(self._send(method, path, **request)).get(key)
        if not isinstance(found, dict):
            raise Unreachable(f"{method} was answered without a {key}")
        return found

    def _items(
        self, path: str, params: Mapping[str, str], page: str | None, key: str = ""
    ) -> tuple[list[Any], str | None]:
        """The items of one page of a list, and the number of the next one."""
        place = page or "1"
        answer = json_object(
            self._send("GET", path, params={**params, "page": place, "per_page": str(PER_PAGE)})
        )
        items, meta = answer.get(key or path), answer.get("meta")
        if not isinstance(items, list) or not isinstance(meta, dict):
            raise Unreachable("a list was answered without its items")
        return items, str(int(place) + 1) if meta.get("next_page_link") else None

    def _call(self, call_id: str) -> Mapping[str, Any]:
        return self._object("GET", f"calls/{path_part(call_id)}", "call")

    def _tags_on(self, call_id: str) -> list[Tag]:
        tags = self._call(call_id).get("tags")
        if tag_names(tags) is None or not isinstance(tags, list):
            raise Unreachable("a call was answered without its tags")
        return [tag_of(item) for item in tags]

    def _read(self, item: Any) -> Record:
        call = kept(item) if isinstance(item, dict) else item
        return record_of(partial(read_call, self._settings, "record"), call)

    def _taken(self, fault: Refused, name: str | None) -> PlatformError:
        """Aircall answers 400 to a name that exists, and to much else: only its list tells."""
        taken = name is not None and any(tag.name.casefold() == name.casefold() for tag in self.list_tags())
        return Conflict("a tag of that name exists", status=fault.status) if taken else fault

    def _check_tags(self) -> Check:
        try:
            return Check("tags", True, f"{len(self.list_tags())} on the platform")
        except PlatformError as fault:
            return Check("tags", False, self._remedy(fault))

    def _check_events(self) -> Check:
        try:
            hook = self._webhook()
        except PlatformError as fault:
            return Check("webhook events", False, self._remedy(fault))
        if hook is None:
            return Check("webhook events", False, NO_WEBHOOK)
        if hook.get("active") is False:
            return Check("webhook events", False, "Aircall has switched the webhook off, as too many failed")
        if missing := _missing(hook):
            return Check("webhook events", False, f"switched off: {', '.join(missing)}")
        return Check("webhook events", True, "all that are needed are switched on")

    def _webhook(self) -> Mapping[str, Any] | None:
        """The webhook that one of our tokens belongs to."""
        ours = {secret.get_secret_value() for secret in self._settings.webhook_secrets}
        hooks = walk(lambda page: self._items("webhooks", {}, page))
        return next((hook for hook in hooks if isinstance(hook, dict) and hook.get("token") in ours), None)

    def _remedy(self, fault: PlatformError) -> str:
        known = isinstance(fault, Unauthorized | Forbidden)
        look = "look at the API id and the API token" if known else None
        return remedy(fault, self._settings.base_url, look)


def _given(**values: str | None) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}


def _missing(hook: Mapping[str, Any]) -> list[str]:
    """The needed events that the webhook is not registered for; without a list it is for all."""
    events = hook.get("events")
    return [event for event in NEEDED_EVENTS if event not in events] if isinstance(events, list) else []


def _numbers(tag_ids: Any) -> list[int]:
    try:
        return [int(tag_id) for tag_id in tag_ids]
    except ValueError:
        raise NotFound("a tag's id is no number") from None


def _place(page: str) -> tuple[int, int]:
    start, _, place = page.partition(":")
    if not (start.isdecimal() and place.isdecimal() and int(place) > 0):
        raise PageExpired("the token of a page is none of this platform's")
    return int(start), int(place)


def _following(start: int, place: int, items: list[Any]) -> str:
    """The token of the next page. Where Aircall pages no further, the list goes on from the second in which
    the last call began, of which some calls were listed already."""
    last = items[-1].get("started_at") if items else None
    if place * PER_PAGE >= REACH and isinstance(last, int) and last > start:
        return f"{last}:1"
    return f"{start}:{place + 1}"
