"""Checks as SQL conditions, for each engine: true for a row that breaks the check.

NULL breaks only what is about NULL. Values are bound parameters; every name is quoted. Patterns
are regular expressions as each engine has them; SQLite has none, so RE2 serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import sqlalchemy
from sqlalchemy import Double, Numeric, String, and_, case, cast, func, or_, try_cast
from sqlalchemy.sql import quoted_name as exact_name

from lienthong.contracts.models import Contract, Field, FieldType
from lienthong.sources.quality.checks import Check, Measure

Condition = Any  # a SQLAlchemy expression
_NUMBER = r"^-?[0-9]+([.][0-9]+)?$"
_FORMS = {
    FieldType.INTEGER: r"^-?[0-9]+$",
    FieldType.NUMBER: _NUMBER,
    FieldType.BOOLEAN: r"^([01]|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$",
    FieldType.DATE: r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([ T]00:00.*)?$",
    FieldType.TIMESTAMP: r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}.*)?$",
    FieldType.TIME: r"^[0-9]{2}:[0-9]{2}",
}
_DATE_FORMS = {
    "dd/MM/yyyy": (r"^(0[1-9]|[12][0-9]|3[01])/(0[1-9]|1[0-2])/[0-9]{4}$", (7, 4, 1)),
    "dd-MM-yyyy": (r"^(0[1-9]|[12][0-9]|3[01])-(0[1-9]|1[0-2])-[0-9]{4}$", (7, 4, 1)),
    "yyyyMMdd": (r"^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$", (1, 5, 7)),
}
# What a column may be declared as, for its values to be released as the field's type.
_HOLDS = {
    FieldType.STRING: ("text", "number", "other"),
    FieldType.INTEGER: ("number", "text"),
    FieldType.NUMBER: ("number", "text"),
    FieldType.BOOLEAN: ("boolean", "number", "text", "other"),
    FieldType.DATE: ("date", "timestamp", "text"),
    FieldType.TIMESTAMP: ("timestamp", "instant", "text"),
    FieldType.TIME: ("time", "text", "other"),
    **{kind: ("text", "other") for kind in FieldType if kind.is_nested},
}
_NESTED = {FieldType.OBJECT: "object", FieldType.MAP: "object"}  # in JSON; the others: array
_TYPES_OF_SQLITE = {
    FieldType.STRING: ("text", "integer"),
    FieldType.INTEGER: ("integer",),
    FieldType.NUMBER: ("integer", "real"),
    FieldType.BOOLEAN: ("integer",),
}


class BoundUnusable(ValueError):
    """A limit of the contract is no value of its field's type, or cannot be compared here."""

    def __init__(self, reason: str = "limit of another type") -> None:
        super().__init__(reason)


class Conditions:
    """Builds the conditions of one contract over one source."""

    def __init__(self, contract: Contract, held: Mapping[str, str], engine: str) -> None:
        self._contract = contract
        self._held = held
        self._engine = engine

    def column(self, field: str) -> Condition:
        """The column of a field, without a type: the database takes its own."""
        name = self._contract.fields[field].column
        return sqlalchemy.column(exact_name(name, True))

    def breaks(self, check: Check) -> Condition | None:
        """What holds for a row that breaks the check; None where no row can.

        Raises BoundUnusable.
        """
        field = self._contract.fields[check.fields[0]]
        column = self.column(field.name)
        if check.measure is Measure.NULLS:
            return column.is_(None)
        if check.measure is Measure.MISSING:
            return self._missing(field, check.arguments)
        if check.measure is Measure.TYPE:
            return self._other_type(field)
        broken = self._broken_value(check, field)
        return and_(column.is_not(None), broken)

    def newest(self, check: Check) -> Condition:
        """The greatest value of the field of a check of freshness."""
        return func.max(self.value(self._contract.fields[check.fields[0]]))

    def value(self, field: Field) -> Condition:
        """The column as something that can be ordered like the field's type."""
        column = self.column(field.name)
        if self._held[field.column] != "text":
            return column
        if field.type in (FieldType.INTEGER, FieldType.NUMBER):
            return self._number(column)
        if field.type is FieldType.DATE and field.date_format in _DATE_FORMS:
            year, month, day = _DATE_FORMS[field.date_format][1]
            parts = ((year, 4), (month, 2), (day, 2))
            cut = [func.substr(column, start, size, type_=String) for start, size in parts]
            return cut[0] + "-" + cut[1] + "-" + cut[2]
        return column

    def text(self, field: Field) -> Condition:
        """The column as text."""
        column = self.column(field.name)
        return column if self._held[field.column] == "text" else cast(column, String)

    def _broken_value(self, check: Check, field: Field) -> Condition:
        arguments = check.arguments
        if check.measure is Measure.OUTSIDE:
            return sqlalchemy.not_(self._one_of(field, arguments.get("validValues") or ()))
        if check.measure is Measure.PATTERN:
            return sqlalchemy.not_(self._matches(self.text(field), str(arguments["pattern"])))
        if check.measure is Measure.LENGTH:
            count = func.char_length if self._engine in ("mysql", "mariadb") else func.length
            length = count(self.text(field))
            return _outside(length, arguments["low"], arguments["high"])
        if check.measure is Measure.MULTIPLE:
            step = float(arguments["step"])
            share = self.value(field) / _bound(step)
            return func.abs(share - func.round(share)) > _bound(1e-9)
        return self._out_of_range(field, arguments)

    def _missing(self, field: Field, arguments: Mapping[str, Any]) -> Condition:
        values = arguments.get("missingValues", (None, ""))
        values = values if isinstance(values, tuple) else (values,)
        column = self.column(field.name)
        parts = [column.is_(None)] if None in values else []
        texts = [str(value) for value in values if value is not None]
        if texts:
            parts.append(self.text(field).in_([_bound(text) for text in texts]))
        return or_(sqlalchemy.false(), *parts)

    def _one_of(self, field: Field, values: Any) -> Condition:
        values = values if isinstance(values, tuple) else (values,)
        if field.type in (FieldType.INTEGER, FieldType.NUMBER):
            numbers = [_number(value) for value in values if value is not None]
            return self.value(field).in_([_bound(number) for number in numbers])
        if field.type is FieldType.BOOLEAN and self._held[field.column] != "text":
            return self.column(field.name).in_([_bound(bool(value)) for value in values])
        texts = [str(value) for value in values if value is not None]
        value = self.value(field)
        value = value if self._held[field.column] == "text" else cast(value, String)
        return value.in_([_bound(text) for text in texts])

    def _out_of_range(self, field: Field, arguments: Mapping[str, Any]) -> Condition:
        value = self.value(field)
        bounds = {name: self._typed(field, bound) for name, bound in arguments.items()}
        parts = [_outside(value, bounds["low"], bounds["high"])]
        if bounds["above"] is not None:
            parts.append(value <= _bound(bounds["above"]))
        if bounds["below"] is not None:
            parts.append(value >= _bound(bounds["below"]))
        return or_(*parts)

    def _typed(self, field: Field, bound: Any) -> Any:
        if bound is None:
            return None
        if field.type in (FieldType.INTEGER, FieldType.NUMBER):
            return _number(bound)
        if self._held[field.column] == "text" or field.type is FieldType.TIME:
            return str(bound)
        try:
            kind = date if field.type is FieldType.DATE else datetime
            return kind.fromisoformat(str(bound))
        except ValueError as error:
            raise BoundUnusable from error

    def _other_type(self, field: Field) -> Condition | None:
        column, held = self.column(field.name), self._held[field.column]
        if held not in _HOLDS[field.type]:
            return column.is_not(None)
        if field.type.is_nested:
            return None if held == "other" else self._other_json(column, field)
        if self._engine == "sqlite" and held != "text" and field.type in _TYPES_OF_SQLITE:
            kinds = (*_TYPES_OF_SQLITE[field.type], "null")  # SQLite takes any value anywhere
            return func.typeof(column).not_in([_bound(kind) for kind in kinds])
        if held != "text" or field.type is FieldType.STRING:
            return None
        form = _FORMS[field.type]
        if field.type is FieldType.DATE and field.date_format in _DATE_FORMS:
            form = _DATE_FORMS[field.date_format][0]
        return and_(column.is_not(None), sqlalchemy.not_(self._matches(column, form)))

    def _other_json(self, column: Condition, field: Field) -> Condition:
        """Text that is no JSON of the declared kind. PostgreSQL before 16 cannot tell."""
        if self._engine == "postgresql":
            raise BoundUnusable("nested data in a text column")
        wanted = _NESTED.get(field.type, "array")
        valid, found = func.json_valid(column), func.lower(func.json_type(column))
        broken = case((sqlalchemy.not_(valid), 1), (found != _bound(wanted), 1), else_=0)
        return and_(column.is_not(None), broken == sqlalchemy.literal_column("1"))

    def _number(self, column: Condition) -> Condition:
        if self._engine == "duckdb":
            return try_cast(column, Double)
        return case((self._matches(column, _NUMBER), cast(column, Numeric(38, 10))))

    def _matches(self, text: Condition, pattern: str) -> Condition:
        if self._engine == "duckdb":
            return func.regexp_matches(text, _bound(pattern))
        if self._engine in ("mysql", "mariadb"):
            # Their patterns ignore case with the usual collations; contracts' patterns do not.
            return text.op("REGEXP")(_bound("(?-i)" + pattern))
        return text.op("REGEXP" if self._engine == "sqlite" else "~")(_bound(pattern))


def _outside(value: Condition, low: Any, high: Any) -> Condition:
    parts = [] if low is None else [value < _bound(low)]
    parts += [] if high is None else [value > _bound(high)]
    return or_(sqlalchemy.false(), *parts)


def _bound(value: Any) -> Condition:
    """A parameter without a type of ours."""
    return sqlalchemy.bindparam(None, value, type_=sqlalchemy.types.NULLTYPE)


def _number(value: Any) -> int | float:
    try:
        return value if isinstance(value, int | float) else float(value)
    except (TypeError, ValueError) as error:
        raise BoundUnusable from error
