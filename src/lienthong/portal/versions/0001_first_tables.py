"""The tables of a portal; what an earlier build made by itself stays as it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# What was done stays written: the database itself refuses to change or delete a line.
_APPEND_ONLY_SQLITE = (
    "CREATE TRIGGER IF NOT EXISTS portal_audit_no_{verb} BEFORE {verb} ON portal_audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
)
_APPEND_ONLY_POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION portal_audit_stays() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$",
    "CREATE OR REPLACE TRIGGER portal_audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE "
    "ON portal_audit FOR EACH STATEMENT EXECUTE FUNCTION portal_audit_stays()",
)


def upgrade() -> None:
    _accounts()
    _sessions()
    _audit()


def downgrade() -> None:
    """Nothing is older: below this there is no portal."""
    raise NotImplementedError


def _table(name: str, *columns: sa.Column[object]) -> None:
    op.create_table(name, *columns, if_not_exists=True)


def _index(table: str, column: str) -> None:
    op.create_index(f"ix_{table}_{column}", table, [column], if_not_exists=True)


def _accounts() -> None:
    _table(
        "portal_account",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("shown_name", sa.Text, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("subject", sa.String(500), unique=True),
        sa.Column("totp_secret", sa.Text, nullable=False),
        sa.Column("totp_pending", sa.Text, nullable=False),
        sa.Column("totp_step", sa.BigInteger, nullable=False),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    _table(
        "portal_recovery_code",
        sa.Column("account", sa.String(64), sa.ForeignKey("portal_account.name"), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
    )


def _sessions() -> None:
    _table(
        "portal_sign_in_attempt",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.Float, nullable=False),
        sa.Column("last", sa.Float, nullable=False),
    )
    _index("portal_sign_in_attempt", "last")
    _table(
        "portal_session",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(64), sa.ForeignKey("portal_account.name"), nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
    )
    _index("portal_session", "account")


def _audit() -> None:
    _table(
        "portal_audit",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("act", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
    )
    _index("portal_audit", "time")
    _index("portal_audit", "account")
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_APPEND_ONLY_SQLITE.format(verb=verb))
    else:
        for statement in _APPEND_ONLY_POSTGRESQL:
            op.execute(statement)
