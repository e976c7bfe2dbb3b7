"""Searching calls: what fits, newest first, page by page, however many there are."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import insert

from store import search as searching
from store.database import Database
from store.listing import Filter
from store.schema import applied_tags, call_refs, calls
from store.search import Place, search
from tests.rows import NOW

CALLER, RECEIVER = "+33612345678", "+33184800000"
STEP = 60.0


def fill(database: Database, number: int, **of: Sequence[int]) -> None:
    """Calls 1 to `number`, a minute apart; `of` names those that are tagged, by `caller`, dead, at work."""
    rows: list[dict[str, Any]] = [
        {"id": id_, "account": "sipsim", "state": "done", "ended": True, "facts": {},
         "first_at": NOW + id_ * STEP, "next_at": NOW, "receiver": RECEIVER}
        for id_ in range(1, number + 1)
    ]  # fmt: skip
    tags = [
        {"call_id": id_, "tag": "Long", "rule": "long-call", "state": state, "ruleset": "x", "at": NOW}
        for state in ("ours", "off", "blocked")
        for id_ in of.get(state, ())
    ]
    refs = [
        {"account": "sipsim", "kind": "pbx_id", "reference": f"call_{row['id']}", "call_id": row["id"]}
        for row in rows
    ]
    with database.write() as connection:
        connection.execute(insert(calls), rows)
        connection.execute(insert(call_refs), refs)
        if tags:
            connection.execute(insert(applied_tags), tags)
        for id_ in of.get("caller", ()):
            connection.execute(calls.update().where(calls.c.id == id_).values(caller=CALLER))
        for id_ in of.get("dead", ()):
            connection.execute(calls.update().where(calls.c.id == id_).values(state="dead"))
        for id_ in of.get("running", ()):
            connection.execute(
                calls.update().where(calls.c.id == id_).values(state="due", lease_until=NOW + 9e6)
            )


def pages(database: Database, wanted: Filter, most: int = 2) -> list[list[int]]:
    """The ids of every page."""
    found, place = [], None
    while True:
        with database.read() as connection:
            page = search(connection, wanted, NOW, most, place)
        found.append([row.id for row in page.rows])
        if page.next is None:
            return found
        place = page.next


WANTED = [
    (Filter(), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
    (Filter(reference="call_4"), [4]),
    (Filter(reference="call_40"), []),
    (Filter(reference="call\0_4"), []),
    (Filter(tag="Long\0"), []),
    (Filter(numbers=[CALLER]), [8, 3]),
    (Filter(numbers=[RECEIVER]), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
    (Filter(numbers=[]), []),
    (Filter(tag="Long"), [7, 5, 3, 1]),
    (Filter(tag="Short"), []),
    (Filter(rule="long-call"), [7, 5, 3, 1]),
    (Filter(tag="Long", rule="short-call"), []),
    (Filter(state="dead"), [6, 3]),
    (Filter(state="done"), [9, 8, 7, 5, 4, 2, 1]),
    (Filter(state="running"), []),
    (Filter(tag="Long", state="dead", numbers=[CALLER]), [3]),
    (Filter(since=NOW + 3 * STEP, until=NOW + 6 * STEP), [5, 4, 3]),
    (Filter(since=NOW + 8 * STEP), [9, 8]),
    (Filter(until=NOW + 2 * STEP), [1]),
    (Filter(until=NOW + 6 * STEP, tag="Long"), [5, 3, 1]),
    (Filter(account="sipsim-lyon"), []),
    (Filter(account="sipsim", state="dead"), [6, 3]),
]


@pytest.mark.parametrize("few", [0, 2, 5000], ids=["all walked", "some walked", "none walked"])
def test_calls_that_fit_come_newest_first_and_each_once(
    database: Database, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where many fit, so that calls are looked at from the newest on."""
    monkeypatch.setattr(searching, "FEW", few)
    monkeypatch.setattr(searching, "STEPS", (3, 2, 4, 9))
    monkeypatch.setattr(searching, "PATIENCE", 60.0)
    fill(database, 9, ours=[1, 3, 5], blocked=[7], off=[2, 9], caller=[3, 8], dead=[3, 6])
    for wanted, expected in WANTED:
        found = pages(database, wanted)
        assert [id_ for page in found for id_ in page] == expected, wanted
        assert all(len(page) == 2 for page in found[:-1]), wanted


def test_a_call_at_work_is_found_as_running_only(database: Database) -> None:
    fill(database, 3, running=[2])
    assert pages(database, Filter(state="running")) == [[2]]
    assert pages(database, Filter(state="due")) == [[]]


def test_calls_of_the_past_stand_at_their_time_though_they_came_later(database: Database) -> None:
    fill(database, 3)
    with database.write() as connection:
        connection.execute(calls.update().where(calls.c.id == 3).values(first_at=NOW))
    assert pages(database, Filter(), 1) == [[2], [1], [3]]


def test_calls_of_one_moment_are_each_on_one_page(database: Database) -> None:
    fill(database, 5)
    with database.write() as connection:
        connection.execute(calls.update().values(first_at=NOW))
    assert pages(database, Filter()) == [[5, 4], [3, 2], [1]]
    assert pages(database, Filter(numbers=[RECEIVER])) == [[5, 4], [3, 2], [1]]


def test_a_page_ends_in_time_and_the_next_goes_on_from_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "FEW", 1)
    monkeypatch.setattr(searching, "STEPS", (4, 4, 4))
    monkeypatch.setattr(searching, "PATIENCE", -1.0)
    fill(database, 9, ours=[1, 2, 9])
    with database.read() as connection:
        page = search(connection, Filter(tag="Long"), NOW, 5)
    assert [row.id for row in page.rows] == [9]
    assert (page.next, page.looked_until) == (Place(NOW + 6 * STEP, 6), NOW + 6 * STEP)
    assert [id_ for found in pages(database, Filter(tag="Long"), 5) for id_ in found] == [9, 2, 1]


def test_a_line_has_the_references_and_tags_of_its_call(database: Database) -> None:
    fill(database, 2, ours=[2])
    with database.read() as connection:
        newest, _ = search(connection, Filter(), NOW, 5).rows
    assert (newest.references, newest.tags, newest.state) == (["call_2"], ["Long"], "done")
