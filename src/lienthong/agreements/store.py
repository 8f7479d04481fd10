"""Where agreements are kept: documents, statements, what is still to be delivered, counts.

Every write is one transaction and is on disk when the method returns (``open_database`` sees
to ``synchronous=FULL`` and ``synchronous_commit``). It begins with a statement that writes, so
that SQLite waits for its turn instead of refusing a transaction that has already read.
Statements are only ever added.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from lienthong.agreements.book import Usage
from lienthong.agreements.documents import parse_document, parse_statement
from lienthong.agreements.models import Agreement, Statement
from lienthong.errors import AgreementConflict, AgreementStoreFailed

metadata = MetaData()

AGREEMENT = Table(
    "agreement",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("consumer", Text, nullable=False, index=True),
    Column("service", Text, nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("document", LargeBinary, nullable=False),
)
STATEMENT = Table(
    "agreement_statement",
    metadata,
    Column("agreement_id", ForeignKey("agreement.id"), primary_key=True),
    Column("party", String(16), primary_key=True),
    Column("act", String(16), primary_key=True),
    Column("statement", LargeBinary, nullable=False),
)
DELIVERY = Table(
    "agreement_delivery",
    metadata,
    Column("agreement_id", ForeignKey("agreement.id"), primary_key=True),
    Column("node", String(500), primary_key=True),
    Column("statements", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("last_error", Text, nullable=False),
)
USAGE = Table(
    "agreement_usage",
    metadata,
    Column("agreement_id", ForeignKey("agreement.id"), primary_key=True),
    Column("day", Integer, nullable=False),
    Column("used", BigInteger, nullable=False),
)


class Delivery(NamedTuple):
    """An agreement that a node has not confirmed yet; ``due`` is a Unix time."""

    agreement_id: str
    node: str
    statements: int
    attempts: int
    due: float
    last_error: str


class AgreementStore:
    """Agreements in SQLite or PostgreSQL; the engine comes from ``ledger.database``.

    All methods raise AgreementStoreFailed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        dialect: Any = sqlite if engine.dialect.name == "sqlite" else postgresql
        self._insert = dialect.insert

    def save(self, agreement: Agreement, deliver_to: Iterable[str], now: float) -> None:
        """Add what is new of ``agreement`` and queue it for the nodes of ``deliver_to``.

        Raises AgreementConflict when other terms are kept under its id.
        """
        with self._transaction() as connection:
            self._add_document(connection, agreement)
            for statement in agreement.statements:
                self._add_statement(connection, statement)
            for node in deliver_to:
                self._queue(connection, agreement, node, now)

    def all(self) -> list[Agreement]:
        """Return every agreement, by id."""
        documents = select(AGREEMENT.c.id, AGREEMENT.c.document).order_by(AGREEMENT.c.id)
        statements = select(STATEMENT.c.agreement_id, STATEMENT.c.statement)
        with self._transaction() as connection:
            rows = connection.execute(documents).all()
            found = defaultdict(list)
            for id_, statement in connection.execute(statements):
                found[id_].append(parse_statement(statement))
        return [_agreement(document, found[id_]) for id_, document in rows]

    def fingerprint(self) -> tuple[int, int]:
        """Another one when something was added: agreements and statements are never changed."""
        agreements = select(func.count()).select_from(AGREEMENT).scalar_subquery()
        statements = select(func.count()).select_from(STATEMENT).scalar_subquery()
        with self._transaction() as connection:
            row = connection.execute(select(agreements, statements)).one()
        return row[0], row[1]

    def get(self, agreement_id: str) -> Agreement | None:
        """Return one agreement, or None."""
        with self._transaction() as connection:
            document = connection.execute(
                select(AGREEMENT.c.document).where(AGREEMENT.c.id == agreement_id)
            ).scalar_one_or_none()
            statements = connection.execute(
                select(STATEMENT.c.statement).where(STATEMENT.c.agreement_id == agreement_id)
            ).scalars()
            parsed = [parse_statement(statement) for statement in statements]
        return None if document is None else _agreement(document, parsed)

    def deliveries(self) -> list[Delivery]:
        """Return what is still to be delivered, the longest due first."""
        query = select(DELIVERY).order_by(DELIVERY.c.due)
        with self._transaction() as connection:
            return [Delivery(*row) for row in connection.execute(query)]

    def delivered(self, delivery: Delivery) -> None:
        """Take a delivery off the queue, unless more statements were added since."""
        with self._transaction() as connection:
            connection.execute(
                delete(DELIVERY).where(
                    _same(delivery), DELIVERY.c.statements <= delivery.statements
                )
            )

    def postpone(self, delivery: Delivery, due: float, last_error: str) -> None:
        """Keep a delivery that failed for a later attempt."""
        with self._transaction() as connection:
            connection.execute(
                update(DELIVERY)
                .where(_same(delivery))
                .values(attempts=delivery.attempts + 1, due=due, last_error=last_error)
            )

    def save_usage(self, usages: Iterable[Usage]) -> None:
        """Keep how much of the daily quotas was used."""
        with self._transaction() as connection:
            for usage in usages:
                row = {"day": usage.day, "used": usage.used}
                insert = self._insert(USAGE).values(agreement_id=usage.agreement_id, **row)
                connection.execute(
                    insert.on_conflict_do_update(index_elements=["agreement_id"], set_=row)
                )

    def usage(self) -> list[Usage]:
        """Return what ``save_usage`` kept."""
        with self._transaction() as connection:
            return [Usage(*row) for row in connection.execute(select(USAGE))]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            # The driver's own text may hold addresses and passwords; the log has it.
            raise AgreementStoreFailed(reason=type(error).__name__) from error

    def _add_document(self, connection: Connection, agreement: Agreement) -> None:
        document = agreement.document
        row = {
            "id": document.id,
            "consumer": document.consumer,
            "service": document.service,
            "digest": document.digest,
            "document": document.canonical,
        }
        connection.execute(self._insert(AGREEMENT).values(row).on_conflict_do_nothing())
        kept = connection.execute(
            select(AGREEMENT.c.digest).where(AGREEMENT.c.id == document.id)
        ).scalar_one()
        if kept != row["digest"]:
            raise AgreementConflict(agreement=document.id)

    def _add_statement(self, connection: Connection, statement: Statement) -> None:
        row = {
            "agreement_id": statement.agreement,
            "party": statement.party,
            "act": statement.act,
            "statement": statement.canonical,
        }
        connection.execute(self._insert(STATEMENT).values(row).on_conflict_do_nothing())

    def _queue(self, connection: Connection, agreement: Agreement, node: str, now: float) -> None:
        fresh = {
            "statements": len(agreement.statements),
            "attempts": 0,
            "due": now,
            "last_error": "",
        }
        insert = self._insert(DELIVERY).values(agreement_id=agreement.id, node=node, **fresh)
        connection.execute(
            insert.on_conflict_do_update(index_elements=["agreement_id", "node"], set_=fresh)
        )


def _same(delivery: Delivery) -> Any:
    return and_(DELIVERY.c.agreement_id == delivery.agreement_id, DELIVERY.c.node == delivery.node)


def _agreement(document: bytes, statements: list[Statement]) -> Agreement:
    return Agreement(parse_document(document), ()).with_statements(statements)
