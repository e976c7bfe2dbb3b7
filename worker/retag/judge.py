"""What each listed call needs: its facts, what the rules give for them, the difference to what is on it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rules.evaluate import Evaluation, Outcome
from store import calls as store_calls
from store import inbox
from store.calls import Intent, LeasedCall, TagState
from store.inbox import InboxEvent
from store.job_meeting import Met
from store.jobs import Count
from worker.context import Worker
from worker.fold import fold_told, tell, told_at
from worker.knowledge import Known, after_read
from worker.plan import Work, plan
from worker.retag.sources import Candidate
from worker.retag.spec import JobRules, blocked
from worker.retag.undo import Undoing
from worker.settings import Account
from worker.tagids import TagIds

AMBIGUOUS = "several calls of ours fit, and which of them it is cannot be told"
NOT_KEPT = "nothing of the call is kept any more"


@dataclass(frozen=True, slots=True)
class Judged:
    """A listed call, and what it needs; None where it cannot be said."""

    candidate: Candidate
    work: Work | None
    met: Met

    @property
    def lacks_transcript(self) -> bool:
        """The platform's list told the call, and a rule is unknown without its transcript."""
        return self.candidate.record is not None and ("lacking",) in self.met.counts


@dataclass(frozen=True)
class Judge:
    """Says what calls need; asks the platform for its list of tags at most.

    Raises `PlatformError` and `Unavailable`.
    """

    worker: Worker
    account: Account
    rules: JobRules
    tag_ids: TagIds
    speech_rules: frozenset[str]
    """The rules that ask for what was said."""
    undoing: Undoing | None = None
    """Takes back what another job did, instead of following the rules."""

    def judge(self, candidates: Sequence[Candidate], requested_at: float) -> list[Judged]:
        """What each of the calls needs by the page itself and what the store knows."""
        stored = self._stored([one.call for one in candidates if one.call is not None])
        found = []
        for one in candidates:
            if one.matched is not None and one.matched.ambiguous:
                found.append(_skipped(one, AMBIGUOUS))
            elif one.call not in stored and (one.call is not None or one.record is None):
                found.append(_skipped(one, NOT_KEPT))
            else:
                known = stored.get(one.call) if one.call is not None else None
                found.append(self._judged(one, known or _unknown(self.account.name), requested_at))
        return found

    def _stored(self, ids: Sequence[int]) -> dict[int, "Stored"]:
        if not ids:
            return {}
        with self.worker.database.read() as connection:
            rows = store_calls.known(connection, ids)
            ours = store_calls.tags_of(connection, ids)
            events = inbox.of_calls(connection, ids)
        return {
            row.id: Stored(row, tuple(ours.get(row.id, ())), tuple(events.get(row.id, ()))) for row in rows
        }

    def _judged(self, one: Candidate, stored: "Stored", requested_at: float) -> Judged:
        told = [event for row in stored.events for event in tell(self.account, row)]
        if one.record is not None:
            at, version = requested_at, stored.call.version + 1
            row = InboxEvent(0, self.account.name, "record", one.record.body, at, at, version)
            told.append(told_at(row, one.record.event))
        folded = fold_told(self.account, told)
        known = Known(stored.call.others, stored.ours)
        if known.ours and one.record is not None and one.record.event.tags is not None:
            known = self._read(known, one.record.event.tags)
        given: list[Evaluation] = []
        before = one.undo.before if one.undo is not None else ()

        def choose(call: int, evaluation: Evaluation, known: Known) -> Evaluation:
            if self.undoing is not None and one.undo is not None:
                return self.undoing.takes_back(evaluation, lambda tag: tag in before, known)
            given.append(evaluation)
            return self.rules.choose(call, evaluation, known)

        work = plan(stored.call, (), folded, known, self.rules.ruleset, choose)
        before = tuple(sorted({*(work.known.others or ()), *work.known.names(TagState.OURS)}))
        if not self.rules.wants(work.folded.facts):
            counts: Mapping[Count, int] = {("listed",): 1, ("outside",): 1}
            return Judged(one, None, Met(one.reference, one.call, before, counts=counts))
        if one.undo is not None:
            touched = len(work.add) + len(work.remove) < len(one.undo.added) + len(one.undo.removed)
            counts = {**_changes(work), ("touched",): int(touched)}
        else:
            counts = {**_changes(work), **self._said(work, given[0])}
        return Judged(one, work, Met(one.reference, one.call, before, work.add, work.remove, counts=counts))

    def _read(self, known: Known, tags: Iterable[str]) -> Known:
        """The list of calls shows what is on this one, as a look at its tags would."""
        ours = {intent.tag for intent in known.ours}
        on_call = self.tag_ids.by_our_names(tags, ours)
        missing = known.names(TagState.OURS) - set(on_call)
        return after_read(known, on_call, self.tag_ids.deleted(missing) if missing else ())

    def _said(self, work: Work, given: Evaluation) -> Mapping[Count, int]:
        """What all that the rules say of the call adds to the counts."""
        counts: dict[Count, int] = {}
        chosen = self.rules.spec.rules
        asked = {rule: got for rule, got in given.rules.not_false.items() if not chosen or rule in chosen}
        unknown = [rule for rule, got in asked.items() if got is Outcome.UNKNOWN]
        if unknown:
            counts["unknown",] = 1
            if not _has_speech(work) and self.speech_rules.intersection(unknown):
                counts["lacking",] = 1
        if blocked(given, self.rules.ruleset, work.known):
            counts["blocked",] = 1
        counts |= {("rules", rule, "unknown"): 1 for rule in unknown}
        counts |= {("rules", rule, "match"): 1 for rule, got in asked.items() if got is Outcome.TRUE}
        return counts


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store knows of a call."""

    call: LeasedCall
    ours: tuple[Intent, ...]
    events: tuple[InboxEvent, ...]


def _unknown(account: str) -> Stored:
    return Stored(LeasedCall(0, account, 0, None, None, 0.0, 0), (), ())


def _skipped(one: Candidate, reason: str) -> Judged:
    counts: dict[Count, int] = {("listed",): 1, ("skipped",): 1}
    return Judged(one, None, Met(one.reference, one.call, skipped=reason, counts=counts))


def _changes(work: Work) -> Counter[Count]:
    """What the changes of a call add to the counts."""
    counts: Counter[Count] = Counter({("listed",): 1, ("change" if work.changes else "same",): 1})
    going = {removal.tag: removal.rule for removal in work.evaluation.remove}
    for tag in work.add:
        counts.update([("add",), ("tags", tag, "gain"), ("rules", work.evaluation.given_by[tag], "add")])
    for tag in work.remove:
        counts.update([("remove",), ("tags", tag, "lose"), ("rules", going[tag], "remove")])
    return counts


def _has_speech(work: Work) -> bool:
    return any(name in work.folded.facts for name in ("transcript", "transcript_caller", "transcript_agent"))
