"""What happens to a request before the platform looks at it: counting, the rate limit, faults."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from platforms.simulated.counting import Window
from platforms.sipsim.simulator.config import Config, FaultKind, Seconds

TOKEN = ("POST", "/oauth/token")
TOKEN_ROUTE = " ".join(TOKEN)
EVERY_ROUTE = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of a good answer: `kind` is a status, `drop_before` or `drop_after` the effect."""

    kind: str
    retry_after: str | None = None


class PlannedFault(BaseModel):
    """A fault ordered in advance: the next `count` requests, or all for `seconds`, beginning `after` seconds.

    `route` as the counters name it (`PUT /api/v2/calls/{call}/tags/{tag}`) or several of them, `*` for all;
    without it every route but the token's. With neither `count` nor `seconds` it stays until it is cleared.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    route: str | tuple[str, ...] | None = None
    count: int | None = None
    seconds: Seconds | None = None
    after: Seconds = 0
    retry_after: str | None = None


@dataclass(slots=True)
class _Planned:
    plan: PlannedFault
    begins: float
    left: int | None

    def over(self, now: float) -> bool:
        seconds = self.plan.seconds
        return self.left == 0 or (seconds is not None and now >= self.begins + seconds)

    def hits(self, route: str, now: float) -> bool:
        wanted = self.plan.route
        routes = (wanted,) if isinstance(wanted, str) else wanted
        named = route != TOKEN_ROUTE if routes is None else route in routes or EVERY_ROUTE in routes
        return named and now >= self.begins and not self.over(now)


@dataclass(slots=True)
class Counters:
    """Exact counts. `requests` by route and by what was answered: a status, or `dropped`."""

    requests: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    put_201: int = 0
    """PUTs of a tag on a call that added it, whether or not the answer arrived."""
    put_204: int = 0
    deleted: int = 0
    rate_limited: int = 0
    """Answers with 429, by the rate limit or a planned fault."""
    tokens_issued: int = 0
    max_in_one_second: int = 0
    """The most requests that came in any one second, token requests apart."""

    def shown(self) -> dict[str, object]:
        return {
            "requests": {route: dict(counts) for route, counts in self.requests.items()},
            "put_201": self.put_201,
            "put_204": self.put_204,
            "deleted": self.deleted,
            "rate_limited": self.rate_limited,
            "tokens_issued": self.tokens_issued,
            "max_in_one_second": self.max_in_one_second,
        }


class Gate:
    """Decides at a request's arrival whether something goes wrong with it."""

    def __init__(self, config: Config, counters: Counters, seed: int) -> None:
        self._config = config
        self._counters = counters
        self._random = random.Random(seed)  # noqa: S311 - chance for a simulation
        self._planned: list[_Planned] = []
        self._arrivals = Window(1.0)
        self._let_through = Window(1.0)

    def plan(self, fault: PlannedFault, now: float) -> None:
        self._planned.append(_Planned(fault, now + fault.after, fault.count))

    def clear(self) -> None:
        self._planned.clear()

    def arrive(self, route: str, now: float) -> Fault | None:
        """Notes a request of this route at this moment (monotonic seconds); its fault, or None."""
        if route != TOKEN_ROUTE:
            most = self._counters.max_in_one_second
            self._counters.max_in_one_second = max(most, self._arrivals.note(now))
        return self._planned_fault(route, now) or self._over_limit(route, now) or self._chance()

    def _planned_fault(self, route: str, now: float) -> Fault | None:
        self._planned = [each for each in self._planned if not each.over(now)]
        for each in self._planned:
            if each.hits(route, now):
                if each.left is not None:
                    each.left -= 1
                return Fault(each.plan.kind, each.plan.retry_after)
        return None

    def _over_limit(self, route: str, now: float) -> Fault | None:
        """Refused requests do not count towards the limit."""
        limit = self._config.rate_limit
        if limit is None or route == TOKEN_ROUTE:
            return None
        if self._let_through.size(now) >= limit:
            return Fault("429", self._config.retry_after)
        self._let_through.note(now)
        return None

    def _chance(self) -> Fault | None:
        if not self._config.error_rate or self._random.random() >= self._config.error_rate:
            return None
        return Fault(self._random.choice(self._config.error_kinds))
