"""The time of evidence: proven by time-stamps, by witnesses, or asserted by two nodes.

    proven = judge_anchors(anchors, heads, view, authorities, parties)
    proven.by, proven.at            # "time-stamp", "witnesses" or "" and None

An anchor is a later head of the same tree, how it grew out of the head that proves the record,
and what stands under it. Steps, with the numbers of docs/protocols/0006-time-and-witnesses.md §5:
(1) it belongs to a proof of the bundle, is of the same tree and signed by its node; (2) the tree
only grew between the two; (3) each stamp is one of an authority that counts, and not older than
the head; (4) each cosignature is of a node of another agency; (5) what proves the answer proves
the whole exchange, since the answer holds the request's leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec

from lienthong.directory.records import TimeAuthority
from lienthong.directory.view import DirectoryView
from lienthong.errors import (
    CosignatureInvalid,
    DirectoryError,
    EvidenceRejected,
    GrowthUnproven,
    TimeStampInvalid,
)
from lienthong.ledger.cosignatures import LONGEST_LINE, Witnessed, verify_cosignature
from lienthong.ledger.heads import LONGEST_HEAD, Head, parse_head, verify_head
from lienthong.ledger.merkle import HASH_BYTES, LONGEST_PATH, verify_consistency
from lienthong.ledger.records import split_hashes
from lienthong.ledger.timestamps import LARGEST_STAMP, StampedTime, verify_stamp

MOST_ANCHORS = 16
LARGEST_CLOCK_DIFFERENCE = timedelta(minutes=10)  # between two parties' clocks

Of = Literal["request", "answer", "received", "acknowledged"]
_WHOLE_EXCHANGE = ("answer", "acknowledged")
_Response = Annotated[bytes, msgspec.Meta(max_length=LARGEST_STAMP)]


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A head of the tree in which the proof ``of`` lies, and what anchors that head in time.

    ``growth``: the consistency proof from the proof's head to this one, hashes joined.
    """

    of: Of
    head: Annotated[str, msgspec.Meta(max_length=LONGEST_HEAD)]
    growth: Annotated[bytes, msgspec.Meta(max_length=HASH_BYTES * LONGEST_PATH)] = b""
    stamps: Annotated[tuple[_Response, ...], msgspec.Meta(max_length=MOST_ANCHORS)] = ()
    cosignatures: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=LONGEST_LINE)], ...],
        msgspec.Meta(max_length=MOST_ANCHORS),
    ] = ()


@dataclass(slots=True)
class ProvenTime:
    """What the anchors of a bundle prove; ``parties`` are left out of ``witnesses``."""

    stamps: list[StampedTime] = field(default_factory=list)
    witnesses: list[Witnessed] = field(default_factory=list)
    party_witnesses: list[Witnessed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    witnesses_needed: int = 1

    @property
    def by(self) -> str:
        if self.stamps:
            return "time-stamp"
        return "witnesses" if len(self.witnesses) >= self.witnesses_needed else ""

    @property
    def at(self) -> datetime | None:
        """The exchange existed at this time at the latest; of n witnesses needed, the nth."""
        if self.stamps:
            return min(stamped.time for stamped in self.stamps)
        if not self.by:
            return None
        return sorted(each.time for each in self.witnesses)[self.witnesses_needed - 1]


def judge_anchors(
    anchors: Iterable[Anchor],
    heads: Mapping[str, Head],
    view: DirectoryView,
    authorities: Iterable[TimeAuthority] = (),
    witnesses_needed: int = 1,
) -> ProvenTime:
    """Judge all anchors of a bundle; ``heads`` are those of its proofs, by their names.

    A witness counts when its agency is neither of the two that exchanged. Raises
    EvidenceRejected, TimeStampInvalid, CosignatureInvalid, GrowthUnproven and the directory's
    errors: an anchor that does not hold makes the bundle invalid.
    """
    proven = ProvenTime(witnesses_needed=max(1, witnesses_needed))
    trusted = (*view.time_authorities, *authorities)
    parties = {view.node(head.node).owner for head in heads.values()}
    for anchor in anchors:
        head = _anchor_head(anchor, heads, view)  # (1), (2)
        stamped = [_stamped(response, anchor.head, head, trusted) for response in anchor.stamps]
        signed = [_witnessed(line, head, view) for line in anchor.cosignatures]
        if anchor.of not in _WHOLE_EXCHANGE:  # (5)
            proven.notes.append("only the request is anchored in time, not the answer")
            continue
        proven.stamps += (each for each in stamped if _signed_in_force(head, each, view, proven))
        for each in signed:
            party = view.node(each.node).owner in parties
            known = proven.party_witnesses if party else proven.witnesses
            _keep_earliest(known, each)
    if proven.party_witnesses and not proven.by:
        proven.notes.append("only parties to the exchange have witnessed it")
    return proven


def _anchor_head(anchor: Anchor, heads: Mapping[str, Head], view: DirectoryView) -> Head:
    first = heads.get(anchor.of)
    if first is None:
        raise EvidenceRejected(reason=f"an anchor of what is not there: {anchor.of}")
    head = parse_head(anchor.head)
    if head.origin != first.origin:
        raise EvidenceRejected(reason="an anchor of another ledger")
    verify_head(anchor.head, head, view.signing_key(head.node, head.key_id, head.time))
    if head.directory_version > view.version:
        raise EvidenceRejected(reason="the directory is older than the one that the heads name")
    path = split_hashes(anchor.growth)
    if not verify_consistency(first.size, head.size, path, first.root, head.root):
        raise GrowthUnproven(origin=head.origin)
    return head


def _stamped(
    response: bytes, note: str, head: Head, authorities: tuple[TimeAuthority, ...]
) -> StampedTime:
    stamped = verify_stamp(response, note, authorities)  # (3)
    check_not_before(head, stamped)
    return stamped


def check_not_before(head: Head, stamped: StampedTime) -> None:
    """A stamp given before its head was signed is a lie of one of the two."""
    if stamped.time + stamped.accuracy < head.time - LARGEST_CLOCK_DIFFERENCE:
        raise TimeStampInvalid(reason="its time is before the head's own")


def _witnessed(line: str, head: Head, view: DirectoryView) -> Witnessed:
    witnessed = verify_cosignature(line, head, view)  # (4)
    if view.node(witnessed.node).owner == view.node(head.node).owner:
        raise CosignatureInvalid(reason="a witness of its own ledger")
    if witnessed.time < head.time - LARGEST_CLOCK_DIFFERENCE:
        raise CosignatureInvalid(reason="its time is before the head's own")
    return witnessed


def _signed_in_force(
    head: Head, stamped: StampedTime, view: DirectoryView, proven: ProvenTime
) -> bool:
    """Whether the head's key still counted when it was stamped.

    Whoever has a stolen key can write any time into a head, also one from before the key was
    revoked; a stamp from after that proves nothing of it.
    """
    try:
        view.signing_key(head.node, head.key_id, stamped.time)
    except DirectoryError:
        proven.notes.append("a time-stamp from after the end of the key: it proves no time")
        return False
    return True


def _keep_earliest(known: list[Witnessed], new: Witnessed) -> None:
    """One vote a node: its earliest."""
    for place, each in enumerate(known):
        if each.node == new.node:
            known[place] = min(each, new, key=lambda one: one.time)
            return
    known.append(new)
