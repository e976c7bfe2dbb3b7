"""A store as a year of work leaves it: calls with their events, references, decisions and tags."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from rules.evaluate import evaluate
from rules.facts import facts_from_json
from rules.loader import parse
from rules.ruleset import RuleSet
from store import rulesets
from store.database import Database, checkpoint, migrate
from store.days import ALL, day_of

YEAR = 365 * 86_400.0
KINDS = 4096
"""Different calls; the others are like them, with other names and times."""
RULES = 120
BATCH = 20_000
STATES = ("done",) * 994 + ("dead", "dead", "parked", "due", "due", "due")
BEGUN = {"account": "sipsim", "version": 1, "decided_version": 1, "tags_version": 0, "queued_until": 0.0}


def rule_text(changed: bool = False) -> str:
    """A set of rules by length, direction, status, number and day; a few of them never match."""
    rules = []
    for at in range(RULES):
        when = (
            {"field": "duration", "between": [at * 20, at * 20 + (40 if changed else 60)]},
            {"all": [{"field": "status", "eq": "missed"}, {"field": "duration", "lt": at}]},
            {"all": [{"field": "direction", "eq": "inbound"}, {"field": "duration", "gt": at * 60}]},
            {"field": "caller", "starts_with": f"+336{at % 100:02}"},
            {"field": "rating", "lt": at % 6},
            {"all": [{"field": "duration", "gt": 600}, {"not": {"field": "status", "eq": "answered"}}]},
        )[at % 6]
        mode = {"mode": "shadow"} if at % 17 == 0 else {}
        rules.append({"id": f"rule-{at}", "when": when, "tag": f"Tag {at % 40}", **mode})
    return orjson.dumps({"version": 1, "rules": rules}).decode()


def fill(path: Path, number: int, seed: int = 3) -> None:
    """Makes a database with so many calls of the last year, the newest of now."""
    database = Database(f"sqlite:///{path}")
    migrate(database)
    now = time.time()
    sets = [parse({"rules.yaml": rule_text(changed).encode()}) for changed in (True, False)]
    with database.write() as connection:
        for ruleset, at in zip(sets, (now - YEAR, now - YEAR / 12), strict=True):
            rulesets.activate(connection, ruleset.hash, ruleset.files, at, ruleset.shadow_rules)
    with closing(sqlite3.connect(path)) as rows:
        rows.execute("PRAGMA synchronous=OFF")
        Filling(rows, sets[-1], random.Random(seed), now, number).run()
    checkpoint(database)
    database.close()


class Filling:
    """The rows, in batches."""

    def __init__(
        self, connection: sqlite3.Connection, ruleset: RuleSet, dice: random.Random, now: float, number: int
    ) -> None:
        self.connection, self.ruleset, self.dice, self.number = connection, ruleset, dice, number
        self.began, self.step = now - YEAR, YEAR / number
        self.kinds = [self._kind() for _ in range(KINDS)]
        self.days: Counter[tuple[str, int, str]] = Counter()

    def _kind(self) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
        dice = self.dice
        direction = dice.choice(("inbound", "inbound", "outbound"))
        remote, ours = f"+336{dice.randrange(10**8):08}", f"+3318000{dice.randrange(1000, 1040)}"
        ends = (remote, ours) if direction == "inbound" else (ours, remote)
        facts = {"platform": "sipsim", "account": "sipsim", "direction": direction, "caller": ends[0]}
        status = dice.choice(("answered", "answered", "answered", "missed", "voicemail"))
        length = int(dice.expovariate(1 / 300)) if status == "answered" else 0
        known = {**facts, "receiver": ends[1], "status": status, "duration": length}
        if dice.random() < 0.4:
            known["rating"] = dice.randrange(1, 6)
        decided = evaluate(self.ruleset, facts_from_json(known))
        outcomes = {rule: str(outcome) for rule, outcome in decided.rules.not_false.items()}
        return known, outcomes, dict(decided.given_by)

    def run(self) -> None:
        for start in range(0, self.number, BATCH):
            some = [self._call(number) for number in range(start, min(start + BATCH, self.number))]
            for table, rows in zip(TABLES, zip(*some, strict=True), strict=True):
                self._insert(table, [row for one in rows for row in one])
            self.connection.commit()
        counted = {key[:2] for key in self.days}
        rows = [
            {"rule": rule, "day": day, "ruleset": self.ruleset.hash, "matched": self.days[rule, day, "true"],
             "unknown": self.days[rule, day, "unknown"]}
            for rule, day in sorted(counted)
        ]  # fmt: skip
        self._insert("rule_days", rows)
        self.connection.commit()

    def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        names = ", ".join(rows[0])
        values = ", ".join(f":{name}" for name in rows[0])
        self.connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({values})", rows)  # noqa: S608

    def _call(self, number: int) -> Iterator[list[dict[str, Any]]]:
        id_, at = number + 1, self.began + number * self.step
        facts, outcomes, given = self.kinds[self.dice.randrange(KINDS)]
        day, hash_ = day_of(at), self.ruleset.hash
        state = self.dice.choice(STATES)
        ended = datetime.fromtimestamp(at, UTC).isoformat()
        call = {"id": id_, **BEGUN, "state": state, "ended": True, "first_at": at, "next_at": at}
        call |= {"reason": "the platform does not know the call" if state == "dead" else None}
        call |= {"caller": facts["caller"], "receiver": facts["receiver"], "alone": False, "attempts": 0}
        call |= {"facts": orjson.dumps({**facts, "ended_at": ended}).decode(), "waits": 0, "others": "[]"}
        yield [call]
        yield [{"account": "sipsim", "kind": "pbx_id", "reference": f"call_{id_}", "call_id": id_}]
        body = {"event": "incoming_call_end", "caller": facts["caller"], "receiver": facts["receiver"]}
        body |= {"time": ended, "pbx_id": f"call_{id_}", "duration": facts["duration"], "status": "ANSWER"}
        event = {"account": "sipsim", "dedup_key": id_.to_bytes(32), "source": "webhook", "signed_at": at}
        event |= {"body": orjson.dumps(body), "received_at": at, "state": "linked", "version": 1}
        yield [event | {"name": "incoming_call_end", "call_id": id_}]
        tags = orjson.dumps(list(given)).decode()
        decision = {"call_id": id_, "at": at + 1, "version": 1, "ruleset": hash_, "received_at": at}
        decision |= {"outcomes": orjson.dumps(outcomes).decode(), "tags": tags, "added": tags}
        yield [decision | {"removed": "[]", "day": day}]
        self.days[ALL, day, "true"] += 1
        for rule, outcome in outcomes.items():
            self.days[rule, day, outcome] += outcome in ("true", "unknown")
        yield [
            {"call_id": id_, "tag": tag, "state": "ours", "rule": rule, "ruleset": hash_, "at": at}
            for tag, rule in given.items()
        ]


TABLES = ("calls", "call_refs", "events", "decisions", "applied_tags")
