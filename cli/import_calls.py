"""`calltag calls import`: fills the store with calls from a file, without tagging them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import typer

from cli.call_files import read_rows
from cli.errors import UserError
from cli.operating import Store, check_account, opened
from cli.options import Format
from cli.told import number, tell_json
from worker import importing
from worker.fetching import REST
from worker.history import DAY, PART, own_time, tidy
from worker.importing import Call, ColumnError
from worker.settings import Account

FAULTS_TOLD = 20
TIDY = 20 * PART
"""Calls after which the write-ahead log is looked after."""


def import_calls(
    config: Path | None,
    form: Format,
    file: Path,
    mapping: Sequence[str],
    account: str | None,
    check: bool,
) -> None:
    """Reads the file block by block and keeps its calls; exits with 1 when lines were bad."""
    with opened(config, new=True) as store, ExitStack() as stack:
        into = _account(store, account)
        try:
            named = importing.read_mapping(mapping)
            rows = stack.enter_context(read_rows(file, named))
            counts = _import(store, into, importing.calls_of(rows, into), check)
        except ColumnError as fault:
            raise UserError(f"{file}: {fault}") from None
    if form is Format.JSON:
        names = ("calls", "new", "known", "too_old", "bad")
        tell_json({"account": into.name, **{name: counts[name] for name in names}})
    else:
        typer.echo(_in_words(file, counts, check))
    if counts["bad"]:
        raise typer.Exit(1)


def _account(store: Store, name: str | None) -> Account:
    if name is not None:
        check_account(store, name)
    accounts = [one for one in store.settings.accounts.values() if name in (None, one.name)]
    if len(accounts) != 1:
        configured = ", ".join(store.settings.accounts) or "none"
        raise UserError(f"say whose calls they are with --account; configured: {configured}")
    return accounts[0]


def _import(store: Store, account: Account, calls: Iterator[Call], check: bool) -> Counter[str]:
    """How many calls there were, and what became of them; the first bad lines are told."""
    counts: Counter[str] = Counter()
    keep_for = store.settings.keep_calls * DAY
    oldest = time.time() - keep_for if keep_for else 0.0
    block: list[Call] = []
    for call in calls:
        if call.fault is not None:
            counts["bad"] += 1
            if counts["bad"] <= FAULTS_TOLD:
                typer.echo(f"line {call.number}: {call.fault}", err=True)
        elif (own_time(call.facts or {}) or oldest) < oldest:
            counts["too_old"] += 1
        else:
            block.append(call)
        if len(block) == PART:
            counts += _keep(store, account, block, check)
            block = []
            if counts["calls"] % TIDY == 0:
                tidy(store.database)
    counts += _keep(store, account, block, check)
    if counts["bad"] > FAULTS_TOLD:
        typer.echo(f"and {number(counts['bad'] - FAULTS_TOLD, 'more line')}", err=True)
    return counts


def _keep(store: Store, account: Account, block: Sequence[Call], check: bool) -> Counter[str]:
    if check or not block:
        return Counter(calls=len(block))
    kept = importing.keep(store.database, account, block)
    time.sleep(REST)
    return Counter(calls=len(block), new=kept.new, known=len(block) - kept.new)


def _in_words(file: Path, counts: Counter[str], check: bool) -> str:
    words = [f"{file}: {number(counts['calls'], 'call')}"]
    if not check:
        words.append(f"{counts['new']} new, {counts['known']} known already")
    if counts["too_old"]:
        words.append(f"{counts['too_old']} left out, older than CALLTAG_KEEP_CALLS")
    if counts["bad"]:
        words.append(f"{number(counts['bad'], 'line')} could not be read")
    if check:
        words.append("nothing was imported: --check only looks")
    return "; ".join(words)
