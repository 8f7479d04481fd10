"""The portal's tables: accounts, sessions, failed sign-ins, audit.

They are in the portal's own database, never in a node's: whoever takes over the web process
gets at no key and no ledger. ``versions/`` makes and changes them.
"""

from __future__ import annotations

from pathlib import Path

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
)

from lienthong.errors import LienthongError
from lienthong.ledger.database import connect_database
from lienthong.schema.migrations import Line, bring_up_to_date

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

SCHEMA = Line(Path(__file__).parent / "versions", "lienthong_portal_schema", 0x4C54_504F)  # "LTPO"


def open_portal(url: str) -> Engine:
    """Connect, and bring the tables to this program's version of them.

    Raises ConfigurationError, LedgerUnavailable, SchemaTooNew, SchemaChangeFailed.
    """
    engine = connect_database(url)
    try:
        bring_up_to_date(engine, SCHEMA)
    except LienthongError:
        engine.dispose()
        raise
    return engine
