"""Describe the data service of a contract in OpenAPI 3.1.

    document = openapi_of(contract, ServiceId.parse("VN/GOV/G01/dancu/cong-dan"))

The description is made for the people who write clients: Vietnamese first, an example for
everything, and every error in the shape that arrives (X-Road's ``type``, ``message``,
``detail``). Its ``x-lienthong-classification`` says how far each field may travel.
"""

from __future__ import annotations

from typing import Any

from lienthong.contracts.models import Comparison, Contract, Field, FieldType
from lienthong.contracts.openapi_fields import Json, example_of, field_schema, plain_schema
from lienthong.identity.identifiers import ServiceId

MOST_KEYS = 1000  # in one look-up; sources.source holds the limit that is enforced

_ERRORS = {
    "400": "Yêu cầu không hợp lệ. The request is not valid.",
    "403": "Thỏa thuận không cho phép. The agreement does not grant this.",
    "502": "Nguồn dữ liệu gặp lỗi. The source failed.",
    "504": "Nguồn dữ liệu không trả lời kịp. The source did not answer in time.",
}
_VERIFY_RULE = (
    "Trả lời đúng/sai cho từng giá trị, không tiết lộ giá trị đang lưu. Chuỗi được so sánh theo "
    "Unicode NFC, không phân biệt chữ hoa chữ thường, bỏ khoảng trắng thừa; dấu có nghĩa. Các "
    "trường {exact} so sánh chính xác từng ký tự.\n\n"
    "Answers yes or no to each claim without releasing the value held. Strings are compared in "
    "Unicode NFC, in any case, with spare spaces dropped; diacritics count. The fields {exact} "
    "are compared letter by letter. A null claim agrees with a field that holds nothing. A record "
    "that does not exist answers found: false and false to every claim."
)


def openapi_of(contract: Contract, service_id: ServiceId) -> Json:
    """Return the OpenAPI 3.1 document of the service ``service_id`` over ``contract``."""
    return {
        "openapi": "3.1.0",
        "info": _info(contract),
        "servers": [{"url": f"/r1/{service_id.encoded}"}],
        "paths": {
            "/records/{key}": {"get": _read(contract)},
            "/records:lookup": {"post": _lookup(contract)},
            "/records:verify": {"post": _verify(contract)},
        },
        "components": {
            "schemas": {"Record": _record(contract), "Error": _error()},
            "parameters": {"Client": _client()},
            "responses": {f"Error{status}": _error_response(status) for status in _ERRORS},
        },
    }


def _info(contract: Contract) -> Json:
    basis = "; ".join(contract.legal_basis)
    return {
        "title": contract.name,
        "version": contract.version,
        "description": f"{contract.description}\n\nCăn cứ pháp lý (legal basis): {basis}".strip(),
        "x-lienthong-contract": {"id": contract.id, "digest": contract.digest},
    }


def _read(contract: Contract) -> Json:
    return {
        "operationId": "readRecord",
        "summary": "Đọc một bản ghi (read one record)",
        "description": (
            "Số định danh trong đường dẫn có thể nằm lại trong nhật ký của phần mềm trung gian; "
            "với dữ liệu cá nhân hãy dùng records:lookup.\n\n"
            "A key in the path may stay in the logs of software on the way; for personal data "
            "use records:lookup."
        ),
        "parameters": [
            _ref("parameters", "Client"),
            _key_parameter(contract),
            _fields_parameter(contract),
        ],
        "responses": {
            "200": _answer("Bản ghi. The record.", _read_schema(), _read_example(contract)),
            "404": _answer(
                "Không có bản ghi với khóa này. No record has this key.",
                _read_schema(),
                {"record": None, "withheld": []},
            ),
            **_error_responses(),
        },
    }


def _lookup(contract: Contract) -> Json:
    request = {
        "type": "object",
        "required": ["keys"],
        "additionalProperties": False,
        "properties": {
            "keys": {
                "type": "array",
                "items": _key_schema(contract),
                "minItems": 1,
                "maxItems": MOST_KEYS,
                "uniqueItems": True,
            },
            "fields": {
                "type": "array",
                "items": {"type": "string", "enum": list(contract.fields)},
                "minItems": 1,
                "uniqueItems": True,
                "description": _default_fields(contract),
            },
        },
    }
    return {
        "operationId": "lookupRecords",
        "summary": f"Tra cứu đến {MOST_KEYS} bản ghi (look up to {MOST_KEYS} records)",
        "parameters": [_ref("parameters", "Client")],
        "requestBody": _body(request, _lookup_request(contract)),
        "responses": {
            "200": _answer(
                "Các bản ghi theo thứ tự khóa. The records in the order of the keys.",
                _lookup_schema(contract),
                _lookup_example(contract),
            ),
            **_error_responses(),
        },
    }


def _verify(contract: Contract) -> Json:
    exact = [field.name for field in contract.fields.values() if field.compare is Comparison.EXACT]
    request = {
        "type": "object",
        "required": ["key", "claims"],
        "additionalProperties": False,
        "properties": {
            "key": _key_schema(contract),
            "claims": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    field.name: field_schema(field) for field in contract.fields.values()
                },
            },
        },
    }
    field = _sample_fields(contract)[-1]
    example = {"key": example_of(contract.key_field), "claims": {field.name: example_of(field)}}
    return {
        "operationId": "verifyRecord",
        "summary": "Xác minh, không lộ giá trị (verify without release)",
        "description": _VERIFY_RULE.format(exact=f"({', '.join(exact) or '–'})"),
        "parameters": [_ref("parameters", "Client")],
        "requestBody": _body(request, example),
        "responses": {
            "200": _answer(
                "Đúng hoặc sai cho từng trường. Yes or no for each field.",
                _verify_schema(),
                {"found": True, "matches": {field.name: True}, "withheld": []},
            ),
            **_error_responses(),
        },
    }


def _record(contract: Contract) -> Json:
    """A record holds only what was asked and granted, so no field is required."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: field_schema(field) for field in contract.fields.values()},
    }


def _sample_fields(contract: Contract) -> list[Field]:
    """Fields for examples: the first ones that need not be asked for by name."""
    open_fields = [f for f in contract.fields.values() if not f.classification.only_by_name]
    return (open_fields or list(contract.fields.values()))[:3]


def _sample_record(contract: Contract) -> Json:
    return {field.name: example_of(field) for field in _sample_fields(contract)}


def _read_schema() -> Json:
    record = {"oneOf": [_ref("schemas", "Record"), {"type": "null"}]}
    return _object(record=record, withheld=_withheld())


def _read_example(contract: Contract) -> Json:
    return {"record": _sample_record(contract), "withheld": []}


def _lookup_schema(contract: Contract) -> Json:
    fault = _object(key=_key_schema(contract), field={"type": "string"}, reason={"type": "string"})
    return _object(
        records={"type": "array", "items": _ref("schemas", "Record")},
        missing={"type": "array", "items": _key_schema(contract)},
        faulty={
            "type": "array",
            "items": fault,
            "description": "Bản ghi sai hợp đồng, được để riêng. "
            "Records that break the contract, set aside.",
        },
        withheld=_withheld(),
    )


def _lookup_request(contract: Contract) -> Json:
    names = [field.name for field in _sample_fields(contract)]
    return {"keys": [example_of(contract.key_field)], "fields": names}


def _lookup_example(contract: Contract) -> Json:
    return {"records": [_sample_record(contract)], "missing": [], "faulty": [], "withheld": []}


def _verify_schema() -> Json:
    return _object(
        found={"type": "boolean"},
        matches={"type": "object", "additionalProperties": {"type": "boolean"}},
        withheld=_withheld(),
    )


def _withheld() -> Json:
    return {
        "type": "array",
        "items": {"type": "string"},
        "description": "Trường được hỏi nhưng không được phép. Fields asked for but not granted.",
    }


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _key_schema(contract: Contract) -> Json:
    field = contract.key_field
    limits: Json = {"minLength": 1, "maxLength": 200} if field.type is FieldType.STRING else {}
    return {**plain_schema(field.type), **limits, "description": field.description}


def _key_parameter(contract: Contract) -> Json:
    return {
        "name": "key",
        "in": "path",
        "required": True,
        "description": contract.key_field.description,
        "schema": _key_schema(contract),
        "example": example_of(contract.key_field),
    }


def _fields_parameter(contract: Contract) -> Json:
    return {
        "name": "fields",
        "in": "query",
        "style": "form",
        "explode": False,
        "description": _default_fields(contract),
        "schema": {"type": "array", "items": {"type": "string", "enum": list(contract.fields)}},
        "example": [field.name for field in _sample_fields(contract)],
    }


def _default_fields(contract: Contract) -> str:
    named = [f.name for f in contract.fields.values() if f.classification.only_by_name]
    return (
        "Không nêu: mọi trường, trừ trường nhạy cảm. "
        "Left out: all fields, except the sensitive ones "
        f"({', '.join(named) or '–'}), which must be asked for by name."
    )


def _client() -> Json:
    return {
        "name": "X-Road-Client",
        "in": "header",
        "required": True,
        "description": "Hệ thống gọi (the calling subsystem)",
        "schema": {"type": "string"},
        "example": "VN/GOV/H37/motcua",
    }


def _error() -> Json:
    text = {"type": "string"}
    return _object(type=text, message=text, detail=text)


def _error_response(status: str) -> Json:
    return {
        **_answer(_ERRORS[status], _ref("schemas", "Error"), None),
        "headers": {"X-Road-Error": {"schema": {"type": "string"}}},
    }


def _error_responses() -> Json:
    return {status: _ref("responses", f"Error{status}") for status in _ERRORS}


def _answer(description: str, schema: Json, example: Any) -> Json:
    media: Json = {"schema": schema}
    if example is not None:
        media["example"] = example
    return {"description": description, "content": {"application/json": media}}


def _body(schema: Json, example: Any) -> Json:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"required": True, "content": content}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}
