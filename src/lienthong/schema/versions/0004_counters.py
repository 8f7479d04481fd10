"""Signed hourly counters: documents of hours, and refusals of the hours that run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "counters_documents",
        sa.Column("hour", sa.String(13), primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "counters_refusals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("hour", sa.String(13), nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("code", sa.String(100), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_counters_refusals_hour", "counters_refusals", ["hour"])


def downgrade() -> None:
    op.drop_table("counters_refusals")
    op.drop_table("counters_documents")
