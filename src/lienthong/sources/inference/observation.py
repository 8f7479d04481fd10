"""What was seen of a table before a contract is proposed for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lienthong.contracts.models import FieldType

SAMPLE_ROWS = 2000  # of each table: a bounded look, whatever the table's size
TIME_LIMIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class ColumnSeen:
    """One column: what the source declares, and the values of the sample.

    ``kind`` is None for what cannot be exchanged (binary data, nested data). ``certain`` tells
    whether the source declares that type; otherwise values may say more.
    """

    name: str
    kind: FieldType | None
    declared: str = ""
    certain: bool = True
    required: bool = False
    max_length: int | None = None
    choices: tuple[str, ...] = ()  # of an enumeration that the database itself enforces
    has_zone: bool = False
    comment: str = ""
    values: tuple[Any, ...] = ()

    @property
    def known(self) -> list[Any]:
        """The values of the sample that are not NULL."""
        return [value for value in self.values if value is not None]


@dataclass(frozen=True, slots=True)
class ForeignKeySeen:
    """Columns whose values stand in another table."""

    columns: tuple[str, ...]
    table: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableSeen:
    """One table, view or file. ``rows`` are those of the sample; ``whole``: there are no more."""

    name: str
    kind: str
    columns: tuple[ColumnSeen, ...]
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKeySeen, ...] = field(default=())
    rows: int = 0
    whole: bool = False
    comment: str = ""
