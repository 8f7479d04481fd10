"""A node's database in a backup: one consistent state, taken while the node runs, and put back.

SQLite copies itself (its online backup) within one reading transaction, so that writers neither
wait nor make it begin again. PostgreSQL's tables are copied (COPY) in one transaction of
isolation REPEATABLE READ, READ ONLY: one snapshot, without ``pg_dump`` and its version.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from psycopg import sql
from sqlalchemy import Engine, MetaData, make_url
from sqlalchemy.exc import DBAPIError

from lienthong.errors import BackupDamaged, LedgerUnavailable, RestoreTargetTaken
from lienthong.ledger.database import connect_database
from lienthong.node.backup_file import CHUNK_BYTES, BackupWriter
from lienthong.node.backup_manifest import TableRows
from lienthong.schema.migrations import current, migrate, tables_of

PAGES_AT_ONCE = 256  # between two reports of progress
RESTORING = "lienthong_restoring"  # schema where tables are made before they take their place

Progress = Callable[[int, int], None]


# --- taking it -----------------------------------------------------------------------


def copy_sqlite(source: Path, copy: Path, progress: Progress) -> None:
    """Copy a database that others write to. Raises LedgerUnavailable."""

    def report(_status: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)

    try:
        with (
            closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True)) as reading,
            closing(sqlite3.connect(copy)) as writing,
        ):
            reading.isolation_level = None
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the state begins
            reading.backup(writing, pages=PAGES_AT_ONCE, progress=report, sleep=0.001)
            writing.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise LedgerUnavailable() from error


def dump_postgresql(
    engine: Engine, schema: str, writer: BackupWriter, progress: Progress
) -> list[TableRows]:
    """Write every table of the node to ``writer``, all of one moment. Raises LedgerUnavailable."""
    with one_snapshot(engine) as connection:
        tables = _tables_in_order(connection, schema)
        driver: Any = connection.connection.driver_connection
        for number, table in enumerate(tables):
            progress(number, len(tables))
            writer.add(f"database/{table.name}", _copied(driver, table))
        return tables


@contextmanager
def one_snapshot(engine: Engine) -> Iterator[Any]:
    """A connection that sees one state of the database however long it reads."""
    try:
        with engine.connect() as plain:
            connection = plain.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            yield connection
            connection.rollback()
    except DBAPIError as error:
        raise LedgerUnavailable() from error


def _tables_in_order(connection: Any, schema: str) -> list[TableRows]:
    """The node's own tables, those that others refer to first."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in tables_of(schema))
    return [
        TableRows(str(table.name), tuple(str(column.name) for column in table.columns))
        for table in found.sorted_tables
    ]


def _copied(driver: Any, table: TableRows) -> Iterator[bytes]:
    """The rows as PostgreSQL writes them, in pieces of a useful size."""
    columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
    command = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table.name), columns)
    waiting: list[bytes] = []
    size = 0
    with driver.cursor() as cursor, cursor.copy(command) as copy:
        for row in copy:
            waiting.append(bytes(row))
            size += len(waiting[-1])
            if size >= CHUNK_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    yield b"".join(waiting)


# --- putting it back -----------------------------------------------------------------


def restoring_url(url: str) -> str:
    """The same PostgreSQL database, working in the schema of tables that are not yet in place."""
    parsed = make_url(url)
    given = str(parsed.query.get("options", ""))
    options = f"{given} -csearch_path={RESTORING}".strip()
    return parsed.update_query_dict({"options": options}).render_as_string(hide_password=False)


def begin_restoring(url: str) -> None:
    """Make an empty schema for the tables. Raises RestoreTargetTaken, LedgerUnavailable."""
    engine = connect_database(url)
    try:
        if current(engine) or _has_ledger(engine):
            raise RestoreTargetTaken(target="database")
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {RESTORING} CASCADE")
            connection.exec_driver_sql(f"CREATE SCHEMA {RESTORING}")
    except DBAPIError as error:
        raise LedgerUnavailable() from error
    finally:
        engine.dispose()


def _has_ledger(engine: Engine) -> bool:
    with engine.connect() as connection:
        return bool(engine.dialect.has_table(connection, "ledger_groups"))


class TableLoader:
    """Fills the tables of a schema version from a backup's members, in one transaction."""

    def __init__(self, url: str, schema: str) -> None:
        self._engine = connect_database(url)
        migrate(self._engine, schema)
        self._known = tables_of(schema)
        self._connection = self._engine.raw_connection()
        self._driver = cast(Any, self._connection.driver_connection)
        with self._driver.cursor() as cursor:
            for name in self._known:  # what a migration itself put in would be there twice
                cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.Identifier(name)))

    def load(self, table: TableRows, chunks: Iterator[bytes]) -> None:
        """Raises BackupDamaged when the rows do not fit."""
        if table.name not in self._known:
            raise BackupDamaged(reason=f"unknown table {table.name[:100]}")
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
        try:
            with self._driver.cursor() as cursor, cursor.copy(command) as copy:
                for chunk in chunks:
                    copy.write(chunk)
        except self._engine.dialect.dbapi.Error as error:  # type: ignore[union-attr]
            raise BackupDamaged(reason=f"rows of {table.name}") from error

    def commit(self) -> None:
        self._set_counters()
        self._driver.commit()

    def close(self) -> None:
        self._connection.close()
        self._engine.dispose()

    def _set_counters(self) -> None:
        """Numbers that the server gives go on after the largest one that came back."""
        with self._driver.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns"
                " WHERE table_schema = current_schema()"
                " AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
            )
            for table, column in cursor.fetchall():
                cursor.execute(
                    sql.SQL(
                        "SELECT setval(pg_get_serial_sequence({0}, {1}),"
                        " coalesce((SELECT max({2}) FROM {3}), 0) + 1, false)"
                    ).format(
                        sql.Literal(table),
                        sql.Literal(column),
                        sql.Identifier(column),
                        sql.Identifier(table),
                    )
                )


def take_place(url: str) -> None:
    """Move the restored tables to where the node looks for them, all at once."""
    engine = connect_database(url)
    try:
        with engine.begin() as connection:
            target = connection.exec_driver_sql("SELECT current_schema()").scalar()
            names = connection.exec_driver_sql(
                f"SELECT tablename FROM pg_tables WHERE schemaname = '{RESTORING}'"
            ).scalars()
            quote = engine.dialect.identifier_preparer.quote
            for name in names.all():
                connection.exec_driver_sql(
                    f"ALTER TABLE {RESTORING}.{quote(name)} SET SCHEMA {quote(str(target))}"
                )
            connection.exec_driver_sql(f"DROP SCHEMA {RESTORING}")
    except DBAPIError as error:
        raise LedgerUnavailable() from error
    finally:
        engine.dispose()


def give_up_restoring(url: str) -> None:
    """Leave the database as it was before ``begin_restoring``."""
    engine = connect_database(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {RESTORING} CASCADE")
    finally:
        engine.dispose()


def _quoted(path: Path) -> str:
    """A path within a ``file:`` address of SQLite."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
