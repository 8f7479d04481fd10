"""Bringing tables from one version of the schema to another, forward and backward.

    bring_up_to_date(engine)                  # at each start of a node
    migrate(engine, "0001")                   # before an older release is started again
    bring_up_to_date(engine, CATALOGUE)       # a database of another kind: a line of its own

A version is a file ``versions/NNNN_subject.py``; its number is the revision. One transaction makes
each change or none of it. Processes that start at once take turns: by an advisory lock on
PostgreSQL, by the write lock of the file on SQLite.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from lienthong.errors import SchemaChangeFailed, SchemaTooNew, SchemaVersionUnknown
from lienthong.events import log_event

if TYPE_CHECKING:
    from alembic.config import Config

# A table may be in use by older gateways: wait for their transactions, but not for ever.
LOCK_TIMEOUT = "60s"
# A step may think between two statements for longer than a node's other transactions: Alembic is
# loaded in between, and a start on a busy machine gets little time of the processor.
THINKING_TIME = "10min"

_FOLDER = Path(__file__).parent


class Line(NamedTuple):
    """The steps of one kind of database. ``lock_number``: its advisory lock on PostgreSQL."""

    versions_folder: Path
    version_table: str
    lock_number: int


NODE = Line(_FOLDER / "versions", "lienthong_schema", 0x4C54_5343)  # "LTSC"
VERSION_TABLE = NODE.version_table

logger = logging.getLogger("lienthong.schema")


@cache
def versions(line: Line = NODE) -> tuple[str, ...]:
    """All versions that this program knows, the oldest first."""
    return tuple(sorted(path.name[:4] for path in line.versions_folder.glob("[0-9]*.py")))


def newest(line: Line = NODE) -> str:
    return versions(line)[-1]


def current(engine: Engine, line: Line = NODE) -> str:
    """The version of the tables in ``engine``; empty when there are none yet."""
    try:
        with engine.connect() as connection:
            return _current(connection, line)
    except SQLAlchemyError as error:
        raise SchemaChangeFailed(reason=type(error).__name__) from error


def check_known(engine: Engine, line: Line = NODE) -> str:
    """Return the version of the tables. Raises SchemaTooNew, SchemaChangeFailed."""
    found = current(engine, line)
    _check(found, line)
    return found


def bring_up_to_date(engine: Engine, line: Line = NODE) -> None:
    """Make or change the tables for this program; nothing happens when they are right already.

    Raises SchemaTooNew, SchemaChangeFailed.
    """
    if check_known(engine, line) != newest(line):
        migrate(engine, newest(line), line)


def migrate(engine: Engine, version: str, line: Line = NODE) -> str:
    """Bring the tables to ``version``, forward or backward; returns the version before.

    Raises SchemaVersionUnknown, SchemaTooNew, SchemaChangeFailed.
    """
    if version not in versions(line):
        raise SchemaVersionUnknown(version=version, known=", ".join(versions(line)))
    try:
        with engine.begin() as connection:
            _take_turn(connection, line)
            before = _current(connection, line)
            _check(before, line)
            _run(connection, before, version, line)
    except SQLAlchemyError as error:
        # The driver's own text may hold addresses and passwords.
        raise SchemaChangeFailed(reason=type(error).__name__) from error
    if before != version:
        log_event(logger, logging.INFO, "schema.changed", before=before, after=version)
    return before


def _check(found: str, line: Line) -> None:
    if found and found not in versions(line):
        raise SchemaTooNew(found=found, known=newest(line))


def _current(connection: Connection, line: Line) -> str:
    if not inspect(connection).has_table(line.version_table):
        return ""
    found = connection.exec_driver_sql(f"SELECT version_num FROM {line.version_table}").scalar()
    return str(found or "")


def _take_turn(connection: Connection, line: Line) -> None:
    if connection.dialect.name == "sqlite":
        # Python's driver would otherwise end the transaction's protection at each CREATE.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{LOCK_TIMEOUT}'")
        connection.exec_driver_sql(
            f"SET LOCAL idle_in_transaction_session_timeout TO '{THINKING_TIME}'"
        )
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({line.lock_number})")


def _run(connection: Connection, before: str, version: str, line: Line) -> None:
    from alembic import command  # a start that changes nothing does not pay for the import

    if before < version:
        command.upgrade(_alembic(connection, line), version)
    elif before > version:
        command.downgrade(_alembic(connection, line), version)


def _alembic(connection: Connection, line: Line) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _escaped(_FOLDER / "environment"))
    config.set_main_option("version_locations", _escaped(line.versions_folder))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = line.version_table
    return config


def _escaped(path: Path) -> str:
    """A path as a value of Alembic's configuration, where % begins a reference."""
    return str(path).replace("%", "%%")


@cache
def tables_of(version: str) -> tuple[str, ...]:
    """Names of the node's own tables at that version. Raises SchemaVersionUnknown."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        migrate(engine, version)
        return tuple(name for name in inspect(engine).get_table_names() if name != VERSION_TABLE)
    finally:
        engine.dispose()
