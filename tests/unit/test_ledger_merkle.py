"""Trees of RFC 9162: known answers, the RFC's own example, and every small tree."""

from __future__ import annotations

from hashlib import sha256

import pytest

from lienthong.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    build_levels,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    path_in,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves and their roots that implementations of Certificate Transparency share.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
MOST = 40  # leaves of the trees that are tried one by one


class StoredTree:
    """A tree kept as the store keeps it: the subtrees that each leaf closed."""

    def __init__(self, size: int) -> None:
        self.closed: dict[tuple[int, int], bytes] = {}
        self.leaves = [leaf_hash(str(i).encode()) for i in range(size)]
        self.paths: list[list[bytes]] = []
        self.roots = [EMPTY_ROOT]
        frontier = Frontier()
        for number, leaf in enumerate(self.leaves):
            path, closed = frontier.append(leaf)
            for level, value in enumerate(closed):
                self.closed[level, ((number + 1) >> level) - 1] = value
            self.paths.append(path)
            self.roots.append(frontier.root())

    def subtree(self, level: int, index: int) -> bytes:
        return self.closed[level, index]


TREE = StoredTree(MOST)


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_the_known_answers(size: int) -> None:
    leaves = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    assert build_levels(leaves)[-1][0].hex() == ROOTS[size - 1]
    assert frontier.root().hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing_as_its_root() -> None:
    assert Frontier().root() == sha256(b"").digest() == EMPTY_ROOT


def test_paths_are_those_of_the_example_in_the_rfc() -> None:
    """RFC 9162 §2.1.5: seven leaves, with the names of its drawing."""
    a, b, c, d, e, f, j = (leaf_hash(f"d{i}".encode()) for i in range(7))
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, m = node_hash(g, h), node_hash(i, j)
    levels = build_levels([a, b, c, d, e, f, j])
    assert levels[-1] == [node_hash(k, m)]
    assert path_in(levels, 0) == [b, h, m]
    assert path_in(levels, 3) == [c, g, m]
    assert path_in(levels, 4) == [f, j, k]
    assert path_in(levels, 6) == [i, k]
    closed = {(0, n): leaf for n, leaf in enumerate((a, b, c, d, e, f, j))}
    closed |= {(1, 0): g, (1, 1): h, (1, 2): i, (2, 0): k}

    def subtree(level: int, index: int) -> bytes:
        return closed[level, index]

    assert consistency_path(subtree, 3, 7) == [c, d, g, m]
    assert consistency_path(subtree, 4, 7) == [m]
    assert consistency_path(subtree, 6, 7) == [i, j, k]


@pytest.mark.parametrize("size", range(1, MOST + 1))
def test_every_leaf_is_proven_in_every_tree_and_nowhere_else(size: int) -> None:
    levels = build_levels(TREE.leaves[:size])
    root = TREE.roots[size]
    assert levels[-1] == [root]
    for index in range(size):
        path = inclusion_path(TREE.subtree, index, size)
        assert path == path_in(levels, index)
        leaf = TREE.leaves[index]
        assert verify_inclusion(leaf, index, size, path, root)
        assert not verify_inclusion(TREE.leaves[index - 1], index, size, path, root) or size == 1
        assert not verify_inclusion(leaf, index, size, [*path, bytes(32)], root)
        assert not path or not verify_inclusion(leaf, index, size, path[:-1], root)
        assert not verify_inclusion(leaf, index + size, size, path, root)
    assert TREE.paths[size - 1] == inclusion_path(TREE.subtree, size - 1, size)


@pytest.mark.parametrize("second", range(1, MOST + 1))
def test_every_tree_is_proven_to_grow_from_every_smaller_one(second: int) -> None:
    for first in range(1, second + 1):
        path = consistency_path(TREE.subtree, first, second)
        older, newer = TREE.roots[first], TREE.roots[second]
        assert verify_consistency(first, second, path, older, newer)
        assert not verify_consistency(first, second, path, bytes(32), newer)
        assert not verify_consistency(first, second, path, older, bytes(32))
        assert not verify_consistency(first, second, [*path, bytes(32)], older, newer)
        if path:
            assert not verify_consistency(first, second, path[:-1], older, newer)
            changed = [bytes(32), *path[1:]]
            assert not verify_consistency(first, second, changed, older, newer)


def test_a_smaller_tree_never_follows_from_a_larger_one() -> None:
    assert not verify_consistency(5, 3, [], TREE.roots[5], TREE.roots[3])
    assert not verify_consistency(-1, 3, [], TREE.roots[1], TREE.roots[3])


def test_an_endless_path_is_refused_before_it_is_computed() -> None:
    endless = [bytes(32)] * 1_000_000
    assert not verify_inclusion(bytes(32), 0, 1 << 60, endless, bytes(32))
    assert not verify_consistency(1, 1 << 60, endless, bytes(32), bytes(32))


@pytest.mark.parametrize("size", range(MOST + 1))
def test_the_edge_of_a_stored_tree_is_found_again(size: int) -> None:
    frontier = Frontier.load(TREE.subtree, size)
    assert frontier.root() == TREE.roots[size]
    if size < MOST:
        frontier.append(TREE.leaves[size])
        assert frontier.root() == TREE.roots[size + 1]


def test_a_path_that_is_longer_than_it_can_be_proves_nothing() -> None:
    """Roots made for the path: without the check of its length both would come out."""
    a, b, c, d = (bytes([number]) * 32 for number in range(4))
    older, newer = node_hash(d, node_hash(c, a)), node_hash(d, node_hash(c, node_hash(a, b)))
    assert not verify_consistency(3, 4, [a, b, c, d], older, newer)
    assert verify_consistency(3, 4, [a, b, c], node_hash(c, a), node_hash(c, node_hash(a, b)))


def test_a_larger_tree_is_not_the_beginning_of_a_smaller_one_by_any_path() -> None:
    assert not verify_consistency(3, 1, [bytes(32)], bytes(32), bytes(32))
