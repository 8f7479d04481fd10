"""Acknowledgements of our answers, as other nodes proved them.

One row holds all acknowledgements of one group: at a thousand answers a second a row each would
cost more than the answers themselves. Who looks one up knows about when it must have come.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Engine, delete, insert, select

from lienthong.ledger import tables
from lienthong.ledger.clock import milliseconds
from lienthong.ledger.database import reading, writing
from lienthong.ledger.merkle import HASH_BYTES
from lienthong.ledger.records import Proof

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_AT_ONCE = 500
_DELIVERED = "receipts delivered"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Proof, ...]).decode


class ReceiptStore:
    """Which of our answers were acknowledged, and with what proof."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with writing(engine) as connection:
            tables.metadata.create_all(connection)

    def put(self, acknowledged: Iterable[tuple[bytes, Proof]], now: datetime) -> None:
        """Keep acknowledgements; of several for one answer the first counts."""
        pairs = list(acknowledged)
        if not pairs:
            return
        row = {
            "time_ms": milliseconds(now),
            "answers": b"".join([leaf for leaf, _ in pairs]),
            "proofs": _encode(tuple([proof for _, proof in pairs])),
        }
        with writing(self._engine) as connection:
            connection.execute(insert(tables.receipts).values(row))

    def find(self, answer_leaf: bytes, since: datetime = _BEGINNING) -> bytes | None:
        """The proof (JSON) that an answer was acknowledged, if it came after ``since``."""
        table = tables.receipts
        query = select(table.c.answers, table.c.proofs).where(
            table.c.time_ms >= milliseconds(since)
        )
        query = query.order_by(table.c.time_ms, table.c.id)
        with reading(self._engine) as connection:
            rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            for row in rows:
                place = _place(row.answers, answer_leaf)
                if place is not None:
                    return msgspec.json.encode(_decode(row.proofs)[place])
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


def _place(answers: bytes, leaf: bytes) -> int | None:
    """Which of the leaves joined in ``answers`` this is; a match across two does not count."""
    start = answers.find(leaf)
    while start >= 0 and start % HASH_BYTES:
        start = answers.find(leaf, start + 1)
    return None if start < 0 else start // HASH_BYTES
