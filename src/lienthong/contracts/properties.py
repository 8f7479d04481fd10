"""Our own properties inside ODCS: every entry in the namespace ``lienthong:``.

ODCS has its own places for most of what we need (``classification``, ``primaryKey``,
``physicalName``, ``logicalType``). What it lacks stands in ``customProperties``; and where an
agency already uses one of those places for a purpose of its own, a property here overrides it.
A property that is misspelt or misplaced is an error: ignoring it could release what it was
meant to hold back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from lienthong.contracts.details import PersonalData
from lienthong.errors import ContractError, InvalidContractProperty, UnknownContractProperty

PREFIX = "lienthong"
LEGAL_BASIS = "lienthong:legalBasis"
TITLE_EN = "lienthong:titleEn"
DESCRIPTION_EN = "lienthong:descriptionEn"
TABLE = "lienthong:source.table"
KEY = "lienthong:key"
SERVED = "lienthong:served"
CLASSIFICATION = "lienthong:classification"
COLUMN = "lienthong:source.column"
SUBJECT = "lienthong:subject"
COMPARE = "lienthong:compare"
UNIT = "lienthong:unit"
PERSONAL_DATA = "lienthong:personalData"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_texts(value: Any) -> bool:
    return _is_text(value) or (
        isinstance(value, list) and bool(value) and all(map(_is_text, value))
    )


class Rule(NamedTuple):
    """What the value of one property must be."""

    accepts: Callable[[Any], bool]
    wanted: str


CONTRACT_LEVEL = {
    LEGAL_BASIS: Rule(_is_texts, "text, or a list of texts"),
    TITLE_EN: Rule(_is_text, "text"),
    DESCRIPTION_EN: Rule(_is_text, "text"),
}
DATASET_LEVEL = {
    TABLE: Rule(_is_text, "the name of a table"),
    KEY: Rule(_is_text, "the name of a field"),
    SERVED: Rule(lambda value: isinstance(value, bool), "true or false"),
}
FIELD_LEVEL = {
    CLASSIFICATION: Rule(_is_text, "a classification"),
    COLUMN: Rule(_is_text, "the name of a column"),
    SUBJECT: Rule(lambda value: isinstance(value, bool), "true or false"),
    COMPARE: Rule(lambda value: value in ("text", "exact"), "text or exact"),
    UNIT: Rule(_is_text, "a unit of measurement"),
    PERSONAL_DATA: Rule(lambda value: value in list(PersonalData), "a kind of personal data"),
}
# A part of a nested value has no column and no key of its own.
PART_LEVEL = {name: FIELD_LEVEL[name] for name in (CLASSIFICATION, COMPARE, UNIT, PERSONAL_DATA)}
_NESTING = {"properties", "items", "map", "key", "value"}


def own_properties(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``lienthong:`` properties of one entry of a contract that has been checked."""
    return {
        item["property"]: item.get("value")
        for item in entry.get("customProperties") or ()
        if _is_ours(item)
    }


def property_problems(document: Mapping[str, Any]) -> Iterator[ContractError]:
    """Yield what is wrong with the ``lienthong:`` properties anywhere in ``document``."""
    for place, entry in _entries(document, "contract"):
        seen: set[str] = set()
        for item in entry["customProperties"] or ():
            if _is_ours(item):
                yield from _item_problems(item, place, seen)


def _item_problems(item: Any, place: str, seen: set[str]) -> Iterator[ContractError]:
    name = item["property"]
    rule = _rules_at(place).get(name)
    if rule is None:
        yield UnknownContractProperty(name=name[:100], place=place)
    elif name in seen:
        yield InvalidContractProperty(name=name, place=place, reason="given twice")
    elif not rule.accepts(item.get("value")):
        yield InvalidContractProperty(name=name, place=place, reason=f"{rule.wanted} wanted")
    seen.add(name)


def _is_ours(item: Any) -> bool:
    # Any case, and whatever follows: "Lienthong:key" and "lienthong.key" are misspellings.
    return (
        isinstance(item, dict)
        and isinstance(item.get("property"), str)
        and item["property"].strip().casefold().startswith(PREFIX)
    )


def _rules_at(place: str) -> Mapping[str, Rule]:
    parts = [part.partition("[")[0] for part in place.split(".")]
    if parts[:3] == ["contract", "schema", "properties"] and set(parts[3:]) <= _NESTING:
        return FIELD_LEVEL if len(parts) == 3 else PART_LEVEL
    levels = {
        ("contract",): CONTRACT_LEVEL,
        ("contract", "schema"): DATASET_LEVEL,
    }
    return levels.get(tuple(parts), {})


def _entries(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mapping that holds ``customProperties``, with its place."""
    if isinstance(value, dict):
        if isinstance(value.get("customProperties"), list):
            yield place, value
        for name, child in value.items():
            yield from _entries(child, f"{place}.{name}")
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from _entries(child, f"{place}[{number}]")
