"""Writing the difference to the platform: tag ids, call ids, intents, then PUT and DELETE side by side."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from platforms.adapter import Changed, Client, Lookup, Record
from platforms.errors import NotFound, OutOfTime, PlatformError
from rules.facts import facts_to_json
from store import calls as store_calls
from store import fleet, linking, similar_calls
from store.calls import Intent, Outcome, TagState
from worker import outcomes
from worker.context import Worker
from worker.identity import BUSY_WAIT, Ambiguous, platform_id, reference_of, stored
from worker.lookup import Miss, Wanted, search, span
from worker.outcomes import Written
from worker.plan import Work
from worker.settings import Account
from worker.tagids import TagIds


def write(
    worker: Worker,
    account: Account,
    client: Client,
    works: Sequence[Work],
    tag_ids: TagIds,
    job: int | None = None,
) -> list[Outcome]:
    """Brings each call to what its plan says; an outcome for every one, whatever happens.

    `job` is the re-tagging job for which it is done.
    """
    batch = Batch(worker, account, client, tag_ids, works)
    try:
        batch.take_tag_ids()
    except PlatformError as fault:
        return [outcomes.failed(work, fault) for work in works]
    _intend(worker, works, job)
    batch.write_all()
    return [outcomes.written(_begun(work, batch.ids), batch.written[work.call.id]) for work in works]


def _begun(work: Work, ids: Collection[str]) -> Work:
    """A tag of ours that had gone with its definition, and was to be put anew, is an intent since then."""
    gone = tuple(tag for tag in work.known.gone if tag not in work.add or tag not in ids)
    return replace(work, known=replace(work.known, gone=gone))


def _intend(worker: Worker, works: Sequence[Work], job: int | None) -> None:
    intents = [
        Intent(work.call.id, tag, state, _rule(work, tag), work.ruleset, job=job)
        for work in works
        for state, tags in ((TagState.INTENDED, work.add), (TagState.REMOVING, work.remove))
        for tag in tags
    ]
    with worker.database.write() as connection:
        store_calls.intend(connection, intents, time.time())


def _rule(work: Work, tag: str) -> str:
    removing = {removal.tag: removal.rule for removal in work.evaluation.remove}
    return work.evaluation.given_by.get(tag) or removing[tag]


@dataclass
class Batch:
    """The calls of one account that one worker writes together."""

    worker: Worker
    account: Account
    client: Client
    tag_ids: TagIds
    works: Sequence[Work]
    ids: dict[str, str] = field(default_factory=dict)
    faults: dict[str, PlatformError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.written = {work.call.id: Written() for work in self.works}

    def take_tag_ids(self) -> None:
        names = {name for work in self.works for name in (*work.add, *work.remove)}
        self.ids, self.faults = self.tag_ids.of(names)

    def write_all(self) -> None:
        """Writes the calls whose id is known by it, the others by their reference or what a search finds."""
        kind = self.account.platform.id_kind
        named = {work.call.id: found for work in self.works if (found := platform_id(work, kind))}
        # where only unfinished writes are to be undone, they were begun by the reference or not at all
        named = {work.call.id: reference_of(work) for work in self.works if not work.add} | named
        unnamed = [work for work in self.works if work.call.id not in named]
        lookup = self._lookup()
        if unnamed and lookup is None:
            lookup, unnamed = self._probe(unnamed)
        if lookup == "direct":
            named |= {work.call.id: reference_of(work) for work in unnamed}
            unnamed = []
        self._write([work for work in self.works if work.call.id in named], named)
        lost = self._again_with_new_tag_ids(self._not_found(self.works), named)
        failed_directly = [work for work in lost if platform_id(work, kind) is None]
        if self._set_lookup != "direct":
            self._search_and_write([*unnamed, *failed_directly], failed_directly)

    @property
    def _set_lookup(self) -> Lookup:
        return self.account.platform.lookup(self.account.settings)

    def _lookup(self) -> str | None:
        """How references lead to ids; None while that is to be found out."""
        if self._set_lookup != "auto":
            return self._set_lookup
        with self.worker.database.read() as connection:
            return fleet.found_lookup(connection, self.account.name)

    def _remember(self, lookup: str) -> None:
        if self._set_lookup == "auto":
            with self.worker.database.write() as connection:
                fleet.remember_lookup(connection, self.account.name, lookup)

    def _probe(self, works: Sequence[Work]) -> tuple[str, list[Work]]:
        """Tries one reference as an id; gives the way for the others, and who they are."""
        first, *rest = works
        self._write([first], {first.call.id: reference_of(first)})
        written = self.written[first.call.id]
        fault = written.fault
        if written.ours or written.seen:
            self._remember("direct")
            return "direct", rest
        if isinstance(fault, NotFound):
            return "search", rest
        if fault is not None and not fault.permanent:  # nothing was found out: the others wait as well
            for work in rest:
                self.written[work.call.id].fault = fault
            return "search", []
        return "direct", rest

    def _write(self, works: Sequence[Work], named: dict[int, str]) -> None:
        """Writes the calls side by side, each one's tags in turn."""
        list(self.worker.pool.map(lambda work: self._write_call(work, named[work.call.id]), works))

    def _write_call(self, work: Work, call_id: str) -> None:
        written = self.written[work.call.id]
        written.fault = next(
            (self.faults[tag] for tag in (*work.add, *work.remove) if tag in self.faults), None
        )
        add = self._ids_of(tag for tag in work.add if tag not in (*written.ours, *written.seen))
        remove = self._ids_of(tag for tag in work.remove if tag not in written.removed)
        given = self._same(work.evaluation.tags)
        renamed = [tag for tag in remove if remove[tag] in given]  # it stays on the call under its new name
        changed = Changed(removed=renamed)
        try:
            going = {tag: tag_id for tag, tag_id in remove.items() if tag not in renamed}
            if add or going:
                self.client.change_tags(call_id, add, going, changed)
        except PlatformError as fault:
            written.fault = fault
        self._note(work, changed)
        if written.ours or written.seen:  # an answer to a removal proves nothing
            written.id = call_id

    def _ids_of(self, tags: Iterable[str]) -> dict[str, str]:
        return {tag: self.ids[tag] for tag in tags if tag in self.ids}

    def _note(self, work: Work, changed: Changed) -> None:
        """What we added is ours; so is what was there already on an unfinished intent, or where it is ours
        by a name that it had before; anything else that was there is somebody else's."""
        written = self.written[work.call.id]
        before = self._same(work.known.names(TagState.OURS)) if changed.already else set()
        written.added += changed.added
        written.ours += changed.added
        written.removed += changed.removed
        for tag in changed.already:
            mine = tag in work.unfinished or self.ids[tag] in before
            (written.ours if mine else written.seen).append(tag)

    def _same(self, names: Collection[str]) -> set[str | None]:
        """The ids of these tags: two names lead to one where it was renamed."""
        return {self.tag_ids.id_of(name) for name in names}

    def _not_found(self, works: Sequence[Work]) -> list[Work]:
        return [work for work in works if isinstance(self.written[work.call.id].fault, NotFound)]

    def _again_with_new_tag_ids(self, lost: list[Work], named: dict[int, str]) -> list[Work]:
        """A 404 may mean that the tag is gone: reads the list once more, and writes again if an id is new."""
        if not lost or self.tag_ids.fresh or self.tag_ids.by_name:
            return lost
        before = dict(self.ids)
        try:
            self.tag_ids.read_again()
            self.take_tag_ids()
        except PlatformError:  # then the 404 stands, and the calls are tried again later
            return lost
        if self.ids != before:
            self._write(
                lost, named | {work.call.id: reference_of(work) for work in lost if work.call.id not in named}
            )
        return self._not_found(lost)

    def _search_and_write(self, works: Sequence[Work], failed_directly: Collection[Work]) -> None:
        """Finds the calls in the platform's list, and writes those found."""
        if not works:
            return
        wanted = self._wanted(works)
        try:
            found = search(self.client, wanted, self._taken)
        except PlatformError as fault:
            for work in works:
                self.written[work.call.id].fault = fault
            return
        named = self._take({call: one for call, one in found.items() if isinstance(one, Record)})
        for work in works:
            result = found.get(work.call.id, Miss.NONE)
            if isinstance(result, Miss):
                kind = Ambiguous if result is Miss.SEVERAL else NotFound
                self.written[work.call.id].fault = kind(result.value)
            elif work.call.id in named:
                self._note_seen(work, result.event.tags or ())
            else:
                busy = "the call is being united with what the platform's id told of it"
                self.written[work.call.id].fault = OutOfTime(busy, BUSY_WAIT)
        if self._lookup() is None and any(work.call.id in named for work in failed_directly):
            self._remember("search")
        self._write([work for work in works if work.call.id in named], named)

    def _note_seen(self, work: Work, on_the_call: Collection[str]) -> None:
        """A tag that the platform's list shows on the call costs no request."""
        written = self.written[work.call.id]
        for tag in set(work.add) & set(on_the_call):
            (written.ours if tag in work.unfinished else written.seen).append(tag)

    def _wanted(self, works: Sequence[Work]) -> list[Wanted]:
        """What to look for; with it, whether another call of ours would fit the same.

        The facts are committed before rivals are read: of two workers, one at least sees the other's call.
        """
        with self.worker.database.write() as connection:
            facts = {work.call.id: facts_to_json(work.folded.facts) for work in works}
            store_calls.note_facts(connection, facts)
        rivals = self._rivals(works)
        wanted = []
        for work in works:
            end = work.folded.end
            when = span(work.folded.facts, end.time if end else None)
            if when is None:
                continue
            names = frozenset((kind, reference) for _account, kind, reference in work.refs)
            mine = Wanted(work.call.id, names, work.folded.facts, *when)
            wanted.append(replace(mine, rivals=any(mine.is_rivalled_by(other) for other in rivals)))
        return wanted

    def _rivals(self, works: Sequence[Work]) -> list[Wanted]:
        facts = [work.folded.facts for work in works]
        pairs = {(str(f["caller"]), str(f["receiver"])) for f in facts if "caller" in f and "receiver" in f}
        own = {work.call.id for work in works}
        with self.worker.database.read() as connection:
            rows = similar_calls.similar(connection, self.account.name, pairs, self.account.platform.id_kind)
        return [rival for row in rows if row.id not in own and (rival := stored(row, [])) is not None]

    def _taken(self, ids: Collection[str]) -> set[str]:
        with self.worker.database.read() as connection:
            return similar_calls.taken(connection, self.account.name, self.account.platform.id_kind, ids)

    def _take(self, found: Mapping[int, Record]) -> dict[int, str]:
        """Notes the ids of the calls that were found; gives those that are to be written by them now.

        A row known by that id alone becomes one with the call, which is then evaluated anew. A record that
        another call took meanwhile is left to it.
        """
        if not found:
            return {}
        account, kind, now = self.account.name, self.account.platform.id_kind, time.time()
        mine: dict[int, str] = {}
        with self.worker.database.write() as connection:
            linking.serialise(connection)
            led = linking.find(connection, [(account, kind, record.id) for record in found.values()])
            owned = similar_calls.taken(connection, account, kind, [record.id for record in found.values()])
            for call, record in found.items():
                ref = (account, kind, record.id)
                if led.get(ref, call) == call:
                    linking.add_ref(connection, ref, call)
                    mine[call] = record.id
                elif record.id not in owned:
                    linking.merge(connection, call, led[ref], now, self.worker.name)
        return mine
