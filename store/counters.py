"""Counts that grow, kept in the database so that every process shows the same."""

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from store.database import insert
from store.schema import counters


def count(connection: Connection, amounts: Mapping[str, int]) -> None:
    """Adds to counters, in one order of names, so that two processes never wait for each other."""
    rows = [{"name": name, "value": amount} for name, amount in sorted(amounts.items())]
    if rows:
        statement = insert(connection, counters)
        added = {"value": counters.c.value + statement.excluded.value}
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=added), rows)


def counts(connection: Connection) -> dict[str, int]:
    """Every counter's value by its name."""
    return dict(connection.execute(select(counters.c.name, counters.c.value)).all())


BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Upper bounds, in seconds, of the histogram of times from a webhook to its tag."""


def spread(seconds: Iterable[float]) -> dict[str, int]:
    """The counters by which a histogram of these times grows: its buckets, their number, their sum in ms."""
    grown: Counter[str] = Counter()
    for time in seconds:
        grown["latency.count"] += 1
        grown["latency.sum_ms"] += round(time * 1000)
        grown.update(f"latency.le.{bound}" for bound in BUCKETS if time <= bound)
    return grown


def latency(counted: Mapping[str, int]) -> tuple[list[tuple[str, int]], float]:
    """The histogram's buckets (bound, how many up to it), the last one of all, and the sum in seconds."""
    buckets = [(str(bound), counted.get(f"latency.le.{bound}", 0)) for bound in BUCKETS]
    return [*buckets, ("+Inf", counted.get("latency.count", 0))], counted.get("latency.sum_ms", 0) / 1000
