"""Tables of the ledger, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData()

# One row an epoch: a node opens a new one only when its tree cannot go on (DESIGN §4).
epochs = Table(
    "ledger_epochs",
    metadata,
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("opened_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# One row a group: the whole of what one durable transaction says. One statement writes it, so
# that SQLite's writer thread waits for Python's lock once a group and not four times.
groups = Table(
    "ledger_groups",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("head", Text, nullable=False),
    Column("subtrees", LargeBinary, nullable=False),  # complete subtrees closed, 32 bytes each
    Column("entries", LargeBinary, nullable=False),  # msgpack of tuple[Entry, …]
    Column("bodies", LargeBinary),  # msgpack of {entry index: bytes}; NULL when none or purged
)
# No index by time: places grow with time, and an index would be one more page in every commit.

# The right edge of the node's tree, in one row: whoever writes the next group holds it (ADR 0010).
# PostgreSQL only; a node on SQLite is one process, which keeps the edge in memory.
edge = Table(
    "ledger_edge",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("peaks", LargeBinary, nullable=False),  # complete subtrees, largest first
    Column("time_ms", BigInteger, nullable=False),
    Column("head", Text, nullable=False),
    Column("fence", SmallInteger, nullable=False),  # NULL is refused: the writer was overtaken
)

# Request ids of the recent past, for all gateways of the node; PostgreSQL only.
requests = Table(
    "ledger_requests",
    metadata,
    Column("request_id", String(1024), primary_key=True),
    Column("leaf", LargeBinary, nullable=False),  # of the entry that says it was received
    Column("gateway", BigInteger, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("answer_place", BigInteger),
    Column("answer_entry", Integer),
)
Index("ledger_requests_received", requests.c.received_ms)

# The index for searching follows the groups; it can be dropped and built again from them.
messages = Table(
    "ledger_messages",
    metadata,
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("request_id", String(1024), nullable=False),
    Column("message_id", String(1024), nullable=False),
    Column("client", String(1024), nullable=False),
    Column("service", String(1024), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("reason", String(1024), nullable=False),
    Column("status", SmallInteger, nullable=False),
)
Index("ledger_messages_request", messages.c.request_id)
Index("ledger_messages_message", messages.c.message_id)
Index("ledger_messages_client", messages.c.client, messages.c.time_ms)
Index("ledger_messages_service", messages.c.service, messages.c.time_ms)

# Dossiers and citizens only as HMACs under a key of the node (plain hashes are guessed).
tokens = Table(
    "ledger_tokens",
    metadata,
    Column("token", LargeBinary(16), primary_key=True),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", Integer, primary_key=True, autoincrement=False),
)

progress = Table(
    "ledger_progress",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# The last head of every node that this one has talked to, and any proof of two histories.
peer_heads = Table(
    "ledger_peer_heads",
    metadata,
    Column("origin", String(1024), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("head", Text, nullable=False),
    Column("consistent_size", BigInteger, nullable=False),
    Column("consistent_head", Text, nullable=False),
)

forks = Table(
    "ledger_forks",
    metadata,
    Column("origin", String(1024), primary_key=True),
    Column("first_head", Text, primary_key=True),
    Column("second_head", Text, primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),
)

# Acknowledgements of our answers by the nodes that received them.
receipts = Table(
    "ledger_receipts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("answers", LargeBinary, nullable=False),  # leaves acknowledged, 32 bytes each
    Column("receipt", LargeBinary, nullable=False),  # msgpack of GroupReceipt
)
Index("ledger_receipts_time", receipts.c.time_ms)
