"""Records in a CSV or Parquet file, looked up by key.

The file is loaded into an in-memory DuckDB table with an index on the key. The connection may
open this one file and nothing else, loads no extension, and its configuration is locked before
the file is touched: a CSV that comes from elsewhere cannot make the node read its own keys.

When the file changes it is loaded again. A file that is being written is left alone until it
has been quiet for ``SETTLE_SECONDS``; one that cannot be loaded leaves the last good copy in
service, and ``check`` raises the reason. Lines that are no records are set aside with their
reason. Columns of CSV files are read as text, so that leading zeros stay.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb

from lienthong.contracts.models import Contract, FieldType
from lienthong.errors import (
    ColumnMissing,
    FileUnreadable,
    KeyTypeMismatch,
    SourceAddressInvalid,
    SourceError,
    SourceQueryFailed,
    SourceTimeout,
)
from lienthong.sources.source import KeyValue

SETTLE_SECONDS = 1.0
TIME_LIMIT_SECONDS = 20.0
MOST_SET_ASIDE = 1000  # lines that are remembered with their reason

LONGEST_HEADER = 1 << 20  # bytes of a CSV file's first line

_READERS = ("csv", "parquet")

FileState = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class SetAside:
    """One line of a file that is no record."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One state of the file, in memory."""

    state: FileState
    connection: duckdb.DuckDBPyConnection
    set_aside: tuple[SetAside, ...]


class FileSource:
    """The records of one contract in one file. Safe for use from many threads."""

    def __init__(
        self,
        url: str,
        contract: Contract,
        *,
        time_limit_seconds: float = TIME_LIMIT_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self._kind, self._path = _parse(url)
        self._contract = contract
        self._seconds = time_limit_seconds
        self._settle_seconds = settle_seconds
        self._name = f"{self._kind} ({contract.id})"
        self._lock = threading.Lock()
        self._refused: tuple[FileState, SourceError] | None = None
        self._loaded = self._load(self._state())

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """Lines of the file as it is now in service that are no records."""
        return self._loaded.set_aside

    def fetch(self, fields: Sequence[str], keys: Sequence[KeyValue]) -> list[dict[str, Any]]:
        """See Source.fetch."""
        self._follow()
        names = tuple(fields)
        columns = ", ".join(quoted_name(self._contract.fields[name].column) for name in names)
        markers = ", ".join("?" * len(keys))
        key = quoted_name(self._contract.key_field.column)
        text = f"SELECT {columns} FROM records WHERE {key} IN ({markers})"
        rows = self._read(self._loaded.connection.cursor(), text, self._bound(keys))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def check(self) -> None:
        """See Source.check."""
        self._follow()
        self._state()
        if self._refused:
            raise self._refused[1]

    def close(self) -> None:
        """See Source.close."""
        self._loaded.connection.close()

    def _bound(self, keys: Sequence[KeyValue]) -> list[KeyValue]:
        return list(map(str, keys)) if self._kind == "csv" else list(keys)

    def _read(self, cursor: duckdb.DuckDBPyConnection, text: str, keys: list[Any]) -> list[Any]:
        timer = threading.Timer(self._seconds, cursor.interrupt)
        timer.start()
        try:
            return cursor.execute(text, keys).fetchall()
        except duckdb.InterruptException:
            raise SourceTimeout(source=self._name, seconds=f"{self._seconds:g}") from None
        except duckdb.Error as error:
            raise SourceQueryFailed(source=self._name, reason=type(error).__name__) from None
        finally:
            timer.cancel()
            cursor.close()

    def _follow(self) -> None:
        """Load the file again if it has changed and is at rest."""
        try:
            state = self._state()
        except FileUnreadable:
            return  # being replaced, or gone: ``check`` says so, the last copy stays
        known = (self._loaded.state, self._refused and self._refused[0])
        if state in known or time.time() - state[0] / 1e9 < self._settle_seconds:
            return
        with self._lock:
            if state not in (self._loaded.state, self._refused and self._refused[0]):
                self._replace(state)

    def _replace(self, state: FileState) -> None:
        try:
            # The old connection is closed by the last query that still uses it.
            self._loaded = self._load(state)
            self._refused = None
        except SourceError as error:
            self._refused = (state, error)

    def _state(self) -> FileState:
        try:
            status = self._path.stat()
        except OSError as error:
            raise FileUnreadable(source=self._name, reason=error.strerror) from None
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _load(self, state: FileState) -> _Loaded:
        connection = locked_connection(self._path)
        place = [str(self._path)]
        try:
            reader = csv_reader(self._path) if self._kind == "csv" else "read_parquet(?)"
            self._check_columns(connection.execute(f"DESCRIBE FROM {reader}", place).fetchall())
            columns = {field.column for field in self._contract.fields.values()}
            selected = ", ".join(map(quoted_name, sorted(columns)))
            connection.execute(f"CREATE TABLE records AS SELECT {selected} FROM {reader}", place)
            key = quoted_name(self._contract.key_field.column)
            connection.execute(f"CREATE INDEX records_by_key ON records ({key})")
            return _Loaded(state, connection, self._rejects(connection))
        except (duckdb.Error, OSError, ValueError, csv.Error) as error:
            raise FileUnreadable(source=self._name, reason=type(error).__name__) from None

    def _check_columns(self, described: list[Any]) -> None:
        types = {name: kind for name, kind, *_ in described}
        for field in self._contract.fields.values():
            if field.column not in types:
                raise ColumnMissing(column=field.column, field=field.name)
        key = self._contract.key_field
        is_text = types[key.column] == "VARCHAR"
        if self._kind == "parquet" and is_text != (key.type is FieldType.STRING):
            raise KeyTypeMismatch(column=key.column, found=types[key.column], wanted=key.type.value)

    def _rejects(self, connection: duckdb.DuckDBPyConnection) -> tuple[SetAside, ...]:
        if self._kind == "parquet":
            return ()
        rows = connection.execute(
            "SELECT DISTINCT line, lower(error_type::VARCHAR) AS reason"
            " FROM reject_errors ORDER BY line, reason"
        )
        return tuple(SetAside(line, reason) for line, reason in rows.fetchall())


def csv_reader(path: Path) -> str:
    """Return the call that reads a CSV file as RFC 4180 has it, every column as text.

    DuckDB's own guessing of the dialect gives up on a file with a few bad lines; its lenient
    mode would cut a line with too many columns to size, and so shift values in silence. A file
    that has bad lines and two kinds of line ends is refused as a whole.
    """
    with path.open("rb") as file:
        header = file.readline(LONGEST_HEADER).decode("utf-8-sig")
    names = next(csv.reader([header]), [])
    columns = ", ".join(f"{quoted_text(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv(?, columns = {{{columns}}}, auto_detect = false, header = true, delim = ',',"
        " quote = '\"', escape = '\"', store_rejects = true,"
        f" rejects_limit = {MOST_SET_ASIDE})"
    )


def _parse(url: str) -> tuple[str, Path]:
    kind, _, _ = url.partition(":")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SourceAddressInvalid(reason=f"{kind}://…") from error
    path = "/" + unquote(parts.path).lstrip("/")
    if kind not in _READERS or parts.netloc or path == "/" or parts.query or "\0" in path:
        raise SourceAddressInvalid(reason=f"{kind}:///absolute/path wanted")
    return kind, Path(path)


def locked_connection(*paths: Path) -> duckdb.DuckDBPyConnection:
    """An empty database that may open these files and nothing else."""
    connection = duckdb.connect(
        ":memory:",
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False},
    )
    allowed = ", ".join(quoted_text(str(path)) for path in paths)
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quoted_name(name: str) -> str:
    """Quote a name for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(value: str) -> str:
    """Quote a text for DuckDB."""
    return "'" + value.replace("'", "''") + "'"
