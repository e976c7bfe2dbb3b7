"""From events to calls: one call, one row, however many names it has and whoever links its events."""

import threading
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Connection, func, select

from store import inbox, linking
from store.calls import Intent, TagState, intend, lease, record, tags_of
from store.database import Database
from store.linking import Link, Ref
from store.schema import call_refs, calls, decisions, events
from tests.rows import ACCOUNT, NOW, change, column, done, ended_call, event, ref, told

Step = Callable[[Connection, int, list[str]], None]
ID = "call_id"
"""The kind of reference that is the platform's own id."""


def link(database: Database, *told_of: tuple[str, Sequence[Ref]], ends: bool = True) -> list[int]:
    """Links one event for each (body, references); gives the calls that became due."""
    with database.write() as connection:
        linking.serialise(connection)
        links = [told(connection, body, *refs, ends=ends) for body, refs in told_of]
        return linking.link(connection, links, NOW, NOW + 30)


def number_of_calls(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(calls)).scalar_one()


def found(database: Database, *refs: Ref) -> dict[Ref, int]:
    with database.read() as connection:
        return linking.find(connection, refs)


def bodies(database: Database, call: int) -> set[bytes]:
    with database.read() as connection:
        return {row.body for row in inbox.of_calls(connection, [call]).get(call, [])}


def test_events_with_the_same_reference_are_of_one_call(database: Database) -> None:
    due = link(database, ("a", [ref("1")]), ("b", [ref("1")]), ("c", [ref("2")]))
    assert len(due) == number_of_calls(database) == 2
    assert bodies(database, due[0]) == {b"a", b"b"}
    assert link(database, ("d", [ref("1")])) == [due[0]]
    assert column(database, due[0], "version") == 3


def test_a_reference_of_another_kind_or_account_is_another_call(database: Database) -> None:
    refs = [ref("1"), ref("1", ID), ref("1", account="sipsim-lyon")]
    due = link(database, *((f"body {n}", [one]) for n, one in enumerate(refs)))
    assert found(database, *refs) == dict(zip(refs, due, strict=True))
    assert len(set(due)) == 3


def test_an_event_with_two_references_gives_its_call_both(database: Database) -> None:
    (call,) = link(database, ("a", [ref("1"), ref("77", ID)]))
    assert link(database, ("b", [ref("77", ID)])) == [call]
    with database.read() as connection:
        assert set(linking.refs_of(connection, [call])[call]) == {ref("1"), ref("77", ID)}


def test_an_event_whose_references_lead_to_two_calls_makes_them_one(database: Database) -> None:
    one, other = link(database, ("a", [ref("1")]), ("b", [ref("77", ID)]))
    assert link(database, ("c", [ref("77", ID), ref("1")])) == [one]
    assert number_of_calls(database) == 1
    assert bodies(database, one) == {b"a", b"b", b"c"}
    assert found(database, ref("1"), ref("77", ID)) == {ref("1"): one, ref("77", ID): one}
    assert column(database, other, "id") is None


def test_events_after_the_merge_in_the_same_batch_go_to_the_call_that_is_left(database: Database) -> None:
    both = [ref("1"), ref("77", ID)]
    due = link(database, ("a", [both[0]]), ("b", [both[1]]), ("c", both), ("d", [both[1]]), ("e", [both[0]]))
    assert bodies(database, due[0]) == {b"a", b"b", b"c", b"d", b"e"}
    assert number_of_calls(database) == 1


def test_a_merge_of_three_calls_that_stops_half_way_hinders_no_later_event(database: Database) -> None:
    """The first two are one already when the third proves to be leased; its event waits for the next time."""
    refs = [ref("1"), ref("77", ID), ref("x", "third")]
    one, _two, three = link(database, *((name, [one]) for name, one in zip("abc", refs, strict=True)))
    with database.write() as connection:
        lease(connection, [three], "a worker", NOW)
    due = link(database, ("d", refs), ("e", [refs[1]]))
    assert due == [one]
    assert bodies(database, one) == {b"a", b"b", b"e"}
    with database.read() as connection:
        assert [row.body for row in inbox.unread(connection, [ACCOUNT], 10)] == [b"d"]


def test_calls_are_not_merged_while_a_worker_has_one_of_them(database: Database) -> None:
    _one, other = link(database, ("a", [ref("1")]), ("b", [ref("77", ID)]))
    with database.write() as connection:
        lease(connection, [other], "a worker", NOW)
    assert link(database, ("c", [ref("1"), ref("77", ID)])) == []
    assert number_of_calls(database) == 2
    with database.write() as connection:  # the event was left for later, when the lease is over
        linking.serialise(connection)
        (row,) = inbox.unread(connection, [ACCOUNT], 10)
        again = Link(row.id, "c", [ref("1"), ref("77", ID)], NOW, True)
        assert len(linking.link(connection, [again], NOW + 61, 0.0)) == 1
    assert number_of_calls(database) == 1


@pytest.mark.parametrize("leased", ["kept", "gone"])
def test_a_worker_may_merge_what_it_has_itself(database: Database, leased: str) -> None:
    kept, gone = ended_call(database, "1"), ended_call(database, "2")
    with database.write() as connection:
        lease(connection, [{"kept": kept, "gone": gone}[leased]], "worker 1", NOW)
        assert not linking.merge(connection, kept, gone, NOW, "worker 2")
        assert linking.merge(connection, kept, gone, NOW, "worker 1")
        assert not linking.merge(connection, kept, gone, NOW, "worker 1")


def test_a_merge_unites_references_events_decisions_and_what_is_known(database: Database) -> None:
    kept, gone = ended_call(database, "1", NOW), ended_call(database, "2", NOW - 50)
    decided = {
        "ruleset": "f" * 64,
        "received_at": NOW,
        "outcomes": {},
        "tags": [],
        "added": [],
        "removed": [],
    }
    with database.write() as connection:
        leased, _ = lease(connection, [kept, gone], "worker", NOW)
        record(connection, "worker", done(leased, decision=decided), NOW)
        change(connection, gone, platform_id="77", others=["VIP"])
        assert linking.merge(connection, kept, gone, NOW + 9)
    assert bodies(database, kept) == {b"1 ended", b"2 ended"}
    assert column(database, kept, "platform_id") == "77"
    assert column(database, kept, "others") == ["VIP"]
    assert column(database, kept, "first_at") == NOW - 50
    assert (column(database, kept, "state"), column(database, kept, "next_at")) == ("due", NOW + 9)
    with database.read() as connection:
        assert connection.execute(select(decisions.c.call_id)).scalars().all() == [kept, kept]


def test_each_decision_still_names_its_events_after_a_merge(database: Database) -> None:
    kept, gone = ended_call(database, "1"), ended_call(database, "2")
    with database.write() as connection:
        version = connection.execute(select(calls.c.version).where(calls.c.id == kept)).scalar_one()
        assert linking.merge(connection, kept, gone, NOW)
    with database.read() as connection:
        before = [row.body for row in inbox.up_to_version(connection, kept, version)]
        now = connection.execute(select(calls.c.version).where(calls.c.id == kept)).scalar_one()
        after = {row.body for row in inbox.up_to_version(connection, kept, now)}
    assert before == [b"1 ended"]
    assert after == {b"1 ended", b"2 ended"}
    assert now > version


def test_a_merge_of_calls_that_have_not_ended_makes_nothing_due(database: Database) -> None:
    assert link(database, ("a", [ref("1")]), ("b", [ref("2")]), ends=False) == []
    kept, gone = sorted(found(database, ref("1"), ref("2")).values())
    with database.write() as connection:
        assert linking.merge(connection, kept, gone, NOW)
    assert (column(database, kept, "state"), column(database, kept, "ended")) == ("done", False)


@pytest.mark.parametrize(
    ("of_kept", "of_gone", "united"),
    [
        ("ours", None, "ours"),
        (None, "ours", "ours"),
        ("ours", "ours", "ours"),
        ("intended", "ours", "intended"),
        ("ours", "intended", "intended"),
        ("ours", "removing", "removing"),
        ("removing", "intended", "removing"),
        ("intended", "blocked", "blocked"),
        ("blocked", "ours", "blocked"),
        ("off", "ours", "ours"),
        ("ours", "off", "ours"),
    ],
)
def test_of_a_tag_on_both_calls_the_unfinished_state_counts(
    database: Database, of_kept: str | None, of_gone: str | None, united: str
) -> None:
    kept, gone = ended_call(database, "1"), ended_call(database, "2")
    states = [(kept, of_kept), (gone, of_gone)]
    intents = [
        Intent(call, "Long Call", TagState(state), "long-call", "f" * 64) for call, state in states if state
    ]
    with database.write() as connection:
        intend(connection, intents, NOW)
        assert linking.merge(connection, kept, gone, NOW)
        (intent,) = tags_of(connection, [kept])[kept]
    assert intent.state == united


def test_a_call_is_due_once_it_has_ended_and_not_before(database: Database) -> None:
    assert link(database, ("start", [ref("1")]), ends=False) == []
    call = found(database, ref("1"))[ref("1")]
    assert column(database, call, "state") == "done"
    assert column(database, call, "reason") == "the call has not ended yet"
    assert link(database, ("end", [ref("1")])) == [call]
    assert link(database, ("summary", [ref("1")]), ends=False) == [call]


def test_an_event_that_tells_nothing_new_changes_nothing(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        leased, _ = lease(connection, [call], "worker", NOW)
        record(connection, "worker", done(leased), NOW)
        linking.serialise(connection)
        assert linking.link(connection, [told(connection, "echo", ref("1"), wakes=False)], NOW, 0.0) == []
    assert (column(database, call, "state"), column(database, call, "version")) == ("done", 1)


def test_a_parked_call_keeps_its_time_when_new_facts_come(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        change(connection, call, state="parked", next_at=NOW + 500)
    assert link(database, ("more", [ref("1")])) == []
    assert (column(database, call, "state"), column(database, call, "next_at")) == ("parked", NOW + 500)


def test_a_dead_letter_is_due_again_when_new_facts_come(database: Database) -> None:
    call = ended_call(database, "1")
    with database.write() as connection:
        change(connection, call, state="dead", reason="403")
    assert link(database, ("more", [ref("1")])) == [call]
    assert (column(database, call, "state"), column(database, call, "reason")) == ("due", None)


def test_a_reference_that_leads_to_a_call_is_not_taken_over(database: Database) -> None:
    one, other = ended_call(database, "1"), ended_call(database, "2")
    with database.write() as connection:
        linking.add_ref(connection, ref("77", ID), one)
        linking.add_ref(connection, ref("77", ID), one)
        linking.add_ref(connection, ref("77", ID), other)
    assert found(database, ref("77", ID)) == {ref("77", ID): one}


def test_two_processes_that_link_at_once_make_one_row_of_a_call(
    database_url: str, database: Database
) -> None:
    """Both read the same new events: each event is linked once, and each call is made once."""
    calls_made, events_each = 8, 6
    with database.write() as connection:
        for n in range(calls_made * events_each):
            event(connection, f"call_{n % calls_made} {n}")
    faults: list[BaseException] = []

    def intake(process: Database) -> None:
        try:
            while True:
                with process.write() as connection:
                    linking.serialise(connection)
                    rows = inbox.unread(connection, [ACCOUNT], 7)
                    links = [
                        Link(row.id, "end", [ref(row.body.decode().split()[0])], NOW, True) for row in rows
                    ]
                    linking.link(connection, links, NOW, NOW + 30)
                if not rows:
                    return
        except BaseException as fault:
            faults.append(fault)
            raise

    processes = [Database(database_url, busy=20.0) for _ in range(3)]
    threads = [threading.Thread(target=intake, args=[process]) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.close()
    assert faults == []
    assert number_of_calls(database) == calls_made
    with database.read() as connection:
        versions = connection.execute(select(calls.c.version)).scalars().all()
        left = connection.execute(select(func.count()).where(events.c.call_id.is_(None))).scalar_one()
    assert (set(versions), left) == ({events_each}, 0)


def test_linking_merging_and_recording_at_once_lose_nothing_and_never_stand_still(
    database_url: str, database: Database
) -> None:
    """Rows taken in different orders would be a deadlock, a row merged away under a link a fault."""
    names = [f"call_{n}" for n in range(12)]
    with database.write() as connection:
        linking.serialise(connection)
        ids = linking.link(
            connection, [told(connection, f"{name} ended", ref(name)) for name in names], NOW, 0.0
        )
    faults: list[BaseException] = []
    rounds = 15

    def guarded(step: Step, order: int) -> None:
        process = Database(database_url, busy=20.0)
        try:
            for n in range(rounds):
                with process.write() as connection:
                    step(connection, n, names[::order])
        except BaseException as fault:
            faults.append(fault)
            raise
        finally:
            process.close()

    def add(connection: Connection, n: int, order: list[str]) -> None:
        linking.serialise(connection)
        links = [told(connection, f"{name} {n} {order[0]}", ref(name)) for name in order]
        linking.link(connection, links, NOW, 0.0)

    def work(connection: Connection, n: int, order: list[str]) -> None:
        leased, _ = lease(connection, ids, f"worker {order[0]}", NOW)
        record(connection, f"worker {order[0]}", done(leased[::-1]), NOW)

    def unite(connection: Connection, n: int, order: list[str]) -> None:
        if n < 6:
            linking.merge(connection, ids[n], ids[11 - n], NOW)

    steps = [(add, 1), (add, -1), (work, 1), (work, -1), (unite, 1)]
    threads = [threading.Thread(target=guarded, args=step) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with database.read() as connection:
        linked = connection.execute(select(func.count()).where(events.c.state == "linked")).scalar_one()
        lost = select(events.c.id).where(events.c.call_id.not_in(select(calls.c.id)))
        assert connection.execute(lost).all() == []
        refs = connection.execute(select(func.count()).select_from(call_refs)).scalar_one()
    assert (linked, refs) == (12 + 2 * rounds * 12, 12)
