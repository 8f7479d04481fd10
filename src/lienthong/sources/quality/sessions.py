"""A connection on which checks are measured: a database, or a file read by DuckDB.

Both count the statements that they run, hold each to a time limit, and only read.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import duckdb
import sqlalchemy
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError
from sqlalchemy.sql import quoted_name as exact_name
from sqlalchemy.sql.compiler import SQLCompiler

from lienthong.errors import FileUnreadable, SourceQueryFailed, SourceTimeout, TableMissing
from lienthong.sources.engines import Deadline, make_engine, source_error
from lienthong.sources.file_readers import file_beside, file_of, reader_of
from lienthong.sources.files import locked_connection, quoted_name

Row = Sequence[Any]
Statement = Any  # a SELECT of SQLAlchemy Core
Table = sqlalchemy.TableClause
MOST_ROWS = 1000  # taken of any answer; measures are one row
LONGEST_MATCHED = 10_000  # characters of one value that a pattern is compared with


class Session(Protocol):
    """What measuring needs of a source."""

    name: str  # for people and errors
    engine: str  # sqlite, postgresql, mysql, mariadb, duckdb
    dialect: str  # the same for sqlglot
    queries: int

    def columns(self) -> dict[str, str]:
        """Names of the table's columns; each with text, number, boolean, date, … or other."""

    def table(self, name: str | None = None) -> Table:
        """The contract's table, or another one of the same place. Raises TableMissing."""

    def quoted(self, name: str) -> str:
        """A name as the source's SQL wants it."""

    def rows(self, statement: Statement) -> list[Row]:
        """Run a statement. Raises leaves of SourceError."""

    def rows_of_text(self, statement: str) -> list[Row]:
        """Run SQL that was checked before. Raises leaves of SourceError."""

    def unreadable(self) -> int | None:
        """How many lines are no records; None where a source has no lines."""

    def close(self) -> None:
        """Let go of the source."""


def open_session(
    address: str, table: str, others: Sequence[str], time_limit_seconds: float
) -> Session:
    """Open a source for measuring. ``others`` are tables that relationships lead to.

    Raises SourceAddressInvalid, SourceUnreachable, TableMissing, FileUnreadable.
    """
    file = file_of(address)
    if file is not None:
        return FileSession(*file, others, time_limit_seconds)
    return SqlSession(address, table, time_limit_seconds)


# --- databases -----------------------------------------------------------------------

_HELD = {
    "str": "text",
    "int": "number",
    "float": "number",
    "Decimal": "number",
    "bool": "boolean",
    "date": "date",
    "datetime": "timestamp",
    "time": "time",
}
_SQLGLOT = {"postgresql": "postgres", "mariadb": "mysql"}


class SqlSession:
    """One connection to SQLite, PostgreSQL, MySQL or MariaDB. For one thread."""

    def __init__(self, url: str, table: str, time_limit_seconds: float) -> None:
        self._seconds = time_limit_seconds
        self._table = table
        self._engine = make_engine(url, time_limit_seconds)
        self.engine = self._engine.dialect.name
        self.dialect = _SQLGLOT.get(self.engine, self.engine)
        self.name = f"{self.engine} ({table})"
        self.queries = 0
        try:
            self._connection = self._guarded(self._engine.connect)
            self._deadline = self._connection.connection.info.get("deadline", Deadline())
            if self.engine == "sqlite":
                raw: Any = self._connection.connection.driver_connection
                raw.create_function("regexp", 2, _matches, deterministic=True)
        except Exception:
            self._engine.dispose()
            raise

    def columns(self) -> dict[str, str]:
        """See Session.columns."""
        table = self.table()

        def read() -> Any:
            return sqlalchemy.inspect(self._connection).get_columns(table.name, table.schema)

        try:
            found = self._guarded(read)
        except NoSuchTableError:
            raise TableMissing(table=self._table) from None
        return {column["name"]: self._held(column["type"]) for column in found}

    def table(self, name: str | None = None) -> Table:
        """See Session.table."""
        schema, _, own = (name or self._table).rpartition(".")
        if name and not schema:
            schema = self._table.rpartition(".")[0]
        place = exact_name(schema, True) if schema else None
        if name and not self._is_there(own, schema or None):
            raise TableMissing(table=name)
        return sqlalchemy.table(exact_name(own, True), schema=place)

    def _is_there(self, name: str, schema: str | None) -> bool:
        def look() -> bool:
            return bool(sqlalchemy.inspect(self._connection).has_table(name, schema))

        return bool(self._guarded(look))

    def quoted(self, name: str) -> str:
        """See Session.quoted."""
        parts = name.split(".")
        return ".".join(map(self._engine.dialect.identifier_preparer.quote_identifier, parts))

    def rows(self, statement: Statement) -> list[Row]:
        """See Session.rows."""
        return self._run(lambda: self._connection.execute(statement))

    def rows_of_text(self, statement: str) -> list[Row]:
        """See Session.rows_of_text."""
        # Without parameters a % is a %, also for drivers that format them into the text.
        options = {"no_parameters": True}
        return self._run(
            lambda: self._connection.exec_driver_sql(statement, execution_options=options)
        )

    def unreadable(self) -> int | None:
        """See Session.unreadable."""
        return None

    def close(self) -> None:
        """See Session.close."""
        self._connection.close()
        self._engine.dispose()

    def _run(self, execute: Any) -> list[Row]:
        self.queries += 1
        self._deadline.moment = time.monotonic() + self._seconds
        try:
            found: list[Row] = self._guarded(lambda: execute().fetchmany(MOST_ROWS))
            return found
        finally:
            self._deadline.moment = float("inf")

    def _guarded(self, read: Any) -> Any:
        try:
            return read()
        except NoSuchTableError:
            raise
        except (SQLAlchemyError, OSError) as error:
            raise source_error(error, self.name, self._seconds) from None

    def _held(self, kind: Any) -> str:
        try:
            held = _HELD.get(kind.python_type.__name__, "other")
        except NotImplementedError:
            return "other"
        if self.engine == "sqlite" and held in ("date", "timestamp", "time"):
            return "text"
        # MySQL's TIMESTAMP is a moment, and the session's zone is UTC; DATETIME is as written.
        if getattr(kind, "timezone", False) or (
            type(kind).__name__ == "TIMESTAMP" and (self.engine in ("mysql", "mariadb"))
        ):
            return "instant"
        return held


def _matches(pattern: str, value: object) -> bool | None:
    """REGEXP of SQLite, by RE2: in time linear in the value, whoever wrote the pattern."""
    if value is None:
        return None
    import pyarrow
    import pyarrow.compute

    text = pyarrow.scalar(str(value)[:LONGEST_MATCHED])
    return bool(pyarrow.compute.match_substring_regex(text, pattern=pattern).as_py())


# --- files ---------------------------------------------------------------------------

_DUCKDB = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP WITH TIME ZONE": "instant",
}
_DUCKDB_NUMBERS = ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_DUCKDB_LONG = ("HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_MAIN = "records"


class _DuckdbCompiler(SQLCompiler):
    """Standard SQL, and the cast that gives NULL for a text that is no number."""

    def visit_try_cast(self, cast: Any, **options: Any) -> str:
        """TRY_CAST of DuckDB."""
        return (
            f"TRY_CAST({self.process(cast.clause, **options)} AS {self.process(cast.typeclause)})"
        )


class FileSession:
    """One file, and the files beside it that relationships lead to. For one thread."""

    engine = "duckdb"
    dialect = "duckdb"

    def __init__(
        self, kind: str, path: Path, others: Sequence[str], time_limit_seconds: float
    ) -> None:
        self._seconds = time_limit_seconds
        self._kind = kind
        self.name = f"{kind} ({path.name})"
        self.queries = 0
        self._compiler: Any = DefaultDialect(paramstyle="qmark")
        self._compiler.statement_compiler = _DuckdbCompiler
        beside = {name: file_beside(path, name) for name in others}
        self._others = {name: place for name, place in beside.items() if place is not None}
        try:
            path.stat()
            self._connection = locked_connection(path, *self._others.values())
            self._load(_MAIN, path)
            self._unreadable = self._rejected()
            for name, place in self._others.items():
                self._load(_other(name), place)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise FileUnreadable(source=self.name, reason=reason) from None
        except (duckdb.Error, ValueError, csv.Error) as error:
            raise FileUnreadable(source=self.name, reason=type(error).__name__) from None

    def columns(self) -> dict[str, str]:
        """See Session.columns."""
        described = self._connection.execute(f"DESCRIBE {_MAIN}").fetchall()
        return {name: _duckdb_held(kind) for name, kind, *_ in described}

    def table(self, name: str | None = None) -> Table:
        """See Session.table. Raises TableMissing where no file of that name lies beside."""
        if name is not None and name not in self._others:
            raise TableMissing(table=name)
        return sqlalchemy.table(exact_name(_other(name) if name else _MAIN, True))

    def quoted(self, name: str) -> str:
        """See Session.quoted."""
        return quoted_name(name)

    def rows(self, statement: Statement) -> list[Row]:
        """See Session.rows."""
        compiled: Any = statement.compile(
            dialect=self._compiler, compile_kwargs={"render_postcompile": True}
        )
        return self._run(str(compiled), [compiled.params[name] for name in compiled.positiontup])

    def rows_of_text(self, statement: str) -> list[Row]:
        """See Session.rows_of_text."""
        return self._run(statement, [])

    def unreadable(self) -> int | None:
        """See Session.unreadable."""
        return self._unreadable

    def close(self) -> None:
        """See Session.close."""
        self._connection.close()

    def _load(self, name: str, path: Path) -> None:
        # Text is parsed once; Parquet is read column by column where it lies.
        what = "VIEW" if self._kind == "parquet" else "TABLE"
        self._connection.execute(
            f"CREATE {what} {quoted_name(name)} AS FROM {reader_of(self._kind, path)}"
        )

    def _rejected(self) -> int | None:
        if self._kind != "csv":
            return None
        counted = self._connection.execute("SELECT COUNT(DISTINCT line) FROM reject_errors")
        return int(counted.fetchall()[0][0])

    def _run(self, statement: str, values: list[Any]) -> list[Row]:
        self.queries += 1
        timer = threading.Timer(self._seconds, self._connection.interrupt)
        timer.start()
        try:
            return list(self._connection.execute(statement, values).fetchmany(MOST_ROWS))
        except duckdb.InterruptException:
            raise SourceTimeout(source=self.name, seconds=f"{self._seconds:g}") from None
        except duckdb.Error as error:
            raise SourceQueryFailed(source=self.name, reason=type(error).__name__) from None
        finally:
            timer.cancel()


def _other(name: str) -> str:
    return f"other.{name}"


def _duckdb_held(kind: str) -> str:
    if kind.endswith("]"):  # a list or an array, whatever of
        return "other"
    if kind.startswith((*_DUCKDB_NUMBERS, *_DUCKDB_LONG)):
        return "number"
    if kind.startswith("TIMESTAMP") and kind not in _DUCKDB:
        return "timestamp"
    return _DUCKDB.get(kind, "other")
