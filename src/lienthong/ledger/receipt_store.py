"""Acknowledgements of our answers, as other nodes proved them.

One row holds the receipt of one group as it came: at a thousand answers a second a row or a
proof each would cost more than the answers themselves. Who looks one up knows about when it must
have come, and the proof of one answer is made then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from sqlalchemy import Engine, delete, insert, select

from lienthong.ledger import tables
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.database import reading, writing
from lienthong.ledger.merkle import HASH_BYTES, build_levels, path_in
from lienthong.ledger.records import LARGEST_GROUP, Proof, split_hashes

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_AT_ONCE = 500
_DELIVERED = "receipts delivered"

Leaf = Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]


class GroupReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Acknowledgements in one group: which of its leaves acknowledges which answer's leaf.

    ``leaves`` are the group's leaf hashes one after the other; ``tree`` and ``head`` as in Proof.
    """

    head: Annotated[str, msgspec.Meta(max_length=8192)]
    tree: bytes
    leaves: Annotated[
        bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES * LARGEST_GROUP)
    ]
    answers: Annotated[
        tuple[tuple[int, Leaf], ...], msgspec.Meta(min_length=1, max_length=LARGEST_GROUP)
    ]

    def proof(self, number: int) -> Proof:
        """The proof of the acknowledgement of the answer at ``number`` of ``answers``."""
        levels = build_levels(split_hashes(self.leaves))
        index = self.answers[number][0]
        path = b"".join(path_in(levels, index))
        return Proof(index, len(levels[0]), path, self.tree, self.head)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(GroupReceipt).decode


class ReceiptStore:
    """Which of our answers were acknowledged, and with what proof."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest_heads(self, since_ms: int) -> list[str]:
        """Heads under the last acknowledgements that came since then, the newest first."""
        table = tables.receipts
        query = select(table.c.receipt).where(table.c.time_ms >= since_ms)
        with reading(self._engine) as connection:
            rows = connection.scalars(query.order_by(table.c.id.desc()).limit(_ROWS_AT_ONCE)).all()
        return [_decode(row).head for row in rows]

    def put(self, receipts: Iterable[GroupReceipt], now: datetime) -> None:
        """Keep receipts; of several for one answer the first counts."""
        rows = [
            {
                "time_ms": milliseconds(now),
                "answers": b"".join([leaf for _, leaf in receipt.answers]),
                "receipt": _encode(receipt),
            }
            for receipt in receipts
        ]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(insert(tables.receipts), rows)

    def find(self, answer_leaf: bytes, since: datetime = _BEGINNING) -> bytes | None:
        """The proof (JSON) that an answer was acknowledged, if it came after ``since``."""
        table = tables.receipts
        query = select(table.c.answers, table.c.receipt).where(
            table.c.time_ms >= milliseconds(since)
        )
        query = query.order_by(table.c.time_ms, table.c.id)
        with reading(self._engine) as connection:
            rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            for row in rows:
                number = _number(row.answers, answer_leaf)
                if number is not None:
                    return msgspec.json.encode(_decode(row.receipt).proof(number))
        return None

    def delivered_place(self) -> int:
        """Up to which place of our own ledger all that we owe others was delivered; -1: none."""
        with reading(self._engine) as connection:
            value = connection.scalar(
                select(tables.progress.c.value).where(tables.progress.c.name == _DELIVERED)
            )
        return -1 if value is None else int(value)

    def set_delivered_place(self, place: int) -> None:
        row = tables.progress.c.name == _DELIVERED
        with writing(self._engine) as connection:
            connection.execute(delete(tables.progress).where(row))
            connection.execute(insert(tables.progress).values(name=_DELIVERED, value=place))


def _number(answers: bytes, leaf: bytes) -> int | None:
    """Which of the leaves joined in ``answers`` this is; a match across two does not count."""
    start = answers.find(leaf)
    while start >= 0 and start % HASH_BYTES:
        start = answers.find(leaf, start + 1)
    return None if start < 0 else start // HASH_BYTES
