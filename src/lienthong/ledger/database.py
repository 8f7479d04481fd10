"""Opening a node's database so that what is committed is on disk.

    engine = open_database("sqlite:////var/lib/lienthong/node.db")       # tables as we know them
    engine = connect_database("sqlite:////var/lib/lienthong/node.db")    # tables as they are

SQLite: write-ahead log, ``synchronous=FULL`` (an fsync before each commit returns).
PostgreSQL: ``synchronous_commit`` on for every session; a server with ``fsync`` off is refused.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError

from lienthong.errors import ConfigurationError, LedgerUnavailable, LienthongError
from lienthong.schema.migrations import bring_up_to_date

BUSY_TIMEOUT_MS = 10_000
# A machine that fell silent is noticed in about ten seconds, by us and by the server.
GATEWAY_KEEPALIVES = {
    "connect_timeout": "5",
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SERVER_KEEPALIVES = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SQLITE_PRAGMAS = (
    "PRAGMA page_size=16384",  # a group fills some pages; fewer of them are fewer system calls
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA secure_delete=ON",  # what is erased or purged leaves no trace in free pages
)

# SQLite has one writer at a time; who finds it busy sleeps and tries again, in no order, so that on
# a busy machine one may be late for ten seconds. The threads of this process wait for each other
# here instead, by database.
_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def open_database(url: str) -> Engine:
    """Connect, and bring the tables to this program's version of the schema.

    Raises ConfigurationError, LedgerUnavailable, SchemaTooNew, SchemaChangeFailed.
    """
    engine = connect_database(url)
    try:
        bring_up_to_date(engine)
    except LienthongError:
        engine.dispose()
        raise
    return engine


def connect_database(url: str) -> Engine:
    """Connect to SQLite or PostgreSQL. Raises ConfigurationError, LedgerUnavailable."""
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    try:
        given = {"connect_args": GATEWAY_KEEPALIVES} if url.startswith("postgresql") else {}
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), **given)
    except (ArgumentError, ImportError) as error:
        raise ConfigurationError(reason="database: not sqlite:///… or postgresql://…") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _prepare_postgresql)
    else:
        raise ConfigurationError(reason=f"database: {engine.dialect.name} is not supported")
    try:
        engine.connect().close()
    except DBAPIError as error:
        raise LedgerUnavailable() from error
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read by. Raises LedgerUnavailable when the database fails."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise LedgerUnavailable() from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed when the block ends. Raises LedgerUnavailable."""
    try:
        with turn_to_write(engine), engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise LedgerUnavailable() from error


def turn_to_write(engine: Engine) -> AbstractContextManager[Any]:
    """Where the database has one writer at a time: wait until no other thread of ours writes.

    Not to be taken twice by one thread.
    """
    return _turns[str(engine.url)] if engine.dialect.name == "sqlite" else nullcontext()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        fsync = cursor.execute("SHOW fsync").fetchone()[0]
        cursor.execute("SET synchronous_commit TO on")
        for name, value in _SERVER_KEEPALIVES.items():
            cursor.execute(f"SET {name} TO {value}")
        # A transaction whose client is gone must not hold up the ledger's next place for long.
        cursor.execute(f"SET lock_timeout TO {BUSY_TIMEOUT_MS}")
        cursor.execute(f"SET idle_in_transaction_session_timeout TO {BUSY_TIMEOUT_MS}")
    connection.commit()
    if fsync != "on":
        raise ConfigurationError(reason="database: the PostgreSQL server runs with fsync off")
