"""One run over one source.

    run = Harvester(catalogue, search, settings).run(source)

1. Walk: all of it, or what has changed since the last run, where a count shows that nothing went.
2. Each page is taken up in one transaction, so that what came before a failure stays.
3. What a whole walk did not meet is withdrawn, with history; but not when it is more than a fifth
   of the source: then it is held until somebody says so (``accept_gone``). A source that is
   broken, cut off or empty takes nothing away.
4. Duplicates are judged anew: what they repeated may have gone, or our own may have come.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

from lienthong.catalogue.harvest.describing import entry_of_record
from lienthong.catalogue.harvest.duplicates import Duplicates
from lienthong.catalogue.harvest.fetching import PAUSE_SECONDS, Fetcher, Network, SourceFailed
from lienthong.catalogue.harvest.lease import Lease
from lienthong.catalogue.harvest.marks import Marks, marks_of
from lienthong.catalogue.harvest.models import (
    BadRecord,
    Kind,
    Outcome,
    Record,
    Run,
    Source,
    State,
    Unusable,
)
from lienthong.catalogue.harvest.rdf_process import RdfProcess
from lienthong.catalogue.harvest.schedule import settle
from lienthong.catalogue.harvest.store import HarvestStore, Known
from lienthong.catalogue.harvest.walking import CkanWalk, DcatWalk, Page, Walk
from lienthong.catalogue.models import CatalogueEntry
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.errors import InvalidSetting
from lienthong.settings import Settings

WHOLE_EVERY_SECONDS = 7 * 86_400  # CKAN: all is walked at least so often
OVERLAP_SECONDS = 3_600  # CKAN's index may be behind its own clock
MOST_GONE = 0.2  # the share of a source that may go at once
NOTED = datetime(2000, 1, 1, tzinfo=UTC)  # in place of times that differ from run to run

Progress = Callable[[int, int | None], None]


class Harvester:
    """Runs sources of one catalogue. ``pause_seconds``: before a source is asked again."""

    def __init__(
        self,
        catalogue: CatalogueStore,
        search: CatalogueSearch,
        settings: Settings,
        pause_seconds: float = PAUSE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = HarvestStore(catalogue)
        self._catalogue = catalogue
        self._duplicates = Duplicates(catalogue, search, self.store)
        self.settings = settings
        self.lease = Lease(catalogue)
        self._pause = pause_seconds
        self._clock = clock

    def run(
        self,
        source: Source,
        *,
        whole: bool = False,
        accept_gone: bool = False,
        progress: Progress = lambda seen, total: None,
    ) -> Run:
        """Run once; failures of the source are in the account. Raises CatalogueStoreFailed."""
        run = Run(source=source.name, started=datetime.now(UTC))
        number = self.store.begin(run)
        one = _One(self, source, run, number, progress)
        try:
            one.walk(whole, accept_gone)
        except SourceFailed as error:
            run.outcome, run.reason = Outcome.BROKEN, str(error)
        one.settle_duplicates()
        run.ended = datetime.now(UTC)
        settle(source, run, self.settings, self._clock())
        known = self.store.get(source.name)  # its interval may have been changed meanwhile
        self.store.put(msgspec.structs.replace(source, every_seconds=known.every_seconds))
        self.store.end(number, run)
        return run

    def remove(self, source: Source) -> int:
        """Forget a source and withdraw its entries; returns how many."""
        shown = [known.key for known in self.store.shown(source.name)]
        run = Run(source=source.name, started=datetime.now(UTC), outcome=Outcome.WHOLE)
        run.ended, run.gone, run.reason = run.started, len(shown), "the source was removed"
        number = self.store.begin(run)
        note = self.store.writing(source.name, number, [], (), [(key, "gone", "") for key in shown])
        forget = self.store.forget(source.name)
        return self._catalogue.withdraw(
            shown, run.started, also=lambda connection: (note(connection), forget(connection))[1]
        )

    def fetcher(self) -> Fetcher:
        until = time.monotonic() + self.settings.harvest_limit_seconds
        return Fetcher(networks_of(self.settings.harvest_networks), until, self._pause)


class _One:
    """What one run does."""

    def __init__(
        self, harvester: Harvester, source: Source, run: Run, number: int, progress: Progress
    ) -> None:
        self._store = harvester.store
        self._catalogue = harvester._catalogue
        self._duplicates = harvester._duplicates
        self._fetcher = harvester.fetcher()
        self._most = harvester.settings.harvest_limit_records
        self._source = source
        self._state = source.state
        self._run = run
        self._number = number
        self._progress = progress

    # --- walking ----------------------------------------------------------------------

    def walk(self, whole: bool, accept_gone: bool) -> None:
        if self._source.kind is Kind.DCAT:
            with ExitStack() as stack:
                reader = stack.enter_context(RdfProcess())
                pages = {} if whole else self._state.pages
                walk = DcatWalk(self._fetcher, reader, self._source, self._most, pages)
                self._take(walk)
                self._state.pages = walk.pages_now
                self._end_whole(walk, accept_gone)
            return
        since = "" if whole else self._since()
        if since:
            changes = CkanWalk(self._fetcher, self._source, self._most, since)
            self._take(changes)
            if changes.count() == self._store.count_alive(self._source.name):
                self._run.outcome = Outcome.CHANGES
                self._state.newest = changes.newest
                return
        everything = CkanWalk(self._fetcher, self._source, self._most)
        self._take(everything)
        self._state.newest = max(self._state.newest, everything.newest)
        self._end_whole(everything, accept_gone)

    def _since(self) -> str:
        """From when on changes are asked for; nothing: all is to be walked."""
        if time.time() - self._state.whole > WHOLE_EVERY_SECONDS:
            return ""
        try:
            newest = datetime.fromisoformat(self._state.newest).replace(tzinfo=UTC)
        except ValueError:
            return ""
        earlier = min(newest.timestamp(), time.time()) - OVERLAP_SECONDS
        return datetime.fromtimestamp(earlier, UTC).replace(tzinfo=None).isoformat()

    def _take(self, walk: Walk) -> None:
        seen = 0
        for page in walk:
            self._take_page(page)
            seen += len(page.records) + len(page.same)
            self._progress(seen, page.total)

    def _end_whole(self, walk: Walk, accept_gone: bool) -> None:
        if not walk.whole:
            raise SourceFailed("it changed while it was read, or did not give all that it counts")
        gone = self._store.unseen(self._source.name, self._number)
        alive = self._store.count_alive(self._source.name)
        too_many = len(gone) > max(1, alive * MOST_GONE) or len(gone) == alive
        if gone and too_many and not accept_gone:
            self._run.outcome = Outcome.HELD
            self._run.reason = f"{len(gone)} of {alive} records would go"
            self._state.pages = {}  # the next run reads all anew
            return
        self._withdraw(gone)
        self._run.outcome = Outcome.WHOLE
        self._state.whole = time.time()

    # --- one page ---------------------------------------------------------------------

    def _take_page(self, page: Page) -> None:
        ids = [each.id for each in page.records if each.id]
        known = self._store.records(self._source.name, ids)
        batch = _Batch()
        batch.seen += page.same
        for each in page.records:
            self._take_record(each, known.get(each.id), batch)
        self._run.seen += len(page.records) + len(page.same)
        self._run.unchanged += len(page.same)
        self._write(batch)

    def _take_record(self, record: Record | BadRecord, before: Known | None, batch: _Batch) -> None:
        try:
            if isinstance(record, BadRecord):
                raise Unusable(record.reason)
            now = datetime.now(UTC)
            self._take_entry(record.id, entry_of_record(record, self._source, now), before, batch)
        except Unusable as error:
            self._run.fail(record.id, str(error))
            if before is not None:
                batch.seen.append(record.id)  # what is shown of it stays
            elif record.id:
                key = f"?{self._source.name}/{record.id}"
                none = Marks(None, None, None)
                batch.known.append(Known(record.id, key, State.FAILED, self._number, "", none))

    def _take_entry(
        self, id_: str, entry: CatalogueEntry, before: Known | None, batch: _Batch
    ) -> None:
        digest = _digest(entry)
        if before and before.digest == digest and before.state is not State.GONE:
            self._run.unchanged += 1
            batch.seen.append(id_)
            return
        marks = marks_of(entry)
        other = self._duplicates.of(entry, marks, self._source.name, id_) or batch.same(marks, id_)
        state = State.DUPLICATE if other else State.SHOWN
        known = Known(id_, entry.key, state, self._number, digest, marks, other)
        was_shown = before is not None and before.state is State.SHOWN
        if other:
            self._run.duplicates += 1
            batch.hide(known._replace(document=entry), was_shown)
        else:
            if before is None or before.state in (State.GONE, State.FAILED):
                self._run.new += 1
            else:
                self._run.changed += 1
            back = before is not None and before.state is State.GONE
            act = "changed" if was_shown else "returned" if back else "added"
            batch.show(known, entry, act)

    def _write(self, batch: _Batch) -> None:
        name, number = self._source.name, self._number
        if batch.hidden:
            keys = [known.key for known in batch.hidden]
            events = [(known.key, "duplicate", known.duplicate_of) for known in batch.hidden]
            hide = self._store.writing(name, number, batch.hidden, (), events)
            self._catalogue.withdraw(keys, datetime.now(UTC), also=hide)
        write = self._store.writing(name, number, batch.known, batch.seen, batch.events)
        self._catalogue.save(batch.entries, also=write)

    def _withdraw(self, gone: Sequence[Known]) -> None:
        self._run.gone += len(gone)
        shown = [known for known in gone if known.state is State.SHOWN]
        left = [known._replace(state=State.GONE, document=None) for known in gone]
        events = [(known.key, "gone", "") for known in shown]
        write = self._store.writing(self._source.name, self._number, left, (), events)
        keys = [known.key for known in shown]
        self._catalogue.withdraw(keys, datetime.now(UTC), also=write)

    # --- duplicates -------------------------------------------------------------------

    def settle_duplicates(self) -> None:
        """Show what repeats nothing any more; hide what our own have come to repeat."""
        batch = _Batch()
        for known in self._store.duplicates(self._source.name):
            if known.document is None or self._duplicates.in_force(known.duplicate_of):
                continue
            entry = known.document
            other = self._duplicates.of(entry, known.marks, self._source.name, known.record)
            other = other or batch.same(known.marks, known.record)
            if other:
                batch.known.append(known._replace(duplicate_of=other))
            else:
                shown = known._replace(state=State.SHOWN, duplicate_of="", document=None)
                batch.show(shown, entry, "returned")
        for known, own in self._repeated_by_own():
            entry = self._catalogue.get(known.key)
            hidden = known._replace(state=State.DUPLICATE, duplicate_of=own, document=entry)
            batch.hide(hidden, was_shown=True)
            self._run.duplicates += 1
        if batch.known or batch.hidden:
            self._write(batch)

    def _repeated_by_own(self) -> Iterator[tuple[Known, str]]:
        since = datetime.fromtimestamp(self._state.own_checked, UTC)
        until = time.time() - 1
        after = 0
        while page := self._catalogue.changed_since(since, after, 500):
            for stored in page:
                if stored.entry.is_own and stored.withdrawn is None:
                    yield from self._with_marks_of(stored.entry)
            since, after = page[-1].withdrawn or page[-1].entry.modified, page[-1].number
        self._state.own_checked = until

    def _with_marks_of(self, own: CatalogueEntry) -> Iterator[tuple[Known, str]]:
        for source, record, _ in self._store.same(marks_of(own)):
            if source == self._source.name:
                yield self._store.records(source, [record])[record], own.key


class _Batch:
    """What one page, or the settling of duplicates, comes to."""

    def __init__(self) -> None:
        self.entries: list[CatalogueEntry] = []
        self.known: list[Known] = []
        self.seen: list[str] = []
        self.hidden: list[Known] = []
        self.events: list[tuple[str, str, str]] = []
        self._marks: dict[str, tuple[str, str]] = {}

    def show(self, known: Known, entry: CatalogueEntry, act: str) -> None:
        self.entries.append(entry)
        self.known.append(known)
        self.events.append((entry.key, act, entry.title))
        self._marks |= {mark: (known.record, known.key) for mark in known.marks if mark}

    def hide(self, known: Known, was_shown: bool) -> None:
        if was_shown:
            self.hidden.append(known)
            return
        self.known.append(known)
        self.events.append((known.key, "duplicate", known.duplicate_of))

    def same(self, marks: Sequence[str | None], record: str) -> str:
        """The key of another record of this batch with one of the marks."""
        for mark in marks:
            other = self._marks.get(mark or "")
            if other and other[0] != record:
                return other[1]
        return ""


def networks_of(text: str) -> list[Network]:
    """Read ``harvest_networks``. Raises InvalidSetting."""
    try:
        return [ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip()]
    except ValueError as error:
        raise InvalidSetting(name="harvest_networks", reason=text[:100]) from error


def _digest(entry: CatalogueEntry) -> str:
    """The same for the same content, whenever it was taken up."""
    still = msgspec.structs.replace(entry, published=NOTED, modified=NOTED)
    return sha256(msgspec.json.encode(still)).hexdigest()
