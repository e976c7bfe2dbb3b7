"""Dead letters on a page: by reason, one in full, driven again."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from store import schema
from tests.pages import VIEWER, visiting
from tests.rows import NOW, change, column, ended_call
from tests.worker_bench import CALLER, Bench

Make = Callable[..., Bench]
REFUSED = "PUT was answered 403"
MARKUP = '<img src=x onerror="alert(1)">\u202e'


def dead_call(bench: Bench, name: str, reason: str = REFUSED) -> int:
    call = ended_call(bench.database, name, NOW)
    with bench.database.write() as connection:
        change(connection, call, state="dead", reason=reason, caller=CALLER)
    return call


def dead_event(bench: Bench, body: bytes) -> int:
    bench.accept(body, at=time.time())
    bench.due()
    with bench.database.read() as connection:
        rows = select(schema.events.c.id).where(schema.events.c.body == body)
        return int(connection.execute(rows).scalar_one())


def state_of(bench: Bench, event: int) -> str:
    with bench.database.read() as connection:
        rows = select(schema.events.c.state).where(schema.events.c.id == event)
        return str(connection.execute(rows).scalar_one())


def test_without_dead_letters_the_page_says_so(make_bench: Make) -> None:
    with visiting(make_bench().settings) as person:
        assert "Dead letters None." in person.reads("/deadletters")


def test_dead_letters_are_told_by_reason_and_each_can_be_seen(make_bench: Make) -> None:
    bench = make_bench()
    for n in range(3):
        dead_call(bench, f"call_{n}")
    event = dead_event(bench, b"no JSON " + MARKUP.encode())
    with visiting(bench.settings) as person:
        told = person.reads("/deadletters")
        assert f"3 calls {REFUSED} All again" in told
        assert "1 events" in told
        told = person.reads("/deadletters/calls?reason=" + REFUSED.replace(" ", "+"))
        assert "call_2" in told
        assert CALLER in told
        assert '<a href="/calls/sipsim/call_1">' in person.get("/deadletters/calls").text
        html = person.get(f"/deadletters/events/{event}").text
        assert "<img" not in html
        assert "the body is no JSON" in html
        assert "no JSON &lt;img src=x" in html


def test_a_reason_with_markup_shows_as_text(make_bench: Make) -> None:
    bench = make_bench()
    dead_call(bench, "call_1", MARKUP + "x" * 10_000)
    with visiting(bench.settings) as person:
        for path in ("/deadletters", "/deadletters/calls"):
            html = person.get(path).text
            assert "<img" not in html
            assert "&lt;img src=x" in html


def test_a_viewer_sees_neither_numbers_nor_bodies_and_changes_nothing(make_bench: Make) -> None:
    bench = make_bench()
    call, event = dead_call(bench, "call_1"), dead_event(bench, b"a secret")
    with visiting(bench.settings, VIEWER) as person:
        html = person.get("/deadletters/calls").text
        assert CALLER not in html
        assert "+33•••••78" in html
        assert (html.count("<form"), html.count("<button")) == (1, 1)  # to log out
        assert "a secret" not in person.get(f"/deadletters/events/{event}").text
        answered = person.send("/deadletters/again", of="calls", id=str(call))
        assert answered.status_code == 403
    assert column(bench.database, call, "state") == "dead"


def test_all_of_a_reason_are_driven_again_and_no_others(make_bench: Make) -> None:
    bench = make_bench()
    these = [dead_call(bench, f"call_{n}") for n in range(3)]
    others = [
        dead_call(bench, "other", REFUSED + " twice"),
        dead_call(bench, "another", "put was answered 403"),
    ]
    with visiting(bench.settings) as person:
        person.get("/deadletters")
        told = person.send("/deadletters/again", of="calls", which="all", reason=REFUSED).text
        assert "3 calls are due again." in told
        assert "3 calls are due again." not in person.get("/deadletters").text
    assert [column(bench.database, call, "state") for call in these] == ["due"] * 3
    assert [column(bench.database, call, "state") for call in others] == ["dead"] * 2


def test_one_and_a_selection_are_driven_again(make_bench: Make) -> None:
    bench = make_bench()
    made = [dead_call(bench, f"call_{n}") for n in range(3)]
    events = [dead_event(bench, f"broken {n}".encode()) for n in range(2)]
    with visiting(bench.settings) as person:
        person.get("/deadletters/calls")
        chosen = [str(made[0]), str(made[2]), "nonsense", "9" * 30]
        assert "2 calls are due again." in person.send("/deadletters/again", of="calls", id=chosen).text
        told = person.send("/deadletters/again", of="events", id=str(events[1])).text
        assert "1 event will be read again." in told
        assert "None was chosen." in person.send("/deadletters/again", of="events").text
    assert [column(bench.database, call, "state") for call in made] == ["due", "dead", "due"]
    assert [state_of(bench, event) for event in events] == ["dead", "new"]


def test_what_cannot_be_driven_again_is_told(make_bench: Make) -> None:
    bench = make_bench()
    event = dead_event(bench, b"broken")
    with bench.database.write() as connection:
        connection.execute(update(schema.events).values(body=b"", emptied_at=NOW))
    with visiting(bench.settings) as person:
        person.get(f"/deadletters/events/{event}")
        told = person.send("/deadletters/again", of="events", id=str(event)).text
        assert "1 cannot be driven again now." in told


def test_a_long_list_is_paged_by_key(make_bench: Make) -> None:
    bench = make_bench()
    for n in range(52):
        dead_call(bench, f"call_{n:02}")
    with visiting(bench.settings) as person:
        first = person.get("/deadletters/calls?reason=" + REFUSED)
        assert ("call_51" in first.text, "call_02" in first.text, "call_01" in first.text) == (
            True,
            True,
            False,
        )
        following = first.text.partition(">Older ones")[0].rpartition('href="')[2].rstrip('"')
        told = person.reads(following.replace("&amp;", "&"))
        assert ("call_01" in told, "call_02" in told, "Older ones" in told) == (True, False, False)


@pytest.mark.parametrize(
    "path", ["/deadletters/others", "/deadletters/events/999", f"/deadletters/events/{2**63}"]
)
def test_what_there_is_not_is_not_found(make_bench: Make, path: str) -> None:
    with visiting(make_bench().settings) as person:
        assert person.get(path).status_code == 404


def test_an_odd_place_in_the_list_is_its_beginning(make_bench: Make) -> None:
    bench = make_bench()
    dead_call(bench, "call_1")
    with visiting(bench.settings) as person:
        for before in ("x", "-1", "9" * 40, "٣"):
            assert "call_1" in person.reads(f"/deadletters/calls?before={before}&reason=%00")
