"""Whatever a client sends, the edge reads it or refuses it with one of our errors."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import quote

from hypothesis import assume, example, given
from hypothesis import strategies as st
from lxml import etree

from lienthong.errors import LienthongError
from lienthong.exchange.xroad.faults import (
    Fault,
    error_media_type,
    fault_response,
    language_of,
    snake_spelling,
)
from lienthong.exchange.xroad.headers import (
    SKIPPED_HEADERS,
    XRoadHeaders,
    client_headers,
    request_headers,
    response_headers,
    service_headers,
)
from lienthong.exchange.xroad.paths import parse_service_target, query_parameter
from lienthong.exchange.xroad.request_hash import request_hash, request_header_part
from lienthong.identity.identifiers import ServiceId
from lienthong.transport.messages import Body

latin1 = st.text(st.characters(max_codepoint=255), max_size=300)
names = st.sampled_from(
    [
        *sorted(SKIPPED_HEADERS),
        "accept",
        "lienthong-purpose",
        "x-mine",
        "x-road-client",
        "x-road-error",
        "x-road-id",
        "x-road-issue",
        "x-road-represented-party",
        "x-road-request-hash",
        "x-road-request-id",
        "x-road-security-server",
        "x-road-userid",
    ]
)
values = latin1 | st.sampled_from(
    ["VN/GOV/H37/motcua", "VN/GOV/%20a/b", "a/b", "close, accept", "%ff", "keep-alive"]
)
headers = st.lists(st.tuples(names, values), max_size=20)
part = st.text(min_size=1, max_size=100).filter(lambda text: text.isprintable())


@given(latin1 | st.builds("/r1/{}".format, latin1))
@example("/r1/%/%/%/%/%")
def test_a_target_is_read_or_refused(target: str) -> None:
    try:
        found = parse_service_target(target)
    except LienthongError as error:
        assert error.message("vi")
        assert error.remedy("en")
        return
    assert target.endswith(found.path + (f"?{found.query}" if "?" in target else ""))


@given(st.lists(part, min_size=5, max_size=5), st.text("/ab%20", max_size=20))
def test_every_sound_identifier_survives_its_encoding(parts: list[str], rest: str) -> None:
    path = f"/{rest}" if rest else ""
    try:
        service = ServiceId(*parts)
    except LienthongError:
        assume(False)
    encoded = "/".join(quote(text, safe="") for text in parts)
    if "%" in rest:
        assume(False)
    found = parse_service_target(f"/r1/{encoded}{path}")
    assert (found.service, found.path) == (service, path)


@given(latin1)
def test_a_query_is_read_or_refused(query: str) -> None:
    with suppress(LienthongError):
        query_parameter(query, "serviceCode", required=True)


@given(headers)
def test_headers_are_read_or_refused_and_nothing_is_injected(came: list[tuple[str, str]]) -> None:
    try:
        xroad = XRoadHeaders.read(came, "VN")
    except LienthongError as error:
        assert error.message("vi")
        return
    sent = request_headers(client_headers(came), xroad, "r-1")
    assert not {name for name, _ in sent} & SKIPPED_HEADERS
    assert [value for name, value in sent if name == "x-road-request-id"] == ["r-1"]
    assert [value for name, value in sent if name == "x-road-id"][-1].strip(" ") == xroad.id
    for value in (xroad.id, xroad.user_id, xroad.issue, xroad.purpose):
        assert value is None or (value.isascii() and value.isprintable())
    assert XRoadHeaders.read(sent, "VN").client == xroad.client


@given(headers)
def test_a_service_never_names_the_parties(came: list[tuple[str, str]]) -> None:
    xroad = XRoadHeaders.read([("x-road-client", "VN/GOV/H37/motcua")], "VN")
    service = ServiceId("VN", "GOV", "G01", "dancu", "cong-dan")
    answer = response_headers(service_headers(came), xroad, service, "r-1", "hash")
    by_name = [name for name, _ in answer if name.startswith("x-road-")]
    for name in ("x-road-id", "x-road-client", "x-road-service", "x-road-request-id"):
        assert by_name.count(name) == 1
    assert "x-road-error" not in by_name


@given(st.sampled_from(["GET", "POST"]), headers, st.binary(max_size=2000))
def test_any_request_has_a_hash(method: str, came: list[tuple[str, str]], body: bytes) -> None:
    found = request_hash(request_header_part(method, "/r1/x", came), Body.of(body))
    assert len(found) == 88


@given(
    st.text(max_size=300),
    st.text(max_size=300),
    st.text(max_size=5000),
    st.text(max_size=200),
    st.sampled_from(["camel", "snake"]),
)
@example("Server.ServerProxy.AccessDenied", "a.b", "\x0b\ud800<&>]]>", "id", "camel")
def test_a_peers_fault_is_rendered_or_refused(
    kind: str, code: str, message: str, detail: str, spelling: str
) -> None:
    try:
        fault = Fault(kind, code, message, detail)
    except LienthongError:
        return
    xml = fault_response(fault, accept="text/xml", spelling=spelling).body.read()
    assert etree.fromstring(xml).tag == "error"
    told = fault_response(fault, accept=None, spelling=spelling).body.read()
    assert set(json.loads(told)) == {"type", "message", "detail"}


@given(latin1)
def test_any_accept_header_is_understood_somehow(value: str) -> None:
    assert error_media_type(value) in {"application/json", "application/xml", "text/xml"}
    assert language_of(value) in {"vi", "en"}


@given(st.from_regex(r"(Server|Client)(\.[A-Z][A-Za-z]{0,20}){1,4}", fullmatch=True))
def test_the_newer_spelling_has_no_capitals(camel: str) -> None:
    snake = snake_spelling(camel)
    assert snake == snake.lower()
    assert snake.count(".") == camel.count(".")
