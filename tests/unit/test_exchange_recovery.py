"""What a start reads back from the ledger: the receipts that are owed, and what proves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lienthong.exchange.recovery import undelivered_receipts
from lienthong.ledger.messages import answer_leaf
from lienthong.ledger.records import CommittedGroup
from lienthong.ledger.store import LedgerStore
from tests.fixtures.ledgers import (
    CONSUMER_NODE,
    NOW,
    PROVIDER_NODE,
    Exchange,
    LedgerNode,
    event,
    exchange,
    request_of,
)

EXCHANGES = 13  # with the events between them, trees of many shapes
EPOCHS = 2


class CountingStore(LedgerStore):
    """Counts the queries for subtrees."""

    asked = 0

    def subtree(self, epoch: int, level: int, index: int) -> bytes:
        self.asked += 1
        return super().subtree(epoch, level, index)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> tuple[LedgerNode, list[Exchange]]:
    """A consumer's ledger of two epochs with answers between other records."""
    folder: Path = tmp_path_factory.mktemp("l")
    consumer, provider = LedgerNode.at(folder, CONSUMER_NODE), LedgerNode.at(folder, PROVIDER_NODE)
    made = []
    for number in range(EPOCHS * EXCHANGES):
        if number == EXCHANGES:
            consumer.store.open_epoch("restored")
        if number % 3 == 0:
            consumer.record([event(number), event(-number)])
        made.append(exchange(consumer, provider, request_of(request_id=f"r-{number}")))
    return consumer, made


@pytest.mark.parametrize("from_the", [0, 1, 5, EXCHANGES - 1, EXCHANGES, EXCHANGES + 4])
def test_receipts_that_are_read_back_have_the_proofs_that_the_ledger_gives(
    ledger: tuple[LedgerNode, list[Exchange]], from_the: int
) -> None:
    node, made = ledger
    after = made[from_the - 1].acknowledged.place if from_the else -1
    owed, place = undelivered_receipts(node.store, NOW, after)
    assert place == made[-1].acknowledged.place
    assert [leaf for _, _, leaf in owed] == [answer_leaf(each.answer) for each in made[from_the:]]
    for provider, committed, _ in owed:
        assert provider == PROVIDER_NODE
        stored = CommittedGroup.stored(node.store.group(committed.place), node.store.subtree)
        assert committed.proof_json() == stored.proof_json(committed.index)


def test_reading_receipts_back_asks_for_the_edge_of_each_tree_once(
    ledger: tuple[LedgerNode, list[Exchange]],
) -> None:
    node, made = ledger
    store = CountingStore(node.engine)
    middle = made[EXCHANGES // 2].acknowledged
    owed, _ = undelivered_receipts(store, NOW, middle.place)
    assert len(owed) > EXCHANGES
    assert store.asked <= (middle.place + 1).bit_length()
