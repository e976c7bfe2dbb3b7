"""A simulated Aircall, written from its public documents; see `platforms.simulated.Simulated`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from platforms.aircall.simulator.api import MOST, application
from platforms.aircall.simulator.company import CALL_EVENTS, SUMMARIZED, TRANSCRIBED, Company
from platforms.aircall.simulator.day import play
from platforms.aircall.simulator.records import Record
from platforms.simulated import Call, Fact
from platforms.simulated.serving import Connections, serve
from platforms.simulated.talk import Line

SAID = (Line("caller", "I would like a refund.", 0.0, 2.0), Line("receiver", "Certainly.", 2.0, 3.0))
AS_MANY_AS_COME = 1_000_000

__all__ = ["Company", "Record", "Simulated", "application", "simulate"]


class Simulated:
    """One simulated company at an address."""

    events: Sequence[str] = (*CALL_EVENTS, TRANSCRIBED, SUMMARIZED)
    ends = "call.ended"
    signs = False
    stamps = True
    page = MOST
    tokens = None
    removed = 0
    """The API takes no tag off a call."""

    def __init__(self, company: Company, url: str) -> None:
        self.company = company
        limited = company.a_minute is not None
        self.settings: Mapping[str, str] = {
            "base_url": url,
            "api_id": company.api_id,
            "api_token": company.api_token,
            "webhook_secrets": company.hook_token,
            "rate": "10" if limited else "2000",
            "requests_a_minute": str(company.a_minute or AS_MANY_AS_COME),
        }
        self.unlike = "Aircall grants 60 requests a minute; the simulated one takes as many as come."
        self.facts: dict[str, dict[str, Fact]] = {}
        self.mend = company.mend
        self.fail = company.plan

    @property
    def requests(self) -> Counter[str]:
        return Counter(self.company.answers)

    @property
    def busiest(self) -> int:
        return self.company.busiest

    @property
    def added(self) -> int:
        return self.company.added

    @property
    def waiting(self) -> int:
        return self.company.sender.waiting()

    def send_to(self, url: str) -> None:
        self.company.delivery.webhook_url = url

    def add(self, call: Call) -> str:
        answered = call.status == "answered"
        record = Record(self.company.next_id(), call, recorded=answered, lines=SAID if answered else ())
        record.summary = "A refund was asked for."
        return self.company.add(record).reference

    def emit(self, reference: str, *events: str) -> None:
        for event in events or (self.ends,):
            self.company.tell(self._record(reference), event)

    def edit(self, reference: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self.company.edit(self._record(reference), add, remove)

    def define(self, name: str) -> None:
        self.company.define(name)

    def defined(self) -> list[str]:
        with self.company.lock:
            return sorted(tag.name for tag in self.company.tags.values())

    def call_tags(self) -> Mapping[str, list[str]]:
        with self.company.lock:
            calls = self.company.calls.values()
            return {record.reference: sorted(tag.name for tag in record.tags) for record in calls}

    def revoke(self) -> None:
        """An API key does not end."""

    def play(self, calls: int, calls_per_second: float) -> None:
        play(self.company, self.facts, calls, calls_per_second)

    def _record(self, reference: str) -> Record:
        return self.company.calls[int(reference)]


@contextmanager
def simulate(*, limited: bool = True, host: str = "127.0.0.1", port: int = 0) -> Iterator[Simulated]:
    """See `platforms.simulated.Simulate`."""
    company = Company(a_minute=60 if limited else None)
    connections: Connections = {}
    with serve(application(company, connections), connections, host, port) as url:
        try:
            yield Simulated(company, url)
        finally:
            company.sender.close()
