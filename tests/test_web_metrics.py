"""`/metrics`: what is counted, in Prometheus' own words."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from store import breaker, counters, fleet
from store.database import Database, migrate
from tests.rows import NOW
from web.metrics import exposition

ROOT = Path(__file__).parent.parent


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'calltag.db'}")
    migrate(made)
    return made


def samples(database: Database, **backlogs: float) -> dict[str, float]:
    text = exposition(database, {("sipsim", "accepted"): 3}, lambda: backlogs).decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_times_from_webhook_to_tag_are_a_histogram(database: Database) -> None:
    with database.write() as connection:
        counters.count(connection, counters.spread([0.04, 0.2, 7.0, 5000.0]))
        counters.count(connection, counters.spread([0.04]))
    found = samples(database)
    name = "calltag_tagging_seconds"
    bounds = {"0.05": 2, "0.1": 2, "0.25": 3, "5.0": 3, "10.0": 4, "3600.0": 4, "+Inf": 5}
    assert {bound: found[f"{name}_bucket[('le', '{bound}')]"] for bound in bounds} == bounds
    assert found[f"{name}_count[]"] == 5
    assert found[f"{name}_sum[]"] == pytest.approx(5007.28)


def test_events_requests_and_refused_rules_are_counted_by_fixed_names(database: Database) -> None:
    with database.write() as connection:
        counters.count(connection, {"kinds.incoming_call_end.linked": 2, "kinds.unreadable.dead": 1})
        counters.count(connection, {"requests.sipsim-lyon.201": 4, "rules.refused": 1, "events.accepted": 3})
    found = samples(database)
    assert found["calltag_events_total[('kind', 'incoming_call_end'), ('outcome', 'linked')]"] == 2
    assert found["calltag_events_total[('kind', 'unreadable'), ('outcome', 'dead')]"] == 1
    assert found["calltag_platform_requests_total[('account', 'sipsim-lyon'), ('outcome', '201')]"] == 4
    assert found["calltag_ruleset_refused_total[]"] == 1
    assert found["calltag_inbox_total[('outcome', 'accepted')]"] == 3
    assert found["calltag_webhooks_total[('account', 'sipsim'), ('answer', 'accepted')]"] == 3


def test_an_open_breaker_a_cooldown_and_what_is_amiss_show(database: Database) -> None:
    with database.write() as connection:
        for _ in range(breaker.THRESHOLD):
            breaker.failed(connection, "sipsim", NOW)
        fleet.report(connection, "rules", "rules.yaml:1:1: something", NOW)
    found = samples(database, sipsim=12.5)
    assert found["calltag_breaker_open[('account', 'sipsim')]"] == 1
    assert found["calltag_rate_backlog_seconds[('account', 'sipsim')]"] == 12.5
    assert found["calltag_amiss[('subject', 'rules')]"] == 1


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_exist(database: Database) -> None:
    text = exposition(database, {}, dict).decode()
    exist = {family.name for family in text_string_to_metric_families(text)}
    asked = "".join(path.read_text() for path in (ROOT / "docs" / "grafana").iterdir())
    names = set(re.findall(r"calltag_[a-z_]+", asked))
    assert len(names) > 8
    assert {re.sub("_(total|bucket|count|sum)$", "", name) for name in names} <= exist
