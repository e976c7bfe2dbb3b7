"""The rules and tags that a job may name which takes off orphaned tags: they may be in no set any more."""

from collections.abc import Sequence

from sqlalchemy import Connection

from rules.ruleset import RuleSet
from rules.words import did_you_mean, quote
from store import tagged
from store.tagged import What
from worker.retag.spec import BadSpec, Spec, tags_of

SUCH: dict[What, str] = {"rule": "by it", "tag": "of that name"}


def check(connection: Connection, account: str, spec: Spec, ruleset: RuleSet) -> None:
    """Raises `BadSpec` for one that is neither in the set in force nor that of a tag of ours on a call.

    Of jobs that keep orphaned tags `spec.check` asks more: that the set in force has it.
    """
    if spec.orphaned == "remove":
        _check(connection, account, "rule", spec.rules, list(ruleset.by_id))
        _check(connection, account, "tag", spec.tags, tags_of(ruleset))


def _check(
    connection: Connection, account: str, what: What, wanted: Sequence[str], in_force: Sequence[str]
) -> None:
    for name in wanted:
        if name not in in_force and not tagged.has_given(connection, account, what, name):
            lacking = f"the rule set in force has no {what} '{quote(name)}'"
            never = f"calltag has put no tag {SUCH[what]} on calls of '{account}'"
            near = did_you_mean(name, [*in_force, *tagged.given(connection, account, what)])
            raise BadSpec(f"{lacking}, and {never}{near}")
