"""Bringing a node's tables from one version of the schema to another, forward and backward.

    bring_up_to_date(engine)       # at each start of a node
    migrate(engine, "0001")        # before an older release is started again

A version is a file ``versions/NNNN_subject.py``; its number is the revision. One transaction makes
each change or none of it. Processes that start at once take turns: by an advisory lock on
PostgreSQL, by the write lock of the file on SQLite.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from lienthong.errors import SchemaChangeFailed, SchemaTooNew, SchemaVersionUnknown
from lienthong.events import log_event

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE = "lienthong_schema"
LOCK_NUMBER = 0x4C54_5343  # advisory lock on PostgreSQL: "LTSC"
# A table may be in use by older gateways: wait for their transactions, but not for ever.
LOCK_TIMEOUT = "60s"
# A step may think between two statements for longer than a node's other transactions: Alembic is
# loaded in between, and a start on a busy machine gets little time of the processor.
THINKING_TIME = "10min"

_FOLDER = Path(__file__).parent

logger = logging.getLogger("lienthong.schema")


@cache
def versions() -> tuple[str, ...]:
    """All versions that this program knows, the oldest first."""
    return tuple(sorted(path.name[:4] for path in (_FOLDER / "versions").glob("[0-9]*.py")))


def newest() -> str:
    return versions()[-1]


def current(engine: Engine) -> str:
    """The version of the tables in ``engine``; empty when there are none yet."""
    try:
        with engine.connect() as connection:
            return _current(connection)
    except SQLAlchemyError as error:
        raise SchemaChangeFailed(reason=type(error).__name__) from error


def check_known(engine: Engine) -> str:
    """Return the version of the tables. Raises SchemaTooNew, SchemaChangeFailed."""
    found = current(engine)
    _check(found)
    return found


def bring_up_to_date(engine: Engine) -> None:
    """Make or change the tables for this program; nothing happens when they are right already.

    Raises SchemaTooNew, SchemaChangeFailed.
    """
    if check_known(engine) != newest():
        migrate(engine, newest())


def migrate(engine: Engine, version: str) -> None:
    """Bring the tables to ``version``, forward or backward.

    Raises SchemaVersionUnknown, SchemaTooNew, SchemaChangeFailed.
    """
    if version not in versions():
        raise SchemaVersionUnknown(version=version, known=", ".join(versions()))
    try:
        with engine.begin() as connection:
            _take_turn(connection)
            before = _current(connection)
            _check(before)
            _run(connection, before, version)
    except SQLAlchemyError as error:
        # The driver's own text may hold addresses and passwords.
        raise SchemaChangeFailed(reason=type(error).__name__) from error
    if before != version:
        log_event(logger, logging.INFO, "schema.changed", before=before, after=version)


def _check(found: str) -> None:
    if found and found not in versions():
        raise SchemaTooNew(found=found, known=newest())


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return str(found or "")


def _take_turn(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # Python's driver would otherwise end the transaction's protection at each CREATE.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout TO '{LOCK_TIMEOUT}'")
        connection.exec_driver_sql(
            f"SET LOCAL idle_in_transaction_session_timeout TO '{THINKING_TIME}'"
        )
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_NUMBER})")


def _run(connection: Connection, before: str, version: str) -> None:
    from alembic import command  # a start that changes nothing does not pay for the import

    if before < version:
        command.upgrade(_alembic(connection), version)
    elif before > version:
        command.downgrade(_alembic(connection), version)


def _alembic(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", _escaped(_FOLDER / "environment"))
    config.set_main_option("version_locations", _escaped(_FOLDER / "versions"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
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
