"""Look at the tables of a database: what it declares, and a bounded sample of each.

Works over SQLAlchemy's inspection, so for SQLite, PostgreSQL, MySQL and MariaDB alike, in the same
read-only sessions with a time limit as the exchange uses (``sources/engines.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy.engine import Engine
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from lienthong.contracts.models import FieldType
from lienthong.errors import TableMissing
from lienthong.sources.engines import Deadline, make_engine, source_error
from lienthong.sources.inference.observation import (
    SAMPLE_ROWS,
    TIME_LIMIT_SECONDS,
    ColumnSeen,
    ForeignKeySeen,
    TableSeen,
)

_Result = TypeVar("_Result")
_KINDS: dict[type, FieldType] = {
    bool: FieldType.BOOLEAN,
    int: FieldType.INTEGER,
    float: FieldType.NUMBER,
    Decimal: FieldType.NUMBER,
    str: FieldType.STRING,
    datetime: FieldType.TIMESTAMP,
    date: FieldType.DATE,
    time_of_day: FieldType.TIME,
}


class DatabaseLook:
    """One database under inspection; close it after use."""

    def __init__(self, url: str, *, time_limit_seconds: float = TIME_LIMIT_SECONDS) -> None:
        self._seconds = time_limit_seconds
        self._engine: Engine = make_engine(url, time_limit_seconds)
        self._inspector = self._guarded(lambda: sqlalchemy.inspect(self._engine))

    def tables(self) -> list[str]:
        """Names of the tables and views that the account sees in its own schema, in order."""

        def read() -> list[str]:
            return sorted({*self._inspector.get_table_names(), *self._inspector.get_view_names()})

        return self._guarded(read)

    def see(self, table: str) -> TableSeen:
        """Look at one table, ``name`` or ``schema.name``. Raises TableMissing."""
        try:
            return self._guarded(lambda: self._seen(table))
        except NoSuchTableError:
            raise TableMissing(table=table) from None

    def close(self) -> None:
        self._engine.dispose()

    def _seen(self, table: str) -> TableSeen:
        schema, _, name = table.rpartition(".")
        place: dict[str, Any] = {"table_name": name, "schema": schema or None}
        described = self._inspector.get_columns(**place)
        rows = self._sample(name, schema or None, [column["name"] for column in described])
        key = self._inspector.get_pk_constraint(**place).get("constrained_columns") or ()
        unique = self._inspector.get_unique_constraints(**place)
        indexes = self._inspector.get_indexes(**place)
        groups: list[Any] = [each["column_names"] for each in unique]
        groups += [each["column_names"] for each in indexes if each.get("unique")]
        views = self._inspector.get_view_names(schema or None)
        return TableSeen(
            name=table,
            kind="view" if name in views else "table",
            columns=tuple(
                _column(column, tuple(row[number] for row in rows))
                for number, column in enumerate(described)
            ),
            primary_key=tuple(key),
            unique=tuple(tuple(group) for group in groups if all(group)),
            foreign_keys=tuple(
                ForeignKeySeen(
                    tuple(each["constrained_columns"]),
                    ".".join(filter(None, (each["referred_schema"], each["referred_table"]))),
                    tuple(each["referred_columns"]),
                )
                for each in self._inspector.get_foreign_keys(**place)
            ),
            rows=len(rows),
            whole=len(rows) < SAMPLE_ROWS,
            comment=self._comment(place),
        )

    def _comment(self, place: dict[str, Any]) -> str:
        try:
            return str(self._inspector.get_table_comment(**place).get("text") or "")
        except NotImplementedError:  # SQLite has none
            return ""

    def _sample(self, name: str, schema: str | None, columns: Sequence[str]) -> list[Any]:
        table = sqlalchemy.table(name, schema=schema)
        # Without types: values come as the driver gives them, which is what the exchange sees.
        listed: list[Any] = [sqlalchemy.column(column) for column in columns]
        query = sqlalchemy.select(*listed).select_from(table).limit(SAMPLE_ROWS)
        with self._engine.connect() as connection:
            deadline = connection.connection.info.get("deadline", Deadline())
            deadline.moment = time.monotonic() + self._seconds
            try:
                return list(connection.execute(query).fetchall())
            finally:
                deadline.moment = float("inf")

    def _guarded(self, read: Callable[[], _Result]) -> _Result:
        try:
            return read()
        except NoSuchTableError:
            raise
        except (SQLAlchemyError, OSError) as error:
            name = self._engine.dialect.name
            raise source_error(error, name, self._seconds) from None


def _column(described: Any, values: tuple[Any, ...]) -> ColumnSeen:
    kind = described["type"]
    found = _kind(kind, values)
    choices = tuple(str(each) for each in getattr(kind, "enums", None) or ())
    length = getattr(kind, "length", None)
    return ColumnSeen(
        name=described["name"],
        kind=found,
        declared=_declared(kind),
        certain=not isinstance(kind, sqlalchemy.types.NullType),
        required=not described.get("nullable", True),
        max_length=length if isinstance(length, int) and length > 0 else None,
        choices=choices,
        has_zone=bool(getattr(kind, "timezone", False)),
        comment=str(described.get("comment") or ""),
        values=values,
    )


def _declared(kind: Any) -> str:
    try:
        return str(kind)
    except SQLAlchemyError:
        return type(kind).__name__


def _kind(kind: Any, values: tuple[Any, ...]) -> FieldType | None:
    if isinstance(kind, sqlalchemy.types.NullType):
        return kind_of_values(values)
    try:
        held = kind.python_type
    except NotImplementedError:
        return None
    # MySQL has no booleans: TINYINT(1) with 0 and 1 alone is how they are declared.
    if getattr(kind, "display_width", None) == 1 and set(values) <= {0, 1, None}:
        return FieldType.BOOLEAN
    return _KINDS.get(held)


def kind_of_values(values: tuple[Any, ...]) -> FieldType | None:
    """The type of values whose column declares none; text for a column without any."""
    kinds = {_KINDS.get(type(value)) for value in values if value is not None}
    if kinds == {FieldType.INTEGER, FieldType.NUMBER}:
        return FieldType.NUMBER
    if len(kinds) > 1:
        return None if None in kinds else FieldType.STRING
    return kinds.pop() if kinds else FieldType.STRING
