"""Request lines, X-Road headers, paths and endpoint patterns."""

from __future__ import annotations

import posixpath
import re
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

from hypothesis import strategies as st

from lienthong.agreements.paths import encode_path, normalise_path
from lienthong.agreements.patterns import Endpoint
from lienthong.exchange.xroad.headers import XRoadHeaders
from lienthong.exchange.xroad.metaservices import openapi_service_code
from lienthong.exchange.xroad.paths import (
    check_method,
    parse_service_target,
    query_parameter,
)
from tests.fixtures.hostile_corpus import CUTS, TEXTS, Corpus, cut, mostly

TRICKS = st.sampled_from(
    [
        *(
            "/",
            "//",
            ".",
            "..",
            "/../",
            "/./",
            "%2e",
            "%2E%2e",
            "%2f",
            "%2F",
            "%5c",
            "\\",
            ";",
            "..;",
        ),
        *("%252e", "%25", "%2525", "%00", "%c0%ae", "%c0%af", "%", "%2", "%zz", "*", "{key}", "**"),
        *(
            "a",
            "admin",
            "records",
            "public",
            "secret",
            "?",
            "#",
            "\u2025",
            "%e2%80%a5",
            "ệ",
            "\ud7ff",
        ),
        *("%E1%BB%87", " ", "%20", "\n", "%0a", "%0d%0a", ":", "~", "\x00", "\x85", "%C2%85"),
        *("%ef%bc%8f", "／", "%u002f", "&#47;", "+", "@", "[", "%7f", "%1b[2J", "\u2028", "\u202e"),
    ]
)
PATHS = st.lists(TRICKS, max_size=8).map("".join)
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
GOOD = "/r1/VN/GOV/G01/dancu/cong-dan"


def test_paths_and_patterns_are_refused_or_mean_one_thing() -> None:
    """An accepted path has one reading, also for a service that decodes and resolves again."""
    corpus = Corpus(
        "path and pattern",
        "agreements/paths.py",
        "agreements/patterns.py",
        elsewhere=["agreements/patterns.py:Endpoint.matches:nothing"],
    )

    def judge(raw: str, pattern: str, *, near: bool) -> None:
        path = corpus.try_(lambda: normalise_path(raw), signed_again=near)
        if path is not None:
            assert path == "" or path.startswith("/")
            assert posixpath.normpath(path or "/") == (path.rstrip("/") or "/")
            assert unquote(path) == path
            assert not re.search(r"[\\;\x00-\x1f\x7f-\x9f]|//", path)
            lenient = unquote_to_bytes(raw or "/").decode()
            assert posixpath.normpath(lenient) == (path.rstrip("/") or "/")
            assert encode_path(path).isascii()
            assert not re.search(r"[\s\x00-\x20]", encode_path(path))
        endpoint = corpus.try_(lambda: Endpoint("GET", pattern), signed_again=near)
        if path and endpoint is not None:
            assert endpoint.matches("GET", path) == by_definition(pattern, path)
            assert not endpoint.matches("POST", path)

    for pattern in (
        "",
        "a",
        "/a*b",
        "/**/a",
        "/{a",
        "/{}",
        "/a//b",
        "/%41",
        "/..",
        "/a\x00",
        "/" * 999,
    ):
        judge("/a", pattern, near=True)
    for pattern in (
        "/**/*",
        "/**a{b}",
        "/**",
        "/*{a}",
        "/{a}{b}",
        "/{a}**",
        "/*/{a}**",
        "/ệ/../a",
        "/ệ//a",
    ):
        judge("/a", pattern, near=True)
    for path in (
        "a",
        "/" + "a" * 9000,
        "/%ff",
        "/\x85",
        "/%C2%85",
        "/../a",
        "/%2541",
        "/a//b",
        "/%",
    ):
        judge(path, "/a", near=True)
    for text in ("GET", "get /a", "EAT /a", "* /a", "", "/a", "GET a", "GET  /a"):
        corpus.try_(lambda text=text: Endpoint.parse(text))

    patterns = st.sampled_from(
        ["/public/**", "/public/*", "/public/{key}", "/**", "/public", "/*/a"]
    )
    corpus.run(
        st.tuples(PATHS | TEXTS, patterns | PATHS | TEXTS), lambda one: judge(*one, near=False)
    )
    near = st.builds("/public/{}{}".format, st.sampled_from(["", "a", "a/"]), PATHS)
    close = patterns | st.builds("/public{}".format, PATHS)
    corpus.run(st.tuples(near, close), lambda one: judge(*one, near=True))
    corpus.close()


def by_definition(pattern: str, path: str) -> bool:
    """docs/protocols/0003: ``**`` anything, ``*`` anything but ``/``, ``{…}`` that, not empty."""
    if not pattern:
        return not path
    if pattern[0] not in "*{":
        return path[:1] == pattern[0] and by_definition(pattern[1:], path[1:])
    deep = pattern.startswith("**")
    rest = pattern[2:] if deep else pattern.partition("}")[2] if pattern[0] == "{" else pattern[1:]
    longest = len(path) if deep else len(path.partition("/")[0])
    least = 1 if pattern[0] == "{" else 0
    return any(by_definition(rest, path[size:]) for size in range(least, longest + 1))


def test_request_lines_are_refused_or_name_one_service() -> None:
    corpus = Corpus(
        "X-Road request line",
        "exchange/xroad/paths.py",
        "identity/identifiers.py",
        elsewhere=[
            "exchange/xroad/paths.py:check_service_code",  # an administrator's command
            "identity/identifiers.py:_Identifier.parse:InvalidIdentifier#1",  # five parts were cut
        ],
    )

    def judge(target: str, method: str, *, near: bool) -> None:
        found = corpus.try_(lambda: parse_service_target(target), signed_again=near)
        if found is None:
            return
        corpus.try_(lambda: check_method(method, found.metaservice), signed_again=near)
        assert target.startswith("/r1/")
        assert not re.search(r"[\x00-\x20\x7f]", target)
        path, _, query = target.partition("?")
        encoded = path.split("/")[2:7]
        parts = [unquote_to_bytes(part).decode() for part in encoded]
        assert parts == str(found.service).split("/"), "no part holds a slash of its own"
        assert all(not STEERING.search(part) and part not in ("", ".", "..") for part in parts)
        assert (found.path, found.query) == (path[len("/".join(["", "r1", *encoded])) :], query)

    for target in (
        *("/r2/VN/GOV/G01/dancu/x", "/r1/VN/GOV/G01/dancu", "/", "*", "/r1/" + "a" * 9999),
        *(f"{GOOD}%2Fx", f"{GOOD}%00", "/r1/VN/GOV/G01/dancu/%ff", "/r1/VN/GOV/G01/dancu/"),
        *("/r1/VN/GOV/G01/dancu/" + "a" * 300, "/r1/VN/GOV/G01/dancu/listClients", "/r1/a b"),
        *(
            "/r1/VN/GOV/G01/dancu/%2e%2e",
            "/r1/VN/GOV/G01/dancu/%",
            "/r0/x",
            "/R1/VN/GOV/G01/dancu/x",
        ),
        *("/r1/VN/GOV/G01/dancu/listMethods", "/r1/VN/GOV/G01/dancu/getOpenAPI?serviceCode=a"),
    ):
        judge(target, "POST", near=True)
    for query in (
        "serviceCode=a&serviceCode=b",
        "",
        "serviceCode=%ff",
        "serviceCode=",
        "a;b",
        "&" * 99,
    ):
        corpus.try_(lambda query=query: query_parameter(query, "serviceCode", required=True))
        corpus.try_(lambda query=query: openapi_service_code(query))
    methods = st.sampled_from(["GET", "POST", "PUT", "BREW", "get", ""])
    anything = PATHS | TEXTS | st.builds("/r1/{}".format, PATHS)
    corpus.run(st.tuples(anything, methods), lambda one: judge(*one, near=False))

    def near(one: tuple[Any, str, str, str]) -> None:
        place, tail, part, method = one
        changed = cut(GOOD.encode(), place).decode("latin-1")
        judge(changed + tail, method, near=True)
        judge(f"/r1/VN/GOV/G01/dancu/{quote(part)}{tail}", method, near=True)

    corpus.run(st.tuples(CUTS, PATHS, TEXTS, methods), near)
    corpus.close()


NAMES = [
    *("x-road-client", "x-road-service", "x-road-id", "x-road-request-id", "x-road-userid"),
    *("x-road-issue", "x-road-security-server", "x-road-represented-party", "lienthong-purpose"),
    *("x-road-error", "accept"),
]
HEADER_VALUES = st.sampled_from(
    [
        *(
            "VN/GOV/H37/motcua",
            "VN/GOV/G01/n1",
            "GOV/H37",
            "H37",
            "a",
            "%C4%91",
            "%ff",
            "%0a",
            "\t",
        ),
        *("a\r\nx-road-client: VN/GOV/G66/ke", "\x1b]0;a\x07", "a" * 2000, "", " ", "\xe1\xbb\x87"),
        *(
            "\x00",
            "\x85",
            "\xa0",
            "VN/GOV/H37/motcua ",
            "VN%2FGOV%2FH37%2Fmotcua",
            "VN/GOV/H37/%2e",
        ),
        *("a/b/c", "/", "x/", "%zz", "a\x7f", "\u2028".encode().decode("latin-1"), "VN/GOV/H37"),
    ]
) | st.text(st.characters(max_codepoint=255), max_size=20)


def test_x_road_headers_are_refused_or_say_one_thing() -> None:
    """Nothing that ends a line or steers a terminal gets past them."""
    corpus = Corpus(
        "X-Road headers",
        "exchange/xroad/headers.py",
        "identity/identifiers.py",
    )

    def judge(headers: list[tuple[str, str]], *, near: bool) -> None:
        read = corpus.try_(lambda: XRoadHeaders.read(headers, "VN"), signed_again=near)
        if read is None:
            return
        for name in NAMES[2:9]:  # those that are passed on
            came = [value for other, value in headers if other == name]
            if name in {"x-road-request-id", "x-road-error"} or not came:
                continue
            assert len(came[-1]) <= 1024
            assert re.fullmatch(r"[\x20-\x7e]*", came[-1]), name
        client = [value for name, value in headers if name == "x-road-client"][-1]
        parts = [unquote_to_bytes(part).decode() for part in client.strip(" ").split("/")]
        assert str(read.client).split("/") == parts
        assert len(parts) == 4
        assert all(not STEERING.search(part) and part not in ("", ".", "..") for part in parts)

    for value in ("", "a" * 2000, "é", "%ff", "a\r\nb", "a/b/c", "/", "VN/GOV/%ff/a", "VN/GOV//a"):
        for name in NAMES:
            judge([("x-road-client", "VN/GOV/H37/motcua"), (name, value)], near=True)
    judge([], near=False)
    judge([("x-road-client", f"VN/GOV/H37/{'a' * 101}")], near=False)
    pairs = st.lists(st.tuples(st.sampled_from(NAMES), HEADER_VALUES), max_size=5)
    corpus.run(pairs, lambda one: judge(one, near=False))

    def near(one: tuple[str, list[tuple[str, str]]]) -> None:
        judge([("x-road-client", one[0]), *one[1]], near=True)

    others = st.lists(st.tuples(st.sampled_from(NAMES[1:]), HEADER_VALUES), max_size=2)
    corpus.run(st.tuples(mostly("VN/GOV/H37/motcua", HEADER_VALUES), others), near)
    corpus.close()
