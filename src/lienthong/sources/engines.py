"""Read-only connections to SQLite, PostgreSQL, MySQL and MariaDB.

Three fences keep a source as it is, each enough by itself: the account that the agency gives
the node, a session that the database itself holds read-only, and statements that are only
ever a SELECT with bound parameters. Every statement has a time limit that the database
enforces, so that a look-up without an index cannot stop an agency's own work.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Any
from urllib.parse import unquote

import sqlalchemy
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from lienthong.errors import (
    LienthongError,
    SourceAddressInvalid,
    SourceBusy,
    SourceQueryFailed,
    SourceTimeout,
    SourceUnreachable,
)

CONNECT_TIMEOUT_SECONDS = 10
WAIT_FOR_CONNECTION_SECONDS = 5.0
MOST_CONNECTIONS = 16
STEPS_BETWEEN_CHECKS = 20_000  # of SQLite's virtual machine: some 100 µs

_log = logging.getLogger(__name__)

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_POOL = {
    "pool_size": MOST_CONNECTIONS // 2,
    "max_overflow": MOST_CONNECTIONS // 2,
    "pool_timeout": WAIT_FOR_CONNECTION_SECONDS,
    "pool_recycle": 1800,
    # Connections are in autocommit, so there is nothing to roll back on their return.
    "pool_reset_on_return": None,
}


class Deadline:
    """The moment at which SQLite gives up; set before each statement of its connection."""

    __slots__ = ("moment",)

    def __init__(self) -> None:
        self.moment = float("inf")

    def passed(self) -> bool:
        return time.monotonic() > self.moment


def make_engine(url: str, time_limit_seconds: float) -> Engine:
    """Return an engine whose connections can only read. Raises SourceAddressInvalid."""
    address = _address(url)
    kind = address.get_backend_name()
    if kind == "sqlite":
        engine = _sqlite_engine(address)
    elif kind == "postgresql":
        engine = _postgresql_engine(address, time_limit_seconds)
    else:
        engine = _mysql_engine(address, time_limit_seconds)
    return engine


def _address(url: str) -> URL:
    scheme, separator, _ = url.partition("://")
    driver = scheme if scheme in _DRIVERS.values() else _DRIVERS.get(scheme)
    if not separator or driver is None:
        raise SourceAddressInvalid(reason=f"kind {scheme!r:.20}")
    try:
        return make_url(url).set(drivername=driver)
    except (ArgumentError, ValueError) as error:
        # The library's own message may repeat the address with its password.
        raise SourceAddressInvalid(reason=f"{scheme}://…") from error


def _sqlite_engine(address: URL) -> Engine:
    path = "/" + unquote(address.database or "").lstrip("/")
    if path == "/":
        raise SourceAddressInvalid(reason="sqlite:// without a path")

    def connect() -> sqlite3.Connection:
        # mode=ro also refuses to create a file that is not there.
        quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        connection = sqlite3.connect(
            f"file:{quoted}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
        )
        connection.execute("PRAGMA query_only = 1")
        connection.text_factory = _text_or_bytes
        return connection

    engine = sqlalchemy.create_engine(
        "sqlite+pysqlite://", creator=connect, poolclass=sqlalchemy.QueuePool, **_POOL
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def watch(connection: sqlite3.Connection, record: Any) -> None:
        deadline = record.info["deadline"] = Deadline()
        connection.set_progress_handler(deadline.passed, STEPS_BETWEEN_CHECKS)

    return engine


def _text_or_bytes(value: bytes) -> str | bytes:
    """Keep text that is not UTF-8 as bytes: its record is set aside, the others are read."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _postgresql_engine(address: URL, time_limit_seconds: float) -> Engine:
    milliseconds = int(time_limit_seconds * 1000)
    return sqlalchemy.create_engine(
        address,
        connect_args={
            "autocommit": True,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "options": f"-c default_transaction_read_only=on -c statement_timeout={milliseconds}"
            " -c lock_timeout=2000 -c client_encoding=UTF8 -c TimeZone=UTC",
            "tcp_user_timeout": milliseconds + 5000,  # a cut cable is not a slow query
            "application_name": "lienthong",
        },
        **_POOL,
    )


def _mysql_engine(address: URL, time_limit_seconds: float) -> Engine:
    engine = sqlalchemy.create_engine(
        address,
        connect_args={
            "autocommit": True,
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": int(time_limit_seconds) + 5,
            "local_infile": False,
            "init_command": "SET SESSION TRANSACTION READ ONLY",
        },
        **_POOL,
    )

    @sqlalchemy.event.listens_for(engine, "connect")
    def limit(connection: Any, record: Any) -> None:
        with connection.cursor() as cursor:
            if "mariadb" in connection.get_server_info().lower():
                cursor.execute("SET SESSION max_statement_time = %s", (time_limit_seconds,))
            else:
                cursor.execute(
                    "SET SESSION max_execution_time = %s", (int(time_limit_seconds * 1000),)
                )
            cursor.execute("SET SESSION time_zone = '+00:00'")

    return engine


_TIMEOUTS = {"57014", "1969", "3024", "interrupted"}
# 55P03 and 1205: another session holds a lock for too long.
_BUSY = {"53300", "55P03", "1040", "1205", "database is locked"}
# 28xxx and 1045/1044: the account is refused; 08xxx and 2xxx: no connection.
_UNREACHABLE = ("28", "08", "57P", "1044", "1045", "1049", "2002", "2003", "2006", "2013", "3D0")


def source_error(error: BaseException, source: str, time_limit_seconds: float) -> LienthongError:
    """Turn what SQLAlchemy or a driver raised into one of our errors.

    Nothing of the driver's own text is shown: it may hold the statement and its keys.
    """
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return SourceBusy(source=source)
    if isinstance(error, SQLAlchemyError):
        error = getattr(error, "orig", None) or error
    code = _code(error)
    if code in _TIMEOUTS:
        return SourceTimeout(source=source, seconds=f"{time_limit_seconds:g}")
    if code in _BUSY:
        return SourceBusy(source=source)
    if code.startswith(_UNREACHABLE) or (code == "" and _is_operational(error)):
        # The only driver's text that is logged: it comes before any statement is sent.
        _log.warning("source %s unreachable: %s", source, f"{error!s:.300}")
        return SourceUnreachable(source=source)
    return SourceQueryFailed(source=source, reason=code or type(error).__name__)


def _is_operational(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__name__ in (
        "OperationalError",
        "InterfaceError",
        "ConnectionTimeout",
    )


def _code(error: BaseException) -> str:
    """SQLSTATE of PostgreSQL, error number of MySQL, SQLite's name of the fault."""
    if isinstance(error, sqlite3.Error):
        return _sqlite_code(error)
    number = error.args[0] if error.args else None
    if isinstance(number, int) and not isinstance(error, OSError):
        return str(number)
    return str(getattr(error, "sqlstate", None) or "")


def _sqlite_code(error: sqlite3.Error) -> str:
    text = str(error)
    if text in _TIMEOUTS | _BUSY:
        return text
    name = getattr(error, "sqlite_errorname", "")
    return "" if name in ("SQLITE_CANTOPEN", "") else str(name)
