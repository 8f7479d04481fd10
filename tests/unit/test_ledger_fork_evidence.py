"""The proof that a node forked: who is named by it, and what does not pass for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lienthong.directory.mirror import DirectoryMirror
from lienthong.errors import EvidenceMalformed, EvidenceRejected, LedgerForked
from lienthong.identity.keys import PrivateKey
from lienthong.ledger.clock import Clock
from lienthong.ledger.fork_evidence import (
    best_first,
    is_fork_bundle,
    make_fork_bundle,
    verify_fork,
)
from lienthong.ledger.heads import Head, sign_head
from lienthong.ledger.peers import PeerBook
from tests.fixtures.directory_world import Agency, World
from tests.fixtures.ledgers import LedgerNode


class Scene:
    """A node that signs what a test wants, and a directory that knows it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.liar: Agency = self.world.agency("G66")
        self.other: Agency = self.world.agency("G67")
        self.mirror: DirectoryMirror = self.world.mirror()
        self.mirror.refresh()

    def head(self, size: int, root: int, seconds: int = 0, **changes: Any) -> Head:
        at = self.world.clock().replace(microsecond=0) + timedelta(seconds=seconds)
        key = self.liar.signing_key.public.key_id
        head = Head(str(self.liar.node), 0, size, bytes([root]) * 32, at, 1, key)
        return msgspec.structs.replace(head, **changes)

    def note(self, head: Head, key: PrivateKey | None = None) -> str:
        return sign_head(head, key or self.liar.signing_key)

    def bundle(self, first: str, second: str) -> bytes:
        clock = Clock(source=self.world.clock)
        return make_fork_bundle(first, second, str(self.other.node), self.mirror, clock)

    def refuse(self, content: bytes, words: str) -> None:
        with pytest.raises(EvidenceRejected) as caught:
            verify_fork(content, self.world.root)
        assert words in str(caught.value)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


def test_two_roots_of_one_size_name_the_node(scene: Scene) -> None:
    content = scene.bundle(scene.note(scene.head(5, 1)), scene.note(scene.head(5, 2, 60)))
    verdict = verify_fork(content, scene.world.root)
    assert verdict.node == str(scene.liar.node)
    assert (verdict.first.size, verdict.second.size) == (5, 5)
    assert is_fork_bundle(content)


def test_a_larger_head_from_before_a_smaller_one_names_it_too(scene: Scene) -> None:
    content = scene.bundle(scene.note(scene.head(5, 1, 60)), scene.note(scene.head(9, 2, 0)))
    assert verify_fork(content, scene.world.root).node == str(scene.liar.node)


def test_what_one_ledger_can_have_accuses_nobody(scene: Scene) -> None:
    honest = scene.note(scene.head(5, 1))
    words = "one ledger can have both heads"
    scene.refuse(scene.bundle(honest, scene.note(scene.head(9, 2, 60))), words)
    scene.refuse(scene.bundle(honest, honest), words)
    scene.refuse(scene.bundle(honest, scene.note(scene.head(5, 1, 60))), words)


def test_two_epochs_are_two_ledgers(scene: Scene) -> None:
    later = scene.note(scene.head(5, 2, epoch=1))
    scene.refuse(scene.bundle(scene.note(scene.head(5, 1)), later), "of two ledgers")


def test_nobody_else_can_make_the_pair(scene: Scene) -> None:
    own = scene.note(scene.head(5, 1))
    forged = scene.head(5, 2)
    scene.refuse(
        scene.bundle(own, scene.note(forged, scene.other.signing_key)), "signature_invalid"
    )
    strange = msgspec.structs.replace(forged, key_id=scene.other.signing_key.public.key_id)
    content = scene.bundle(own, scene.note(strange, scene.other.signing_key))
    scene.refuse(content, "unknown_signing_key")


def test_it_is_judged_by_the_root_that_the_judge_brings(scene: Scene, tmp_path: Path) -> None:
    content = scene.bundle(scene.note(scene.head(5, 1)), scene.note(scene.head(5, 2)))
    with pytest.raises(EvidenceRejected):
        verify_fork(content, World(tmp_path).root)


@pytest.mark.parametrize(
    "change",
    [
        lambda bundle: bundle.pop("first"),
        lambda bundle: bundle.update(more=1),
        lambda bundle: bundle.update(format="lienthong-fork-2"),
        lambda bundle: bundle.update(second="x" * 9000),
    ],
)
def test_another_form_is_no_accusation(
    scene: Scene, change: Callable[[dict[str, Any]], Any]
) -> None:
    bundle = json.loads(scene.bundle(scene.note(scene.head(5, 1)), scene.note(scene.head(5, 2))))
    change(bundle)
    with pytest.raises(EvidenceMalformed):
        verify_fork(json.dumps(bundle).encode(), scene.world.root)


def test_the_pair_that_convinces_others_is_kept_and_exported_first(
    scene: Scene, tmp_path: Path
) -> None:
    book = PeerBook(LedgerNode.at(tmp_path).engine)
    first, second, other = scene.head(5, 1), scene.head(9, 2, 60), scene.head(5, 3, 30)
    book.see(first, scene.note(first))
    book.see(second, scene.note(second))
    (peer,) = book.pending_checks()
    with pytest.raises(LedgerForked):
        book.prove(peer, [])  # it does not prove its growth: known to us alone
    assert book.forked == {first.origin}
    assert [pair[1:] for pair in book.forks()] == [(scene.note(first), scene.note(second))]
    book.keep_contradiction(peer, scene.note(other))
    assert [pair[1:] for pair in book.forks()] == [(scene.note(first), scene.note(other))]
    weak = (first.origin, scene.note(first), scene.note(second))
    strong = (first.origin, scene.note(first), scene.note(other))
    assert best_first([weak, strong], str(scene.liar.node)) == [strong, weak]
    assert best_first([weak, strong], str(scene.other.node)) == []
