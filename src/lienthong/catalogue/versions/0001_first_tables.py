"""The tables of a catalogue; what an earlier build made by itself stays as it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Ranges of terms are read in the order of bytes, whatever the language of the server.
_PLAIN = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _state()
    _entries()
    _search()
    _history()


def downgrade() -> None:
    """Nothing is older: below this there is no catalogue."""
    raise NotImplementedError


def _table(name: str, *columns: sa.Column[object], **options: object) -> None:
    op.create_table(name, *columns, if_not_exists=True, **options)


def _state() -> None:
    _table(
        "catalogue_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO catalogue_state (id, schema, generation) "
        "SELECT 1, 1, 1 WHERE NOT EXISTS (SELECT 1 FROM catalogue_state)"
    )


def _entries() -> None:
    _table(
        "catalogue_entry",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", _PLAIN, nullable=False, unique=True),
        sa.Column("owner", _PLAIN, nullable=False),
        sa.Column("source", _PLAIN, nullable=False),
        sa.Column("modified", sa.Float, nullable=False),
        sa.Column("withdrawn", sa.Float),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    for name, columns in (
        ("catalogue_entry_modified", ["modified", "number"]),
        ("catalogue_entry_source", ["source", "key"]),
    ):
        op.create_index(name, "catalogue_entry", columns, if_not_exists=True)


def _search() -> None:
    _table(
        "catalogue_posting",
        sa.Column("term", _PLAIN, primary_key=True),
        sa.Column("block", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("docs", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    _table(
        "catalogue_label",
        sa.Column("facet", sa.String(32), primary_key=True),
        sa.Column("value", _PLAIN, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
    )
    _table(
        "catalogue_change",
        sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("terms", sa.Text),
    )


def _history() -> None:
    _table(
        "catalogue_contract",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    _table(
        "catalogue_publication",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("key", _PLAIN, nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "ix_catalogue_publication_key", "catalogue_publication", ["key"], if_not_exists=True
    )
