"""What a telephony platform's adapter is: the shapes that the rest of calltag works with.

A platform is one `Platform` in the registry: a few functions and a settings model. Everything a vendor does
in its own way (signatures, payloads, paths, ids) stays inside its folder; what leaves it are these values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from platforms.errors import PlatformError
from platforms.link import Link
from platforms.settings import AccountSettings
from rules.facts import Facts
from rules.ruleset import CatalogueTag

Headers = Sequence[tuple[bytes, bytes]]
"""Header names in lower case and values as they came, repeated ones repeated (as in an ASGI scope)."""


class Phase(IntEnum):
    """The stage of a call that an event tells of; a call's events are folded in this order first."""

    START = 0
    ANSWER = 1
    END = 2
    AFTER = 3


class Reference(NamedTuple):
    """One of the names that a platform has for a call, such as `("pbx_id", "call_abc123")`."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Event:
    """What one webhook, or one item of the platform's call list, says about a call.

    `facts` replace what earlier events said; `defaults` count only where no event gives the fact. An event
    that concerns no call has no references and says in `ignored` why it is kept but not worked on.
    """

    name: str
    """From a fixed set of the adapter's, so that it can label a metric; `unknown` for any other."""
    phase: Phase = Phase.AFTER
    references: tuple[Reference, ...] = ()
    time: datetime | None = None
    facts: Facts = field(default_factory=dict)
    defaults: Facts = field(default_factory=dict)
    caller_speech: str | None = None
    """The caller's side of the transcript; which fact it becomes depends on the call's direction."""
    receiver_speech: str | None = None
    tags: tuple[str, ...] | None = None
    """The complete list of tag names on the call at that time, where the event tells it."""
    ends: bool = False
    """True when the call has ended, so that it can be evaluated."""
    untold: bool = False
    """There is a transcript, which the event does not carry: `Client.transcribed` brings it."""
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag's definition on the platform; `id` is what the platform's calls are tagged with, as text."""

    id: str
    name: str
    color: str | None = None
    """As the platform writes it (SIPSIM: `#RRGGBB`); None where it tells none."""
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One call as the platform's own list has it.

    `id` is what tags are put by, `body` the item as JSON (the inbox keeps it), and `event` what it says;
    the event's references include the id.
    """

    id: str
    body: bytes
    event: Event


class Page(NamedTuple):
    """One page of the platform's list of calls; `next` is the token of the one after it, None on the last."""

    records: list[Record]
    next: str | None


class Grant(NamedTuple):
    """Tokens that the platform gave, and until when they are good (Unix seconds)."""

    token: str
    until: float
    refresh: str | None = None
    refresh_until: float = 0.0


class TokenSource(Protocol):
    """Where a client gets its access token; shared by the fleet."""

    def token(self, renew: Callable[[], tuple[str, float]], rejected: str | None = None) -> str:
        """The token to use. `renew` asks the platform for a new one and gives it with its seconds of life;
        it is called at most once for the fleet while the token lasts. `rejected` names a token that the
        platform no longer takes."""

    def rotating(self, renew: Callable[[str | None], Grant], rejected: str | None = None) -> str:
        """As `token`, where a refresh token is good once. `renew` makes one request: with the refresh token
        that is kept, raising `Unauthorized` if the platform does not take it, or with None a login. What it
        brings is kept before it is used. One process at a time renews, and logins are far between."""

    def apart(self, purpose: str) -> "TokenSource":
        """The source of another token of the account, for what not every client of it may do."""


class Apply(StrEnum):
    """How the platform lets tags be put on a call."""

    ONE = "one"
    """A request for each tag, which leaves the others."""
    SEVERAL = "several"
    """A request for several tags, which leaves the others."""
    REPLACE = "replace"
    """A request with all tags that the call is to have: read, merged, written and read back."""
    NONE = "none"
    """Not at all: what the rules decide is recorded, and shown as not applied."""


@dataclass(slots=True)
class Changed:
    """What became of the tags of one call, by name, as far as it is known."""

    added: list[str] = field(default_factory=list)
    """Put on by our request."""
    already: list[str] = field(default_factory=list)
    """On the call before our request."""
    removed: list[str] = field(default_factory=list)


class Client(Protocol):
    """The platform's REST interface, bound to one lease. Every method raises `PlatformError`."""

    def list_tags(self) -> list[Tag]: ...

    def create_tag(self, name: str, color: str | None, description: str | None) -> Tag:
        """Makes a tag; raises `Conflict` when the name exists."""

    def create_tags(self, wanted: Sequence[CatalogueTag]) -> Mapping[str, Tag | PlatformError]:
        """Makes tags, several by one request where the platform can; gives by name the tag, or why there is
        none. What comes after a `Conflict`, or when the platform does not answer, may be left out."""

    def update_tag(
        self,
        tag_id: str,
        name: str | None = None,
        color: str | None = None,
        description: str | None = None,
    ) -> Tag:
        """Changes what is given of a tag's definition, and gives it as it is then; raises `Conflict` when
        another tag has the name."""

    def delete_tag(self, tag_id: str) -> None:
        """Deletes a tag, which takes it off every call."""

    def change_tags(
        self, call_id: str, add: Mapping[str, str], remove: Mapping[str, str], changed: "Changed"
    ) -> None:
        """Puts tags on the call and takes others off, each by name and id; what else is on it stays.

        `changed` is told of each one as soon as it is known, so that a fault in the middle loses nothing.
        """

    def call_tags(self, call_id: str) -> list[str]:
        """The names of the tags on the call now."""

    def get_call(self, call_id: str) -> Record: ...

    def transcribed(self, record: Record) -> Record:
        """The same call with its transcript, at the cost of a request; its body alone gives the facts again.
        A record of which there is no transcript comes back as it is."""

    def list_page(
        self,
        since: datetime,
        until: datetime,
        page: str | None = None,
        tag: str | None = None,
        number: str | None = None,
    ) -> Page:
        """One page of the calls in that time, in the platform's own order, by one request; optionally only
        those with the tag of that id, or with that phone number.

        `page` is the `next` of the page before, which was asked for with all else the same; without it the
        first one. Raises `PageExpired` when the platform no longer takes it.
        """

    def list_calls(self, since: datetime, until: datetime, number: str | None = None) -> Iterator[Record]:
        """The calls in that time, page by page."""

    def check(self) -> "list[Check]":
        """Token and scopes, tags readable, webhook events switched on: one result each, for `doctor`."""

    def enable_events(self) -> list[str]:
        """Switches on the webhook events that are needed and off; gives their names."""


class Check(NamedTuple):
    """One line of `calltag doctor`: what was looked at, whether it is well, and what to do if not."""

    subject: str
    ok: bool
    detail: str


Lookup = Literal["auto", "direct", "search"]
"""An event's reference is the call's id, or the call is searched by it; `auto` finds out which."""


class Signed(NamedTuple):
    """A webhook that `Platform.verify` takes: the proof is in the headers, or in the body itself."""

    body: bytes
    headers: dict[str, str]


class Limit(NamedTuple):
    """At most so many requests in any so many seconds, beside the rate."""

    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Platform:
    """An adapter. `Any` stands for the adapter's own settings model, which only it reads."""

    name: str
    settings: type[AccountSettings]
    id_kind: str
    """The kind of reference that is the id in the platform's own list (SIPSIM: `call_id`)."""
    verify: Callable[[Any, Headers, bytes, float], float]
    """(settings, headers, body, now) -> the signed timestamp; raises BadSignature or BadTimestamp."""
    read_event: Callable[[Any, bytes], Event]
    """A webhook's body -> Event; raises Unreadable."""
    read_record: Callable[[Any, bytes], Event]
    """The body of a `Record` -> Event; raises Unreadable."""
    connect: Callable[[Any, Link, TokenSource], Client]
    sign: Callable[[Any, bytes, float], Signed]
    """(settings, body, now) -> the webhook as `verify` takes it; raises ValueError when no secret is set."""
    told: frozenset[str]
    """The facts that webhooks bring."""
    listed: frozenset[str]
    """Those that a call carries in the platform's list, without a further request."""
    fetched: frozenset[str]
    """Those that `Client.transcribed` adds."""
    longest_range: timedelta | None
    """The longest time that the platform lists at once; None where it sets no bound."""
    example: Callable[[str, dict[str, str]], dict[str, Any]]
    """(event name, fields to set) -> the body of such an event, for `calltag send`; raises ValueError."""
    apply: Callable[[Any], Apply]
    """How tags are put on calls, by the account's settings."""
    limits: Callable[[Any], Sequence[Limit]] = lambda _settings: ()
    """The platform's limits over long times, which bursts may use, by the account's settings."""
    aliases: bool = False
    """Calls have other names than their id, and some events tell the one, some the other."""
    lookup: Callable[[Any], Lookup] = lambda _settings: "direct"
    """How an event's reference leads to the call's id, by the account's settings."""
    removes: bool = True
    """Tags can be taken off a call."""
    echoes: bool = True
    """A change of a call's tags by the API comes back as an event with the complete list, as one by a person
    does. Without such events a call's tags are read before one of ours is taken off."""
    defines: frozenset[str] = frozenset({"color", "description"})
    """What can be said of a tag there, beside its name."""
    tags_by_name: bool = False
    """A tag's name is its id: the platform makes those that it does not have."""
    identity: Callable[[bytes], bytes] = bytes
    """(a genuine webhook's body) -> what is the same whenever that event comes; by default all of it."""
    redelivers: bool = True
    """A webhook that was not answered with 2xx comes again; else the platform's list is read often."""
