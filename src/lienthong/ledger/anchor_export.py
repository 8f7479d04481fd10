"""Which anchors go into an evidence bundle: the earliest that cover a record, and that hold.

anchors = AnchorExporter(store, anchor_store, lambda: view).of("answer", place)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from lienthong.directory.records import TimeAuthority
from lienthong.directory.view import DirectoryView
from lienthong.errors import LienthongError
from lienthong.ledger.anchors import AnchorStore
from lienthong.ledger.cosignatures import verify_cosignature
from lienthong.ledger.evidence_time import Anchor, Of
from lienthong.ledger.heads import parse_head
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.records import POSITIONS_PER_EPOCH
from lienthong.ledger.store import LedgerStore
from lienthong.ledger.timestamps import verify_stamp


class AnchorExporter:
    """Makes the anchors of one record out of what is kept of the node's own heads."""

    def __init__(
        self,
        store: LedgerStore,
        anchors: AnchorStore,
        view: Callable[[], DirectoryView],
        authorities: Iterable[TimeAuthority] = (),
    ) -> None:
        self._store = store
        self._anchors = anchors
        self._view = view
        self._authorities = tuple(authorities)

    def of(self, of: Of, place: int) -> tuple[Anchor, ...]:
        """The earliest stamp that covers the group at ``place``, and each witness's earliest line.

        What the directory would not let count (any more) is left out: it would make the whole
        bundle invalid.
        """
        found: dict[int, Anchor] = {}
        for at, note, response in self._stamp(place):
            found[at] = Anchor(of, note, self._growth(place, at), stamps=(response,))
        for at, note, line in self._lines(place):
            known = found.get(at) or Anchor(of, note, self._growth(place, at))
            found[at] = msgspec.structs.replace(known, cosignatures=(*known.cosignatures, line))
        return tuple(anchor for _, anchor in sorted(found.items()))

    def _stamp(self, place: int) -> Iterator[tuple[int, str, bytes]]:
        trusted = (*self._view().time_authorities, *self._authorities)
        for kept in self._anchors.stamps_covering(place):
            try:
                verify_stamp(kept.stamp.response, kept.note, trusted)
            except LienthongError:
                continue
            yield kept.place, kept.note, kept.stamp.response
            return

    def _lines(self, place: int) -> Iterator[tuple[int, str, str]]:
        witnesses: set[str] = set()
        for kept in self._anchors.cosignatures_covering(place):
            if kept.witness in witnesses:
                continue
            try:
                verify_cosignature(kept.line, parse_head(kept.note), self._view())
            except LienthongError:
                continue
            witnesses.add(kept.witness)
            yield kept.place, kept.note, kept.line

    def _growth(self, first: int, second: int) -> bytes:
        epoch = first // POSITIONS_PER_EPOCH
        sizes = (first % POSITIONS_PER_EPOCH + 1, second % POSITIONS_PER_EPOCH + 1)
        path = consistency_path(
            lambda level, index: self._store.subtree(epoch, level, index), *sizes
        )
        return b"".join(path)
