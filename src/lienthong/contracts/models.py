"""What the rest of the program knows of a contract: its objects, their fields, keys and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from lienthong.contracts.classification import Classification
from lienthong.contracts.details import ContractDetails, FieldDetails


class FieldType(StrEnum):
    """Logical types of ODCS 3.2."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"
    OBJECT = "object"
    ARRAY = "array"
    MAP = "map"
    VECTOR = "vector"

    @property
    def is_nested(self) -> bool:
        """Whether values have parts; such a column is answered as one JSON value."""
        return self in (FieldType.OBJECT, FieldType.ARRAY, FieldType.MAP, FieldType.VECTOR)


class Comparison(StrEnum):
    """How a claim on a text field is compared: as people read it, or letter by letter."""

    TEXT = "text"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a nested value is made of: properties of an object, items, a map's key and value."""

    fields: Mapping[str, Field] = field(default_factory=lambda: MappingProxyType({}))
    items: Field | None = None
    key: Field | None = None
    value: Field | None = None

    def each(self) -> Iterator[Field]:
        """The parts themselves, without theirs."""
        yield from self.fields.values()
        yield from (part for part in (self.items, self.key, self.value) if part is not None)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataset, and the column it comes from.

    ``name`` of a part is its path: ``dia_chi.ma_xa``, ``con[]``, ``con[].ho_ten``. A field is
    classified as closed as the most closed of its parts.
    """

    name: str
    type: FieldType
    classification: Classification
    description: str
    column: str
    title: str
    subject: bool  # its value is the number of the person whom the record is about
    compare: Comparison
    date_format: str | None  # how a date is written where the source holds it as text
    examples: tuple[object, ...]
    details: FieldDetails = field(default_factory=FieldDetails)
    parts: Parts = Parts()

    def within(self) -> Iterator[Field]:
        """All parts at every depth."""
        for part in self.parts.each():
            yield part
            yield from part.within()


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract as one of its schema objects has it: what it is, under which law it is held.

    A contract is loaded as the object that it serves (``objects.py``); ``objects`` has all of
    them. ``raw`` is the file as it was read and the only source of truth; ``digest`` the SHA-256
    of it in hexadecimal, by which agreements name the contract. ``key`` is empty where the object
    declares none: such an object is described and tested, but not served.
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
    others: tuple[Contract, ...] = ()  # the contract as its other objects have it
    place: int = 0  # of this object in the file; -1 in a contract without objects
    served: bool = True  # whether this is the object that a service answers from

    @property
    def key_field(self) -> Field:
        return self.fields[self.key]

    @property
    def objects(self) -> tuple[Contract, ...]:
        """The contract as each of its objects has it, in the file's order."""
        if self.place < 0:
            return ()
        found = (*self.others[: self.place], self, *self.others[self.place :])
        return tuple(
            replace(each, others=(*found[:number], *found[number + 1 :]), place=number)
            for number, each in enumerate(found)
        )
