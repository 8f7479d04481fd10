"""What several gateways of one node share: the ledger's edge, request ids, rates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # One row that every group changes: room in its page keeps the old versions of it there.
    op.create_table(
        "ledger_edge",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("fence", sa.SmallInteger, nullable=False),
        postgresql_with={"fillfactor": "10"},
    )
    op.create_table(
        "ledger_requests",
        sa.Column("request_id", sa.String(1024), primary_key=True),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
        sa.Column("gateway", sa.BigInteger, nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("answer_place", sa.BigInteger),
        sa.Column("answer_entry", sa.Integer),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ledger_requests_received", "ledger_requests", ["received_ms"])
    op.create_table(
        "agreement_rate",
        sa.Column("agreement_id", sa.String(36), primary_key=True),
        sa.Column("tokens", sa.Float(53), nullable=False),
        sa.Column("moment", sa.Float(53), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("agreement_rate")
    op.drop_table("ledger_requests")
    op.drop_table("ledger_edge")
