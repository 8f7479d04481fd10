"""The catalogue as a service: takes publications up, answers searches.

service = CatalogueService(store, lambda: mirror.view)
service.receive(envelope)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from lienthong.catalogue.describing import entry_of
from lienthong.catalogue.models import Act, Publication
from lienthong.catalogue.publishing import Checked, check_envelope, check_order
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.directory.view import DirectoryView
from lienthong.errors import DirectoryError
from lienthong.events import log_event

logger = logging.getLogger("lienthong.catalogue")


class CatalogueService:
    """One catalogue. ``directory`` returns the directory's current view. Blocking."""

    def __init__(
        self,
        store: CatalogueStore,
        directory: Callable[[], DirectoryView],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.search = CatalogueSearch(store)
        self._directory = directory
        self._clock = clock

    def receive(self, envelope: bytes) -> Publication:
        """Judge what a node sent, and take it up; the same one again changes nothing.

        Raises InvalidPublication, PublicationNotAccepted, PublicationConflict,
        PublicationOutdated, DirectoryExpired, CatalogueStoreFailed.
        """
        view, now = self._directory(), self._clock()
        view.check_fresh(now)
        checked = check_envelope(envelope, view, now)
        publication = checked.publication
        history = self.store.history(publication.key)
        if history and history[-1].publication == publication:
            return publication
        self._take_up(checked, view, now)
        log_event(
            logger,
            logging.INFO,
            "catalogue.taken_up",
            act=publication.act.value,
            entry=publication.key,
            version=publication.version,
            publisher=publication.node,
        )
        return publication

    def _take_up(self, checked: Checked, view: DirectoryView, now: datetime) -> None:
        publication, contract = checked
        check = partial(check_order, publication)
        if publication.act is Act.WITHDRAW or contract is None:
            self.store.withdraw([publication.key], now, publication=publication, check=check)
            return
        before = self.store.stored(publication.key)
        first = before.entry.published if before else None
        entry = entry_of(
            contract,
            publication,
            owner_name=view.member(publication.owner).name,
            now=now,
            first=first,
            name_of=partial(_name, view),
        )
        self.store.save(
            [entry],
            contracts={contract.digest: contract.raw},
            publication=publication,
            check=check,
        )


def _name(view: DirectoryView, member: str) -> str:
    try:
        return view.member(member).name
    except DirectoryError:  # not, or no longer, one of the directory's
        return ""
