"""Checking what another node proves: a leaf in a group, the group in its tree, the head signed.

    checker = ProofChecker()
    head = checker.check(proof, leaf, sender, directory_view)

One head covers many messages: its signature and its group's place are checked once and kept.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import Protocol

import msgspec

from lienthong.errors import ProofInvalid
from lienthong.identity.keys import PublicKey
from lienthong.ledger.heads import Head, parse_head, verify_head
from lienthong.ledger.merkle import leaf_hash, root_from_path, verify_inclusion
from lienthong.ledger.records import Proof, split_hashes

KEPT_HEADS = 4096  # about 10 MB; a flood of new heads pushes out old ones, nothing more
LARGEST_PROOF = 32_768  # bytes of JSON; a real one has under 3,000

decode_proof = msgspec.json.Decoder(Proof).decode


class KeyBook(Protocol):
    """What is asked of a directory view here."""

    def signing_key(self, node_id: str, key_id: str, at: datetime) -> PublicKey: ...


class _Checked:
    __slots__ = ("group_root", "head", "key")

    def __init__(self, head: Head, key: PublicKey) -> None:
        self.head = head
        self.key = key
        self.group_root: bytes | None = None


class ProofChecker:
    """Verifies proofs of messages; remembers heads that were found good."""

    def __init__(self) -> None:
        self._checked: OrderedDict[str, _Checked] = OrderedDict()

    def check(self, proof: Proof, leaf: bytes, sender: str, directory: KeyBook) -> Head:
        """Check that ``sender`` signed ``leaf``; return the head that proves it.

        Raises ProofInvalid, HeadMalformed, SignatureInvalid, or the directory's own errors
        (unknown, revoked or outdated key).
        """
        checked = self._checked_head(proof.head, sender, directory)
        group_root = root_from_path(leaf, proof.index, proof.size, split_hashes(proof.path))
        if group_root is None:
            raise ProofInvalid(reason="path in the group")
        if group_root != checked.group_root:
            self._check_group(checked, group_root, proof)
        return checked.head

    def _checked_head(self, note: str, sender: str, directory: KeyBook) -> _Checked:
        known = self._checked.get(note)
        if known is None:
            head = parse_head(note)
            if head.node != sender:
                raise ProofInvalid(reason="the head is of another node")
            key = directory.signing_key(sender, head.key_id, head.time)
            verify_head(note, head, key)
            known = self._checked[note] = _Checked(head, key)
            if len(self._checked) > KEPT_HEADS:
                self._checked.popitem(last=False)
        elif known.head.node != sender:
            raise ProofInvalid(reason="the head is of another node")
        else:  # the key may have been revoked since the head was first seen
            directory.signing_key(sender, known.head.key_id, known.head.time)
        return known

    @staticmethod
    def _check_group(checked: _Checked, group_root: bytes, proof: Proof) -> None:
        head = checked.head
        path = split_hashes(proof.tree)
        if not verify_inclusion(leaf_hash(group_root), head.size - 1, head.size, path, head.root):
            raise ProofInvalid(reason="path in the tree")
        checked.group_root = group_root
