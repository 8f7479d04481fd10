"""What Alembic runs around each migration; the connection comes from ``migrations.py``."""

from __future__ import annotations

from alembic import context

from lienthong.schema.migrations import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
