"""What changed in the fields of a contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from lienthong.contracts.classification import Classification
from lienthong.contracts.comparison.changes import Change
from lienthong.contracts.details import Limits, Scalar
from lienthong.contracts.models import Comparison, Contract, Field, FieldType

# Whoever could hold the values of the first cannot rely on getting all of them from the second.
_NARROWER = {
    FieldType.STRING: {kind for kind in FieldType if not kind.is_nested} - {FieldType.STRING},
    FieldType.NUMBER: {FieldType.INTEGER, FieldType.BOOLEAN},
    FieldType.INTEGER: {FieldType.BOOLEAN},
    FieldType.TIMESTAMP: {FieldType.DATE, FieldType.TIME},
}
_LOWER_LIMITS = ("min_length", "minimum", "exclusive_minimum", "min_items", "min_properties")
_UPPER_LIMITS = ("max_length", "maximum", "exclusive_maximum", "max_items", "max_properties")
_FORMS = ("pattern", "multiple_of", "unique_items", "required_properties")


def field_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Yield every change of fields: gone, new, renamed, different."""
    yield from _changes_among(old.fields, new.fields)


def _changes_among(old: Mapping[str, Field], new: Mapping[str, Field]) -> Iterator[Change]:
    gone = {name: field for name, field in old.items() if name not in new}
    added = {name: field for name, field in new.items() if name not in old}
    renamed = dict(_renamed(gone, added))
    for name in gone:
        if name in renamed:
            path = added[renamed[name]].name
            yield Change("field.renamed", gone[name].name, gone[name].name, path)
        else:
            yield Change("field.removed", gone[name].name)
    for name, field in added.items():
        if name not in renamed.values():
            yield Change("field.added", field.name, after=field.type.value)
    for name, field in old.items():
        other = new.get(renamed.get(name, name))
        if other is not None:
            yield from _one_field(field, other)


def _renamed(gone: Mapping[str, Field], added: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """A field that reads the same column under another name is the same field."""
    left = dict(added)
    for name, field in gone.items():
        for theirs, other in list(left.items()):
            if other.column == field.column:
                yield name, theirs
                del left[theirs]
                break


def _one_field(old: Field, new: Field) -> Iterator[Change]:
    yield from _type_changes(old, new)
    yield from _classification_changes(old, new)
    yield from _presence_changes(old, new)
    yield from _enumeration_changes(old, new)
    yield from _limit_changes(old, new)
    yield from _unit_changes(old, new)
    yield from _use_changes(old, new)
    yield from _word_changes(old, new)
    yield from _part_changes(old, new)


def _part_changes(old: Field, new: Field) -> Iterator[Change]:
    """Changes inside a nested value; where the type itself changed, that is told once."""
    if old.type is not new.type:
        return
    yield from _changes_among(old.parts.fields, new.parts.fields)
    for name in ("items", "key", "value"):
        before, after = getattr(old.parts, name), getattr(new.parts, name)
        if before is not None and after is not None:
            yield from _one_field(before, after)
        elif after is not None:
            yield Change("field.added", after.name, after=after.type.value)
        elif before is not None:
            yield Change("field.removed", before.name)


def _type_changes(old: Field, new: Field) -> Iterator[Change]:
    if old.type is not new.type:
        narrowed = new.type in _NARROWER.get(old.type, ())
        code = "field.type_narrowed" if narrowed else "field.type_changed"
        yield Change(code, old.name, old.type.value, new.type.value)


def _classification_changes(old: Field, new: Field) -> Iterator[Change]:
    order = list(Classification)
    before, after = old.classification, new.classification
    if before is not after:
        raised = order.index(after) > order.index(before)
        code = "field.classification_raised" if raised else "field.classification_lowered"
        yield Change(code, old.name, before.value, after.value)
    if old.details.personal_data is not new.details.personal_data:
        kinds = [field.details.personal_data or "" for field in (old, new)]
        yield Change("field.personal_data_changed", old.name, *map(str, kinds))


def _presence_changes(old: Field, new: Field) -> Iterator[Change]:
    for fact in ("required", "unique"):
        before, after = getattr(old.details, fact), getattr(new.details, fact)
        if before != after:
            yield Change(f"field.{fact}_{'added' if after else 'removed'}", old.name)


def _enumeration_changes(old: Field, new: Field) -> Iterator[Change]:
    before, after = old.details.enumeration, new.details.enumeration
    if before and not after:
        yield Change("field.enumeration_dropped", old.name, _listed(before))
    elif after and not before:
        yield Change("field.enumeration_introduced", old.name, after=_listed(after))
    else:
        gone = [value for value in before if not _holds(after, value)]
        more = [value for value in after if not _holds(before, value)]
        if gone:
            yield Change("field.enumeration_narrowed", old.name, _listed(gone))
        if more:
            yield Change("field.enumeration_widened", old.name, after=_listed(more))


def _holds(values: tuple[Scalar, ...], value: Scalar) -> bool:
    # True == 1 in Python; in a contract they are two values.
    return any(type(each) is type(value) and each == value for each in values)


def _listed(values: Any) -> str:
    return ", ".join(map(str, values))


def _limit_changes(old: Field, new: Field) -> Iterator[Change]:
    before, after = old.details.limits, new.details.limits
    for name in (*_LOWER_LIMITS, *_UPPER_LIMITS, *_FORMS):
        pair = getattr(before, name), getattr(after, name)
        if pair[0] != pair[1]:
            code = "field.limit_narrowed" if _narrowed(name, *pair) else "field.limit_widened"
            yield Change(code, old.name, _limit(name, pair[0]), _limit(name, pair[1]))
    if _format(before, old.type) != _format(after, new.type):
        yield Change("field.format_changed", old.name, before.format or "", after.format or "")
    elif before.shape != after.shape:
        yield Change("field.format_changed", old.name, _shape(before), _shape(after))
    if before.timezone != after.timezone:
        zones = before.timezone or "UTC", after.timezone or "UTC"
        yield Change("field.timezone_changed", old.name, *zones)


def _format(limits: Limits, kind: FieldType) -> str | None:
    # The format of a date says how the source writes it; the answer is always 2001-12-31.
    return None if kind is FieldType.DATE else limits.format


def _shape(limits: Limits) -> str:
    return ", ".join(f"{name} {value}" for name, value in limits.shape.items())


def _narrowed(name: str, before: Any, after: Any) -> bool:
    if name == "required_properties":
        return not set(after) <= set(before)
    if after is None or after is False:
        return False
    if before is None or name in _FORMS:
        return True  # two patterns cannot be compared: it may be narrower
    low, high = sorted_pair(before, after)
    return bool((after == high) if name in _LOWER_LIMITS else (after == low))


def sorted_pair(one: Scalar, two: Scalar) -> tuple[Scalar, Scalar]:
    """Order two limits: numbers as numbers, dates and all else as text."""
    if isinstance(one, int | float) and isinstance(two, int | float):
        return (one, two) if Decimal(str(one)) <= Decimal(str(two)) else (two, one)
    return (one, two) if str(one) <= str(two) else (two, one)


def _limit(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else f"{name} {value}"


def _unit_changes(old: Field, new: Field) -> Iterator[Change]:
    before, after = old.details.unit, new.details.unit
    if before != after:
        code = "field.unit_changed" if before else "field.unit_stated"
        yield Change(code, old.name, before, after)


def _use_changes(old: Field, new: Field) -> Iterator[Change]:
    if old.compare is not new.compare:
        exact = new.compare is Comparison.EXACT
        code = "field.compare_narrowed" if exact else "field.compare_widened"
        yield Change(code, old.name, old.compare.value, new.compare.value)
    if old.subject != new.subject:
        yield Change(f"field.subject_{'added' if new.subject else 'removed'}", old.name)
    if (old.column, _written(old)) != (new.column, _written(new)):
        yield Change("field.source_changed", old.name, old.column, new.column)
    if old.details.physical_type != new.details.physical_type:
        kinds = old.details.physical_type, new.details.physical_type
        yield Change("field.physical_type_changed", old.name, *kinds)
    if old.details.making != new.details.making:
        yield Change("field.making_changed", old.name)
    if new.details.deprecated and not old.details.deprecated:
        yield Change("field.deprecated", old.name)
    if old.details.semantic != new.details.semantic:
        yield Change("field.meaning_changed", old.name, old.details.semantic, new.details.semantic)


def _written(field: Field) -> str | None:
    return field.date_format if field.type is FieldType.DATE else None


def _word_changes(old: Field, new: Field) -> Iterator[Change]:
    # Two classes that are none of ours are both taken for the most closed one.
    written = old.details.stated_class, new.details.stated_class
    reworded = old.classification is new.classification and written[0] != written[1]
    if reworded or _words(old) != _words(new):
        yield Change("field.words_changed", old.name)


def _words(field: Field) -> tuple[Any, ...]:
    details = field.details
    return (
        field.title if field.title != field.name else "",
        field.description,
        field.examples,
        details.tags,
        details.synonyms,
        details.labels,
        details.links,
        details.custom,
        details.critical,
    )
