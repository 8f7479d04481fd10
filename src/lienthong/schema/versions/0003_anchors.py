"""Time-stamps and cosignatures on a node's own heads; what it signed as a witness of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "ledger_stamps",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("authority", sa.String(500), primary_key=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "ledger_cosignatures",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("witness", sa.String(1024), primary_key=True),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_table(
        "ledger_witnessed",
        sa.Column("origin", sa.String(1024), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("ledger_witnessed")
    op.drop_table("ledger_cosignatures")
    op.drop_table("ledger_stamps")
