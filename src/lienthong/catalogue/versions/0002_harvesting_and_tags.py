"""What is known of other catalogues; tags in the search index."""

from __future__ import annotations

import json
from collections import defaultdict

import sqlalchemy as sa
from alembic import op
from pyroaring import BitMap

revision = "0002"
down_revision = "0001"

_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ENTRIES_AT_ONCE = 20_000
_BLOCK_BITS, _LONGEST_TAG = 16, 300


def upgrade() -> None:
    _sources_and_records()
    _runs_and_events()
    _index_tags(op.get_bind())


def downgrade() -> None:
    for table in ("event", "run", "record", "source"):
        op.drop_table(f"catalogue_harvest_{table}")
    op.execute("DELETE FROM catalogue_posting WHERE term >= 'f:tag:' AND term < 'f:tag;'")
    _tell_readers(op.get_bind())


def _sources_and_records() -> None:
    op.create_table(
        "catalogue_harvest_source",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    table = "catalogue_harvest_record"
    op.create_table(
        table,
        sa.Column("source", sa.String(40), primary_key=True),
        sa.Column("record", _PLAIN, primary_key=True),
        sa.Column("key", _PLAIN, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("identifier_mark", sa.String(32)),
        sa.Column("landing_mark", sa.String(32)),
        sa.Column("content_mark", sa.String(32)),
        sa.Column("duplicate_of", _PLAIN),
        sa.Column("document", sa.LargeBinary),
    )
    for mark in ("identifier_mark", "landing_mark", "content_mark"):
        op.create_index(f"ix_{table}_{mark}", table, [mark])
    op.create_index(f"{table}_state", table, ["source", "state", "seen"])


def _runs_and_events() -> None:
    op.create_table(
        "catalogue_harvest_run",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("source", sa.String(40), nullable=False, index=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "catalogue_harvest_event",
        sa.Column("number", _NUMBER, primary_key=True),
        sa.Column("key", _PLAIN, nullable=False, index=True),
        sa.Column("run", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("told", sa.Text, nullable=False),
    )


def _index_tags(connection: sa.Connection) -> None:
    numbers: dict[str, list[int]] = defaultdict(list)
    query = sa.text(
        "SELECT number, document FROM catalogue_entry"
        " WHERE withdrawn IS NULL AND number > :last ORDER BY number LIMIT :most"
    )
    last = -1
    while rows := connection.execute(query, {"last": last, "most": _ENTRIES_AT_ONCE}).all():
        for number, document in rows:
            for tag in {tag[:_LONGEST_TAG] for tag in json.loads(document).get("tags", ()) if tag}:
                numbers[tag].append(number)
        last = rows[-1].number
    rows_of_index = [
        {"term": f"f:tag:{tag}", "block": block, "docs": bitmap.serialize()}
        for tag, found in numbers.items()
        for block, bitmap in _by_block(found).items()
    ]
    if rows_of_index:
        names = "catalogue_posting (term, block, docs) VALUES (:term, :block, :docs)"
        connection.execute(sa.text(f"INSERT INTO {names}"), rows_of_index)
        _tell_readers(connection)


def _by_block(numbers: list[int]) -> dict[int, BitMap]:
    blocks: dict[int, BitMap] = defaultdict(BitMap)
    for number in numbers:
        blocks[number >> _BLOCK_BITS].add(number)
    return blocks


def _tell_readers(connection: sa.Connection) -> None:
    """Those that hold bitmaps in memory read all of them anew."""
    connection.execute(sa.text("UPDATE catalogue_state SET generation = generation + 1"))
    connection.execute(
        sa.text(
            "INSERT INTO catalogue_change (generation, terms)"
            " SELECT generation, NULL FROM catalogue_state"
        )
    )
