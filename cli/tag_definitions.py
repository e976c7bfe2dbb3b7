"""`calltag tags`: what it does and tells."""

import csv
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from cli.errors import UserError
from cli.operating import Store, opened
from cli.options import Format
from cli.tags import MapFormat
from cli.tags_file import read_tags
from cli.told import ask, number, refuse, tell_json, tell_table
from platforms.adapter import Tag
from platforms.errors import Conflict, PlatformError
from rules.ruleset import CatalogueTag, RuleSet
from rules.words import did_you_mean, quote
from worker import log, tags
from worker.celery import CeleryMessages, create_celery
from worker.context import RulesInForce, open_worker
from worker.settings import Account
from worker.tagids import TagIds
from worker.tags import Synced

LONGEST = 3600.0
"""Seconds that one command may go on sending requests; definitions need no lease."""

Line = tuple[str, str, str]
"""What it is, the tag, and more about it."""


@dataclass(frozen=True)
class Bench:
    """What the commands work with: the platform's tags, and the rules that give them."""

    account: Account
    tag_ids: TagIds
    ruleset: RuleSet

    def need(self, name: str) -> Tag:
        """The tag of that name; exits with 1 where there is none."""
        return self.tag_ids.find(name) or refuse(self.unknown(name))

    def sync(self, apply: bool) -> Synced:
        """Makes the tags of the catalogue, and compares what the platform has of them."""
        return tags.sync(self.tag_ids, self.tag_ids.catalogue, apply, self.account.platform.defines)

    def unknown(self, name: str) -> str:
        near = did_you_mean(name, [tag.name for tag in self.tag_ids.listed.values()])
        return f"no tag on the platform is named '{quote(name)}'{near or '; `calltag tags list` lists them'}"

    def rules(self, names: Sequence[str]) -> list[str]:
        """The rules that give a tag of one of these names."""
        given = tags.givers(self.ruleset)
        return list(dict.fromkeys(rule for name in names for rule in given.get(name, ())))


@contextmanager
def bench(
    config: Path | None, account: str | None, wanted: Mapping[str, CatalogueTag] | None = None
) -> Iterator[Bench]:
    """The account's tags, with those `wanted` as the catalogue, by default the rules' own.

    What the platform does not do exits with 1 and one line.
    """
    with opened(config) as store:
        chosen = _account(store, account)
        ruleset = RulesInForce(store.database).now()
        if ruleset is None:
            refuse("no rule set is in force yet; `calltag up` puts the one of CALLTAG_RULES in force")
        log.configure(store.settings.model_copy(update={"log_level": "error"}), "command")
        messages = CeleryMessages(create_celery(store.settings))
        with open_worker(store.settings, messages, "command") as worker:
            client = worker.client(chosen, time.monotonic() + LONGEST, behind_live=True)
            catalogue = ruleset.tags if wanted is None else wanted
            tag_ids = TagIds(store.database, chosen.name, catalogue, client)
            try:
                tag_ids.read_again()
                yield Bench(chosen, tag_ids, ruleset)
            except PlatformError as fault:
                refuse(f"the platform of the account '{chosen.name}' does not do it: {fault}")


def _account(store: Store, name: str | None) -> Account:
    """The account that is named, or the only one; raises `UserError`."""
    accounts = store.settings.accounts
    if name is None and len(accounts) == 1:
        return next(iter(accounts.values()))
    if name is not None and name in accounts:
        return accounts[name]
    known = ", ".join(accounts) or "none"
    if name is None:
        raise UserError(f"--account is needed to say whose tags; configured: {known}")
    raise UserError(
        f"--account: no account is named '{name}'{did_you_mean(name, accounts)}; configured: {known}"
    )


def tell_tags(config: Path | None, form: Format, account: str | None) -> None:
    """Lists the platform's tags; exits with 1 when there is none."""
    with bench(config, account) as at:
        found = tags.standing(at.tag_ids, at.ruleset)
    if form is Format.JSON:
        tell_json(
            [
                {**asdict(each.tag), "calls": each.calls, "rules": each.rules, "named": each.names}
                for each in found
            ]
        )
    elif found:
        rows = [
            (each.tag.name, each.tag.id, each.tag.color, each.calls, list(each.rules), _other_names(each))
            for each in found
        ]
        tell_table(("name", "id", "color", "calls", "rules", "named in rules"), rows)
    if not found:
        refuse("the platform has no tags")


def _other_names(each: tags.Standing) -> list[str]:
    return [name for name in each.names if name != each.tag.name]


def sync(config: Path | None, form: MapFormat, account: str | None, apply: bool) -> None:
    """Makes the catalogue's tags, and tells what is not as the rules have it."""
    if form is MapFormat.CSV:
        raise UserError("--format csv is for --from; here it is text or json")
    with bench(config, account) as at:
        synced = at.sync(apply)
        unused = [each.tag for each in tags.standing(at.tag_ids, at.ruleset) if not each.rules]
        missing = tags.missing(at.tag_ids, at.ruleset)
        lines = _lines(synced)
        lines += [("no rule gives it", tag.name, f"id {tag.id}") for tag in unused]
        lines += [
            ("not there", name, f"{_given(rules)}; {_when_made(at.tag_ids, name)}")
            for name, rules in missing.items()
            if name not in synced.faults
        ]
    if form is MapFormat.JSON:
        unused_json = [asdict(tag) for tag in unused]
        tell_json({**_json(synced), "unused": unused_json, "missing": missing})
    elif lines:
        tell_table(("what", "tag", "more"), lines)
    else:
        typer.echo(f"all is as it should be: {number(len(synced.ids), 'tag')} of the rules' `tags`")
    _refuse_faults(synced)


def sync_file(config: Path | None, form: MapFormat, account: str | None, apply: bool, source: Path) -> None:
    """Makes the file's tags, prints the id of each, and tells on standard error what else came of it."""
    wanted = read_tags(source)
    with bench(config, account, wanted) as at:
        synced = at.sync(apply)
    if form is MapFormat.JSON:
        tell_json(synced.ids)
    elif form is MapFormat.CSV:
        # names as they are, formulas too: a program finds the ids by them
        csv.writer(sys.stdout, lineterminator="\n").writerows([("name", "id"), *synced.ids.items()])
    else:
        tell_table(("name", "id"), list(synced.ids.items()))
    for what, tag, more in _lines(synced):
        typer.echo(f"{what}: '{tag}', {more}", err=True)
    _refuse_faults(synced)


def _lines(synced: Synced) -> list[Line]:
    lines = [("made", name, f"id {synced.ids[name]}") for name in synced.made]
    lines += [
        ("renamed there", name, f"to '{there}'; found by its id {synced.ids[name]}")
        for name, there in synced.renamed.items()
    ]
    for what, found in (("changed", synced.changed), ("differs", synced.differing)):
        lines += [
            (what, each.name, f"{each.field} '{each.there or ''}', wanted '{each.wanted}'") for each in found
        ]
    lines += [
        ("left out", f"{number(len(names), 'tag')}", f"{what}: the platform takes none")
        for what, names in synced.left_out.items()
    ]
    return lines + [("refused", name, str(fault)) for name, fault in synced.faults.items()]


def _json(synced: Synced) -> dict[str, object]:
    return {
        "ids": synced.ids,
        "made": synced.made,
        "renamed": synced.renamed,
        "changed": [asdict(each) for each in synced.changed],
        "differing": [asdict(each) for each in synced.differing],
        "left_out": synced.left_out,
        "refused": {name: str(fault) for name, fault in synced.faults.items()},
    }


def _refuse_faults(synced: Synced) -> None:
    if synced.faults:
        name, fault = next(iter(synced.faults.items()))
        refuse(
            f"the platform refused {number(len(synced.faults), 'tag')}, the first: '{quote(name)}': {fault}"
        )


def _given(rules: Sequence[str]) -> str:
    return f"given by {', '.join(rules)}"


def _when_made(tag_ids: TagIds, name: str) -> str:
    if tag_ids.was_deleted(name):
        return "it was deleted there, and is made again once the rules' `tags` has it"
    return "it is made when a rule first gives it"


def rename(config: Path | None, form: Format, account: str | None, old: str, new: str) -> None:
    """Renames the tag, and says what that means for the rules; nothing is done where it has the name."""
    if not new.strip() or not new.isprintable():
        raise UserError(f"NEW: '{quote(new)}' is no name of a tag")
    with bench(config, account) as at:
        tag = at.need(old)
        names = sorted(at.tag_ids.our_names(tag))
        if tag.name != new:
            try:
                tag = tags.rename(at.tag_ids, tag, new)
            except Conflict:
                refuse(f"another tag is named '{quote(new)}' already")
    rules, mine = at.rules(names), [name for name in names if name != new and at.rules([name])]
    if form is Format.JSON:
        tell_json({**asdict(tag), "rules": rules})
        return
    typer.echo(f"the tag with the id {tag.id} is named '{tag.name}' on the platform")
    if mine:
        typer.echo(f"{_given(rules)} by the name '{mine[0]}', {_then(at.account)}")


def _then(account: Account) -> str:
    """What a rule does that goes on giving a tag by the name that it had."""
    if account.platform.tags_by_name:
        return "which is made anew then, for calls go by names there; change the rules"
    return "which goes on: it is found by its id; leave the rules"


def delete(config: Path | None, form: Format, account: str | None, name: str, yes: bool) -> None:
    """Deletes the tag after asking, and notes that it is off our calls; to be repeated if interrupted."""
    with bench(config, account) as at:
        tag = at.tag_ids.find(name)
        names = sorted(at.tag_ids.our_names(tag) if tag else at.tag_ids.names_of_deleted(name))
        ours = tags.on_calls(at.tag_ids.database, at.account.name, names)
        if tag is None and not ours:
            refuse(at.unknown(name))
        if tag is not None:
            ask(_question(at, tag, names, ours), yes)
        noted = tags.delete(at.tag_ids, tag, names)
    if form is Format.JSON:
        tell_json({"deleted": None if tag is None else asdict(tag), "calls": noted})
        return
    what = f"deleted '{name}'" if tag else f"'{name}' was deleted on the platform before"
    typer.echo(f"{what}; noted on {number(noted, 'call')} of ours that it is off")


def _question(at: Bench, tag: Tag, names: Sequence[str], ours: int) -> str:
    by_name = f"'{tag.name}' (id {tag.id})"
    lines = [
        f"The tag {by_name} stands on {number(ours, 'call')} by calltag, and perhaps on others by people."
    ]
    if rules := at.rules(names):
        again = any(name in at.ruleset.tags for name in names)
        then = "it is made again" if again else "the call becomes a dead letter"
        lines.append(f"It is {_given(rules)}: when a rule gives it next, {then}.")
    lines.append("The platform takes it off every call, for good. Delete it?")
    return "\n".join(lines)
