"""OpenAPI descriptions: valid, true to what the service answers, and complete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from lienthong.contracts.openapi import MOST_KEYS, openapi_of
from lienthong.identity.identifiers import ServiceId
from lienthong.sources import queries, source
from lienthong.sources.data_service import DataService
from lienthong.sources.source import open_source
from tests.fixtures.people import ALL_FIELDS, RECORDS, people_contract, store_in_sql

SERVICE = ServiceId.parse("VN/GOV/G01/dancu/cong-dan")


@pytest.fixture
def document() -> dict[str, Any]:
    return openapi_of(people_contract(), SERVICE)


def test_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    validate(json.loads(json.dumps(document)), cls=OpenAPIV31SpecValidator)


def test_describes_the_endpoints_that_the_service_has(document: dict[str, Any]) -> None:
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(end.method, end.pattern) for end in queries.ENDPOINTS}
    assert document["servers"] == [{"url": "/r1/VN/GOV/G01/dancu/cong-dan"}]
    assert source.MOST_KEYS == MOST_KEYS


def test_every_example_and_every_real_answer_fits_its_schema(
    document: dict[str, Any], tmp_path: Path
) -> None:
    contract = people_contract()
    service = DataService(
        contract, open_source(store_in_sql(f"sqlite:///{tmp_path}/a.db"), contract)
    )
    key = RECORDS[0]["so_dinh_danh"]
    lookup = {"keys": [key, "x"], "fields": sorted(ALL_FIELDS)}
    requests = {
        ("/records/{key}", "get"): ("GET", f"/records/{key}", b""),
        ("/records:lookup", "post"): ("POST", "/records:lookup", json.dumps(lookup).encode()),
        ("/records:verify", "post"): (
            "POST",
            "/records:verify",
            json.dumps({"key": key, "claims": {"ho_ten": "x"}}).encode(),
        ),
    }
    for (path, method), (verb, target, body) in requests.items():
        operation = document["paths"][path][method]
        media = operation["responses"]["200"]["content"]["application/json"]
        _, answer = service.answer(service.parse(verb, target, "", body), ALL_FIELDS)
        for instance in (media["example"], json.loads(answer)):
            _check(document, media["schema"], instance)
        if "requestBody" in operation:
            asked = operation["requestBody"]["content"]["application/json"]
            _check(document, asked["schema"], asked["example"])
            _check(document, asked["schema"], json.loads(body))
            service.parse(verb, target, "", json.dumps(asked["example"]).encode())
    service.source.close()


def _check(document: dict[str, Any], schema: dict[str, Any], instance: Any) -> None:
    whole = {**schema, "components": document["components"]}
    jsonschema.Draft202012Validator(whole).validate(instance)


def test_says_classification_legal_basis_and_contract(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["Record"]["properties"]
    assert fields["thu_nhap"]["x-lienthong-classification"] == "sensitive"
    assert "Luật Căn cước" in document["info"]["description"]
    assert document["info"]["x-lienthong-contract"]["digest"] == people_contract().digest
