"""What the rules did day by day, counted while decisions are recorded.

A call counts once: by its newest decision, in the UTC day of its first event, by which lists of calls go too.
What is dropped or forgotten later stays counted.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, func, select, tuple_, update

from store.database import insert
from store.schema import decisions, rule_days, rulesets, tag_days

DAY = 86_400
ALL = ""
"""Stands for a rule, which always has a name: the calls that a set decided."""
KINDS = ("true", "unknown")
"""The outcomes that are counted: those in the columns `matched` and `unknown`."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was recorded; `day` is that of its call."""

    call: int
    day: int
    ruleset: str
    outcomes: Mapping[str, str]
    added: Sequence[str]


@dataclass(frozen=True, slots=True)
class Matches:
    """How many calls a rule matched as a live one, would have matched as a shadow, and could not tell."""

    live: int
    shadow: int
    unknown: int


def day_of(at: float) -> int:
    """The UTC day of a time in Unix seconds, in days since 1970."""
    return int(at // DAY)


def count(connection: Connection, decided: Sequence[Decided], now: float) -> None:
    """Counts new decisions, and takes back what earlier ones of the same calls counted.

    The rows are taken in one order. Do it late in a transaction: others wait for them until it ends.
    """
    if not decided:
        return
    changes: Counter[tuple[str, int, str, str]] = Counter()
    for one in decided:
        changes.update(_counted(one.ruleset, one.day, one.outcomes))
    _take_back(connection, [one.call for one in decided], changes)
    keys = sorted({key[:3] for key, change in changes.items() if change})
    rows = [
        {"rule": key[0], "day": key[1], "ruleset": key[2]}
        | {"matched": changes[(*key, "true")], "unknown": changes[(*key, "unknown")]}
        for key in keys
    ]
    _add(connection, rule_days, ("rule", "day", "ruleset"), rows)
    put = Counter(tag for one in decided for tag in one.added)
    tags = [{"day": day_of(now), "tag": tag, "put": number} for tag, number in sorted(put.items())]
    _add(connection, tag_days, ("day", "tag"), tags)


def _counted(ruleset: str, day: int, outcomes: Mapping[str, str]) -> list[tuple[str, int, str, str]]:
    found = [(rule, day, ruleset, outcome) for rule, outcome in outcomes.items() if outcome in KINDS]
    return [(ALL, day, ruleset, "true"), *found]


def _take_back(
    connection: Connection, ids: Sequence[int], changes: Counter[tuple[str, int, str, str]]
) -> None:
    """Of each of the calls all counted decisions but the newest count no more."""
    d = decisions.c
    counted = select(d.id, d.call_id).where(d.call_id.in_(ids), d.day.is_not(None)).order_by(d.id)
    ids_of = connection.execute(counted).all()
    newest = {row.call_id: row.id for row in ids_of}
    older = [row.id for row in ids_of if row.id != newest[row.call_id]]
    if not older:
        return
    for row in connection.execute(select(d.day, d.ruleset, d.outcomes).where(d.id.in_(older))):
        changes.subtract(_counted(row.ruleset, row.day, row.outcomes))
    connection.execute(update(decisions).where(d.id.in_(older)).values(day=None))


def _add(
    connection: Connection, table: Table, key: Collection[str], rows: Sequence[Mapping[str, object]]
) -> None:
    """Adds the rows' numbers to those that are there."""
    if not rows:
        return
    statement = insert(connection, table)
    numbers = {name: table.c[name] + statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=numbers), list(rows))


def of_rules(connection: Connection, rules: Iterable[str], since: int) -> dict[str, dict[int, Matches]]:
    """By rule and day, from that day on, over all rule sets; no day without a call."""
    t = rule_days.c
    shadow_in = _shadow_sets(connection)
    rows = connection.execute(
        select(t.rule, t.day, t.ruleset, t.matched, t.unknown).where(t.rule.in_(list(rules)), t.day >= since)
    )
    found: dict[str, dict[int, Matches]] = {}
    for rule, day, ruleset, matched, unknown in rows:
        was = found.setdefault(rule, {}).get(day, Matches(0, 0, 0))
        shadow = rule in shadow_in.get(ruleset, ())
        found[rule][day] = Matches(
            was.live + (0 if shadow else matched),
            was.shadow + (matched if shadow else 0),
            was.unknown + unknown,
        )
    return found


def _shadow_sets(connection: Connection) -> dict[str, frozenset[str]]:
    rows = connection.execute(select(rulesets.c.hash, rulesets.c.shadow))
    return {hash: frozenset(shadow) for hash, shadow in rows if shadow}


def of_set(connection: Connection, ruleset: str, rules: Iterable[str], since: int) -> dict[str, int]:
    """By rule, how many of the calls from that day on that the set decided it matched; of `ALL`: decided."""
    t = rule_days.c
    wanted = (t.rule.in_([ALL, *rules]), t.ruleset == ruleset, t.day >= since)
    rows = select(t.rule, func.sum(t.matched)).where(*wanted).group_by(t.rule)
    return {rule: int(number) for rule, number in connection.execute(rows)}


def matching(connection: Connection, ruleset: str, since: int) -> set[str]:
    """The rules that matched a call from that day on which the set decided."""
    t = rule_days.c
    wanted = (t.ruleset == ruleset, t.day >= since, t.matched > 0)
    return set(connection.execute(select(t.rule).where(*wanted).distinct()).scalars())


def of_calls(connection: Connection, since: int) -> dict[int, int]:
    """How many calls were decided, by day, from that day on."""
    t = rule_days.c
    rows = select(t.day, func.sum(t.matched)).where(t.rule == ALL, t.day >= since).group_by(t.day)
    return {day: int(number) for day, number in connection.execute(rows)}


def last_days(connection: Connection, rules: Iterable[str]) -> dict[str, int]:
    """The newest day of calls that each of the rules matched; not of those that never did."""
    t = rule_days.c
    rows = select(t.rule, func.max(t.day)).where(t.rule.in_(list(rules)), t.matched > 0).group_by(t.rule)
    return dict(list(connection.execute(rows)))


def of_sets(connection: Connection) -> dict[str, int]:
    """By rule set, how many calls it decided that no other one decided later."""
    t = rule_days.c
    rows = select(t.ruleset, func.sum(t.matched)).where(t.rule == ALL).group_by(t.ruleset)
    return {hash: int(number) for hash, number in connection.execute(rows)}


def of_tags(connection: Connection, since: int) -> dict[int, dict[str, int]]:
    """By day and tag, on how many calls it was put, from that day on."""
    found: dict[int, dict[str, int]] = {}
    t = tag_days.c
    for day, tag, put in connection.execute(select(t.day, t.tag, t.put).where(t.day >= since)):
        found.setdefault(day, {})[tag] = put
    return found


def drop(connection: Connection, before: int, most: int) -> int:
    """Deletes counts of earlier days; gives how many rows."""
    dropped = 0
    for table in (rule_days, tag_days):
        key = tuple_(*table.primary_key)
        old = select(*table.primary_key).where(table.c.day < before).limit(most)
        rows = [tuple(row) for row in connection.execute(old)]
        dropped += connection.execute(delete(table).where(key.in_(rows))).rowcount if rows else 0
    return dropped
