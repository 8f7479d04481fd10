"""Nested values between a source and JSON: objects, arrays, maps, vectors.

    release_nested(field)('{"xa": "Hòa Bình", "ghi_chu": "…"}')      # {"xa": "Hòa Bình"}

A source holds them as its own nested types, or as JSON in a text column. Released is what the
contract describes: of an object that names its properties, these and no others, each in the form
of its type (``values.py``), so that what was left out of the contract stays at home. An object,
array or map whose parts the contract does not describe is released whole, as one value of its
class. The numbers of a vector are JSON numbers: they are approximations by themselves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from lienthong.contracts.models import Field, FieldType

DEEPEST = 60  # levels of a value; contracts nest 40 deep at most
LONGEST_VECTOR = 100_000

Convert = Callable[[Any], Any]
Scalar = Callable[[Field], Convert]


def release_nested(field: Field, scalar: Scalar) -> Convert:
    """The function that releases values of a nested field; ``scalar`` makes those of the others.

    The function raises ValueError for a value of another shape.
    """
    convert = _converter(field, scalar)

    def release_value(value: Any) -> Any:
        return convert(_parsed(value))

    return release_value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _converter(field: Field, scalar: Scalar) -> Convert:
    if not field.type.is_nested:
        return _or_none(scalar(field))
    if field.type is FieldType.OBJECT:
        inner = {name: _converter(part, scalar) for name, part in field.parts.fields.items()}
        return _or_none(_object(inner) if inner else _any_object)
    if field.type is FieldType.MAP:
        return _or_none(_map(field, scalar))
    if field.type is FieldType.VECTOR:
        return _or_none(_vector(field.details.limits.shape.get("dimensions")))
    items = field.parts.items
    return _or_none(_array(_converter(items, scalar) if items else _plain))


def _or_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _object(parts: Mapping[str, Convert]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return {name: part(value[name]) for name, part in parts.items() if name in value}

    return convert


def _any_object(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return _plain(value)


def _array(item: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("not an array")
        return [item(each) for each in value]

    return convert


def _map(field: Field, scalar: Scalar) -> Convert:
    value_of = _converter(field.parts.value, scalar) if field.parts.value else _plain

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("not a map")
        return {_key(key): value_of(each) for key, each in value.items()}

    return convert


def _key(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a map's key that is neither text nor integer")
    return str(value)


def _vector(dimensions: int | None) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) > LONGEST_VECTOR:
            raise ValueError("not a vector")
        if dimensions is not None and len(value) != dimensions:
            raise ValueError("a vector of other dimensions")
        return [_component(each) for each in value]

    return convert


def _component(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("not a number")
    if not math.isfinite(value):
        raise ValueError("not a number")
    return float(value) if isinstance(value, Decimal) else value


def _plain(value: Any, depth: int = 0) -> Any:
    """A value of which the contract says no more: as JSON has it."""
    if depth > DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        return {_key(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("not a number")
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError("not JSON")
