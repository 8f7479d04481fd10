"""The objects of a contract: its tables, topics and files, and which of them is served.

    contract = contract_of(document, raw)
    contract.details.dataset                       # the object that records/{key} answers from
    [each.table for each in contract.objects]      # all of them

One object of a contract is served: the one that says ``lienthong:served: true``, else the first.
So both sides of an agreement know from the contract's digest alone which fields can be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from lienthong.contracts import properties
from lienthong.contracts.classification import Classification, highest
from lienthong.contracts.details_reading import contract_details, field_details, frozen
from lienthong.contracts.models import Comparison, Contract, Field, Parts
from lienthong.contracts.properties import own_properties
from lienthong.contracts.rules import classification_text, type_of
from lienthong.errors import ClassificationUnknown


def contract_of(document: Mapping[str, Any], raw: bytes) -> Contract:
    """Turn a document that satisfies the standard into the contract as its served object has it."""
    datasets = document.get("schema") or []
    if not datasets:
        return replace(_object(document, {"name": ""}, raw), place=-1)
    place = served_place(datasets)
    all_of_them = [_object(document, dataset, raw) for dataset in datasets]
    others = tuple(
        replace(each, served=False) for each in (*all_of_them[:place], *all_of_them[place + 1 :])
    )
    return replace(all_of_them[place], others=others, place=place)


def served_place(datasets: list[Any]) -> int:
    """Which object is served: the marked one, else the first."""
    marked = [bool(own_properties(each).get(properties.SERVED)) for each in datasets]
    return marked.index(True) if True in marked else 0


def _object(document: Mapping[str, Any], dataset: Mapping[str, Any], raw: bytes) -> Contract:
    entries = dataset.get("properties") or []
    basis = own_properties(document).get(properties.LEGAL_BASIS) or ()
    purpose = (document.get("description") or {}).get("purpose") or ""
    keys = key_names(dataset)
    key = keys[0] if len(keys) == 1 else ""
    return Contract(
        id=document["id"],
        version=document["version"],
        name=document.get("name") or document["id"],
        status=document.get("status") or "",
        description=dataset.get("description") or purpose,
        legal_basis=(basis,) if isinstance(basis, str) else tuple(basis),
        fields=MappingProxyType({entry["name"]: _field(entry, key) for entry in entries}),
        key=key,
        table=_table(dataset),
        digest=sha256(raw).hexdigest(),
        raw=raw,
        details=contract_details(document, dataset),
    )


def key_names(dataset: Mapping[str, Any]) -> list[str]:
    """Names of the fields declared as key; an object that can be served has exactly one."""
    own = own_properties(dataset).get(properties.KEY)
    if own:
        return [own]
    entries = dataset.get("properties") or ()
    return [entry["name"] for entry in entries if entry.get("primaryKey")]


def _table(dataset: Mapping[str, Any]) -> str:
    own = own_properties(dataset).get(properties.TABLE)
    return str(own or dataset.get("physicalName") or dataset["name"])


def _field(entry: Mapping[str, Any], key: str) -> Field:
    # Until somebody says otherwise a field is as closed as can be.
    field = _part(entry, entry["name"], Classification.SENSITIVE)
    # A personal key is the subject's unless the contract says otherwise: a citizen must be
    # able to see who looked, also where nobody thought of saying so.
    own = own_properties(entry).get(properties.SUBJECT)
    named = field.name == key and field.classification.names_a_person
    return replace(field, subject=named if own is None else own)


def _part(entry: Mapping[str, Any], path: str, usual: Classification) -> Field:
    """A field, or a part of one; ``usual`` is the class of a part that states none."""
    own = own_properties(entry)
    name = entry.get("name") or path
    stated = _class_of(entry, usual)
    parts = _parts(entry, path, stated)
    return Field(
        name=path,
        type=type_of(entry),
        classification=highest([stated, *(part.classification for part in parts.each())]),
        description=entry.get("description") or "",
        column=own.get(properties.COLUMN) or entry.get("physicalName") or name,
        title=entry.get("businessName") or name,
        subject=False,
        compare=Comparison(own.get(properties.COMPARE, Comparison.TEXT)),
        date_format=(entry.get("logicalTypeOptions") or {}).get("format"),
        examples=frozen(entry.get("examples") or []),
        details=field_details(entry, path),
        parts=parts,
    )


def _class_of(entry: Mapping[str, Any], usual: Classification) -> Classification:
    text = classification_text(entry)
    if not text:
        return usual
    try:
        return Classification.parse(text, field=str(entry.get("name")))
    except ClassificationUnknown:  # only in a contract that is read to be compared or tested
        return Classification.SENSITIVE


def _parts(entry: Mapping[str, Any], path: str, usual: Classification) -> Parts:
    fields = entry.get("properties") or ()
    pair = entry.get("map") or {}
    return Parts(
        MappingProxyType({e["name"]: _part(e, f"{path}.{e['name']}", usual) for e in fields}),
        _part(entry["items"], f"{path}[]", usual) if entry.get("items") else None,
        _part(pair["key"], f"{path}{{key}}", usual) if pair else None,
        _part(pair["value"], f"{path}{{}}", usual) if pair else None,
    )
