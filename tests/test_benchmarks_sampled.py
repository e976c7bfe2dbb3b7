"""What is made of py-spy's samples."""

from benchmarks.sampled import fold, refusal

RAW = [
    "main (a.py:1);walk (a.py:5);read (b.py:2) 30",
    "main (a.py:1);walk (a.py:5);walk (a.py:5) 10",
    "main (a.py:1);walk (a.py:5);<genexpr> (c d.py:7);read (b.py:2) 2",
]


def test_own_time_is_that_of_the_innermost_function() -> None:
    assert fold(RAW).own == {"read (b.py:2)": 32, "walk (a.py:5)": 10}


def test_total_time_counts_a_function_that_calls_itself_once() -> None:
    assert fold(RAW).total["walk (a.py:5)"] == 42


def test_total_time_leaves_out_what_only_leads_to_one_other_function() -> None:
    assert fold(RAW).total == {"walk (a.py:5)": 42, "read (b.py:2)": 32}


def test_a_process_that_did_nothing_has_no_samples() -> None:
    assert fold([]).samples == 0


def test_a_stack_that_could_not_be_read_is_counted_as_unknown() -> None:
    assert fold([" 3"]).own == {"(unknown)": 3}


def test_who_may_not_look_at_a_process_is_told_in_one_line_what_would_be_right() -> None:
    said = "Permission Denied: Try running again with elevated permissions\nError: Failed to get ..."
    told = refusal(7, said)
    assert "process 7" in told
    assert "kernel.yama.ptrace_scope" in told
    assert "\n" not in told


def test_what_else_ends_it_is_told_in_its_own_words() -> None:
    assert "No such process" in refusal(7, "Error: No such process\n")
