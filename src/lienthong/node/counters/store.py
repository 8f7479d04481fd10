"""Where a node's counters are kept: documents of hours, and refusals of the hours that run."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from lienthong.errors import LedgerUnavailable
from lienthong.ledger.database import reading, writing

metadata = MetaData()

documents = Table(
    "counters_documents",
    metadata,
    Column("hour", String(13), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

# One row a process and a turn; they are added up when the hour is over. Nothing is updated, so
# that several gateways do not wait for each other.
refusals = Table(
    "counters_refusals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hour", String(13), nullable=False, index=True),
    Column("side", String(16), nullable=False),
    Column("code", String(100), nullable=False),
    Column("number", BigInteger, nullable=False),
)


class CounterStore:
    """Blocking; from any thread. Raises LedgerUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def document(self, hour: str) -> bytes | None:
        query = select(documents.c.document).where(documents.c.hour == hour)
        with reading(self._engine) as connection:
            found = connection.scalar(query)
        return None if found is None else bytes(found)

    def newest(self) -> str | None:
        """The last hour that has a document."""
        with reading(self._engine) as connection:
            found: str | None = connection.scalar(select(func.max(documents.c.hour)))
        return found

    def put(self, hour: str, document: bytes) -> None:
        """Keep a document; the first one of an hour stays, whoever else makes one."""
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(documents).values(hour=hour, document=document))
                connection.execute(delete(refusals).where(refusals.c.hour <= hour))
        except LedgerUnavailable:
            if self.document(hour) is None:
                raise

    def forget_before(self, hour: str) -> None:
        with writing(self._engine) as connection:
            connection.execute(delete(documents).where(documents.c.hour < hour))

    def add_refusals(self, hour: str, counts: Mapping[tuple[str, str], int]) -> None:
        """Keep how often each side refused with each code since the last call."""
        rows = [
            {"hour": hour, "side": side, "code": code[:100], "number": number}
            for (side, code), number in counts.items()
        ]
        if rows:
            with writing(self._engine) as connection:
                connection.execute(insert(refusals), rows)

    def refusals(self, hour: str) -> dict[str, dict[str, int]]:
        """What was refused in an hour, by side and code."""
        query = (
            select(refusals.c.side, refusals.c.code, func.sum(refusals.c.number))
            .where(refusals.c.hour == hour)
            .group_by(refusals.c.side, refusals.c.code)
            .order_by(refusals.c.side, refusals.c.code)
        )
        found: dict[str, dict[str, int]] = {}
        with reading(self._engine) as connection:
            for side, code, number in connection.execute(query):
                found.setdefault(side, {})[code] = int(number)
        return found
