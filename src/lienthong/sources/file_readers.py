"""Which file an address names, and how DuckDB reads it: CSV (RFC 4180), Parquet, JSON lines."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lienthong.errors import SourceAddressInvalid
from lienthong.sources.files import csv_reader, quoted_text

KINDS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
ROWS_FOR_TYPES = 2000  # of a file of JSON lines, from which DuckDB tells the types


def file_of(address: str) -> tuple[str, Path] | None:
    """Return kind and path of a file's address or path; None where it is another address.

    ``csv:///srv/co-so.csv``, ``parquet:///…``, ``jsonl:///…``, or a path that ends in .csv,
    .parquet, .jsonl or .ndjson. Raises SourceAddressInvalid.
    """
    scheme, separator, _ = address.partition("://")
    if not separator:
        path = Path(address)
        kind = KINDS.get(path.suffix.casefold())
        if kind is None or "\0" in address:
            raise SourceAddressInvalid(reason="csv, parquet or jsonl wanted")
        return kind, path.absolute()
    if scheme not in KINDS.values():
        return None
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise SourceAddressInvalid(reason=f"{scheme}://…") from error
    path = Path("/" + unquote(parts.path).lstrip("/"))
    if parts.netloc or parts.query or path == Path("/") or "\0" in str(path):
        raise SourceAddressInvalid(reason=f"{scheme}:///absolute/path wanted")
    return scheme, path


def reader_of(kind: str, path: Path) -> str:
    """The call by which DuckDB reads the file; every column of a CSV file as text."""
    place = quoted_text(str(path))
    if kind == "csv":
        return csv_reader(path).replace("read_csv(?", f"read_csv({place}", 1)
    if kind == "parquet":
        return f"read_parquet({place})"
    return f"read_json({place}, format = 'newline_delimited', sample_size = {ROWS_FOR_TYPES})"


def file_beside(path: Path, name: str) -> Path | None:
    """The file of another table: in the same folder, of the same kind; None where there is none."""
    if not name or "/" in name or "\0" in name:
        return None
    place = path.with_name(name + path.suffix)
    return place if place.is_file() else None
