"""What people and programs ask for, read into what a job is."""

import time

import pytest

from platforms.registry import PLATFORMS
from platforms.sipsim.settings import SipsimSettings
from worker.retag.asked import Asked, account_of, read_asked, spec_of
from worker.retag.spec import BadSpec
from worker.settings import Account

DAY = 86_400.0


def accounts(*names: str) -> dict[str, Account]:
    return {name: Account(name, PLATFORMS["sipsim"], SipsimSettings()) for name in names}


def test_all_that_can_be_asked_for_is_read() -> None:
    body = b"""{"since": "2026-11-01", "until": "2026-11-02", "rule": ["a"], "tag": ["B"], "where": "{is: c}",
        "having": "D", "source": "store", "orphaned": "remove", "account": "sipsim", "fetch": "transcript"}"""
    spec = spec_of(read_asked(body))
    assert (spec.until - spec.since, spec.rules, spec.tags) == (DAY, ("a",), ("B",))
    assert (spec.where, spec.having, spec.source) == ("{is: c}", "D", "store")
    assert (spec.orphaned, spec.fetch) == ("remove", True)


def test_what_is_yet_to_come_is_left_out() -> None:
    before = time.time()
    for until in (None, "2999-01-01"):
        assert before <= spec_of(Asked(since="2h", until=until)).until <= time.time()
    with pytest.raises(BadSpec, match="since: '2999-01-01' is yet to come"):
        spec_of(Asked(since="2999-01-01"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "the body: invalid JSON"),
        (b"{}", "since is missing"),
        (b'{"since": "1d", "untill": "2d"}', "'untill' cannot be asked for, did you mean 'until'?"),
        (b'{"since": "1d", "x": 1}', "'x' cannot be asked for; since, until, account, rule, tag, where"),
        (b'{"since": "1d", "rule": [1]}', "rule.0: input should be a valid string"),
        (b'{"since": "1d", "rule": "a"}', "rule: input should be a valid array"),
        (b'{"since": "1d", "fetch": true}', "fetch: input should be 'transcript'"),
    ],
)
def test_a_body_that_is_wrong_is_told_in_a_line(body: bytes, why: str) -> None:
    with pytest.raises(BadSpec) as fault:
        read_asked(body)
    assert str(fault.value).startswith(why)
    assert "\n" not in str(fault.value)


def test_one_account_need_not_be_named_and_several_must() -> None:
    assert account_of(accounts("sipsim"), None).name == "sipsim"
    assert account_of(accounts("sipsim", "lyon"), "lyon").name == "lyon"
    for configured, name, why in (
        (accounts("sipsim", "lyon"), None, "account: say of which one; configured: sipsim, lyon"),
        (accounts(), None, "account: say of which one; configured: none"),
        (accounts("sipsim"), "sipsin", "no account is named 'sipsin', did you mean 'sipsim'?"),
        (accounts("sipsim"), "x", "no account is named 'x'; configured: sipsim"),
    ):
        with pytest.raises(BadSpec) as fault:
            account_of(configured, name)
        assert str(fault.value) == why
