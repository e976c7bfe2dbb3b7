"""`calltag doctor`: looks at all a deployment needs, and says in a line each what is wrong and what to do."""

from pathlib import Path

from cli.errors import UserError
from cli.parts import read_settings
from platforms.adapter import Check
from worker.checks import checks


def doctor(config: Path | None, enable_events: bool | None) -> bool:
    """Prints one line for each thing looked at; True when all is well.

    `enable_events` says whether webhook events that are off are switched on; None asks, on a terminal.
    """
    import httpx

    well = True
    try:
        settings = read_settings(config)
    except UserError as fault:
        _say(Check("settings", False, str(fault)))
        return False
    with httpx.Client(timeout=10.0, trust_env=False) as http:
        for check in checks(settings, http, lambda check: _wanted(enable_events, check)):
            _say(check)
            well = well and check.ok
    return well


def _say(check: Check) -> None:
    print(f"{'ok   ' if check.ok else 'WRONG'} {check.subject}: {check.detail}", flush=True)


def _wanted(enable_events: bool | None, check: Check) -> bool:
    import sys

    import typer

    if enable_events is not None or not sys.stdin.isatty():
        return bool(enable_events)
    _say(check)
    return typer.confirm("Switch them on now?")
