"""What the rest of the program knows of a contract: its fields, its key, its table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lienthong.contracts.classification import Classification
from lienthong.contracts.details import ContractDetails, FieldDetails


class FieldType(StrEnum):
    """Logical types of ODCS that can be exchanged."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"


class Comparison(StrEnum):
    """How a claim on a text field is compared: as people read it, or letter by letter."""

    TEXT = "text"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataset, and the column it comes from."""

    name: str
    type: FieldType
    classification: Classification
    description: str
    column: str
    title: str
    subject: bool  # its value is the number of the person whom the record is about
    compare: Comparison
    date_format: str | None  # how a date is written where the source holds it as text
    examples: tuple[str | int | float | bool, ...]
    details: FieldDetails = field(default_factory=FieldDetails)


@dataclass(frozen=True, slots=True)
class Contract:
    """One dataset: what it is, under which law it is held, and where it lies.

    ``raw`` is the file as it was read and the only source of truth; ``digest`` the SHA-256
    of it in hexadecimal, by which agreements name the contract.
    """

    id: str
    version: str
    name: str
    status: str
    description: str
    legal_basis: tuple[str, ...]
    fields: Mapping[str, Field]
    key: str
    table: str
    digest: str
    raw: bytes
    details: ContractDetails = field(default_factory=ContractDetails)

    @property
    def key_field(self) -> Field:
        return self.fields[self.key]
