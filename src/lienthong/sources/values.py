"""Values between a source and JSON: one canonical form for each type of a contract.

    release(field)(Decimal("1.50"))   # "1.5"

The same record gives the same bytes whatever engine holds it:

| Type      | JSON                                                                             |
|-----------|----------------------------------------------------------------------------------|
| string    | string, as stored                                                                |
| integer   | number                                                                           |
| number    | string: plain decimal without trailing zeros, because JSON numbers lose digits   |
| boolean   | true or false (databases without booleans: 1 or 0)                               |
| date      | string ``2001-12-31``                                                            |
| timestamp | string ``2001-12-31T07:30:00``; with a zone in the source: in UTC, ending in Z   |
| time      | string ``07:30:00``                                                              |
| object, array, map, vector | as JSON: ``nested_values.py``                                   |

A value of another shape raises ValueError; its record is then set aside.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from lienthong.contracts.models import Field, FieldType
from lienthong.contracts.rules import DATE_FORMATS
from lienthong.sources.nested_values import release_nested

LONGEST_DECIMAL = 100  # digits before or after the point; 1E+999999 would print a megabyte

JsonValue = str | int | float | bool | None | list[Any] | dict[str, Any]
Release = Callable[[Any], JsonValue]


def release(field: Field) -> Release:
    """Return the function that turns what a source holds for ``field`` into its JSON value.

    The function returns None for None and raises ValueError for a value of another type.
    """
    convert = release_nested(field, _scalar) if field.type.is_nested else _scalar(field)

    def release_value(value: Any) -> JsonValue:
        return None if value is None else convert(value)

    return release_value


def _scalar(field: Field) -> Release:
    is_dated = field.type is FieldType.DATE and field.date_format
    return _date_reader(field) if is_dated else release_standard(field.type)


def release_claim(field: Field) -> Release:
    """Return the same for what a consumer claims, which is always in the standard form."""
    if field.type.is_nested:
        return release_nested(field, lambda part: release_standard(part.type))
    return release_standard(field.type)


def release_standard(kind: FieldType) -> Release:
    """Return the same for a value that is not None and not written in a format of its own."""
    return _BY_TYPE[kind]


def _string(value: Any) -> JsonValue:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError("not text")


def _integer(value: Any) -> JsonValue:
    if isinstance(value, bool):
        raise ValueError("not an integer")
    if isinstance(value, int):
        return value
    if isinstance(value, str):  # CSV files hold text only
        return int(value) if value.isascii() and len(value) <= LONGEST_DECIMAL else _refuse()
    decimal = _to_decimal(value)
    if decimal != decimal.to_integral_value():
        raise ValueError("not an integer")
    return int(decimal)


def _refuse() -> int:
    raise ValueError("not an integer")


def _number(value: Any) -> JsonValue:
    decimal = _to_decimal(value)
    if decimal == 0:
        return "0"  # also for -0 and 0E+9
    text = format(decimal, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _to_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("not a number")
    try:
        # repr of a float is the shortest text that reads back as the same float.
        decimal = Decimal(value if isinstance(value, Decimal) else str(value))
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not decimal.is_finite() or abs(decimal.adjusted()) > LONGEST_DECIMAL:
        raise ValueError("not a number of this size")
    if -int(decimal.as_tuple().exponent) > LONGEST_DECIMAL:
        raise ValueError("not a number of this size")
    return decimal


_TRUE_FALSE = {1: True, 0: False, "1": True, "0": False, "true": True, "false": False}


def _boolean(value: Any) -> JsonValue:
    if isinstance(value, bytes) and value in (b"\x00", b"\x01"):  # MySQL's BIT(1)
        return value == b"\x01"
    known = value.lower() if isinstance(value, str) else value
    if isinstance(known, int | str) and known in _TRUE_FALSE:
        return _TRUE_FALSE[known]
    raise ValueError("not true or false")


def _date_reader(field: Field) -> Release:
    pattern = DATE_FORMATS[field.date_format or "yyyy-MM-dd"]

    def read_date(value: Any) -> JsonValue:
        if isinstance(value, str):
            # A day without a zone: only its date is kept.
            return datetime.strptime(value.strip(), pattern).date().isoformat()  # noqa: DTZ007
        return _date(value)

    return read_date


def _date(value: Any) -> JsonValue:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        if value.time() != time(0):
            raise ValueError("a date with a time of day")
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError("not a date")


def _timestamp(value: Any) -> JsonValue:
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        raise ValueError("not a timestamp")
    if value.tzinfo is None:
        return value.isoformat()
    try:
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        raise ValueError("a timestamp out of range") from None


def _time(value: Any) -> JsonValue:
    if isinstance(value, str):
        value = time.fromisoformat(value.strip())
    if isinstance(value, timedelta) and timedelta(0) <= value < timedelta(days=1):  # MySQL
        value = (datetime(1, 1, 1, tzinfo=UTC) + value).time()
    if not isinstance(value, time) or value.tzinfo is not None:
        raise ValueError("not a time of day")
    return value.isoformat()


_BY_TYPE: dict[FieldType, Release] = {
    FieldType.STRING: _string,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.DATE: _date,
    FieldType.TIMESTAMP: _timestamp,
    FieldType.TIME: _time,
}
