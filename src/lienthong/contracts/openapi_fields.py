"""One field of a contract as JSON Schema, with an example: also fields that have parts.

field_schema(contract.fields["dia_chi"])     # {"type": ["object", "null"], "properties": …}
"""

from __future__ import annotations

from typing import Any

from lienthong.contracts.models import Field, FieldType

Json = dict[str, Any]

_SCHEMAS: dict[FieldType, Json] = {
    FieldType.STRING: {"type": "string"},
    FieldType.INTEGER: {"type": "integer"},
    FieldType.NUMBER: {"type": "string", "format": "decimal"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.TIMESTAMP: {"type": "string"},
    FieldType.TIME: {"type": "string"},
    FieldType.OBJECT: {"type": "object"},
    FieldType.ARRAY: {"type": "array"},
    FieldType.MAP: {"type": "object"},
    FieldType.VECTOR: {"type": "array", "items": {"type": "number"}},
}
_EXAMPLES: dict[FieldType, Any] = {
    FieldType.STRING: "…",
    FieldType.INTEGER: 1,
    FieldType.NUMBER: "12.5",
    FieldType.BOOLEAN: True,
    FieldType.DATE: "2001-12-31",
    FieldType.TIMESTAMP: "2001-12-31T07:30:00Z",
    FieldType.TIME: "07:30:00",
}


def plain_schema(kind: FieldType) -> Json:
    """The JSON Schema of values of a type, without what the contract says of one field."""
    return _SCHEMAS[kind]


def field_schema(field: Field) -> Json:
    """The JSON Schema of one field, and of its parts."""
    schema = _SCHEMAS[field.type]
    return {
        **schema,
        **_parts(field),
        "type": [schema["type"], "null"],
        "title": field.title,
        "description": field.description,
        "examples": [example_of(field)],
        "x-lienthong-classification": field.classification.value,
    }


def _parts(field: Field) -> Json:
    parts = field.parts
    if parts.fields:
        named = {name: field_schema(part) for name, part in parts.fields.items()}
        return {"additionalProperties": False, "properties": named}
    if field.type is FieldType.ARRAY:
        return {"items": field_schema(parts.items) if parts.items else {}}
    if parts.value is not None:
        return {"additionalProperties": field_schema(parts.value)}
    size = field.details.limits.shape.get("dimensions")
    return {"minItems": size, "maxItems": size} if size else {}


def example_of(field: Field) -> Any:
    """An example from the contract, or one that we make."""
    if field.type.is_nested:
        return _nested_example(field)
    value = field.examples[0] if field.examples else _EXAMPLES[field.type]
    return str(value) if field.type is FieldType.NUMBER else value


def _nested_example(field: Field) -> Any:
    parts = field.parts
    if field.type is FieldType.OBJECT:
        return {name: example_of(part) for name, part in parts.fields.items()}
    if field.type is FieldType.MAP:
        return {"…": example_of(parts.value)} if parts.value else {}
    if field.type is FieldType.VECTOR:
        return [0.5] * field.details.limits.shape.get("dimensions", 1)
    return [example_of(parts.items)] if parts.items else []
