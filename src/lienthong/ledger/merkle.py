"""Merkle trees of RFC 9162 §2.1: roots, inclusion, consistency.

    levels = build_levels([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])
    verify_inclusion(leaf_hash(b"b"), 1, 3, path_in(levels, 1), levels[-1][0])   # True

A tree is kept as its *complete* subtrees only: ``subtree(level, index)`` is the hash over the
leaves ``[index·2^level, (index+1)·2^level)``. Every proof for every size is made of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

HASH_BYTES = 32
LONGEST_PATH = 64  # hashes; a proof of more levels than any real tree has only costs time
EMPTY_ROOT = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def build_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of a small tree, leaf hashes first, root last; an odd node moves up as it is."""
    level = list(leaves)
    levels = [level]
    while len(level) > 1:
        upper = [
            sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        if len(level) % 2:
            upper.append(level[-1])
        levels.append(upper)
        level = upper
    return levels


def path_in(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """Inclusion path of leaf ``index`` in a tree built by ``build_levels``."""
    path = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
    return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Root that ``path`` leads to (RFC 9162 §2.1.3.2), or None if its length cannot be right."""
    if not 0 <= index < size or len(path) > LONGEST_PATH:
        return None
    position, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            result = sha256(b"\x01" + sibling + result).digest()
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            result = sha256(b"\x01" + result + sibling).digest()
        position >>= 1
        last >>= 1
    return result if last == 0 else None


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether ``leaf`` is at ``index`` of the tree of ``size`` leaves with that ``root``."""
    return root_from_path(leaf, index, size, path) == root


def verify_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """Whether the tree of ``second`` leaves begins with that of ``first`` (§2.1.4.2)."""
    if not 0 <= first <= second or len(path) > LONGEST_PATH:
        return False
    if first in (0, second):
        return not path and (first == 0 or first_root == second_root)
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, first_root)
    position, last = first - 1, second - 1
    while position & 1:
        position >>= 1
        last >>= 1
    if not hashes:
        return False
    older = newer = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            older = node_hash(sibling, older)
            newer = node_hash(sibling, newer)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and older == first_root and newer == second_root


def range_hash(subtree: Subtree, start: int, stop: int) -> bytes:
    """Hash of the leaves ``[start, stop)``; ``start`` must be aligned as RFC 9162 splits."""
    size = stop - start
    level = (size - 1).bit_length()
    if size == 1 << level:
        return subtree(level, start >> level)
    split = start + (1 << (level - 1))
    return node_hash(range_hash(subtree, start, split), range_hash(subtree, split, stop))


def inclusion_path(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """Inclusion path of leaf ``index`` in the tree of ``size`` leaves (§2.1.3.1)."""
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        split = start + (1 << ((stop - start - 1).bit_length() - 1))
        if index < split:
            path.append(range_hash(subtree, split, stop))
            stop = split
        else:
            path.append(range_hash(subtree, start, split))
            start = split
    return path[::-1]


def consistency_path(subtree: Subtree, first: int, second: int) -> list[bytes]:
    """Consistency proof between the trees of ``first`` and ``second`` leaves (§2.1.4.1)."""
    if first in (0, second):
        return []
    path: list[bytes] = []
    start, stop, whole = 0, second, True
    while first != stop:
        split = start + (1 << ((stop - start - 1).bit_length() - 1))
        if first <= split:
            path.append(range_hash(subtree, split, stop))
            stop = split
        else:
            path.append(range_hash(subtree, start, split))
            start, whole = split, False
    if not whole:
        path.append(range_hash(subtree, start, stop))
    return path[::-1]


class Frontier:
    """The right edge of a growing tree: append a leaf, read the root and the leaf's path."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self.peaks = list(peaks)  # complete subtrees from left (largest) to right

    @classmethod
    def load(cls, subtree: Subtree, size: int) -> Frontier:
        """The edge of a stored tree of ``size`` leaves."""
        peaks, start = [], 0
        for level in reversed(range(size.bit_length())):
            if size >> level & 1:
                peaks.append(subtree(level, start >> level))
                start += 1 << level
        return cls(size, peaks)

    def copy(self) -> Frontier:
        return Frontier(self.size, self.peaks)

    def append(self, leaf: bytes) -> tuple[list[bytes], list[bytes]]:
        """Add a leaf hash.

        Returns its inclusion path in the new tree, and the complete subtrees that it closes
        from level 0 upwards (the leaf itself first).
        """
        path = self.peaks[::-1]
        closed = [leaf]
        size = self.size
        while size & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            closed.append(leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1
        return path, closed

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        result = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            result = node_hash(peak, result)
        return result
