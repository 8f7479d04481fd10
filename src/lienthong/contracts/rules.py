"""Our own rules for contracts, beyond what the standard asks.

Each rule yields errors and none stops at the first: ``lienthong contract check`` shows all.
State secrets come before everything else, also in files that are broken otherwise.
"""

from __future__ import annotations

import re
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
    ContractTooLarge,
    DatasetCount,
    ExampleMismatch,
    FieldNameInvalid,
    FieldTypeUnsupported,
    KeyNotDeclared,
    LegalBasisMissing,
    StateSecretField,
)

MOST_FIELDS = 1000
DATE_FORMATS = {
    "yyyy-MM-dd": "%Y-%m-%d",
    "dd/MM/yyyy": "%d/%m/%Y",
    "dd-MM-yyyy": "%d-%m-%Y",
    "yyyyMMdd": "%Y%m%d",
}
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_KEY_TYPES = (FieldType.STRING, FieldType.INTEGER)


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


def dataset_problems(document: Mapping[str, Any]) -> Iterator[ContractError]:
    """Yield what our rules find in a document that satisfies the standard."""
    if not own_properties(document).get(properties.LEGAL_BASIS):
        yield LegalBasisMissing()
    datasets: list[Any] = document.get("schema") or []
    if len(datasets) != 1:
        yield DatasetCount(count=len(datasets))
        return
    fields: list[Any] = datasets[0].get("properties") or []
    if len(fields) > MOST_FIELDS:
        yield ContractTooLarge(what="fields", limit=MOST_FIELDS)
        return
    yield from _name_problems(fields)
    for field in fields:
        yield from _field_problems(field)
    yield from _key_problems(datasets[0], fields)


def _name_problems(fields: Sequence[Mapping[str, Any]]) -> Iterator[ContractError]:
    seen: set[str] = set()
    for field in fields:
        name = field.get("name") or ""
        if not _FIELD_NAME.match(name):
            yield FieldNameInvalid(field=name[:100], reason="letters a-z, digits and _ wanted")
        elif name.casefold() in seen:
            yield FieldNameInvalid(field=name, reason="used twice")
        seen.add(name.casefold())


def _field_problems(field: Mapping[str, Any]) -> Iterator[ContractError]:
    name = (field.get("name") or "")[:100]
    text = classification_text(field)
    if not text:
        yield ClassificationMissing(field=name)
    else:
        try:
            Classification.parse(text, field=name)
        except ContractError as error:
            yield error
    yield from _type_problems(field, name)


def _type_problems(field: Mapping[str, Any], name: str) -> Iterator[ContractError]:
    found = field.get("logicalType")
    if found not in list(FieldType):
        yield FieldTypeUnsupported(field=name, found=found or "?")
        return
    date_format = (field.get("logicalTypeOptions") or {}).get("format")
    if found == FieldType.DATE and date_format is not None and date_format not in DATE_FORMATS:
        yield FieldTypeUnsupported(field=name, found=f"date {date_format}"[:100])
    if not all(_is_example_of(FieldType(found), item) for item in field.get("examples") or ()):
        yield ExampleMismatch(field=name, type=found)


def _is_example_of(kind: FieldType, value: Any) -> bool:
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


def key_names(dataset: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the fields declared as key; a contract in order has exactly one."""
    own = own_properties(dataset).get(properties.KEY)
    if own:
        return [own]
    return [field["name"] for field in fields if field.get("primaryKey")]


def _key_problems(
    dataset: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]
) -> Iterator[ContractError]:
    names = key_names(dataset, fields)
    if len(names) != 1:
        yield KeyNotDeclared(reason=f"{len(names)} fields with primaryKey")
        return
    types = [field.get("logicalType") for field in fields if field.get("name") == names[0]]
    if not types:
        yield KeyNotDeclared(reason=f"no field {names[0][:100]}")
    elif types[0] not in _KEY_TYPES:
        yield KeyNotDeclared(reason=f"{names[0]} is neither string nor integer")
