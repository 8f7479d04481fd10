"""A description of an existing service is OpenAPI 3, or refused with the reason."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lienthong.contracts.openapi_file import read_openapi
from lienthong.errors import OpenapiInvalid

YAML = """
openapi: 3.0.3
info: {title: Hồ sơ, version: "1"}
paths:
  /ho-so:
    parameters: []
    get: {}
    post: {}
  /ho-so/{so}:
    summary: Một hồ sơ
    delete: {}
  x-own: 1
"""


def test_finds_the_operations_of_a_description_in_yaml() -> None:
    assert read_openapi(YAML) == (("GET", "/ho-so"), ("POST", "/ho-so"), ("DELETE", "/ho-so/{so}"))


def test_finds_the_operations_of_a_description_in_json() -> None:
    text = '{"openapi": "3.1.0",\n\t"paths": {"/a": {"get": {}}}}'
    assert read_openapi(text) == (("GET", "/a"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("so,ten\n1,An\n", "top"),
        ("", "top"),
        ("swagger: '2.0'\npaths: {}\n", "3.x"),
        ("openapi: 3.1.0\n", "paths"),
        ("openapi: 3.1\npaths: {}\n", "3.x"),
        ("openapi: 3.0.0\npaths: {ho-so: {}}\n", "ho-so"),
        ("openapi: 3.0.0\npaths: {/a: []}\n", "/a"),
        ("openapi: &a 3.0.0\npaths: {}\n", ""),
        ("{", "JSON"),
        ("[" * 100_000, ""),
        (f"openapi: {'3' * 2_000_000}", "bytes"),
    ],
)
def test_refuses_what_is_no_openapi_3(text: str, reason: str) -> None:
    with pytest.raises(OpenapiInvalid) as caught:
        read_openapi(text)
    assert reason in caught.value.message("en")


@given(st.text())
def test_never_crashes(text: str) -> None:
    with suppress(OpenapiInvalid):
        read_openapi(text)


@given(st.dictionaries(st.text(), st.none() | st.dictionaries(st.text(), st.none())))
def test_never_crashes_over_any_paths(paths: dict[str, dict[str, None] | None]) -> None:

    with suppress(OpenapiInvalid):
        read_openapi(json.dumps({"openapi": "3.0.0", "paths": paths}))
