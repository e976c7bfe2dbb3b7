"""`/metrics`: Prometheus text. What is counted in the database is the same whichever process is asked."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from store import breaker, calls, counters, fleet, rulesets
from store.database import Database
from worker.context import redis_client
from worker.overview import backlogs
from worker.settings import Settings


class Collected(Collector):
    """The metrics as they are now."""

    def __init__(
        self,
        database: Database,
        webhooks: Mapping[tuple[str, str], int],
        backlogs: Callable[[], Mapping[str, float]],
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._backlogs = backlogs

    def collect(self) -> Iterator[Metric]:
        now = time.time()
        with self._database.read() as connection:
            counted = counters.counts(connection)
            states = calls.by_state(connection, now)
            oldest = calls.oldest_due(connection, now)
            active = rulesets.active(connection)
            amiss = [notice.subject for notice in fleet.amiss(connection)]
            broken = breaker.open_accounts(connection)
        yield _gauge("calltag_calls", "Calls by state", "state", states)
        yield GaugeMetricFamily("calltag_oldest_due_seconds", "Age of the call that is due longest", oldest)
        yield _gauge("calltag_ruleset", "The rule set in force", "hash", {active: 1} if active else {})
        refused = counted.get("rules.refused", 0)
        yield CounterMetricFamily("calltag_ruleset_refused", "Rule sets that were refused", refused)
        yield _gauge("calltag_amiss", "What is amiss", "subject", dict.fromkeys(amiss, 1))
        yield _gauge(
            "calltag_breaker_open", "Platforms that do not answer", "account", dict.fromkeys(broken, 1)
        )
        text = "Seconds until the next free slot of the rate, a cooldown among them"
        yield _gauge("calltag_rate_backlog_seconds", text, "account", self._backlogs())
        yield _counter("calltag_inbox", "Webhooks committed, by outcome", ["outcome"], _only(counted, INBOX))
        kinds = _under("kinds", counted)
        yield _counter("calltag_events", "Events by kind and outcome", ["kind", "outcome"], kinds)
        requests = _under("requests", counted)
        yield _counter("calltag_platform_requests", "Requests by outcome", ["account", "outcome"], requests)
        buckets, total = counters.latency(counted)
        text = "Time from a webhook to its tag"
        yield HistogramMetricFamily("calltag_tagging_seconds", text, buckets=buckets, sum_value=total)
        answers = CounterMetricFamily(
            "calltag_webhooks", "Webhooks of this process by answer", labels=["account", "answer"]
        )
        for labels, value in dict(self._webhooks).items():  # the event loop goes on adding to it
            answers.add_metric(labels, value)
        yield answers


INBOX = ("events.accepted", "events.duplicate")


def _only(counted: Mapping[str, int], names: Iterable[str]) -> Mapping[str, int]:
    return {name.rpartition(".")[2]: counted[name] for name in names if name in counted}


def _under(prefix: str, counted: Mapping[str, int]) -> Mapping[str, int]:
    return {
        name.removeprefix(prefix + "."): n for name, n in counted.items() if name.startswith(prefix + ".")
    }


def _counter(name: str, text: str, labels: list[str], values: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        metric.add_metric(key.rsplit(".", len(labels) - 1) if len(labels) > 1 else [key], value)
    return metric


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    metric = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)
    return metric


def exposition(
    database: Database,
    webhooks: Mapping[tuple[str, str], int],
    backlogs: Callable[[], Mapping[str, float]],
) -> bytes:
    """All metrics as Prometheus reads them. Raises `Unavailable`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected(database, webhooks, backlogs))
    return generate_latest(registry)


class Metrics:
    """`/metrics`."""

    def __init__(
        self, settings: Settings, database: Database, webhooks: Mapping[tuple[str, str], int]
    ) -> None:
        self._settings = settings
        self._database = database
        self._webhooks = webhooks
        self._redis = redis_client(settings)

    def expose(self, _request: Request) -> Response:
        text = exposition(self._database, self._webhooks, lambda: self.backlogs() or {})  # unknown: not shown
        return Response(text, media_type="text/plain; version=0.0.4")

    def backlogs(self) -> Mapping[str, float] | None:
        """By account the seconds to the next free slot of its rate; None where Redis does not answer."""
        return backlogs(self._redis, self._settings)

    def close(self) -> None:
        self._redis.close()
