"""Request ids that any gateway of the node has taken: registered with the record that says so.

    book = RequestBook(engine)
    book.find(request_id)                      # who took it, and where its answer lies
    book.forget(older_than_seconds=900)

Rows are written by ``sequence.py`` in the transaction of the group; PostgreSQL only.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine, select, text

from lienthong.ledger import tables
from lienthong.ledger.database import reading, writing
from lienthong.ledger.records import Located

FORGOTTEN_AT_ONCE = 5000  # a longer transaction would hold up vacuum

# By the server's clock, which also dated them.
_FORGET = text(
    "DELETE FROM ledger_requests WHERE request_id IN (SELECT request_id FROM ledger_requests"
    " WHERE received_ms < (extract(epoch FROM clock_timestamp()) - :seconds) * 1000 LIMIT :most)"
)


class Taken(NamedTuple):
    """A request that a gateway has taken; ``leaf`` is that of the record that says so."""

    leaf: bytes
    gateway: int
    answer: Located | None


class RequestBook:
    """The node's register of request ids. Blocking; raises LedgerUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, request_id: str) -> Taken | None:
        """What is known of a request."""
        table = tables.requests
        query = select(table.c.leaf, table.c.gateway, table.c.answer_place, table.c.answer_entry)
        with reading(self._engine) as connection:
            row = connection.execute(query.where(table.c.request_id == request_id)).first()
        if row is None:
            return None
        place = row.answer_place
        answer = None if place is None else Located(place, row.answer_entry)
        return Taken(bytes(row.leaf), row.gateway, answer)

    def forget(self, older_than_seconds: float) -> int:
        """Drop what is older than any message that could still be accepted; returns how many."""
        values = {"seconds": older_than_seconds, "most": FORGOTTEN_AT_ONCE}
        forgotten = 0
        while True:
            with writing(self._engine) as connection:
                dropped = connection.execute(_FORGET, values).rowcount
            forgotten += dropped
            if dropped < FORGOTTEN_AT_ONCE:
                return forgotten
