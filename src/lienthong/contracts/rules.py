"""Our own rules for contracts, beyond what the standard asks.

Each rule yields errors and none stops at the first: ``lienthong contract check`` shows all.
State secrets come before everything else, also in files that are broken otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from lienthong.contracts import properties
from lienthong.contracts.classification import Classification, is_state_secret
from lienthong.contracts.models import FieldType
from lienthong.contracts.properties import own_properties
from lienthong.errors import (
    ClassificationMissing,
    ContractError,
    ContractSchemaMismatch,
    ContractTooLarge,
    ExampleMismatch,
    InvalidContractProperty,
    LegalBasisMissing,
    StateSecretField,
)

MOST_FIELDS = 1000  # of one object, parts counted
MOST_OBJECTS = 1000
DATE_FORMATS = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "dd/MM/yyyy": "%d/%m/%Y",
    "dd-MM-yyyy": "%d-%m-%Y",
    "yyyyMMdd": "%Y%m%d",
}


def secret_problems(value: Any, name: str = "contract") -> Iterator[ContractError]:
    """Yield every classification or tag in ``value`` that marks a state secret."""
    if isinstance(value, list):
        for child in value:
            yield from secret_problems(child, name)
    elif isinstance(value, dict):
        here = str(value.get("name") or name)
        for mark in _marks(value):
            if is_state_secret(mark):
                yield StateSecretField(field=here[:100], found=mark)
        for child in value.values():
            yield from secret_problems(child, here)


def _marks(entry: Mapping[str, Any]) -> Iterator[str]:
    tags = entry.get("tags")
    marks = [entry.get("classification"), *(tags if isinstance(tags, list) else ())]
    marks += [item for key, item in _safe_properties(entry) if key == properties.CLASSIFICATION]
    yield from (mark for mark in marks if isinstance(mark, str))


def _safe_properties(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Read the properties of an entry that may be broken."""
    items = entry.get("customProperties")
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and isinstance(item.get("property"), str):
            yield item["property"], item.get("value")


def law_problems(document: Mapping[str, Any]) -> Iterator[ContractError]:
    """Yield what our rules miss in a document that satisfies the standard.

    Without them a contract may be compared and tested, but not published or served.
    """
    if not own_properties(document).get(properties.LEGAL_BASIS):
        yield LegalBasisMissing()
    for dataset in document.get("schema") or ():
        for entry in dataset.get("properties") or ():
            if not classification_text(entry):
                yield ClassificationMissing(field=entry["name"][:100])
    for path, entry in fields_of(document):
        yield from _field_problems(entry, path[:100])


def shape_problems(document: Mapping[str, Any]) -> Iterator[ContractError]:
    """Yield names that are used twice at one place, and whatever is too much to be kept."""
    datasets: list[Any] = document.get("schema") or []
    served = [own_properties(each).get(properties.SERVED) for each in datasets]
    if served.count(True) > 1:
        place = "contract.schema"
        yield InvalidContractProperty(name=properties.SERVED, place=place, reason="given twice")
    yield from _twice(datasets, "contract.schema")
    count = 0
    for number, dataset in enumerate(datasets):
        place = f"contract.schema[{number}].properties"
        for entries, inner in _lists(dataset.get("properties") or (), place):
            count += len(entries)
            yield from _twice(entries, inner)
    if count > MOST_FIELDS * max(1, len(datasets)) or len(datasets) > MOST_OBJECTS:
        yield ContractTooLarge(what="fields", limit=MOST_FIELDS)


_Entries = Sequence[Mapping[str, Any]]


def _lists(entries: _Entries, place: str) -> Iterator[tuple[_Entries, str]]:
    """Every list of properties at every depth, with its path in the document."""
    yield entries, place
    for number, entry in enumerate(entries):
        yield from _lists_within(entry, f"{place}[{number}]")


def _lists_within(entry: Mapping[str, Any], place: str) -> Iterator[tuple[_Entries, str]]:
    if entry.get("properties"):
        yield from _lists(entry["properties"], f"{place}.properties")
    if entry.get("items"):
        yield from _lists_within(entry["items"], f"{place}.items")
    for name, part in (entry.get("map") or {}).items():
        yield from _lists_within(part, f"{place}.map.{name}")


def fields_of(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every property at every depth, with its path: ``con[].ho_ten``."""
    for dataset in document.get("schema") or ():
        for entry in dataset.get("properties") or ():
            yield from _with_parts(entry, entry["name"])


def _with_parts(entry: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, entry
    for child in entry.get("properties") or ():
        yield from _with_parts(child, f"{path}.{child['name']}")
    pair = entry.get("map") or {}
    inner = ((entry.get("items"), "[]"), (pair.get("key"), "{key}"), (pair.get("value"), "{}"))
    for child, mark in inner:
        if child:
            yield from _with_parts(child, path + mark)


def _twice(entries: _Entries, place: str) -> Iterator[ContractError]:
    seen: set[str] = set()
    for number, entry in enumerate(entries):
        if entry["name"] in seen:
            yield ContractSchemaMismatch(place=f"{place}[{number}]"[:200], reason="used twice")
        seen.add(entry["name"])


def _field_problems(field: Mapping[str, Any], name: str) -> Iterator[ContractError]:
    text = classification_text(field)
    if text:
        try:
            Classification.parse(text, field=name)
        except ContractError as error:
            yield error
    kind = type_of(field)
    if not all(_is_example_of(kind, item) for item in field.get("examples") or ()):
        yield ExampleMismatch(field=name, type=kind.value)


def type_of(field: Mapping[str, Any]) -> FieldType:
    """The field's type; the standard's schema lets it be left out of a map alone."""
    return FieldType(field.get("logicalType") or FieldType.MAP)


def _is_example_of(kind: FieldType, value: Any) -> bool:
    if kind.is_nested:
        return True  # however the source writes it
    if kind is FieldType.BOOLEAN:
        return isinstance(value, bool)
    if kind is FieldType.INTEGER:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is FieldType.NUMBER:
        return not isinstance(value, bool) and _is_decimal(value)
    return isinstance(value, str)


def _is_decimal(value: Any) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def classification_text(field: Mapping[str, Any]) -> str:
    """The field's classification as written; our own property before the standard's."""
    own = own_properties(field).get(properties.CLASSIFICATION)
    return str(own or field.get("classification") or "").strip()
