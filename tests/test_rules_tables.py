"""Tables from values to masks, against the plain meaning of what was asked."""

from operator import eq, ge, gt, le, lt, ne
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.tables import Keys, Marks, Values, keyed_table, mask_of, numbers_of, value_table

COMPARED = {"eq": eq, "ne": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le}
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 2, 3])
ASKED = st.one_of(
    st.tuples(st.sampled_from(list(COMPARED)), NUMBERS),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(NUMBERS, min_size=1).map(tuple)),
    st.tuples(st.just("between"), st.lists(NUMBERS, min_size=2, max_size=2).map(sorted).map(tuple)),
)


def holds(operator: str, operand: Any, value: float) -> bool:
    if operator == "between":
        return bool(operand[0] <= value <= operand[1])
    if operator in ("in", "not_in"):
        return (value in operand) is (operator == "in")
    return bool(COMPARED[operator](value, operand))


@given(st.sets(st.integers(0, 2000)))
def test_a_mask_and_its_numbers_are_two_forms_of_one_set(numbers: set[int]) -> None:
    assert numbers_of(mask_of(numbers)) == sorted(numbers)


def test_a_mask_with_most_of_its_bits_is_read_too() -> None:
    assert numbers_of((1 << 70) - 1) == list(range(70))


@settings(max_examples=500)
@given(st.lists(st.lists(st.tuples(ASKED, st.booleans()), max_size=3), min_size=1, max_size=4))
def test_a_cell_has_the_conjunctions_whose_tests_all_hold(
    conjunctions: list[list[tuple[tuple[str, Any], bool]]],
) -> None:
    marks = Marks()
    for number, tests in enumerate(conjunctions):
        for asked, wanted in tests:
            assert marks.add(number, asked, wanted)
    table = marks.table((1 << len(conjunctions)) - 1)
    for value in (-2, -1, -0.5, 0, 0.2, 0.5, 0.7, 1, 1.5, 2, 2.5, 3, 4):
        expected = [
            number
            for number, tests in enumerate(conjunctions)
            if all(holds(*asked, value) is wanted for asked, wanted in tests)
        ]
        assert numbers_of(table(value)) == expected


@given(
    st.lists(
        st.lists(st.tuples(st.sets(st.integers(0, 3), min_size=1), st.booleans()), max_size=3), min_size=1
    )
)
def test_what_is_asked_of_one_value_several_times_is_merged(
    conjunctions: list[list[tuple[set[int], bool]]],
) -> None:
    values = Values()
    for number, tests in enumerate(conjunctions):
        for keys, wanted in tests:
            assert values.add(number, keys, wanted)
    table = value_table(values, (1 << len(conjunctions)) - 1)
    for value in range(5):
        expected = [
            number
            for number, tests in enumerate(conjunctions)
            if all((value in keys) is wanted for keys, wanted in tests)
        ]
        assert numbers_of(table(value)) == expected


def test_several_keys_of_a_value_count_once() -> None:
    keys = Keys()
    assert keys.add(0, ["a", "b"], True)
    assert keys.add(1, ["a", "b"], False)
    table = keyed_table(keys, 0b111, lambda value: value)
    assert [numbers_of(table(value)) for value in (["a", "b"], ["b"], ["c"])] == [[0, 2], [0, 2], [1, 2]]


def test_keys_are_asked_once_by_a_conjunction() -> None:
    keys = Keys()
    assert keys.add(0, ["a"], True)
    assert not keys.add(0, ["b"], True)
