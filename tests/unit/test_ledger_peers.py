"""Other nodes' ledgers: growth is proven, two histories are seen, proofs of messages checked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import text

from lienthong.errors import (
    KeyNotValid,
    KeyRevoked,
    LedgerForked,
    LedgerUnavailable,
    ProofInvalid,
    SignatureInvalid,
    UnknownSigningKey,
)
from lienthong.exchange.receipts import ReceiptsOwed, check_receipt
from lienthong.ledger.heads import Head, parse_head, sign_head
from lienthong.ledger.merkle import consistency_path
from lienthong.ledger.peers import PeerBook
from lienthong.ledger.proofs import ProofChecker, decode_proof
from lienthong.ledger.records import Proof
from tests.fixtures.agreement_parties import NOW as COUNTRY_NOW
from tests.fixtures.agreement_parties import Country
from tests.fixtures.ledgers import (
    CONSUMER_NODE,
    PROVIDER_NODE,
    LedgerNode,
    event,
    exchange,
)


@pytest.fixture
def provider(tmp_path: Path) -> LedgerNode:
    return LedgerNode.at(tmp_path)


@pytest.fixture
def book(tmp_path: Path) -> PeerBook:
    folder = tmp_path / "consumer"
    folder.mkdir()
    return PeerBook(LedgerNode.at(folder, CONSUMER_NODE).engine)


def grow(node: LedgerNode, groups: int, start: int = 0) -> tuple[Head, str]:
    """Let the ledger grow; returns its newest head."""
    for number in range(groups):
        node.record([event(start + number)])
    note = node.store.last_head(node.store.current_epoch())
    return parse_head(note), note


def path(node: LedgerNode, first: int, second: int) -> list[bytes]:
    return consistency_path(lambda level, i: node.store.subtree(0, level, i), first, second)


def rewritten(node: LedgerNode, folder: Path, groups: int, changed: int) -> LedgerNode:
    """The same node's ledger told differently: another record in the group ``changed``."""
    folder.mkdir()
    liar = LedgerNode.at(folder)
    liar.key = node.key
    for number in range(groups):
        liar.record([event(1000 if number == changed else number)])
    return liar


def test_growth_is_proven(provider: LedgerNode, book: PeerBook) -> None:
    book.see(*grow(provider, 3))
    assert book.pending_checks() == []
    book.see(*grow(provider, 4, start=3))
    (peer,) = book.pending_checks()
    assert (peer.consistent.size, peer.head.size) == (3, 7)
    book.prove(peer, path(provider, 3, 7))
    assert book.pending_checks() == []
    assert book.forks() == []


@pytest.mark.parametrize("changed", range(5))
def test_a_rewritten_ledger_is_seen(
    provider: LedgerNode, book: PeerBook, tmp_path: Path, changed: int
) -> None:
    first = grow(provider, 5)
    book.see(*first)
    liar = rewritten(provider, tmp_path / "liar", 8, changed)
    second = parse_head(liar.store.last_head(0)), liar.store.last_head(0)
    book.see(*second)
    (peer,) = book.pending_checks()
    with pytest.raises(LedgerForked):
        book.prove(peer, path(liar, 5, 8))
    assert book.forks() == [(first[0].origin, first[1], second[1])]
    assert book.pending_checks() == [peer]  # it stays unproven
    with pytest.raises(LedgerForked):  # and nothing more is taken of that ledger
        book.see(*second)


def test_no_path_hides_a_rewritten_ledger(
    provider: LedgerNode, book: PeerBook, tmp_path: Path
) -> None:
    book.see(*grow(provider, 5))
    liar = rewritten(provider, tmp_path / "liar", 8, 2)
    book.see(parse_head(liar.store.last_head(0)), liar.store.last_head(0))
    (peer,) = book.pending_checks()
    for guess in ([], [bytes(32)], path(provider, 2, 5), path(liar, 4, 8), [bytes(32)] * 100):
        with pytest.raises(LedgerForked):
            book.prove(peer, guess)


def test_two_heads_of_one_size_are_a_fork(
    provider: LedgerNode, book: PeerBook, tmp_path: Path
) -> None:
    first = grow(provider, 4)
    book.see(*first)
    liar = rewritten(provider, tmp_path / "liar", 4, 3)
    note = liar.store.last_head(0)
    with pytest.raises(LedgerForked):
        book.see(parse_head(note), note)
    assert book.forks() == [(first[0].origin, first[1], note)]


def test_a_fork_at_the_last_proven_size_is_seen_too(
    provider: LedgerNode, book: PeerBook, tmp_path: Path
) -> None:
    book.see(*grow(provider, 4))
    book.see(*grow(provider, 2, start=4))
    liar = rewritten(provider, tmp_path / "liar", 4, 0)
    note = liar.store.last_head(0)
    with pytest.raises(LedgerForked):
        book.see(parse_head(note), note)


def test_a_smaller_tree_signed_later_is_a_fork(
    provider: LedgerNode, book: PeerBook, tmp_path: Path
) -> None:
    """A ledger that was set back gives itself away at its first new head."""
    book.see(*grow(provider, 4))
    restored = rewritten(provider, tmp_path / "restored", 1, 0)
    restored.clock.raise_floor(provider.clock.now() + timedelta(milliseconds=1))
    restored.record([event(2000)])
    note = restored.store.last_head(0)
    with pytest.raises(LedgerForked):
        book.see(parse_head(note), note)
    assert len(book.forks()) == 1


def test_a_late_message_with_an_older_head_is_no_fork(provider: LedgerNode, book: PeerBook) -> None:
    older = grow(provider, 2)
    newer = grow(provider, 3, start=2)
    book.see(*newer)
    book.see(*older)
    latest = book.latest(newer[0].origin)
    assert latest is not None
    assert latest.head.size == 5


def test_a_new_epoch_is_a_tree_of_its_own(provider: LedgerNode, book: PeerBook) -> None:
    book.see(*grow(provider, 3))
    provider.store.open_epoch("restored")
    book.see(*grow(provider, 1))
    assert book.origins() == [f"lienthong/{PROVIDER_NODE}/{epoch}" for epoch in (0, 1)]


def test_heads_are_remembered_over_a_restart(provider: LedgerNode, book: PeerBook) -> None:
    book.see(*grow(provider, 2))
    book.see(*grow(provider, 2, start=2))
    book.save()
    again = PeerBook(book._engine)
    assert again.pending_checks() == book.pending_checks() != []


def test_heads_that_could_not_be_saved_are_saved_the_next_time(
    provider: LedgerNode, book: PeerBook
) -> None:
    book.see(*grow(provider, 2))
    with book._engine.begin() as connection:
        connection.execute(text("ALTER TABLE ledger_peer_heads RENAME TO away"))
    with pytest.raises(LedgerUnavailable):
        book.save()
    with book._engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO ledger_peer_heads"))
    book.save()
    assert PeerBook(book._engine).origins() == book.origins() != []


# --- proofs of messages --------------------------------------------------------------------


@pytest.fixture
def country(provider: LedgerNode) -> Country:
    country = Country()
    country.add_member("VN/GOV/G01", {"dancu": (PROVIDER_NODE,)})
    country.node_keys[PROVIDER_NODE] = provider.key
    country.add_node(PROVIDER_NODE)
    return country


def proof_of(node: LedgerNode, index: int = 0, entries: int = 5) -> tuple[bytes, Proof]:
    committed = node.record(event(number) for number in range(entries))
    return event(index).leaf, decode_proof(committed[index].proof_json())


def test_a_proof_is_checked_once_for_its_whole_group(
    provider: LedgerNode, country: Country
) -> None:
    grow(provider, 2)
    checker, view = ProofChecker(), country.view()
    committed = provider.record(event(number) for number in range(5))
    heads = {
        checker.check(decode_proof(each.proof_json()), event(i).leaf, PROVIDER_NODE, view).size
        for i, each in enumerate(committed)
    }
    assert heads == {3}


def test_refuses_a_leaf_that_is_not_in_the_group(provider: LedgerNode, country: Country) -> None:
    _, proof = proof_of(provider)
    checker, view = ProofChecker(), country.view()
    for _ in range(2):  # also once the group is known
        with pytest.raises(ProofInvalid):
            checker.check(proof, event(1).leaf, PROVIDER_NODE, view)
        checker.check(proof, event(0).leaf, PROVIDER_NODE, view)


def test_refuses_a_head_of_another_node(provider: LedgerNode, country: Country) -> None:
    leaf, proof = proof_of(provider)
    checker, view = ProofChecker(), country.view()
    checker.check(proof, leaf, PROVIDER_NODE, view)
    with pytest.raises(ProofInvalid):
        checker.check(proof, leaf, CONSUMER_NODE, view)


def test_refuses_a_key_that_was_revoked_since_the_head_was_seen(
    provider: LedgerNode, country: Country
) -> None:
    leaf, proof = proof_of(provider)
    checker = ProofChecker()
    checker.check(proof, leaf, PROVIDER_NODE, country.view())
    country.revoke_key(PROVIDER_NODE, parse_head(proof.head).time - timedelta(seconds=1))
    with pytest.raises(KeyRevoked):
        checker.check(proof, leaf, PROVIDER_NODE, country.view())


def test_refuses_a_key_outside_its_dates(provider: LedgerNode, country: Country) -> None:
    country.add_node(PROVIDER_NODE, key_until=COUNTRY_NOW - timedelta(days=1))
    leaf, proof = proof_of(provider)
    with pytest.raises(KeyNotValid):
        ProofChecker().check(proof, leaf, PROVIDER_NODE, country.view())


def test_refuses_a_head_signed_by_a_stranger(provider: LedgerNode, country: Country) -> None:
    leaf, proof = proof_of(provider)
    stranger = LedgerNode("sqlite://", PROVIDER_NODE)
    head = parse_head(proof.head)
    own = msgspec.structs.replace(head, key_id=stranger.key.public.key_id)
    forged = msgspec.structs.replace(proof, head=sign_head(own, stranger.key))
    with pytest.raises(UnknownSigningKey):
        ProofChecker().check(forged, leaf, PROVIDER_NODE, country.view())
    pretending = msgspec.structs.replace(proof, head=sign_head(head, stranger.key))
    with pytest.raises(SignatureInvalid):
        ProofChecker().check(pretending, leaf, PROVIDER_NODE, country.view())


def test_refuses_a_group_that_is_not_in_the_tree(provider: LedgerNode, country: Country) -> None:
    grow(provider, 3)
    leaf, proof = proof_of(provider)
    for tree in (b"", proof.tree[:-32], proof.tree + bytes(32), bytes(len(proof.tree)), b"short"):
        with pytest.raises(ProofInvalid):
            ProofChecker().check(
                msgspec.structs.replace(proof, tree=tree), leaf, PROVIDER_NODE, country.view()
            )


# --- receipts ------------------------------------------------------------------------------


def test_a_receipt_proves_that_an_answer_was_received(
    provider: LedgerNode, country: Country, tmp_path: Path
) -> None:
    consumer = LedgerNode.at(tmp_path, CONSUMER_NODE)
    country.add_member("VN/GOV/H37", {"motcua": (CONSUMER_NODE,)})
    country.node_keys[CONSUMER_NODE] = consumer.key
    country.add_node(CONSUMER_NODE)
    done = exchange(consumer, provider)
    owed = ReceiptsOwed()
    leaf = provider.store.group(done.answered.place).entries[0].leaf
    owed.owe(PROVIDER_NODE, done.acknowledged, leaf)
    (receipt,) = owed.take(PROVIDER_NODE)
    assert owed.nodes() == []
    head = check_receipt(receipt, CONSUMER_NODE, ProofChecker(), country.view())
    assert head.node == CONSUMER_NODE
    assert [answered for _, answered in receipt.answers] == [leaf]
    other = msgspec.structs.replace(receipt, answers=((0, bytes(32)),))
    with pytest.raises(ProofInvalid):
        check_receipt(other, CONSUMER_NODE, ProofChecker(), country.view())
    with pytest.raises(ProofInvalid):
        check_receipt(receipt, PROVIDER_NODE, ProofChecker(), country.view())


def test_receipts_that_could_not_be_delivered_go_with_the_next(provider: LedgerNode) -> None:
    owed = ReceiptsOwed()
    leaves = [bytes([number]) * 32 for number in range(3)]
    for leaf, committed in zip(leaves, provider.record(event(i) for i in range(3)), strict=True):
        owed.owe("node", committed, leaf)
    parcel = owed.take("node")
    owed.give_back("node", parcel)
    assert owed.nodes() == ["node"]
    (again,) = provider.record([event(9)])
    owed.owe("node", again, bytes(32))
    (new, old) = owed.take("node")
    assert [leaf for _, leaf in old.answers] == leaves
    assert new.answers == ((0, bytes(32)),)
    assert owed.nodes() == []
    assert owed.take("node") == []
