"""From a reference to a call id: one that fits, or none; never a guess."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from platforms.adapter import Client, Event, Record, Reference
from platforms.errors import Unreachable
from rules.facts import Facts
from worker.lookup import Miss, Wanted, fits, search, span

NINE = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CALL: Facts = {
    "direction": "inbound",
    "caller": "+33612345678",
    "receiver": "+33184800000",
    "duration": 600,
}


class Listing:
    """The platform's list: each call with its start; notes what it was asked."""

    def __init__(self, *calls: tuple[datetime, Record]) -> None:
        self.calls = calls
        self.asked: list[tuple[datetime, datetime, str | None]] = []

    def list_calls(self, since: datetime, until: datetime, number: str | None = None) -> Iterator[Record]:
        self.asked.append((since, until, number))
        for started, record in self.calls:
            parties = (record.event.facts.get("caller"), record.event.facts.get("receiver"))
            if since <= started <= until and number in (None, *parties):
                yield record


def minutes(number: float) -> datetime:
    return NINE + timedelta(minutes=number)


def facts(**changed: Any) -> Facts:
    return {name: value for name, value in {**CALL, **changed}.items() if value is not None}


def record(call_id: str = "1", reference: str | None = None, **changed: Any) -> Record:
    references = [Reference("call_id", call_id)] + ([Reference("pbx_id", reference)] if reference else [])
    return Record(call_id, b"{}", Event("record", references=tuple(references), facts=facts(**changed)))


def wanted(call: int = 1, ended: float = 10, **changed: Any) -> Wanted:
    """A call that was told to have ended so many minutes after nine."""
    told = facts(**changed)
    when = span(told, minutes(ended))
    assert when
    return Wanted(call, frozenset({("pbx_id", f"call_{call}")}), told, *when)


def look(
    listing: Listing, *calls: Wanted, taken: Collection[str] = (), most: int = 64
) -> dict[int, str | Miss]:
    found = search(cast(Client, listing), calls, lambda ids: {each for each in ids if each in taken})
    return {call: result if isinstance(result, Miss) else result.id for call, result in found.items()}


def test_the_one_call_that_fits_is_it() -> None:
    assert look(Listing((NINE, record("7"))), wanted()) == {1: "7"}


def test_none_that_fits_is_none_yet() -> None:
    assert look(Listing(), wanted()) == {1: Miss.NONE}


def test_several_that_fit_are_several() -> None:
    assert look(Listing((NINE, record("7")), (minutes(0.5), record("8"))), wanted()) == {1: Miss.SEVERAL}


@pytest.mark.parametrize(
    ("changed", "fit"),
    [
        ({}, True),
        ({"caller": "+33612345679"}, False),
        ({"receiver": "+33184800001"}, False),
        ({"direction": "outbound"}, False),
        ({"caller": None}, False),
        ({"direction": None}, False),
        ({"duration": 602}, True),
        ({"duration": 598}, True),
        ({"duration": 602.5}, False),
        ({"duration": 597}, False),
        ({"duration": None}, False),
    ],
)
def test_numbers_direction_and_duration_must_fit(changed: dict[str, Any], fit: bool) -> None:
    assert look(Listing((NINE, record("7", **changed))), wanted()) == {1: "7" if fit else Miss.NONE}


@pytest.mark.parametrize("unknown", ["caller", "receiver", "direction", "duration"])
def test_what_our_call_does_not_know_fits_nothing(unknown: str) -> None:
    without: dict[str, Any] = {unknown: None}
    for there in (record("7"), record("7", **without)):
        assert look(Listing((minutes(10), there)), wanted(**without)) == {1: Miss.NONE}


def test_a_call_that_nobody_answered_is_listed_without_a_duration() -> None:
    listing = Listing((minutes(10), record("7", duration=None)))
    assert look(listing, wanted(duration=0)) == {1: "7"}
    assert look(listing, wanted(duration=2)) == {1: Miss.NONE}


def test_a_record_that_carries_the_reference_decides_at_once() -> None:
    listing = Listing((NINE, record("7")), (NINE, record("8", "call_1", receiver=None, duration=5)))
    assert look(listing, wanted()) == {1: "8"}
    assert look(listing, replace(wanted(), rivals=True)) == {1: "8"}
    assert look(listing, wanted(), taken=["8"]) == {1: "8"}


def test_a_record_that_carries_another_calls_reference_is_not_it() -> None:
    assert look(Listing((NINE, record("7", "call_2"))), wanted()) == {1: Miss.NONE}
    listing = Listing((NINE, record("7", "call_2")), (NINE, record("8")))
    assert look(listing, wanted()) == {1: "8"}


def test_a_record_that_belongs_to_another_call_of_ours_is_not_it() -> None:
    assert look(Listing((NINE, record("7"))), wanted(), taken=["7"]) == {1: Miss.NONE}
    listing = Listing((NINE, record("7")), (NINE, record("8")))
    assert look(listing, wanted(), taken=["7"]) == {1: "8"}


def test_a_record_that_fits_two_calls_is_neithers() -> None:
    assert look(Listing((NINE, record("7"))), wanted(1), wanted(2)) == {1: Miss.NONE, 2: Miss.NONE}


def test_a_call_with_a_rival_elsewhere_waits() -> None:
    assert look(Listing((NINE, record("7"))), replace(wanted(), rivals=True)) == {1: Miss.NONE}


def test_a_narrower_look_separates_what_the_wide_list_mixes_up() -> None:
    listing = Listing((NINE, record("7")), (minutes(14), record("8")))
    assert look(listing, wanted(1, 10), wanted(2, 24)) == {1: "7", 2: "8"}
    assert len(listing.asked) == 3
    since, until, number = listing.asked[1]
    assert (since, until, number) == (minutes(-1), minutes(11), CALL["caller"])


def test_a_call_that_nothing_fits_causes_no_second_look() -> None:
    listing = Listing((NINE, record("7")))
    assert look(listing, wanted(1), wanted(2, 12, caller="+33600000000")) == {1: "7", 2: Miss.NONE}
    assert len(listing.asked) == 1


def test_a_call_alone_is_looked_for_by_the_other_partys_number() -> None:
    listing = Listing()
    look(listing, wanted())
    look(listing, wanted(direction="outbound"))
    look(listing, wanted(direction="internal"))
    assert [number for _, _, number in listing.asked] == [CALL["caller"], CALL["receiver"], None]


def test_calls_that_ended_together_share_one_request() -> None:
    calls = [wanted(n, 10 + n / 10, caller=f"+336{n:08d}") for n in range(50)]
    listing = Listing(*[(NINE, record(str(n), caller=f"+336{n:08d}")) for n in range(50)])
    assert look(listing, *calls) == {n: str(n) for n in range(50)}
    assert listing.asked == [(minutes(-1), minutes(10 + 4.9 + 1), None)]


def test_calls_far_apart_are_asked_for_apart() -> None:
    listing = Listing((NINE, record("7")), (minutes(500), record("8")))
    assert look(listing, wanted(1, 10), wanted(2, 510)) == {1: "7", 2: "8"}
    assert [number for _, _, number in listing.asked] == [CALL["caller"]] * 2


def test_nothing_wanted_asks_nothing() -> None:
    listing = Listing()
    assert look(listing) == {}
    assert listing.asked == []


def test_a_list_that_cannot_be_had_is_said() -> None:
    class Broken(Listing):
        def list_calls(self, *_: object) -> Iterator[Record]:
            raise Unreachable("GET was answered 503")

    with pytest.raises(Unreachable):
        look(Broken(), wanted())


def test_the_window_holds_the_call_whether_the_time_is_its_start_or_its_end() -> None:
    assert span(CALL, minutes(10)) == (minutes(-1), minutes(11))
    for started in (minutes(0), minutes(10)):  # told at its end, told at its start
        assert look(Listing((started, record("7"))), wanted()) == {1: "7"}


def test_the_window_reaches_sixty_seconds_further() -> None:
    for started, found in ((-1.0, "7"), (-1.1, Miss.NONE), (11.0, "7"), (11.1, Miss.NONE)):
        assert look(Listing((minutes(started), record("7"))), wanted()) == {1: found}


def test_a_start_that_was_told_is_in_the_window() -> None:
    rang_long = facts(started_at=minutes(-20))
    assert span(rang_long, minutes(10)) == (minutes(-21), minutes(11))
    assert span(rang_long, None) == (minutes(-21), minutes(-19))


def test_without_any_time_there_is_no_window() -> None:
    assert span(CALL, None) is None


def test_fitting_asks_for_everything_to_be_known() -> None:
    assert fits(CALL, CALL)
    assert not fits({}, {})


def test_rivals_are_calls_of_one_time_that_fit_alike() -> None:
    mine = wanted(1, 10)
    assert mine.is_rivalled_by(wanted(2, 11))
    assert not mine.is_rivalled_by(wanted(2, 60))
    assert not mine.is_rivalled_by(wanted(2, 11, duration=700))
