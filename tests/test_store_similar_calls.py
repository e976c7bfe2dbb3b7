"""Rows that may tell of one call are found by what they tell alike."""

from sqlalchemy import update

from store import linking, similar_calls
from store.calls import lease, record
from store.database import Database
from store.schema import calls
from tests.rows import ACCOUNT, NOW, change, column, done, ended_call, ref
from tests.test_store_linking import ID, link


def between(database: Database, call: int, caller: str, receiver: str) -> None:
    with database.write() as connection:
        change(connection, call, caller=caller, receiver=receiver, facts={"caller": caller})


def test_similar_calls_are_the_ended_ones_of_these_numbers_without_an_id(database: Database) -> None:
    mine, named, elsewhere, running = (ended_call(database, name) for name in "abcd")
    for call in (mine, named, running):
        between(database, call, "+331", "+332")
    between(database, elsewhere, "+332", "+331")
    with database.write() as connection:
        linking.add_ref(connection, ref("77", ID), named)
        change(connection, running, ended=False)
    with database.read() as connection:
        similar = similar_calls.similar(connection, ACCOUNT, [("+331", "+332"), ("+9", "+8")], ID)
        assert [(one.id, one.facts) for one in similar] == [(mine, {"caller": "+331"})]
        assert similar_calls.similar(connection, "sipsim-lyon", [("+331", "+332")], ID) == []
        assert similar_calls.similar(connection, ACCOUNT, [], ID) == []


def test_strangers_are_the_ended_calls_of_these_numbers_that_only_an_id_names(database: Database) -> None:
    (stranger,) = link(database, ("s", [ref("77", ID)]))
    (both,) = link(database, ("t", [ref("78", ID), ref("b")]))
    for call in (stranger, both, ended_call(database, "c")):
        between(database, call, "+331", "+332")
    with database.read() as connection:
        strangers = similar_calls.only_by_id(connection, ACCOUNT, [("+331", "+332")], ID, 0.0)
    assert [one.id for one in strangers] == [stranger]


def test_an_id_is_taken_when_its_call_has_a_name_of_another_kind_too(database: Database) -> None:
    link(database, ("s", [ref("77", ID)]), ("t", [ref("78", ID), ref("b")]))
    with database.read() as connection:
        assert similar_calls.taken(connection, ACCOUNT, ID, ["77", "78", "79"]) == {"78"}
        assert similar_calls.taken(connection, "sipsim-lyon", ID, ["78"]) == set()


def test_only_calls_that_are_done_are_woken(database: Database) -> None:
    states = ("done", "due", "parked", "dead")
    ids = {state: ended_call(database, state) for state in states}
    with database.write() as connection:
        for state, call in ids.items():
            connection.execute(update(calls).where(calls.c.id == call).values(state=state, next_at=NOW - 9))
        assert similar_calls.wake(connection, list(ids.values()), NOW) == [ids["done"]]
        assert similar_calls.wake(connection, [], NOW) == []
    assert [column(database, ids[state], "state") for state in states] == ["due", "due", "parked", "dead"]
    assert column(database, ids["done"], "next_at") == NOW


def test_a_name_with_a_nul_in_it_is_no_fault_of_the_database(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        (leased,), _ = lease(connection, [call], "worker", NOW)
        facts = {"caller": "+33\0" + "1" * 200, "receiver": "+332"}
        record(connection, "worker", done([leased], facts=facts), NOW)
    with database.read() as connection:
        pair = (facts["caller"], facts["receiver"])
        assert [one.id for one in similar_calls.similar(connection, ACCOUNT, [pair], ID)] == [call]
