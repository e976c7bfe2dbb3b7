"""Lists of calls and events: every filter, page by page, counted, and quick however much there is."""

import time
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, Select, insert, update

from store import inbox, linking, listing, recent
from store.database import Database
from store.listing import Count, Filter, calls_page, events_page, list_calls, list_events
from store.schema import applied_tags, call_refs, calls, events
from store.search import search
from tests.rows import NOW, change, ended_call
from tests.test_store_days import decide

CALLER, RECEIVER = "+33612345678", "+33184800000"


def put(connection: Connection, call: int, tag: str, rule: str, state: str = "ours") -> None:
    row = {"call_id": call, "tag": tag, "rule": rule, "state": state, "ruleset": "hash", "at": NOW}
    connection.execute(insert(applied_tags).values(row))


@pytest.fixture
def filled(database: Database) -> dict[str, int]:
    """Calls named by what is particular about each; every one has one event."""
    made = {
        name: ended_call(database, name, NOW + n)
        for n, name in enumerate(["plain", "dead", "busy", "mine", "yours", "tagged", "blocked"])
    }
    with database.write() as connection:
        for call in made.values():
            change(connection, call, state="done", reason=None)
        change(connection, made["dead"], state="dead", reason="PUT was answered 403")
        change(connection, made["busy"], state="due", lease_owner="one", lease_until=NOW + 60)
        change(connection, made["mine"], caller=CALLER, receiver=RECEIVER)
        change(connection, made["yours"], caller=RECEIVER, receiver=CALLER, account="sipsim-lyon")
        put(connection, made["tagged"], "Long Call", "long-call")
        put(connection, made["blocked"], "Short Call", "short-call", "blocked")
        put(connection, made["plain"], "Long Call", "long-call", "off")
        connection.execute(
            update(events).where(events.c.call_id == made["dead"]).values(reason="the body is no JSON")
        )
    return made


def names(made: dict[str, int], found: Sequence[int | None]) -> list[str]:
    return [name for call in found for name, known in made.items() if known == call]


FILTERS = [
    (Filter(), ["blocked", "tagged", "yours", "mine", "busy", "dead", "plain"]),
    (Filter(account="sipsim-lyon"), ["yours"]),
    (Filter(state="dead"), ["dead"]),
    (Filter(state="running"), ["busy"]),
    (Filter(state="due"), []),
    (Filter(since=NOW + 5), ["blocked", "tagged"]),
    (Filter(until=NOW + 1), ["plain"]),
    (Filter(reason="answered 403"), ["dead"]),
    (Filter(reason="ANSWERED"), ["dead"]),
    (Filter(reason="%"), []),
    (Filter(numbers=[CALLER]), ["yours", "mine"]),
    (Filter(numbers=[CALLER], account="sipsim"), ["mine"]),
    (Filter(numbers=[]), []),
    (Filter(reference="tagged"), ["tagged"]),
    (Filter(tag="Long Call"), ["tagged"]),
    (Filter(rule="short-call"), ["blocked"]),
    (Filter(tag="Long Call", rule="short-call"), []),
]


@pytest.mark.parametrize(("wanted", "expected"), FILTERS)
def test_calls_are_filtered(
    database: Database, filled: dict[str, int], wanted: Filter, expected: list[str]
) -> None:
    with database.read() as connection:
        rows = list_calls(connection, wanted, NOW + 10, 50)
        counted = listing.count_calls(connection, wanted, NOW + 10)
        assert listing.call_ids(connection, wanted, NOW + 10, 0, 50) == sorted(row.id for row in rows)
    assert names(filled, [row.id for row in rows]) == expected
    assert sum(count.number for count in counted) == len(expected)


def test_a_line_tells_what_there_is_to_tell_of_a_call(database: Database, filled: dict[str, int]) -> None:
    with database.read() as connection:
        (tagged,) = list_calls(connection, Filter(reference="tagged"), NOW + 10, 50)
        (mine,) = list_calls(connection, Filter(reference="mine"), NOW + 10, 50)
        (blocked,) = list_calls(connection, Filter(reference="blocked"), NOW + 10, 50)
        (plain,) = list_calls(connection, Filter(reference="plain"), NOW + 10, 50)
        (busy,) = list_calls(connection, Filter(reference="busy"), NOW + 10, 50)
    assert (tagged.tags, tagged.references, tagged.state) == (["Long Call"], ["tagged"], "done")
    assert (mine.caller, mine.receiver, mine.first_at) == (CALLER, RECEIVER, NOW + 3)
    assert blocked.tags == plain.tags == []
    assert busy.state == "running"


def test_a_call_is_named_as_the_platform_names_it_and_else_by_the_same_kind_as_others(
    database: Database,
) -> None:
    call, other = ended_call(database, "0abc"), ended_call(database, "xyz")
    with database.write() as connection:
        for ref in (("sipsim", "call_id", "77"), ("sipsim", "z", "00")):
            linking.add_ref(connection, ref, call)
        linking.add_ref(connection, ("sipsim", "call_id", "zz"), other)
    decide(database, call, {})
    assert first_names(database, call) == (["77", "0abc", "00"], "77")
    with database.write() as connection:
        change(connection, call, platform_id="00")
    assert first_names(database, call) == (["00", "77", "0abc"], "00")
    with database.read() as connection:
        (row,) = list_calls(connection, Filter(reference="xyz"), NOW, 50)
    assert row.references == ["zz", "xyz"]


def first_names(database: Database, call: int) -> tuple[list[str], str]:
    """The references of the call in lists, and its name beside the newest decision."""
    with database.read() as connection:
        found = {row.id: row.references for row in list_calls(connection, Filter(), NOW, 50)}
        searched = {row.id: row.references for row in search(connection, Filter(), NOW, 50).rows}
        (newest,) = recent.latest_decisions(connection, 1)
    assert found == searched
    return found[call], newest.reference


EVENT_FILTERS = [
    (Filter(state="linked"), ["blocked", "tagged", "yours", "mine", "busy", "dead", "plain"]),
    (Filter(state="new"), []),
    (Filter(since=NOW + 5), ["blocked", "tagged"]),
    (Filter(reason="no json"), ["dead"]),
    (Filter(numbers=[CALLER]), ["yours", "mine"]),
    (Filter(reference="plain"), ["plain"]),
    (Filter(tag="Long Call"), ["tagged"]),
    (Filter(account="another"), []),
]


@pytest.mark.parametrize(("wanted", "expected"), EVENT_FILTERS)
def test_events_are_filtered_by_their_own_and_by_their_calls(
    database: Database, filled: dict[str, int], wanted: Filter, expected: list[str]
) -> None:
    with database.read() as connection:
        rows = list_events(connection, wanted, 50)
        counted = listing.count_events(connection, wanted)
    assert names(filled, [row.call for row in rows]) == expected
    assert sum(count.number for count in counted) == len(expected)


def test_pages_follow_each_other_without_a_gap(database: Database, filled: dict[str, int]) -> None:
    found: list[int] = []
    with database.read() as connection:
        while page := list_calls(connection, Filter(), NOW, 3, found[-1] if found else None):
            found += [row.id for row in page]
    assert found == sorted(filled.values(), reverse=True)


def test_counts_are_by_state_and_reason(database: Database, filled: dict[str, int]) -> None:
    with database.read() as connection:
        counted = listing.count_calls(connection, Filter(), NOW + 10)
    assert counted == [
        Count("done", None, 5),
        Count("dead", "PUT was answered 403", 1),
        Count("running", None, 1),
    ]


def test_one_event_has_its_body(database: Database, filled: dict[str, int]) -> None:
    with database.read() as connection:
        (row,) = list_events(connection, Filter(reference="plain"), 50)
        assert listing.one_event(connection, row.id) == (row, b"plain ended")
        assert listing.one_event(connection, 0) is None
        assert inbox.number(connection, "linked") == len(filled)


MANY = 100_000


@pytest.fixture
def many(database: Database) -> Database:
    """A hundred thousand calls and as many events."""
    size = 5_000
    with database.write() as connection:
        for start in range(0, MANY, size):
            numbers = range(start + 1, start + size + 1)
            connection.execute(insert(calls), [row_of_call(n) for n in numbers])
            connection.execute(insert(events), [row_of_event(n) for n in numbers])
            refs = [
                {"account": "sipsim", "kind": "pbx_id", "reference": f"call_{n}", "call_id": n}
                for n in numbers
            ]
            connection.execute(insert(call_refs), refs)
            tagged = {"state": "ours", "ruleset": "hash", "at": NOW}
            tags = [{"call_id": n, "tag": f"Tag {n}", "rule": f"rule-{n}", **tagged} for n in numbers[::50]]
            connection.execute(insert(applied_tags), tags)
        if not database.is_sqlite:
            connection.exec_driver_sql("ANALYZE")
    return database


def row_of_call(n: int) -> dict[str, object]:
    state = "dead" if n % 1000 == 0 else "done"
    return {"id": n, "account": "sipsim", "state": state, "facts": {}, "first_at": NOW + n, "next_at": NOW,
            "caller": f"+336{n:08}", "receiver": RECEIVER if n % 2 else f"+331{n:08}"}  # fmt: skip


def row_of_event(n: int) -> dict[str, object]:
    state = "dead" if n % 1000 == 0 else "linked"
    return {"id": n, "account": "sipsim", "state": state, "source": "webhook", "body": b"{}", "call_id": n,
            "dedup_key": n.to_bytes(32, "big"), "signed_at": NOW + n, "received_at": NOW + n}  # fmt: skip


WHOLE = [calls_page(Filter(), NOW, 50, None), events_page(Filter(), 50, None)]
SOME = [
    calls_page(Filter(), NOW, 50, 500),
    calls_page(Filter(state="dead"), NOW, 50, None),
    calls_page(Filter(state="dead", reason="403"), NOW, 50, None),
    calls_page(Filter(since=NOW + MANY - 100), NOW, 50, None),
    calls_page(Filter(numbers=["+33600000007"]), NOW, 50, None),
    calls_page(Filter(reference="call_51"), NOW, 50, None),
    calls_page(Filter(tag="Tag 51"), NOW, 50, None),
    calls_page(Filter(rule="rule-51"), NOW, 50, None),
    events_page(Filter(state="dead"), 50, None),
    events_page(Filter(since=NOW + MANY - 100), 50, None),
    events_page(Filter(numbers=["+33600000007"]), 50, None),
    events_page(Filter(reference="call_51"), 50, None),
]


def test_lists_of_many_calls_read_an_index_and_never_the_whole_table(many: Database) -> None:
    with many.read() as connection:
        assert [plan for page in SOME if reads_all(plan := explained(connection, page))] == []
        assert [plan for page in WHOLE if "sort" in (plan := explained(connection, page))] == []
        begun = time.perf_counter()
        for page in (*SOME, *WHOLE):
            connection.execute(page).all()
    assert time.perf_counter() - begun < 5.0  # far above what it takes: a net for what no plan shows


def explained(connection: Connection, page: Select[tuple[object, ...]]) -> str:
    """How the database will go about it, in small letters, with one word for the same on both kinds."""
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    text = str(page.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    rows = connection.exec_driver_sql(f"{explain} {text}".replace("%", "%%")).all()
    return "\n".join(str(row[-1]) for row in rows).lower().replace("use temp b-tree", "sort")


def reads_all(plan: str) -> bool:
    """Whether some table is gone through as it lies."""
    lines = [line.strip("-> ") for line in plan.splitlines() if "index" not in line]
    return any(line.startswith(("scan", "seq scan")) for line in lines)
