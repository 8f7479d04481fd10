"""The units of the ledger: an entry is one record, a group is what one transaction commits."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

import msgspec

from lienthong.ledger.merkle import Frontier, build_levels, inclusion_path, path_in

LARGEST_GROUP = 1024  # entries; bounds a transaction's size and its paths' length
Subtree = Callable[[int, int, int], bytes]  # epoch, level, index → hash of a complete subtree
POSITIONS_PER_EPOCH = 1 << 40  # a place is epoch · 2^40 + position, one ordered integer


class EntryKind(IntEnum):
    """What an entry records; the name says from whose side."""

    REQUEST_SENT = 1
    REQUEST_RECEIVED = 2
    ANSWER_SENT = 3
    ANSWER_RECEIVED = 4
    EVENT = 5


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One record. ``message`` and ``proof`` are the JSON that crossed the wire.

    ``proof`` is the *other* node's proof for a message received; it is empty for our own,
    whose proof is the group in which the entry lies. ``body_file`` names a spooled body.
    ``tokens`` are the keyed hashes to find it by, where the message was never kept in clear.
    """

    kind: EntryKind
    leaf: bytes
    message: bytes
    proof: bytes = b""
    body_file: str = ""
    tokens: tuple[bytes, ...] = ()


class Group(msgspec.Struct, frozen=True):
    """What one durable transaction holds: its entries, the head over them, what it closes."""

    epoch: int
    position: int
    time: datetime
    root: bytes
    head: str
    subtrees: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    bodies: dict[int, bytes]

    @property
    def place(self) -> int:
        return place_of(self.epoch, self.position)


class Edge(NamedTuple):
    """The right edge of the node's tree: what the next group is added to."""

    epoch: int
    frontier: Frontier
    time: datetime  # of the last group; the next one's is not earlier
    head: str  # note of the last group; empty when there is none

    @property
    def place(self) -> int:
        """Place of the next group."""
        return place_of(self.epoch, self.frontier.size)


class Claims(NamedTuple):
    """What a group does to the register of request ids that a node's gateways share.

    ``received``: (request id, leaf) that nobody may have had before; ``answered``: (request id,
    index of the group's entry that is its answer).
    """

    received: tuple[tuple[str, bytes], ...] = ()
    answered: tuple[tuple[str, int], ...] = ()


NO_CLAIMS = Claims()


class Step(NamedTuple):
    """A group with what it makes of the tree's edge and of the register of request ids."""

    group: Group
    frontier: Frontier
    claims: Claims = NO_CLAIMS

    @property
    def edge(self) -> Edge:
        group = self.group
        return Edge(group.epoch, self.frontier, group.time, group.head)


class Located(msgspec.Struct, frozen=True):
    """Where an entry lies: its group's place and its index in the group."""

    place: int
    index: int

    @property
    def epoch(self) -> int:
        return self.place // POSITIONS_PER_EPOCH

    @property
    def position(self) -> int:
        return self.place % POSITIONS_PER_EPOCH


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a leaf lies in the last group of the tree whose head is given.

    ``path`` and ``tree`` are hashes one after the other: the leaf's path in its group of
    ``size`` leaves, and the group's path in the tree, where it is the last leaf.
    """

    index: int
    size: int
    path: bytes
    tree: bytes
    head: str


class CommittedGroup:
    """A group that is on disk; makes the proof of each of its entries."""

    def __init__(self, levels: list[list[bytes]], tree_path: list[bytes], head: str) -> None:
        self.levels = levels
        self.tree_path = tree_path
        self.head = head

    @classmethod
    def stored(cls, group: Group, subtree: Subtree) -> CommittedGroup:
        """A group read back from disk; it is the last leaf of its own head's tree."""
        path = inclusion_path(
            lambda level, index: subtree(group.epoch, level, index),
            group.position,
            group.position + 1,
        )
        return cls(build_levels([entry.leaf for entry in group.entries]), path, group.head)

    @cached_property
    def _tail(self) -> str:
        tree = base64.b64encode(b"".join(self.tree_path)).decode()
        return f'","tree":"{tree}","head":{json.dumps(self.head)}}}'  # in ASCII, for a header

    def proof_json(self, index: int) -> bytes:
        """The proof of the entry ``index``, as it goes over the wire."""
        path = base64.b64encode(b"".join(path_in(self.levels, index))).decode()
        size = len(self.levels[0])
        return f'{{"index":{index},"size":{size},"path":"{path}{self._tail}'.encode()


def place_of(epoch: int, position: int) -> int:
    return epoch * POSITIONS_PER_EPOCH + position


def split_hashes(joined: bytes) -> list[bytes]:
    """Cut a chain of hashes; a rest shorter than a hash stays as it is (and matches nothing)."""
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]
