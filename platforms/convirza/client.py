"""Convirza's REST client: a login that is renewed, tags, calls, and tags on calls where that is switched on.

What the documents leave open is in `requests` (what is sent) and `answers` (what comes back).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from platforms.adapter import Changed, Check, Grant, Page, Record, Tag, TokenSource
from platforms.convirza import answers
from platforms.convirza.records import INCLUDE, read_item, tags_on
from platforms.convirza.requests import V2Request, login, renaming, tag_path, v2_login, v2_request
from platforms.convirza.settings import ConvirzaSettings
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
from platforms.payload import Payload, mapping
from platforms.phones import e164
from platforms.rest import json_object, one_by_one, record_of, remedy, walk
from rules.ruleset import CatalogueTag

PAGE = 200
"""The most calls that the platform lists at once."""
LONGEST = timedelta(days=31)
CALLS = "conversations/calls"
NO_WAY = "Convirza's documented API has no way to put a tag on a call"
OFF = (
    f"off: {NO_WAY}. What the rules decide is recorded and shown as not applied, and all else works; "
    "APPLY=v2 tries the old API, see docs/platforms/convirza.md"
)


def connect(settings: ConvirzaSettings, link: Link, tokens: TokenSource) -> "ConvirzaClient":
    return ConvirzaClient(settings, link, tokens)


class ConvirzaClient:
    """`platforms.adapter.Client` for Convirza. An answer that cannot be read counts as `Unreachable`."""

    def __init__(self, settings: ConvirzaSettings, link: Link, tokens: TokenSource) -> None:
        self._settings = settings
        self._link = link
        user = hashlib.sha256(f"{settings.oauth_url} {settings.email}".encode()).hexdigest()[:8]
        self._tokens = tokens.apart(user)  # a refresh token is its user's
        self._v2_tokens = tokens.apart(f"{user}-v2")
        self._user: Payload = {}

    def list_tags(self) -> list[Tag]:
        found: dict[str, Tag] = {}
        offset = 0
        while True:
            params = {"limit": PAGE, "offset": offset, **self._unit()}
            tags = [answers.tag(item) for item in answers.items(self._answer("GET", "tag", params=params))]
            new = {tag.id: tag for tag in tags if tag.id not in found}
            found |= new
            offset += len(tags)
            if len(tags) < PAGE or not new:  # or it was answered with all of them, whatever was asked for
                return list(found.values())

    def create_tag(self, name: str, color: str | None, description: str | None) -> Tag:  # noqa: ARG002
        """A tag has neither colour nor description there."""
        found = self._made([name])[name]
        if isinstance(found, PlatformError):
            raise found
        return found

    def create_tags(self, wanted: Sequence[CatalogueTag]) -> Mapping[str, Tag | PlatformError]:
        """All by one request; one by one where that is refused, as one of them may be the reason."""
        try:
            return self._made([tag.name for tag in wanted])
        except PlatformError as fault:
            if fault.permanent and len(wanted) > 1:
                return one_by_one(self.create_tag, wanted)
            return {tag.name: fault for tag in wanted}

    def _made(self, names: Sequence[str]) -> dict[str, Tag | PlatformError]:
        """What became of each of the tags."""
        unit = self._settings.org_unit_id
        if unit is None:
            raise Refused("making a tag needs ORG_UNIT_ID to be set; `calltag doctor` tells the user's own")
        body = {"tag": {"org_unit_id": unit, "tagList": [{"tag_name": name} for name in names]}}
        data = self._answer("POST", "tag", json=body)["data"]
        made = {tag.name: tag for tag in map(answers.tag, answers.either(data, "inserted_tags", "created"))}
        existing = answers.either(data, "existing_tags", "duplicates")
        return {name: made.get(name) or _not_made(name in existing) for name in names}

    def update_tag(
        self,
        tag_id: str,
        name: str | None = None,
        color: str | None = None,  # noqa: ARG002 - it has none there
        description: str | None = None,  # noqa: ARG002
    ) -> Tag:
        if name is None:
            raise Refused("a tag of Convirza has a name and nothing else")
        self._send("PUT", tag_path(tag_id), json=renaming(name))
        found = next((tag for tag in self.list_tags() if tag.id == tag_id), None)
        if found is None:
            raise NotFound("no tag has that id")
        return found

    def delete_tag(self, tag_id: str) -> None:
        self._send("DELETE", tag_path(tag_id))

    def change_tags(
        self, call_id: str, add: Mapping[str, str], remove: Mapping[str, str], changed: Changed
    ) -> None:
        """Whether the old API adds to a call's tags or replaces them is unknown: it is sent all of them, and
        what it made of them is read back."""
        if remove:
            raise Refused("Convirza takes no tag off a call")
        if self._settings.apply != "v2":
            raise Refused(NO_WAY)
        before = self._tags_on(call_id)
        missing = {name: tag_id for name, tag_id in add.items() if not _has(before, name, tag_id)}
        changed.already += [name for name in add if name not in missing]
        if not missing:
            return
        self._send_v2(v2_request(self._settings, call_id, {**before, **missing}))
        after = self._tags_on(call_id)
        changed.added += [name for name, tag_id in missing.items() if _has(after, name, tag_id)]
        if not before.keys() <= after.keys():
            raise Refused("the request of the old API took others' tags off the call: switch APPLY off")
        if not all(_has(after, name, tag_id) for name, tag_id in missing.items()):
            raise Unreachable("the old API took the tags, and the call does not show them")

    def call_tags(self, call_id: str) -> list[str]:
        return list(self._tags_on(call_id))

    def get_call(self, call_id: str) -> Record:
        return self._read(self._item(call_id))

    def transcribed(self, record: Record) -> Record:
        """The list brings transcripts as it is."""
        return record

    def list_page(
        self,
        since: datetime,
        until: datetime,
        page: str | None = None,
        tag: str | None = None,
        number: str | None = None,
    ) -> Page:
        """The list can be asked for neither a tag nor either number: those are picked out here."""
        offset = _offset(page)
        end = min(
            max(until + timedelta(microseconds=999), since + timedelta(milliseconds=1)), since + LONGEST
        )
        params = {"start": _iso(since), "end": _iso(end), "limit": PAGE, "offset": offset}
        answer = self._answer("GET", CALLS, params={**params, "include": INCLUDE, **self._unit()})
        items = answers.items(answer)
        records = [self._read(item) for item in items]
        total = answers.total(answer)
        following = offset + len(items)
        more = bool(items) and (len(items) >= PAGE if total is None else following < total)
        return Page(self._picked(records, tag, number), str(following) if more else None)

    def list_calls(self, since: datetime, until: datetime, number: str | None = None) -> Iterator[Record]:
        return walk(lambda page: self.list_page(since, until, page, number=number))

    def check(self) -> list[Check]:
        first = self._check_login()
        return [first, self._check_tags(), self._check_unit(), self._check_apply()] if first.ok else [first]

    def enable_events(self) -> list[str]:
        """Webhooks are bound to calls by rules there, in ways that are not documented."""
        return []

    def _picked(self, records: list[Record], tag: str | None, number: str | None) -> list[Record]:
        if tag is not None and records:
            names = {each.name for each in self.list_tags() if each.id == tag}
            records = [record for record in records if names.intersection(record.event.tags or ())]
        if number is not None:
            wanted = e164(number, self._settings.default_region)
            ends = ("caller", "receiver")
            records = [one for one in records if wanted in (one.event.facts.get(end) for end in ends)]
        return records

    def _item(self, call_id: str) -> Payload:
        params = {"call_id": call_id, "limit": 1, "offset": 0, "include": INCLUDE}
        items = answers.items(self._answer("GET", CALLS, params=params))
        found = next((item for item in items if self._read(item).id == call_id), None)
        if found is None:
            raise NotFound("no call has that id")
        return mapping(found)

    def _tags_on(self, call_id: str) -> dict[str, str | None]:
        found = tags_on(self._item(call_id))
        if found is None:
            raise Unreachable("a call was answered without its tags")
        return found

    def _read(self, item: Any) -> Record:
        return record_of(partial(read_item, self._settings), item)

    def _unit(self) -> dict[str, int]:
        unit = self._settings.org_unit_id
        return {} if unit is None else {"org_unit_id": unit}

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = json_object(self._send(method, path, **request))
        if not isinstance(answer.get("data"), dict | list):
            raise Unreachable(f"{method} was answered without data")
        return answer

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        url = f"{self._settings.base_url}/v3/{path}"
        return self._authorised(
            self._tokens,
            self._granted,
            lambda header: self._link.send(method, url, headers=header, **request),
        )

    def _send_v2(self, request: V2Request) -> httpx.Response:
        url = f"{self._settings.apply_url}/v2/{request.path}"
        return self._authorised(
            self._v2_tokens,
            self._granted_v2,
            lambda header: self._link.send("POST", url, headers=header, json=request.body),
        )

    def _authorised(
        self,
        tokens: TokenSource,
        renew: Callable[[str | None], Grant],
        ask: Callable[[dict[str, str]], httpx.Response],
    ) -> httpx.Response:
        """One request with the fleet's token; once more with a new one if the platform no longer takes it."""
        token = tokens.rotating(renew)
        try:
            return ask({"Authorization": f"Bearer {token}"})
        except Unauthorized:
            return ask({"Authorization": f"Bearer {tokens.rotating(renew, rejected=token)}"})

    def _granted(self, refresh: str | None) -> Grant:
        """New tokens, by the refresh token or by a login."""
        if refresh is not None:
            answer = self._ask_for_token(
                "the refresh token is not taken", "refresh-token", {"refresh_token": refresh}
            )
        else:
            answer = self._ask_for_token(
                "the e-mail and password brought no token", "token", login(self._settings)
            )
        user = answer.get("user")
        self._user = user if isinstance(user, dict) else {}
        return answers.grant(answer)

    def _ask_for_token(self, failure: str, path: str, body: dict[str, str]) -> dict[str, Any]:
        url = f"{self._settings.oauth_url}/oauth/{path}"
        try:
            return json_object(self._link.send("POST", url, free=True, json=body))
        except (Refused, Unauthorized, Forbidden) as fault:
            raise Unauthorized(f"{failure}: {fault}") from None

    def _granted_v2(self, refresh: str | None) -> Grant:
        form = v2_login(self._settings, refresh)
        try:
            answer = json_object(
                self._link.send("POST", f"{self._settings.apply_url}/oauth/token", free=True, data=form)
            )
        except (Refused, Unauthorized, Forbidden) as fault:
            raise Unauthorized(f"the old API's login brought no token: {fault}") from None
        return answers.v2_grant(answer)

    def _check_login(self) -> Check:
        try:
            self._tokens.rotating(self._granted)
        except PlatformError as fault:
            return Check(
                "token", False, remedy(fault, self._settings.base_url, "look at the e-mail and the password")
            )
        return Check("token", True, "the e-mail and password brought one")

    def _check_tags(self) -> Check:
        try:
            return Check("tags", True, f"{len(self.list_tags())} on the platform")
        except PlatformError as fault:
            return Check(
                "tags",
                False,
                remedy(fault, self._settings.base_url, "may the user see the organisation unit's tags?"),
            )

    def _check_unit(self) -> Check:
        unit, own = self._settings.org_unit_id, self._user.get("org_unit_id")
        if unit is not None:
            return Check("organisation unit", True, f"tags are made in {unit}")
        return Check(
            "organisation unit", False, f"none is set, so no tag can be made; the user's own is {own}"
        )

    def _check_apply(self) -> Check:
        subject = "tags on calls"
        if self._settings.apply != "v2":
            return Check(subject, True, OFF)
        try:
            self._v2_tokens.rotating(self._granted_v2)
        except PlatformError as fault:
            return Check(
                subject,
                False,
                remedy(fault, self._settings.base_url, "look at the client id and secret of the old API"),
            )
        return Check(
            subject, True, f"on, by the old API at {self._settings.apply_path}: its form is not documented"
        )


def _not_made(exists: bool) -> PlatformError:
    if exists:
        return Conflict("POST was answered that there is such a tag")
    return Unreachable("a tag was made, and the answer does not tell its id")


def _has(tags: Mapping[str, str | None], name: str, tag_id: str) -> bool:
    """Whether the tag is among them; it may go by another name there."""
    return name in tags or tag_id in tags.values()


def _offset(page: str | None) -> int:
    if page is None:
        return 0
    if not (page.isascii() and page.isdigit() and len(page) < 12):
        raise PageExpired("the token of a page is no offset")
    return int(page)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
