"""Taking back what a job did, as far as nobody has touched it since."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rules.evaluate import Evaluation, Removal
from store.calls import TagState
from worker.knowledge import Known
from worker.plan import ON_THE_CALL

NOT_SURELY_ON = (TagState.OFF, TagState.REMOVING, TagState.INTENDED)


@dataclass(frozen=True, slots=True)
class Undoing:
    """`undone` is the job whose work `job` takes back. What another one wrote since is left alone."""

    undone: int
    job: int

    def takes_back(
        self, evaluation: Evaluation, wanted: Callable[[str], bool | None], known: Known
    ) -> Evaluation:
        """An evaluation that wants tags as `wanted` says (None: as they are), where that job wrote them last,
        or this one has begun to; also where it is not known whether that was done."""
        mine = [intent for intent in known.ours if intent.job in (self.undone, self.job)]
        off = [one for one in mine if one.state in ON_THE_CALL and wanted(one.tag) is False]
        given = {
            one.tag: one.rule
            for one in mine
            if one.state in NOT_SURELY_ON and wanted(one.tag) and one.tag not in (known.others or ())
        }
        why = f"job {self.job} undoes job {self.undone}, which had put it"
        remove = tuple(Removal(intent.tag, intent.rule, why) for intent in off)
        return replace(evaluation, tags=tuple(given), given_by=given, remove=remove)
