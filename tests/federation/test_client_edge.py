"""The X-Road REST interface of a running node, as an agency's own system sees it."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ElementTree
from base64 import b64encode
from hashlib import sha512

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from lienthong.errors import NodeReported
from tests.federation.conftest import FATHER, Pair
from tests.fixtures.federation import INSTANCE, Answer, raw, request

LOOKUP = {"keys": [FATHER], "fields": ["ho_ten"]}


def ask(pair: Pair, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return pair.consumer.call("POST", pair.citizens, "/records:lookup", LOOKUP, headers=named)


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.headers["x-road-error"]


def test_answers_with_the_headers_of_x_road(pair: Pair) -> None:
    answer = ask(pair, X_Road_Id="ma-cua-toi-1", X_Road_UserId="VN123", X_Road_Issue="HS-1")
    assert answer.status == 200
    assert answer.headers["x-road-id"] == "ma-cua-toi-1"
    assert answer.headers["x-road-client"] == pair.consumer.client_id
    assert answer.headers["x-road-service"] == pair.citizens
    assert uuid.UUID(answer.request_id).version == 4
    assert answer.headers["content-type"].startswith("application/json")
    assert "x-road-error" not in answer.headers


def test_makes_a_message_id_when_the_client_sends_none_and_takes_a_repeated_one(
    pair: Pair,
) -> None:
    made = ask(pair).headers["x-road-id"]
    assert re.fullmatch(rf"{INSTANCE}-[0-9a-f-]{{36}}", made)
    first, second = ask(pair, X_Road_Id="lap-lai"), ask(pair, X_Road_Id="lap-lai")
    assert first.status == second.status == 200
    assert first.request_id != second.request_id


def _hash(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> str:
    """PR-REST 4.3, from the specification and not from our code."""
    lines = [method, target, *[f"{name}:{value}" for name, value in headers]]
    digest = sha512("".join(f"{line}\r\n" for line in lines).encode()).digest()
    return b64encode(sha512(digest + sha512(body).digest() if body else b"").digest()).decode()


def test_the_request_hash_is_that_of_the_request_as_it_was_sent(pair: Pair) -> None:
    target = f"/r1/{pair.relay}/echo?a=1&b=%C3%A1"
    body = b'{"x": 1}'
    sent = {"X-Road-Client": pair.consumer.client_id, "X-Road-Id": "h1", "X-Mine": "Mot"}
    answer = pair.consumer.call("PUT", target, body=body, headers=sent)
    # http.client writes these two of its own accord, in front.
    travelled = [
        ("accept-encoding", "identity"),
        ("x-road-client", pair.consumer.client_id),
        ("x-road-id", "h1"),
        ("x-mine", "Mot"),
        ("content-type", "application/json"),
        ("x-road-request-id", answer.request_id),
    ]
    assert answer.headers["x-road-request-hash"] == _hash("PUT", target, travelled, body)


def test_the_request_hash_without_a_body_is_that_of_the_head_alone(pair: Pair) -> None:
    target = f"/r1/{pair.relay}/x"
    answer = pair.consumer.call("GET", target, headers={"X-Road-Id": "h2"})
    lines = [
        "GET",
        target,
        "accept-encoding:identity",
        f"x-road-client:{pair.consumer.client_id}",
        "x-road-id:h2",
        f"x-road-request-id:{answer.request_id}",
    ]
    head = "".join(f"{line}\r\n" for line in lines).encode()
    assert answer.headers["x-road-request-hash"] == b64encode(sha512(head).digest()).decode()


def test_tells_an_error_in_json_with_an_id_that_stands_in_the_log(pair: Pair) -> None:
    answer = pair.consumer.call("GET", f"{INSTANCE}/GOV/G99/x/y", "/z")
    assert error_of(answer) == (500, "Server.ClientProxy.UnknownMember")
    assert answer.json["type"] == "Server.ClientProxy.UnknownMember"
    assert answer.headers["lienthong-error"] == "directory.unknown_member"
    assert uuid.UUID(answer.json["detail"])
    assert pair.consumer.logs(answer.json["detail"])


@pytest.mark.parametrize("accept", ["text/xml", "application/xml", "text/*", "a/b, text/xml;q=0.5"])
def test_tells_an_error_in_xml_when_the_client_accepts_it(pair: Pair, accept: str) -> None:
    answer = pair.consumer.call("GET", f"{INSTANCE}/GOV/G99/x/y", "/z", headers={"Accept": accept})
    assert "xml" in answer.headers["content-type"]
    assert "utf-8" in answer.headers["content-type"].lower()
    root = ElementTree.fromstring(answer.body)
    assert root.tag == "error"
    assert [child.tag for child in root] == ["type", "message", "detail"]
    assert root.findtext("type") == "Server.ClientProxy.UnknownMember"


def test_a_refusal_of_the_provider_comes_in_the_clients_format_too(pair: Pair) -> None:
    body = {"keys": [FATHER], "fields": ["thu_nhap"]}
    answer = pair.consumer.call(
        "POST", pair.citizens, "/records:lookup", body, headers={"Accept": "application/xml"}
    )
    assert error_of(answer) == (500, "Server.ServerProxy.AccessDenied")
    root = ElementTree.fromstring(answer.body)
    assert pair.provider.logs(root.findtext("detail") or "?")


def test_speaks_vietnamese_unless_english_is_asked_for(pair: Pair) -> None:
    def message(language: str | None) -> str:
        headers = {} if language is None else {"Accept-Language": language}
        answer = pair.consumer.call("GET", f"{INSTANCE}/GOV/G99/x/y", headers=headers)
        return str(answer.json["message"])

    assert message(None) == message("vi") == message("fr")
    assert message("en-GB,vi;q=0.5") != message("vi")
    assert message("en").isascii()


def test_the_provider_speaks_the_clients_language_too(pair: Pair) -> None:
    body = {"keys": [FATHER], "fields": ["thu_nhap"]}
    texts = [
        pair.consumer.call(
            "POST", pair.citizens, "/records:lookup", body, headers={"Accept-Language": language}
        ).json["message"]
        for language in ("vi", "en")
    ]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("method", "target", "headers", "error"),
    [
        ("GET", "/r1/{s}/x", {"X-Road-Client": ""}, "Server.ClientProxy.InvalidRequest"),
        ("GET", "/r1/{s}/x", {"X-Road-Client": "VN-TEST/GOV"}, "Server.ClientProxy.*"),
        ("GET", "/r1/{s}/x", {"X-Road-Client": "VN-TEST/GOV/G77/la"}, "*UnknownMember"),
        ("GET", "/r1/{s}/x", {"X-Road-Client": "VN-TEST/GOV/G01/dancu"}, "*UnknownMember"),
        ("GET", "/r1/{s}/x", {"X-Road-Id": "x" * 256}, "Server.ClientProxy.*"),
        ("GET", "/r1/{s}/x", {"X-Road-Security-Server": "VN-TEST/GOV/G01"}, "*"),
        ("GET", "/r1/{s}/x", {"X-Road-Represented-Party": "a/b/c"}, "Server.ClientProxy.*"),
        ("GET", "/r1/VN-TEST/GOV/G01", {}, "Server.ClientProxy.*"),
        ("GET", "/r1/VN-TEST/GOV/G01/dan%2fcu/x/y", {}, "Server.ClientProxy.*"),
        ("GET", "/r1/VN-TEST/GOV/G01/dan%zzcu/x/y", {}, "Server.ClientProxy.*"),
        ("GET", "/r2/{s}/x", {}, "Server.ClientProxy.*"),
        ("GET", "/other", {}, "Server.ClientProxy.*"),
        ("GET", "/r1/VN/GOV/G01/dancu/cong-dan/x", {}, "Server.ClientProxy.*"),
        ("GET", "/r1/VN-TEST/GOV/G01/khac/x/y", {}, "*UnknownService"),
        ("GET", "/r1/VN-TEST/GOV/G01/dancu/khac/y", {}, "Server.ServerProxy.UnknownService"),
        ("POST", "/r1/VN-TEST/GOV/G01/dancu/listMethods", {}, "Server.ClientProxy.*"),
        ("POST", "/listClients", {}, "Server.ClientProxy.*"),
        ("GET", "/listClients?xRoadInstance=VN", {}, "Server.ClientProxy.*"),
    ],
)
def test_tells_what_is_wrong_with_a_bad_request(
    pair: Pair, method: str, target: str, headers: dict[str, str], error: str
) -> None:
    before = len(pair.service.received)
    answer = pair.consumer.call(method, target.replace("{s}", pair.relay), headers=headers)
    assert answer.status in {400, 500}
    assert re.fullmatch(error.replace(".", r"\.").replace("*", r"[\w.]+"), error_of(answer)[1])
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", answer.headers["lienthong-error"])
    assert set(answer.json) == {"type", "message", "detail"}
    assert len(pair.service.received) == before


def test_refuses_a_request_that_does_not_say_who_asks(pair: Pair) -> None:
    answer = request(pair.consumer.client_port, "GET", f"/r1/{pair.relay}/x", None, {}, 60)
    assert error_of(answer) == (500, "Server.ClientProxy.InternalError")  # as X-Road's code
    assert answer.headers["lienthong-error"] == "xroad.missing_client"


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400, "transport.http_malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "transport.http_malformed"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "transport.target_too_long"),
        (
            b"GET / HTTP/1.1\r\nHost: n\r\n" + b"X-A: " + b"b" * 40_000 + b"\r\n\r\n",
            431,
            "transport.head_too_large",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: n\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "transport.http_malformed",
        ),
    ],
)
def test_what_is_not_http_is_told_so_in_x_roads_words(
    pair: Pair, content: bytes, status: int, code: str
) -> None:
    answer = raw(pair.consumer.client_port, content)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    assert f"lienthong-error: {code}".encode() in head
    assert b"x-road-error: client." in head
    assert b'"type":"client.' in body


def test_of_a_repeated_client_header_the_last_counts(pair: Pair) -> None:
    head = (
        f"GET /r1/{pair.relay}/x HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
        f"X-Road-Client: {INSTANCE}/GOV/G77/la\r\nX-Road-Client: {pair.consumer.client_id}\r\n\r\n"
    )
    assert raw(pair.consumer.client_port, head.encode()).startswith(b"HTTP/1.1 200 ")


def test_a_client_may_name_the_providers_node(pair: Pair) -> None:
    right = ask(pair, X_Road_Security_Server=f"{pair.provider.member_id}/n1")
    assert right.status == 200
    wrong = ask(pair, X_Road_Security_Server=f"{pair.provider.member_id}/n2")
    assert wrong.headers["x-road-error"].endswith("InvalidSecurityServer")


def test_percent_encoded_identifiers_mean_the_same(pair: Pair) -> None:
    encoded = pair.relay.replace("-", "%2D").replace("G01", "%471")
    encoded = encoded.replace("%471", "G%301")
    assert pair.consumer.call("GET", encoded, "/x").status == 200


def test_lists_clients_in_json_and_xml(pair: Pair) -> None:
    json = pair.consumer.call("GET", "/listClients", headers={"Accept": "application/json"})
    members = json.json["member"]
    assert {"instance", "id"} & set(members[0])
    found = [each for each in members if each["id"].get("subsystem_code") == "dancu"]
    assert found[0]["id"]["object_type"] == "SUBSYSTEM"
    assert found[0]["subsystem_name"] == "Hệ thống dancu"
    xml = pair.consumer.call("GET", f"/listClients?xRoadInstance={INSTANCE}")
    root = ElementTree.fromstring(xml.body)
    assert root.tag == "{http://x-road.eu/xsd/xroad.xsd}clientList"
    assert len(root) == len(members)


def test_lists_methods_and_those_allowed(pair: Pair) -> None:
    closed = pair.add_relay("khong-ai", "--bodies", "metadata")
    base = f"/r1/{pair.provider.client_id}"
    listed = pair.consumer.call("GET", f"{base}/listMethods").json["service"]
    by_code = {each["service_code"]: each for each in listed}
    assert {"cong-dan", "co-san", "khong-ai"} <= set(by_code)
    assert by_code["cong-dan"]["service_type"] == "OPENAPI"
    assert by_code["co-san"]["service_type"] == "REST"
    assert by_code["cong-dan"]["object_type"] == "SERVICE"
    endpoints = {(each["method"], each["path"]) for each in by_code["cong-dan"]["endpoint_list"]}
    assert ("POST", "/records:lookup") in endpoints
    allowed = pair.consumer.call("GET", f"{base}/allowedMethods").json["service"]
    codes = {each["service_code"] for each in allowed}
    assert {"cong-dan", "co-san"} <= codes
    assert closed.rpartition("/")[2] not in codes


def test_describes_a_contract_service_in_openapi_3_1(pair: Pair) -> None:
    base = f"/r1/{pair.provider.client_id}"
    answer = pair.consumer.call("GET", f"{base}/getOpenAPI?serviceCode=cong-dan")
    assert answer.status == 200
    assert answer.json["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(answer.json).validate()
    assert "/records:lookup" in answer.json["paths"]


@pytest.mark.parametrize("query", ["", "?serviceCode=", "?serviceCode=a&serviceCode=b"])
def test_get_openapi_wants_one_service(pair: Pair, query: str) -> None:
    answer = pair.consumer.call("GET", f"/r1/{pair.provider.client_id}/getOpenAPI{query}")
    assert answer.status in {400, 500}
    assert "x-road-error" in answer.headers


def test_gives_the_openapi_file_of_a_relay_as_it_is(pair: Pair) -> None:
    file = pair.federation.folder / "mo-ta.yaml"
    file.write_text(
        "openapi: 3.0.3\ninfo: {title: Có sẵn, version: '1'}\npaths: {'/so/{so}': {get: {}}}\n"
    )
    pair.add_relay("co-mo-ta", "--openapi", str(file))
    base = f"/r1/{pair.provider.client_id}"
    listed = pair.consumer.call("GET", f"{base}/listMethods").json["service"]
    (described,) = [each for each in listed if each["service_code"] == "co-mo-ta"]
    assert described["endpoint_list"] == [{"method": "GET", "path": "/so/{so}"}]
    answer = pair.consumer.call("GET", f"{base}/getOpenAPI?serviceCode=co-mo-ta")
    assert answer.body == file.read_bytes()
    assert "yaml" in answer.headers["content-type"]
    none = pair.consumer.call("GET", f"{base}/getOpenAPI?serviceCode=co-san")
    assert none.status in {400, 500}


def test_refuses_a_file_that_is_no_openapi_description(pair: Pair) -> None:
    file = pair.federation.folder / "t.csv"
    file.write_text("so,ten\n1,An\n")
    with pytest.raises(NodeReported) as caught:
        pair.add_relay("mo-ta-sai", "--openapi", str(file))
    assert caught.value.code == "contracts.openapi_invalid"
