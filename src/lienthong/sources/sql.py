"""Records in a SQL database, looked up by key.

Statements are made by SQLAlchemy Core, which quotes every name, and are compiled once for each
set of fields and size of batch; on the request path the text goes straight to the driver with
bound parameters, which takes a quarter of the processor time of executing through Core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

import sqlalchemy
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from lienthong.contracts.models import Contract, Field, FieldType
from lienthong.errors import ColumnMissing, KeyTypeMismatch, TableMissing
from lienthong.sources.engines import Deadline, make_engine, source_error
from lienthong.sources.source import MOST_KEYS, KeyValue

BATCHES = (1, 10, 100, MOST_KEYS)  # few sizes, so few statements to compile and to plan
STATEMENTS_KEPT = 512
TIME_LIMIT_SECONDS = 20.0

_Result = TypeVar("_Result")


class Statement(NamedTuple):
    """A compiled SELECT and the form in which its driver takes the keys."""

    text: str
    names: tuple[str, ...]  # of the parameters, in order
    positional: bool


class _ConnectionLost(Exception):
    """The database closed a connection; the driver's error is the cause."""


class SqlSource:
    """The records of one contract in one table or view. Safe for use from many threads."""

    def __init__(
        self, url: str, contract: Contract, *, time_limit_seconds: float = TIME_LIMIT_SECONDS
    ) -> None:
        self._contract = contract
        self._seconds = time_limit_seconds
        self._engine = make_engine(url, time_limit_seconds)
        self._driver: Any = self._engine.dialect.loaded_dbapi
        self._name = f"{self._engine.dialect.name} ({contract.id})"
        self._statement = lru_cache(STATEMENTS_KEPT)(self._compile)
        try:
            self._columns = self._reflect()
        except Exception:
            self.close()
            raise

    def fetch(self, fields: Sequence[str], keys: Sequence[KeyValue]) -> list[dict[str, Any]]:
        """See Source.fetch."""
        names = tuple(fields)
        size = next(size for size in BATCHES if len(keys) <= size)
        statement = self._statement(names, size)
        # Repeating a key inside IN (…) changes nothing, and lets sizes be few.
        padded = (*keys, *repeat(keys[-1], size - len(keys)))
        values = padded if statement.positional else dict(zip(statement.names, padded, strict=True))
        rows = self._guarded(lambda: self._read(statement.text, values))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def check(self) -> None:
        """See Source.check; reads the table's structure again."""
        self._reflect()

    def close(self) -> None:
        """See Source.close."""
        self._engine.dispose()

    def _compile(self, fields: tuple[str, ...], size: int) -> Statement:
        columns = [self._column(self._contract.fields[name]) for name in fields]
        # Untyped markers: the database takes the column's own type, and so its index.
        markers = [
            sqlalchemy.bindparam(f"k{n}", type_=sqlalchemy.types.NULLTYPE) for n in range(size)
        ]
        key: Any = sqlalchemy.column(self._contract.key_field.column)
        condition = key == markers[0] if size == 1 else key.in_(markers)
        query = sqlalchemy.select(*columns).select_from(self._table()).where(condition)
        compiled: Any = query.compile(dialect=self._engine.dialect)
        names = compiled.positiontup if compiled.positional else [marker.key for marker in markers]
        return Statement(str(compiled), tuple(names), bool(compiled.positional))

    def _column(self, field: Field) -> Any:
        column: Any = sqlalchemy.column(field.column)
        kind = self._columns[field.column]
        if isinstance(kind, sqlalchemy.CHAR) and self._engine.dialect.name == "postgresql":
            return sqlalchemy.cast(column, sqlalchemy.Text)  # drops the padding of CHAR(n)
        return column

    def _table(self) -> sqlalchemy.TableClause:
        schema, _, name = self._contract.table.rpartition(".")
        return sqlalchemy.table(name, schema=schema or None)

    def _reflect(self) -> dict[str, Any]:
        """Return the table's columns with their types, having checked all that are mapped."""
        table = self._table()
        try:
            found = self._guarded(
                lambda: sqlalchemy.inspect(self._engine).get_columns(table.name, table.schema)
            )
        except NoSuchTableError:
            raise TableMissing(table=self._contract.table) from None
        columns = {column["name"]: column["type"] for column in found}
        for field in self._contract.fields.values():
            if field.column not in columns:
                raise ColumnMissing(column=field.column, field=field.name)
        _check_key(self._contract.key_field, columns[self._contract.key_field.column])
        return columns

    def _read(self, text: str, values: Any) -> Sequence[Sequence[Any]]:
        connection = self._engine.raw_connection()
        deadline = connection.info.get("deadline", Deadline())
        deadline.moment = time.monotonic() + self._seconds
        try:
            cursor = connection.cursor()
            try:
                cursor.execute(text, values)
                return cursor.fetchall()
            finally:
                cursor.close()
        except self._driver.Error as error:
            if self._engine.dialect.is_disconnect(error, connection.dbapi_connection, None):
                connection.invalidate()
                raise _ConnectionLost from error
            raise
        finally:
            deadline.moment = float("inf")
            connection.close()

    def _guarded(self, read: Callable[[], _Result]) -> _Result:
        """Run ``read``; once more if the database had closed a pooled connection meanwhile."""
        try:
            try:
                return read()
            except _ConnectionLost:
                self._engine.dispose()
                return read()
        except NoSuchTableError:
            raise
        except _ConnectionLost as error:
            fault: BaseException = error.__cause__ or error
        except (SQLAlchemyError, self._driver.Error, OSError) as error:
            fault = error
        # Without the cause: a driver's message may hold the statement and its keys.
        raise source_error(fault, self._name, self._seconds) from None


def _check_key(field: Field, kind: Any) -> None:
    """Refuse a text key in a numeric column and the reverse; unknown types pass."""
    try:
        held = kind.python_type
    except NotImplementedError:
        return
    wanted = (str,) if field.type is FieldType.STRING else (int, Decimal)
    if not issubclass(held, wanted) or held is bool:
        raise KeyTypeMismatch(column=field.column, found=str(kind), wanted=field.type.value)
