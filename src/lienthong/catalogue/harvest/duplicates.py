"""Whether a dataset is in the catalogue already, and under which key.

Our own entry wins, as its owner signed it; among harvested ones the one that was there first, so
that no source can push another's dataset out by repeating it.
"""

from __future__ import annotations

from lienthong.catalogue.harvest.marks import Marks, content_mark
from lienthong.catalogue.harvest.store import HarvestStore
from lienthong.catalogue.models import OWN, CatalogueEntry
from lienthong.catalogue.query import Listing
from lienthong.catalogue.search import CatalogueSearch
from lienthong.catalogue.store import CatalogueStore
from lienthong.catalogue.words import fold

_WORDS = 12  # of a title, to find candidates by
_CANDIDATES = 20
_SHORTEST_ID = 8  # characters of a contract's id that tells something by itself


class Duplicates:
    """Looks for them in one catalogue."""

    def __init__(
        self, catalogue: CatalogueStore, search: CatalogueSearch, store: HarvestStore
    ) -> None:
        self._catalogue = catalogue
        self._search = search
        self._store = store

    def of(self, entry: CatalogueEntry, marks: Marks, source: str, record: str) -> str:
        """Return the key of the entry that this one repeats, or nothing."""
        return self._own(entry, marks) or self._harvested(marks, source, record)

    def in_force(self, key: str) -> bool:
        """Whether an entry is still shown."""
        stored = self._catalogue.stored(key)
        return stored is not None and stored.withdrawn is None

    def _own(self, entry: CatalogueEntry, marks: Marks) -> str:
        stored = self._catalogue.stored(entry.contract_id)
        if stored and stored.entry.is_own and stored.withdrawn is None:
            return stored.entry.key
        if len(entry.contract_id) >= _SHORTEST_ID:
            for each in self._candidates(entry.contract_id):
                if each.contract_id == entry.contract_id:
                    return each.key
        if marks.content is not None:
            for each in self._candidates(entry.title):
                if content_mark(each) == marks.content:
                    return each.key
        return ""

    def _candidates(self, text: str) -> tuple[CatalogueEntry, ...]:
        words = fold(text)[:_WORDS]
        if not words:
            return ()
        listing = Listing(
            text=" ".join(words) + " ",
            filters={"source": (OWN,)},
            limit=_CANDIDATES,
            facet_values=0,
            as_typed=False,
        )
        return self._search.find(listing).entries

    def _harvested(self, marks: Marks, source: str, record: str) -> str:
        for other, its_record, key in self._store.same(marks):
            if (other, its_record) != (source, record):
                return key
        return ""
