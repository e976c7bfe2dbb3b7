"""`calltag status`: what there is, how it goes, and what is amiss."""

from pathlib import Path

from cli.operating import opened
from cli.options import Format
from cli.told import tell_json, tell_table
from worker import why
from worker.context import RulesInForce


def status(config: Path | None, form: Format) -> None:
    """Prints the status of the whole service, as its database has it."""
    with opened(config) as store:
        found = why.status(why.State(store.settings, store.database, RulesInForce(store.database)))
    if form is Format.JSON:
        tell_json(found)
        return
    rows = [(f"calls {state}", number) for state, number in found["calls"].items()]
    rows += [(f"events {outcome}", number) for outcome, number in found["events"].items()]
    rows += [
        ("due longest", f"{found['oldest_due']:.0f} s"),
        ("rule set", found["ruleset"] or "none"),
        ("accounts", found["accounts"] or "none"),
    ]
    rows += [(f"AMISS {subject}", text) for subject, text in found["amiss"].items()]
    tell_table(("what", "how it is"), rows)
