"""SIPSIM's REST interface: tags, calls, and the webhook events that are switched on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx

from platforms.adapter import Changed, Check, Page, Record, Tag, TokenSource
from platforms.errors import (
    Forbidden,
    NotFound,
    PageExpired,
    PlatformError,
    Refused,
    Unauthorized,
    Unreachable,
)
from platforms.link import Link
from platforms.payload import number, text
from platforms.rest import json_object, one_by_one, path_part, readable, record_of, remedy, tag_of, walk
from platforms.settings import sendable
from platforms.sipsim.records import read_item, read_record, with_transcript
from platforms.sipsim.settings import SipsimSettings
from rules.ruleset import CatalogueTag

PAGE_SIZE = {"limit": "1000"}
SCOPES = "tags.read tags.write calls.read calls.tags.write"
WEBHOOK_SCOPES = "webhooks.read webhooks.write"
TRANSCRIPT_SCOPES = "calls.transcription.read"
"""These are asked for apart, so that a client without them can tag all the same."""

NEEDED_EVENTS = (
    "incoming_call_start",
    "incoming_call_end",
    "outgoing_call_start",
    "outgoing_call_end",
    "voicemail",
    "tags",
    "speech",
    "summary",
    "rating",
)
"""The events that bring facts which no other event brings."""


def connect(settings: SipsimSettings, link: Link, tokens: TokenSource) -> "SipsimClient":
    return SipsimClient(settings, link, tokens)


class SipsimClient:
    """`platforms.adapter.Client` for SIPSIM. An answer that is not as documented counts as `Unreachable`:
    what stands between us and the platform answers so while something is down."""

    def __init__(self, settings: SipsimSettings, link: Link, tokens: TokenSource) -> None:
        self._settings = settings
        self._link = link
        self._tokens = tokens

    def list_tags(self) -> list[Tag]:
        return [tag_of(item) for item in self._pages("tags", PAGE_SIZE)]

    def create_tag(self, name: str, color: str | None, description: str | None) -> Tag:
        wanted = {"name": name, "color": color, "description": description}
        given = {key: value for key, value in wanted.items() if value is not None}
        return tag_of(_envelope(self._send("POST", "tags", json=given))["data"])

    def create_tags(self, wanted: Sequence[CatalogueTag]) -> Mapping[str, Tag | PlatformError]:
        return one_by_one(self.create_tag, wanted)

    def update_tag(
        self,
        tag_id: str,
        name: str | None = None,
        color: str | None = None,
        description: str | None = None,
    ) -> Tag:
        wanted = {"name": name, "color": color, "description": description}
        given = {key: value for key, value in wanted.items() if value is not None}
        return tag_of(_envelope(self._send("PATCH", f"tags/{path_part(tag_id)}", json=given))["data"])

    def delete_tag(self, tag_id: str) -> None:
        _expected(self._send("DELETE", f"tags/{path_part(tag_id)}"), 204)

    def change_tags(
        self, call_id: str, add: Mapping[str, str], remove: Mapping[str, str], changed: Changed
    ) -> None:
        for name, tag_id in add.items():
            answer = _expected(self._send("PUT", _tag_on_call(call_id, tag_id)), 201, 204)
            (changed.added if answer == 201 else changed.already).append(name)
        for name, tag_id in remove.items():
            _expected(self._send("DELETE", _tag_on_call(call_id, tag_id)), 204)
            changed.removed.append(name)

    def call_tags(self, call_id: str) -> list[str]:
        return [tag_of(item).name for item in self._pages(f"calls/{path_part(call_id)}/tags", {})]

    def get_call(self, call_id: str) -> Record:
        return self._read(_envelope(self._send("GET", f"calls/{path_part(call_id)}"))["data"])

    def transcribed(self, record: Record) -> Record:
        path = f"calls/{path_part(record.id)}/transcription"
        try:
            answer = _envelope(self._send("GET", path, scopes=TRANSCRIPT_SCOPES))["data"]
        except NotFound:
            return record
        body = with_transcript(record.body, answer)
        return record if body is None else replace(record, body=body, event=read_record(self._settings, body))

    def list_page(
        self,
        since: datetime,
        until: datetime,
        page: str | None = None,
        tag: str | None = None,
        number: str | None = None,
    ) -> Page:
        wanted = {
            **PAGE_SIZE,
            "start_time": _iso(since),
            "end_time": _iso(until + timedelta(microseconds=999_999)),
            "tags": tag,
            "search": number,
        }
        params = {key: value for key, value in wanted.items() if value is not None}
        items, following = self._page("calls", params, page)
        return Page([self._read(item) for item in items], following)

    def list_calls(self, since: datetime, until: datetime, number: str | None = None) -> Iterator[Record]:
        return walk(lambda page: self.list_page(since, until, page, number=number))

    def check(self) -> list[Check]:
        first = self._check_token()
        if not first.ok:
            return [first]
        needed = [first, self._check_tags(), self._check_events()]
        # what a token from the settings may do is not known
        return needed if self._settings.access_token is not None else [*needed, self._check_transcripts()]

    def enable_events(self) -> list[str]:
        token = self._webhook_token()
        missing = [event for event, on in self._events(token).items() if not on]
        for event in missing:
            self._ask("POST", f"webhooks/{event}", token)
        return missing

    def _send(self, method: str, path: str, scopes: str = SCOPES, **request: Any) -> httpx.Response:
        """One request with the fleet's token; once more with a new one if the platform no longer takes it."""
        if self._settings.access_token is not None:
            return self._ask(method, path, self._settings.access_token.get_secret_value(), **request)
        tokens = self._tokens if scopes == SCOPES else self._tokens.apart(scopes)
        renew = partial(self._renew, scopes)
        token = tokens.token(renew)
        try:
            return self._ask(method, path, token, **request)
        except Unauthorized:
            return self._ask(method, path, tokens.token(renew, rejected=token), **request)

    def _ask(self, method: str, path: str, token: str, **request: Any) -> httpx.Response:
        url = f"{self._settings.base_url}/api/v2/{path}"
        return self._link.send(method, url, headers={"Authorization": f"Bearer {token}"}, **request)

    def _renew(self, scopes: str) -> tuple[str, float]:
        token, life, _ = self._grant(scopes)
        return token, life

    def _grant(self, scopes: str) -> tuple[str, float, str]:
        """A new token, its seconds of life, and the scopes it was given."""
        client_id, secret = self._settings.client_id, self._settings.client_secret
        if client_id is None or secret is None:
            raise Unauthorized("neither an access token nor a client id and secret are set")
        form = {"grant_type": "client_credentials", "client_id": client_id}
        form |= {"client_secret": secret.get_secret_value(), "scope": scopes}
        try:
            answer = self._link.send("POST", f"{self._settings.base_url}/oauth/token", free=True, data=form)
        except (Refused, Unauthorized, Forbidden) as fault:
            why = f"the client id and secret brought no token for {scopes}: {fault}"
            raise Unauthorized(why) from None
        return _token(json_object(answer), scopes)

    def _pages(self, path: str, params: Mapping[str, str]) -> Iterator[Any]:
        return walk(lambda page: self._page(path, params, page))

    def _page(self, path: str, params: Mapping[str, str], page: str | None) -> tuple[list[Any], str | None]:
        """The items of one page of a list, and the token of the next one."""
        turn = params if page is None else {**params, "page": page}
        try:
            answer = _envelope(self._send("GET", path, params=turn))
        except PlatformError as fault:
            if page is not None and _means_expired(fault):
                raise PageExpired(
                    "the platform no longer takes the token of a page", status=fault.status
                ) from None
            raise
        if not isinstance(answer["data"], list):
            raise Unreachable("a list was answered without its items")
        return answer["data"], _next_page(answer)

    def _read(self, item: Any) -> Record:
        return record_of(partial(read_item, self._settings), item)

    def _check_token(self) -> Check:
        if self._settings.access_token is not None:
            return Check("token", True, "the access token from the settings")
        try:
            _, _, granted = self._grant(SCOPES)
        except PlatformError as fault:
            return Check(
                "token",
                False,
                remedy(fault, self._settings.base_url, "look at the client id and the client secret"),
            )
        missing = sorted(set(SCOPES.split()) - set(granted.split()))
        if missing:
            return Check("token", False, f"it lacks {', '.join(missing)}; grant them to the client in SIPSIM")
        return Check("token", True, f"granted with {granted}")

    def _check_tags(self) -> Check:
        try:
            return Check("tags", True, f"{len(self.list_tags())} on the platform")
        except PlatformError as fault:
            return Check("tags", False, remedy(fault, self._settings.base_url, f"the token needs {SCOPES}"))

    def _check_events(self) -> Check:
        try:
            events = self._events(self._webhook_token())
        except PlatformError as fault:
            scopes = f"the client needs {WEBHOOK_SCOPES}, else see SIPSIM's webhook settings"
            return Check("webhook events", False, remedy(fault, self._settings.base_url, scopes))
        if missing := [event for event, on in events.items() if not on]:
            return Check("webhook events", False, f"switched off: {', '.join(missing)}")
        return Check("webhook events", True, f"all that are needed are switched on: {', '.join(events)}")

    def _check_transcripts(self) -> Check:
        """It is well without them: whoever tags calls that end now needs none of the past."""
        subject = "transcripts of past calls"
        try:
            granted = self._grant(TRANSCRIPT_SCOPES)[2]
        except Unauthorized:
            granted = ""
        except PlatformError as fault:
            return Check(subject, False, remedy(fault, self._settings.base_url, "try again later"))
        if TRANSCRIPT_SCOPES in granted.split():
            return Check(subject, True, f"can be had: {TRANSCRIPT_SCOPES} is granted")
        return Check(
            subject, True, f"cannot be had: for that, grant the client {TRANSCRIPT_SCOPES} in SIPSIM"
        )

    def _webhook_token(self) -> str:
        if self._settings.access_token is not None:
            return self._settings.access_token.get_secret_value()
        return self._grant(WEBHOOK_SCOPES)[0]

    def _events(self, token: str) -> dict[str, bool]:
        """The needed events that the account can have, and whether they are switched on."""
        available = _event_names(_envelope(self._ask("GET", "webhooks/available", token))["data"])
        enabled = _event_names(_envelope(self._ask("GET", "webhooks", token))["data"])
        return {event: event in enabled for event in NEEDED_EVENTS if event in available}


def _means_expired(fault: PlatformError) -> bool:
    """Whether an answer to a page's token means that the token has expired; not documented."""
    return fault.status in (400, 404, 410, 422)


def _tag_on_call(call_id: str, tag_id: str) -> str:
    return f"calls/{path_part(call_id)}/tags/{path_part(tag_id)}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _expected(response: httpx.Response, *statuses: int) -> int:
    if response.status_code not in statuses:
        raise Unreachable(
            f"{response.request.method} was answered {response.status_code}, which is not documented"
        )
    return response.status_code


def _envelope(response: httpx.Response) -> dict[str, Any]:
    """The answer's object, in which `data` is."""
    found = json_object(response)
    if "data" not in found:
        raise Unreachable(f"{response.request.method} was answered {response.status_code} without data")
    return found


def _next_page(answer: Mapping[str, Any]) -> str | None:
    """The token of the next page, or None on the last one."""
    pagination = answer.get("pagination") or {}
    page = pagination.get("page") if isinstance(pagination, dict) else None
    if not isinstance(pagination, dict) or not pagination.get("has_more", page is not None):
        return None
    if not page:
        raise Unreachable("a list was answered that has more, without the next page")
    return str(page)


def _token(answer: Mapping[str, Any], asked: str) -> tuple[str, float, str]:
    """RFC 6749: the scope is left out where it is the one that was asked for."""
    token, life, granted = readable(
        "a token",
        lambda: (
            text(answer, "access_token", limit=None),
            number(answer, "expires_in"),
            text(answer, "scope", limit=None),
        ),
    )
    if not token or not sendable(token) or life is None:
        raise Unreachable("a token was answered without access_token and expires_in")
    return token, float(life), asked if granted is None else granted


def _event_names(data: Any) -> set[str]:
    """From `[{"event": "..."}]`, documented for the available ones; those switched on may be names alone."""
    items = data.get("events") if isinstance(data, dict) else data
    if not isinstance(items, list):
        raise Unreachable("the webhook events were answered without their names")
    names = (item.get("event") if isinstance(item, dict) else item for item in items)
    return {name for name in names if isinstance(name, str)}
