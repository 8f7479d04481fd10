"""What the gateways of one node saw of other nodes' ledgers is put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from lienthong.errors import LedgerForked
from lienthong.ledger.database import open_database
from lienthong.ledger.peers import PeerBook
from tests.fixtures.ledgers import LedgerNode
from tests.unit.test_ledger_peers import grow, path, rewritten


@pytest.fixture
def provider(tmp_path: Path) -> LedgerNode:
    return LedgerNode.at(tmp_path)


@pytest.fixture
def books(postgresql_url: str) -> tuple[PeerBook, PeerBook]:
    """The books of two gateways on one database."""
    return PeerBook(open_database(postgresql_url)), PeerBook(open_database(postgresql_url))


def test_the_newer_head_stays_whoever_saves_last(
    provider: LedgerNode, books: tuple[PeerBook, PeerBook]
) -> None:
    first, second = books
    older, newer = grow(provider, 2), grow(provider, 3, start=2)
    first.see(*newer)
    second.see(*older)
    assert first.save() == second.save() == []
    origin = newer[0].origin
    for book in (second, PeerBook(first._engine)):
        latest = book.latest(origin)
        assert latest is not None
        assert latest.head.size == 5


def test_growth_that_one_gateway_had_proven_is_not_asked_for_again(
    provider: LedgerNode, books: tuple[PeerBook, PeerBook]
) -> None:
    first, second = books
    for head in (grow(provider, 2), grow(provider, 3, start=2)):
        first.see(*head)
        second.see(*head)
    (pending,) = first.pending_checks()
    first.prove(pending, path(provider, 2, 5))
    first.save()
    assert second.follow() == []
    assert second.pending_checks() == []


def test_a_node_that_shows_each_gateway_another_history_is_found_out(
    provider: LedgerNode, books: tuple[PeerBook, PeerBook], tmp_path: Path
) -> None:
    first, second = books
    told, other = grow(provider, 3), grow(rewritten(provider, tmp_path / "liar", 3, changed=1), 0)
    first.see(*told)
    second.see(*other)
    first.save()
    assert second.save() == [told[0].origin]
    for book in books:
        book.follow()
        with pytest.raises(LedgerForked):
            book.see(*told)
    assert {each[0] for each in first.forks()} == {told[0].origin}
