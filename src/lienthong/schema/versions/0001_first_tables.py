"""The tables of release 0.1, which made them by itself: what is there already stays as it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _ledger()
    _index_of_the_ledger()
    _peers()
    _agreements()
    _administration()


def downgrade() -> None:
    """Nothing is older: below this there is no ledger."""
    raise NotImplementedError


def _table(name: str, *columns: sa.Column[object] | sa.Constraint) -> None:
    op.create_table(name, *columns, if_not_exists=True)


def _index(name: str, table: str, *columns: str) -> None:
    op.create_index(name, table, list(columns), if_not_exists=True)


def _ledger() -> None:
    _table(
        "ledger_epochs",
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("opened_ms", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    _table(
        "ledger_groups",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("subtrees", sa.LargeBinary, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.Column("bodies", sa.LargeBinary),
    )
    _table(
        "ledger_progress",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )


def _index_of_the_ledger() -> None:
    _table(
        "ledger_messages",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String(1024), nullable=False),
        sa.Column("message_id", sa.String(1024), nullable=False),
        sa.Column("client", sa.String(1024), nullable=False),
        sa.Column("service", sa.String(1024), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(1024), nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
    )
    _index("ledger_messages_request", "ledger_messages", "request_id")
    _index("ledger_messages_message", "ledger_messages", "message_id")
    _index("ledger_messages_client", "ledger_messages", "client", "time_ms")
    _index("ledger_messages_service", "ledger_messages", "service", "time_ms")
    _table(
        "ledger_tokens",
        sa.Column("token", sa.LargeBinary(16), primary_key=True),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Integer, primary_key=True, autoincrement=False),
    )


def _peers() -> None:
    _table(
        "ledger_peer_heads",
        sa.Column("origin", sa.String(1024), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("consistent_size", sa.BigInteger, nullable=False),
        sa.Column("consistent_head", sa.Text, nullable=False),
    )
    _table(
        "ledger_forks",
        sa.Column("origin", sa.String(1024), primary_key=True),
        sa.Column("first_head", sa.Text, primary_key=True),
        sa.Column("second_head", sa.Text, primary_key=True),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
    )
    _table(
        "ledger_receipts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("answers", sa.LargeBinary, nullable=False),
        sa.Column("receipt", sa.LargeBinary, nullable=False),
    )
    _index("ledger_receipts_time", "ledger_receipts", "time_ms")


def _agreements() -> None:
    _table(
        "agreement",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    _index("ix_agreement_consumer", "agreement", "consumer")
    _index("ix_agreement_service", "agreement", "service")
    _table(
        "agreement_statement",
        sa.Column("agreement_id", sa.String(36), sa.ForeignKey("agreement.id"), primary_key=True),
        sa.Column("party", sa.String(16), primary_key=True),
        sa.Column("act", sa.String(16), primary_key=True),
        sa.Column("statement", sa.LargeBinary, nullable=False),
    )
    _table(
        "agreement_delivery",
        sa.Column("agreement_id", sa.String(36), sa.ForeignKey("agreement.id"), primary_key=True),
        sa.Column("node", sa.String(500), primary_key=True),
        sa.Column("statements", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.Float, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
    )
    _table(
        "agreement_usage",
        sa.Column("agreement_id", sa.String(36), sa.ForeignKey("agreement.id"), primary_key=True),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
    )


def _administration() -> None:
    for name, key in (("node_services", "id"), ("node_clients", "subsystem")):
        _table(
            name,
            sa.Column(key, sa.String(600), primary_key=True),
            sa.Column("definition", sa.LargeBinary, nullable=False),
        )
