"""The portal's tables: accounts, sessions, failed sign-ins, audit.

They are in the portal's own database, never in a node's: whoever takes over the web process
gets at no key and no ledger.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.exc import DBAPIError

from lienthong.errors import PortalStoreFailed

metadata = MetaData()

ACCOUNT = Table(
    "portal_account",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("shown_name", Text, nullable=False),
    Column("member", Text, nullable=False),  # empty: all that the console's node hosts
    Column("roles", Text, nullable=False),  # separated by spaces
    Column("password", Text, nullable=False),  # Argon2id; empty: signs in elsewhere
    Column("subject", String(500), unique=True),  # issuer and subject of OpenID Connect
    Column("totp_secret", Text, nullable=False),  # sealed; empty: no second factor
    Column("totp_pending", Text, nullable=False),  # sealed; shown, not confirmed yet
    Column("totp_step", BigInteger, nullable=False),  # the last one used: a code counts once
    Column("must_change", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", Float, nullable=False),
)
RECOVERY = Table(
    "portal_recovery_code",
    metadata,
    Column("account", ForeignKey("portal_account.name"), primary_key=True),
    Column("digest", String(64), primary_key=True),
)
ATTEMPT = Table(
    "portal_sign_in_attempt",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Float, nullable=False),
    Column("last", Float, nullable=False, index=True),
)
SESSION = Table(
    "portal_session",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of what the cookie holds
    Column("account", ForeignKey("portal_account.name"), nullable=False, index=True),
    Column("whole", Boolean, nullable=False),  # False: the second factor is still wanted
    Column("created", Float, nullable=False),
    Column("seen", Float, nullable=False),
)
AUDIT = Table(
    "portal_audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", Float, nullable=False, index=True),
    Column("account", String(64), nullable=False, index=True),
    Column("act", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("address", String(64), nullable=False),
)

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


def make_tables(engine: Engine) -> None:
    """Make what is not there yet. Raises PortalStoreFailed."""
    statements = (
        [_APPEND_ONLY_SQLITE.format(verb=verb) for verb in ("UPDATE", "DELETE")]
        if engine.dialect.name == "sqlite"
        else list(_APPEND_ONLY_POSTGRESQL)
    )
    try:
        metadata.create_all(engine)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
    except DBAPIError as error:
        raise PortalStoreFailed() from error
