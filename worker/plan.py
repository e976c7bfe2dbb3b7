"""What a call needs: its facts, what the rules give for them, and the difference to what is on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rules.evaluate import Applied, Evaluation, evaluate
from rules.ruleset import RuleSet
from store.calls import LeasedCall, TagState
from store.linking import Ref
from worker.fold import Folded
from worker.knowledge import Known, believe

ON_THE_CALL = (TagState.INTENDED, TagState.OURS, TagState.REMOVING)
"""Tags of ours that are on the call, or may be."""

Choose = Callable[[int, Evaluation, Known], Evaluation]
"""(call, what the rules give, what is known of its tags) -> the part of it that is to be carried out."""


def everything(_call: int, evaluation: Evaluation, _known: Known) -> Evaluation:
    """`Choose` for live calls: all that the rules give."""
    return evaluation


@dataclass(frozen=True, slots=True)
class Work:
    """One leased call and all that is known of it."""

    call: LeasedCall
    refs: Sequence[Ref]
    folded: Folded
    known: Known
    evaluation: Evaluation
    ruleset: str
    add: tuple[str, ...]
    remove: tuple[str, ...]
    remark: str | None = None
    """What cannot be done for the call, in words."""

    @property
    def changes(self) -> bool:
        return bool(self.add or self.remove)

    @property
    def unfinished(self) -> set[str]:
        """Tags whose writing was begun before and may have happened."""
        return self.known.names(TagState.INTENDED, TagState.REMOVING)

    @property
    def given_up(self) -> set[str]:
        """Those of them that are now neither to be put nor to be taken off."""
        return self.unfinished - {*self.add, *self.remove}


def plan(
    call: LeasedCall,
    refs: Sequence[Ref],
    folded: Folded,
    known: Known,
    ruleset: RuleSet,
    choose: Choose = everything,
) -> Work:
    """Evaluates the newest facts and says what is to be put on the call and taken off. Pure."""
    known = believe(known, folded.told, call.tags_version)
    facts = dict(folded.facts)
    ours = known.names(*ON_THE_CALL)
    others = [tag for tag in known.others or () if tag not in ours]
    if known.others is not None:
        facts["tags"] = list(others)
    applied = [Applied(intent.tag, intent.rule) for intent in known.ours if intent.state in ON_THE_CALL]
    given = evaluate(ruleset, facts, applied, known.names(TagState.BLOCKED))
    evaluation = choose(call.id, given, known)
    there = {*known.names(TagState.OURS), *others}
    add = tuple(tag for tag in evaluation.tags if tag not in there)
    remove = tuple(removal.tag for removal in evaluation.remove)
    folded = replace(folded, facts=facts)
    return Work(call, refs, folded, _regiven(known, evaluation), evaluation, ruleset.hash, add, remove)


def _regiven(known: Known, evaluation: Evaluation) -> Known:
    """A tag of ours that another rule gives now is that rule's from now on."""
    changed = {intent.tag: intent for intent in known.changed}
    for intent in known.ours:
        rule = evaluation.given_by.get(intent.tag, intent.rule)
        if intent.state is TagState.OURS and rule != intent.rule:
            changed[intent.tag] = replace(intent, rule=rule)
    return replace(known, changed=tuple(changed.values())) if changed else known
