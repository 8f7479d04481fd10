"""What every source can do: find rows by their keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from lienthong.contracts.models import Contract
from lienthong.contracts.serving import check_servable

KeyValue = str | int
MOST_KEYS = 1000  # in one request, so in one query


class Source(Protocol):
    """A place that holds the records of one contract. Blocking; used from a thread pool."""

    def fetch(self, fields: Sequence[str], keys: Sequence[KeyValue]) -> list[dict[str, Any]]:
        """Return the rows with these keys, in no order, as the source holds their values.

        ``fields`` name what to read; each row is a dict with just these names. At most
        ``MOST_KEYS`` keys. A source may return a row whose key only resembles one asked for
        (databases compare as their collation says): callers compare keys themselves.
        Raises leaves of SourceError.
        """

    def check(self) -> None:
        """Raise a leaf of SourceError if the source cannot answer now."""

    def close(self) -> None:
        """Let go of connections and files; idempotent."""


def open_source(url: str, contract: Contract) -> Source:
    """Open the source at ``url`` and check that it has what ``contract`` maps.

    ``sqlite:///path``, ``postgresql://…``, ``mysql://…`` (MariaDB too), ``csv:///path``,
    ``parquet:///path``. Raises SourceAddressInvalid, SourceUnreachable, TableMissing,
    ColumnMissing, KeyTypeMismatch, FileUnreadable; and where the contract cannot be served
    (``contracts/serving.py``) DatasetCount, FieldNameInvalid, KeyNotDeclared, FieldTypeUnsupported.
    """
    check_servable(contract)
    # Imported late: DuckDB and SQLAlchemy take time that only nodes with such sources pay.
    if url.partition(":")[0] in ("csv", "parquet"):
        from lienthong.sources.files import FileSource

        return FileSource(url, contract)
    from lienthong.sources.sql import SqlSource

    return SqlSource(url, contract)
