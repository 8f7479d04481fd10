"""Harvesting by itself, within the process of a portal or a catalogue: no cron.

    with HarvestScheduler(store, search, settings):
        serve()

One source at a time, the one that has waited longest; the lease keeps other processes out. What
goes wrong is in the source's runs and in the log; the process goes on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from lienthong.catalogue.harvest.fetching import PAUSE_SECONDS, SourceFailed
from lienthong.catalogue.harvest.lease import Lease
from lienthong.catalogue.harvest.models import Outcome, Run, Source
from lienthong.catalogue.harvest.running import Harvester
from lienthong.catalogue.harvest.schedule import STOPPING, most_due, settle
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.errors import HarvestBusy, HarvestSourceUnknown, LienthongError
from lienthong.events import log_event
from lienthong.settings import Settings

LOOKING_EVERY_SECONDS = 15.0
STOPPING_SECONDS = 5.0

_LOG = logging.getLogger("lienthong.catalogue.harvest")


class HarvestScheduler:
    """A thread that harvests what is due. ``looking_every_seconds``: how often it looks."""

    def __init__(
        self,
        catalogue: CatalogueStore,
        search: CatalogueSearch,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        looking_every_seconds: float = LOOKING_EVERY_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._harvester = Harvester(catalogue, search, settings, pause_seconds, clock)
        self._settings = settings
        self._lease = Lease(catalogue, clock)
        self._clock = clock
        self._every = looking_every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="harvest", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A run that is under way ends after its page; its source is due again at once."""
        self._stopping.set()
        self._thread.join(STOPPING_SECONDS)

    def harvest_one(self) -> Run | None:
        """Harvest the source that is most overdue; None where there is none, or somebody else
        harvests."""
        store = self._harvester.store
        if most_due(store.sources(), self._settings, self._clock()) is None:
            return None
        try:
            with self._lease.held("") as lease:
                # Looked at again: another process may just have harvested it.
                source = most_due(store.sources(), self._settings, self._clock())
                if source is None:
                    return None
                lease.tell(source.name)
                return self._run(source, lease)
        except (HarvestBusy, HarvestSourceUnknown):
            return None

    def _run(self, source: Source, lease: Lease) -> Run:
        try:
            return self._harvester.run(source, progress=lambda *_: self._may_go_on(lease))
        except Exception:  # a defect or a database that is away: the other sources have their turn
            _LOG.exception("harvest.defect")
            run = Run(source=source.name, started=datetime.now(UTC), outcome=Outcome.BROKEN)
            settle(source, run, self._settings, self._clock())
            self._harvester.store.put(source)
            return run

    def _may_go_on(self, lease: Lease) -> None:
        lease.check()
        if self._stopping.is_set():
            raise SourceFailed(STOPPING)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                run = self.harvest_one()
            except LienthongError as error:
                run = None
                log_event(_LOG, logging.WARNING, "harvest.failed", reason=error.code)
            if run is not None:
                log_event(_LOG, logging.INFO, "harvest.ended", source=run.source,
                          outcome=run.outcome.value, new=run.new, changed=run.changed,
                          gone=run.gone, failed=run.failed)  # fmt: skip
            else:
                self._stopping.wait(self._every)
