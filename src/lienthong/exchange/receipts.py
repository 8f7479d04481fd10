"""Delivery is proven too: the consumer's ledger acknowledges each answer it received.

The acknowledgement lies in the consumer's tree (``acknowledged_leaf``). From time to time the
consumer's node sends, for each group, the group's leaf hashes and which of them acknowledge
which answers; hashes of other parties' leaves say nothing of them (they are salted).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from lienthong.directory.view import DirectoryView
from lienthong.errors import MessageMalformed, ProofInvalid
from lienthong.ledger.committer import Committed
from lienthong.ledger.heads import Head
from lienthong.ledger.merkle import HASH_BYTES
from lienthong.ledger.messages import acknowledged_leaf
from lienthong.ledger.proofs import ProofChecker
from lienthong.ledger.receipt_store import GroupReceipt
from lienthong.ledger.records import CommittedGroup, split_hashes

MOST_OWED = 100_000  # a peer that is away for long costs memory only up to here
MOST_GROUPS_A_PARCEL = 100  # of the largest groups they make 10 MB
LARGEST_PARCEL = 16 * 1024 * 1024


# Each group costs a signature check on the event loop.
Parcel = Annotated[tuple[GroupReceipt, ...], msgspec.Meta(max_length=MOST_GROUPS_A_PARCEL)]
decode_parcel = msgspec.json.Decoder(Parcel).decode


class ReceiptsOwed:
    """What is to be acknowledged to each provider's node. Event loop only."""

    def __init__(self) -> None:
        self._owed: dict[str, dict[CommittedGroup, list[tuple[int, bytes]]]] = {}
        self._returned: dict[str, list[GroupReceipt]] = {}
        self._count = 0
        self.newest_place = -1

    def owe(self, node: str, committed: Committed, answer_leaf: bytes) -> None:
        self.newest_place = max(self.newest_place, committed.place)
        if self._count < MOST_OWED:
            self._count += 1
            groups = self._owed.setdefault(node, {})
            groups.setdefault(committed.group, []).append((committed.index, answer_leaf))

    recall = owe  # the same, for what was read back from the ledger

    def nodes(self) -> list[str]:
        waiting = [node for node, groups in self._owed.items() if groups]
        return list(dict.fromkeys([*waiting, *self._returned]))

    def take(self, node: str) -> list[GroupReceipt]:
        """Take what is owed to ``node``, at most one parcel."""
        groups = self._owed.get(node, {})
        taken = list(groups.items())[:MOST_GROUPS_A_PARCEL]
        for group, answers in taken:
            del groups[group]
            self._count -= len(answers)
        receipts = [
            GroupReceipt(
                head=group.head,
                tree=b"".join(group.tree_path),
                leaves=b"".join(group.levels[0]),
                answers=tuple(answers),
            )
            for group, answers in taken
        ]
        return receipts + self._take_returned(node, MOST_GROUPS_A_PARCEL - len(receipts))

    def give_back(self, node: str, parcel: list[GroupReceipt]) -> None:
        """A parcel could not be delivered: it goes with a later one."""
        for receipt in parcel:
            if self._count < MOST_OWED:
                self._count += len(receipt.answers)
                self._returned.setdefault(node, []).append(receipt)

    def _take_returned(self, node: str, most: int) -> list[GroupReceipt]:
        waiting = self._returned.pop(node, [])
        if waiting[most:]:
            self._returned[node] = waiting[most:]
        self._count -= sum(len(receipt.answers) for receipt in waiting[:most])
        return waiting[:most]


class ReceiptsInLedger(ReceiptsOwed):
    """What all gateways of a node owe: the one that leads reads it from their ledger."""

    def owe(self, node: str, committed: Committed, answer_leaf: bytes) -> None:
        return None


def check_receipt(
    receipt: GroupReceipt, sender: str, checker: ProofChecker, view: DirectoryView
) -> Head:
    """Verify one group's receipt of the node ``sender``; return the head that proves it.

    Raises MessageMalformed, ProofInvalid, HeadMalformed, SignatureInvalid, or the directory's.
    """
    leaves = split_hashes(receipt.leaves)
    if len(leaves[-1]) != HASH_BYTES:
        raise MessageMalformed(reason="receipt")
    for index, answer_leaf in receipt.answers:
        if not 0 <= index < len(leaves) or leaves[index] != acknowledged_leaf(answer_leaf):
            raise ProofInvalid(reason="a receipt for another answer")
    # All its leaves lie under the head when one of them does.
    return checker.check(receipt.proof(0), acknowledged_leaf(receipt.answers[0][1]), sender, view)
