"""The tables of a catalogue's database; a catalogue has a database of its own.

    engine = open_catalogue("sqlite:////var/lib/lienthong/catalogue/catalogue.db")

``catalogue_posting`` is the search index: for each term and each block of 65,536 entries one
compressed bitmap (Roaring) of the entries that have it. It changes in the transaction that
changes the entry, so it can never fall behind. ``catalogue_change`` tells other processes which
terms a transaction changed. ``versions/`` makes and changes the tables.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from lienthong.errors import LienthongError
from lienthong.ledger.database import connect_database
from lienthong.schema.migrations import Line, bring_up_to_date

_VERSIONS = Path(__file__).parent / "versions"

SCHEMA = Line(_VERSIONS, "lienthong_catalogue_schema", 0x4C54_4341)  # "LTCA"

# Ranges of terms are read in the order of bytes, whatever the language of the server.
_Plain = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()

STATE = Table(
    "catalogue_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("schema", Integer, nullable=False),  # 1; what the version is tells SCHEMA
    Column("generation", BigInteger, nullable=False),  # grows with each transaction that writes
)
ENTRY = Table(
    "catalogue_entry",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("key", _Plain, nullable=False, unique=True),
    Column("owner", _Plain, nullable=False),
    Column("source", _Plain, nullable=False),
    Column("modified", Float, nullable=False),
    Column("withdrawn", Float),  # Unix time; the row stays for its history
    Column("document", LargeBinary, nullable=False),
    Index("catalogue_entry_modified", "modified", "number"),
    Index("catalogue_entry_source", "source", "key"),
)
POSTING = Table(
    "catalogue_posting",
    metadata,
    Column("term", _Plain, primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("docs", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
LABEL = Table(
    "catalogue_label",
    metadata,
    Column("facet", String(32), primary_key=True),
    Column("value", _Plain, primary_key=True),
    Column("label", Text, nullable=False),
)
CHANGE = Table(
    "catalogue_change",
    metadata,
    Column("generation", BigInteger, primary_key=True, autoincrement=False),
    Column("terms", Text),  # one a line; NULL: too many to name
)
CONTRACT = Table(
    "catalogue_contract",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
PUBLICATION = Table(
    "catalogue_publication",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", _Plain, nullable=False, index=True),
    Column("received", DateTime(timezone=True), nullable=False),
    Column("statement", LargeBinary, nullable=False),
)

# --- harvesting: what is known of other catalogues (``harvest/store.py``)
HARVEST_SOURCE = Table(
    "catalogue_harvest_source",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
HARVEST_RECORD = Table(
    "catalogue_harvest_record",
    metadata,
    Column("source", String(40), primary_key=True),
    Column("record", _Plain, primary_key=True),  # its id at the source
    Column("key", _Plain, nullable=False),
    Column("state", String(16), nullable=False),
    Column("seen", BigInteger, nullable=False),  # the last run that met it
    Column("digest", String(64), nullable=False),
    Column("identifier_mark", String(32), index=True),
    Column("landing_mark", String(32), index=True),
    Column("content_mark", String(32), index=True),
    Column("duplicate_of", _Plain),
    Column("document", LargeBinary),  # the entry, of one that is not shown
    Index("catalogue_harvest_record_state", "source", "state", "seen"),
)
HARVEST_RUN = Table(
    "catalogue_harvest_run",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("source", String(40), nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
)
HARVEST_EVENT = Table(
    "catalogue_harvest_event",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", _Plain, nullable=False, index=True),
    Column("run", BigInteger, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("act", String(16), nullable=False),
    Column("told", Text, nullable=False),  # its title then, or the entry that it repeats
)
HARVEST_LEASE = Table(
    "catalogue_harvest_lease",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("holder", String(64), nullable=False),  # a process, by a random name
    Column("source", String(40), nullable=False),
    Column("until", Float, nullable=False),  # Unix time; it is free afterwards
)


def open_catalogue(url: str) -> Engine:
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
