"""Look at a file: CSV (RFC 4180), Parquet, or JSON lines.

DuckDB reads it, opens nothing else, and loads no extension (``sources/files.py``).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import duckdb

from lienthong.contracts.models import FieldType
from lienthong.errors import FileUnreadable
from lienthong.sources.file_readers import reader_of
from lienthong.sources.files import locked_connection
from lienthong.sources.inference.observation import SAMPLE_ROWS, ColumnSeen, TableSeen

_TYPES = {
    "VARCHAR": FieldType.STRING,
    "BOOLEAN": FieldType.BOOLEAN,
    "DATE": FieldType.DATE,
    "TIME": FieldType.TIME,
    "FLOAT": FieldType.NUMBER,
    "DOUBLE": FieldType.NUMBER,
}
_INTEGER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?\Z")


def see_file(kind: str, path: Path) -> TableSeen:
    """Look at the file. Raises FileUnreadable."""
    try:
        path.stat()
        connection = locked_connection(path)
        try:
            reader = reader_of(kind, path)
            described = connection.execute(f"DESCRIBE FROM {reader}").fetchall()
            rows = connection.execute(f"FROM {reader} LIMIT {SAMPLE_ROWS}").fetchall()
        finally:
            connection.close()
    except OSError as error:
        raise FileUnreadable(source=kind, reason=error.strerror or "cannot be read") from None
    except (duckdb.Error, ValueError, csv.Error) as error:
        raise FileUnreadable(source=kind, reason=type(error).__name__) from None
    columns = tuple(
        _column(kind, name, declared, tuple(row[number] for row in rows))
        for number, (name, declared, *_) in enumerate(described)
    )
    whole = len(rows) < SAMPLE_ROWS
    return TableSeen(path.stem, "file", columns, rows=len(rows), whole=whole)


def _column(kind: str, name: str, declared: str, values: tuple[Any, ...]) -> ColumnSeen:
    is_text = kind == "csv"
    return ColumnSeen(
        name=name,
        kind=FieldType.STRING if is_text else _type(declared),
        declared="" if is_text else declared,
        certain=not is_text,
        has_zone="WITH TIME ZONE" in declared,
        values=values,
    )


def _type(declared: str) -> FieldType | None:
    if _INTEGER.match(declared):
        return FieldType.INTEGER
    if declared.startswith("DECIMAL"):
        return FieldType.NUMBER
    if declared.startswith("TIMESTAMP"):
        return FieldType.TIMESTAMP
    return _TYPES.get(declared)
