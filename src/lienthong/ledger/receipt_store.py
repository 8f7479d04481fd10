"""Acknowledgements of our answers, as other nodes proved them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec
from sqlalchemy import Engine, insert, select

from lienthong.ledger import tables
from lienthong.ledger.database import reading, writing
from lienthong.ledger.records import Proof
from lienthong.ledger.store import milliseconds

_KEYS_PER_QUERY = 500  # bound parameters of one statement


class ReceiptStore:
    """Which of our answers were acknowledged, and with what proof."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with writing(engine) as connection:
            tables.metadata.create_all(connection)

    def put(self, acknowledged: Iterable[tuple[bytes, Proof]], now: datetime) -> None:
        """Keep acknowledgements; those known already stay as they are."""
        rows = {
            leaf: {
                "answer_leaf": leaf,
                "proof": msgspec.json.encode(proof),
                "time_ms": milliseconds(now),
            }
            for leaf, proof in acknowledged
        }
        with writing(self._engine) as connection:
            leaves = list(rows)
            for start in range(0, len(leaves), _KEYS_PER_QUERY):
                part = leaves[start : start + _KEYS_PER_QUERY]
                known = connection.scalars(
                    select(tables.receipts.c.answer_leaf).where(
                        tables.receipts.c.answer_leaf.in_(part)
                    )
                )
                for leaf in known:
                    rows.pop(bytes(leaf), None)
            if rows:
                connection.execute(insert(tables.receipts), list(rows.values()))

    def find(self, answer_leaf: bytes) -> bytes | None:
        """The proof (JSON) that an answer was acknowledged, if it came."""
        with reading(self._engine) as connection:
            return connection.scalar(
                select(tables.receipts.c.proof).where(tables.receipts.c.answer_leaf == answer_leaf)
            )
