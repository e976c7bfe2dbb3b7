"""What every platform's simulator offers to the contract tests and to `calltag demo`.

A platform's folder holds a `simulator`, a module or a package, and in it `simulate`: see `Simulate`. It is
written from the platform's public documents alone and shares no code with the adapter, so that the one proves
the other; what simulators have in common is here. Nothing of it is loaded where calls are tagged.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, Protocol

Fact = str | int | float | bool
Status = Literal["answered", "missed", "busy", "no_answer"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has ended, in no platform's words."""

    started: float
    """When it began to ring, in Unix seconds."""
    ring: int = 0
    """Seconds from then to the answer, or to the end where nobody answered."""
    duration: int = 1900
    """Seconds of talk, 0 where nobody answered."""
    direction: Literal["inbound", "outbound"] = "inbound"
    caller: str = "+33612345678"
    receiver: str = "+33184800000"
    status: Status = "answered"

    @property
    def ended(self) -> float:
        return self.started + self.ring + self.duration


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the next `count` requests, or with all until `mend`."""

    kind: str
    """A status such as `429`; `drop_before` or `drop_after` the effect: the connection breaks, unanswered."""
    count: int | None = 1
    on: Literal["api", "write", "token"] = "api"
    """Which requests: all but the token's; those that change the tags of a call; those for a token."""
    retry_after: str | None = None


class Simulated(Protocol):
    """A simulated platform that answers on a socket. Every method may be called from any thread."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What an account is set to that talks to it: its settings by their names in small letters, among
        them `base_url`, `rate`, and `webhook_secrets` with the one secret that its webhooks prove to know.
        What the platform's adapter has switched off by default is on."""

    @property
    def unlike(self) -> str:
        """What of the settings and the platform is not as in real life, in a sentence for the demo's user."""

    @property
    def events(self) -> Sequence[str]:
        """The documented webhook events of one call, in the order in which they come; edits of tags apart."""

    @property
    def ends(self) -> str:
        """The one of them that tells of the call's end."""

    @property
    def signs(self) -> bool:
        """Webhooks are signed over their body; else it holds the secret itself."""

    @property
    def stamps(self) -> bool:
        """Webhooks carry a time that is proved with them, so that an old one is told from a new one."""

    @property
    def page(self) -> int:
        """Calls on a page of the list, at most, as the adapter asks for it."""

    @property
    def tokens(self) -> int | None:
        """How many access tokens were given out; None where the platform has none that end."""

    @property
    def requests(self) -> Counter[str]:
        """How many requests were answered how: by status, or `dropped`; those for tokens apart."""

    @property
    def busiest(self) -> int:
        """The most requests that came in any one second; those for tokens apart."""

    @property
    def added(self) -> int:
        """Tags that the API put on calls which did not have them."""

    @property
    def removed(self) -> int:
        """Tags that the API took off calls which had them."""

    @property
    def waiting(self) -> int:
        """Webhooks that are neither taken nor given up."""

    @property
    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """The facts of the played calls by reference, once all their webhooks came; written from what was
        planned, times as ISO 8601 text. What no webhook tells is not among them."""

    def send_to(self, url: str) -> None:
        """Webhooks go there from now on; until then none is sent."""

    def add(self, call: Call) -> str:
        """The platform has the call from now on; gives its reference, by which webhooks name it. No webhook
        is sent."""

    def emit(self, reference: str, *events: str) -> None:
        """Sends these webhooks of the call, in this order; without names the end's."""

    def edit(self, reference: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """A person puts tags on the call and takes others off, by name; those that do not exist are made."""

    def define(self, name: str) -> None:
        """A person makes a tag."""

    def defined(self) -> list[str]:
        """The names of the tags that exist, sorted."""

    def call_tags(self) -> Mapping[str, list[str]]:
        """The sorted names of the tags on each call, by reference."""

    def fail(self, fault: Fault) -> None:
        """Orders a fault for the requests to come."""

    def mend(self) -> None:
        """No ordered fault is left."""

    def revoke(self) -> None:
        """The tokens that were given out are no longer taken."""

    def play(self, calls: int, calls_per_second: float) -> None:
        """Adds so many calls of a realistic day at this pace, some of them twice told or in disorder, and
        sends their webhooks. Returns when the last call has ended; its later webhooks may be under way."""


class Simulate(Protocol):
    """What a platform's `simulator` has under the name `simulate`."""

    def __call__(
        self, *, limited: bool = True, host: str = "127.0.0.1", port: int = 0
    ) -> AbstractContextManager[Simulated]:
        """A platform of its own, by default on a free port of loopback, for the length of a block; raises
        OSError where the port cannot be had. Unless `limited` it answers as many requests as come, and the
        settings say so."""


def simulator(platform: str) -> Simulate:
    """The simulator of a platform that is in the registry."""
    found: Simulate = import_module(f"platforms.{platform}.simulator").simulate
    return found
