"""Paths and patterns: what a wildcard may and may not be passed by."""

from __future__ import annotations

import pytest

from lienthong.agreements.paths import encode_path, normalise_path
from lienthong.agreements.patterns import Endpoint
from lienthong.errors import InvalidPath, InvalidPattern


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("", "/"),
        ("/", "/"),
        ("/records:lookup", "/records:lookup"),
        ("/records/%30%30%31", "/records/001"),
        ("/a/", "/a/"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/./b/.", "/a/b/"),
        ("/a/..", "/"),
        ("/h%C3%A0-n%E1%BB%99i", "/hà-nội"),
        ("/a%20b", "/a b"),
        ("/100%25", "/100%"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
    ],
)
def test_normalises_what_rfc_3986_calls_equal(raw: str, normal: str) -> None:
    assert normalise_path(raw) == normal
    assert normalise_path(encode_path(normal)) == normal


@pytest.mark.parametrize(
    "raw",
    [
        "records",
        "//records",
        "/public//../admin",
        "/..",
        "/a/../../b",
        "/%2e%2e/b",
        "/a/..%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00",
        "/a%0d%0ab",
        "/a\nb",
        "/%252e%252e/b",
        "/a%252fb",
        "/public/..;/admin",
        "/public/..%3b/admin",
        "/a%zz",
        "/a%2",
        "/%c0%ae%c0%ae/b",
        "/%ff",
        "/a?b",
        "/a#b",
        "/à",
        "/a b",
        "/" + "a" * 5000,
    ],
)
def test_refuses_paths_that_can_be_read_in_two_ways(raw: str) -> None:
    with pytest.raises(InvalidPath):
        normalise_path(raw)


@pytest.mark.parametrize(
    ("endpoint", "path", "expected"),
    [
        ("GET /records/{key}", "/records/001", True),
        ("GET /records/{key}", "/records/", False),
        ("GET /records/{key}", "/records/001/history", False),
        ("GET /records/*", "/records/", True),
        ("GET /records/*", "/records/001", True),
        ("GET /records/*", "/records/001/history", False),
        ("GET /records/**", "/records/001/history", True),
        ("GET /records/**", "/recordsx", False),
        ("GET /**", "/", True),
        ("GET /**/history", "/a/b/history", True),
        ("GET /files/{name}.pdf", "/files/a.pdf", True),
        ("GET /files/{name}.pdf", "/files/axpdf", False),
        ("GET /records.v1", "/recordsxv1", False),
        ("GET /hà-nội/*", "/hà-nội/1", True),
        ("* /records", "/records", True),
        ("POST /records", "/records", False),
    ],
)
def test_patterns_mean_what_x_road_and_openapi_mean(
    endpoint: str, path: str, expected: bool
) -> None:
    assert Endpoint.parse(endpoint).matches("GET", path) is expected


def test_a_climbing_path_does_not_pass_a_wildcard() -> None:
    """XRDDEV-3054: X-Road matched ``/public/**`` against ``/public/../admin``."""
    public = Endpoint.parse("GET /public/**")
    assert not public.matches("GET", normalise_path("/public/../admin"))
    assert not public.matches("GET", normalise_path("/public/%2e%2e/admin"))


@pytest.mark.parametrize(
    "text",
    [
        "GET",
        "GET records",
        "FETCH /records",
        "GET /a/../b",
        "GET /a//b",
        "GET /a%20b",
        "GET /a;b",
        "GET /{}",
        "GET /{a",
        "GET /a}",
        "GET /***",
        "GET /**/*",
        "GET /**/**",
        "GET /{a}{b}",
        "GET /*a*",
        "GET /a*/..",
        "GET /hà//b",
        "GET /hà?b",
        "GET /" + "a" * 600,
    ],
)
def test_refuses_patterns_that_are_malformed_or_slow_to_match(text: str) -> None:
    with pytest.raises(InvalidPattern):
        Endpoint.parse(text)
