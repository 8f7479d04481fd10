"""An existing HTTP service behind a node: what it sees, and what of its answers arrives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from tests.federation.conftest import Pair
from tests.fixtures.federation import TestNode, eventually, raw
from tests.fixtures.recording_service import big_body

MIB = 1024 * 1024


def test_the_service_sees_the_clients_headers_and_those_of_x_road(pair: Pair) -> None:
    sent = {
        "X-Road-Id": "m-1",
        "X-Road-UserId": "VN001",
        "X-Road-Issue": "HS-7",
        "X-Road-Represented-Party": "COM/123",
        "X-Road-Security-Server": f"{pair.provider.member_id}/n1",
        "Lienthong-Purpose": "p1",
        "X-Mine": "giữ".encode().decode("latin-1"),
        "Cookie": "a=1",
        "Authorization": "Bearer abc",
        "Accept": "application/json",
    }
    answer = pair.consumer.call("GET", pair.relay, "/x", headers=sent)
    assert answer.status == 200
    seen = pair.service.last.headers
    for name, value in sent.items():
        assert seen[name.lower()] == value, name
    assert seen["x-road-client"] == pair.consumer.client_id
    assert seen["x-road-service"] == pair.relay
    assert seen["x-road-request-id"] == answer.request_id
    assert len(pair.service.last.pairs) == len(seen)  # nothing twice


def test_headers_of_one_connection_do_not_reach_the_service(pair: Pair) -> None:
    sent = {
        "User-Agent": "phan-mem-1",
        "TE": "trailers",
        "Trailer": "X-T",
        "Upgrade": "h2c",
        "Keep-Alive": "timeout=1",
        "Proxy-Authorization": "Basic x",
        "Proxy-Authenticate": "Basic",
        "Server": "s",
        "Connection": "keep-alive, X-Only-Here, X-Road-Client",
        "X-Only-Here": "1",
        "X-Road-Request-Id": "forged",
        "X-Road-Request-Hash": "forged",
        "X-Road-Error": "forged",
    }
    answer = pair.consumer.call("GET", pair.relay, "/x", headers=sent)
    assert answer.status == 200
    seen = pair.service.last.headers
    gone = {name.lower() for name in sent} - {"connection", "x-road-request-id"}
    assert not gone & set(seen)
    assert seen["x-road-request-id"] == answer.request_id
    assert "phan-mem-1" not in str(pair.service.last)
    assert seen["host"] == pair.service.url.split("/")[2]


def test_headers_of_one_connection_do_not_reach_the_client(pair: Pair) -> None:
    answer = pair.consumer.call("GET", pair.relay, "/headers")
    assert answer.status == 200
    assert answer.headers["x-of-the-service"] == "kept"
    for name in ("server", "upgrade", "proxy-authenticate", "x-named-by-connection"):
        assert name not in answer.headers
    assert answer.headers.get("keep-alive") != "timeout=9"


def test_a_service_can_neither_forge_a_fault_nor_name_another_client(pair: Pair) -> None:
    answer = pair.consumer.call("GET", pair.relay, "/headers")
    assert "x-road-error" not in answer.headers
    assert "lienthong-error" not in answer.headers
    assert answer.headers["x-road-client"] == pair.consumer.client_id
    assert answer.headers["x-road-request-hash"] != "forged"


def test_repeated_headers_of_the_service_all_arrive(pair: Pair) -> None:
    head = (
        f"GET /r1/{pair.relay}/headers HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
        f"X-Road-Client: {pair.consumer.client_id}\r\n\r\n"
    )
    answer = raw(pair.consumer.client_port, head.encode()).lower()
    assert answer.count(b"set-cookie: ") == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 500, 503, 599])
def test_an_error_of_the_service_arrives_as_it_is(pair: Pair, status: int) -> None:
    answer = pair.consumer.call("GET", pair.relay, f"/status/{status}")
    assert answer.status == status
    assert answer.body == f"lỗi {status} của dịch vụ".encode()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "x-road-error" not in answer.headers
    assert answer.headers["x-road-service"] == pair.relay


def test_a_redirect_is_passed_on_and_not_followed(pair: Pair) -> None:
    before = len(pair.service.received)
    answer = pair.consumer.call("GET", pair.relay, "/redirect")
    assert answer.status == 302
    assert answer.headers["location"] == f"{pair.service.url}/echo"
    assert answer.body == b"elsewhere"
    assert len(pair.service.received) == before + 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_arrives_with_its_body(pair: Pair, method: str) -> None:
    body = None if method in {"GET", "OPTIONS"} else b'{"so": 7}'
    answer = pair.consumer.call(method, pair.relay, "/echo", body)
    assert (answer.status, answer.body) == (200, body or b"")
    assert pair.service.last.method == method


def test_head_gives_headers_and_no_body(pair: Pair) -> None:
    answer = pair.consumer.call("HEAD", pair.relay, "/status/404")
    assert (answer.status, answer.body) == (404, b"")
    assert pair.service.last.method == "HEAD"
    assert "x-road-request-hash" in answer.headers


def test_an_answer_without_content_arrives(pair: Pair) -> None:
    answer = pair.consumer.call("DELETE", pair.relay, "/empty")
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("", "/goc"),
        ("/", "/goc/"),
        ("?a=1", "/goc?a=1"),
        ("/x?a=1&a=2&b=%2F..%2F&c=%C3%A1+x&=", "/goc/x?a=1&a=2&b=%2F..%2F&c=%C3%A1+x&="),
        ("/a%20b/%C4%91", "/goc/a%20b/%C4%91"),
        ("/%61%62", "/goc/ab"),
        ("/a/./b/../c", "/goc/a/c"),
        ("/a,b", "/goc/a,b"),
    ],
)
def test_path_and_query_arrive_as_they_were_decided_on(pair: Pair, sent: str, seen: str) -> None:
    assert pair.consumer.call("GET", pair.relay, sent).status == 200
    assert pair.service.last.target == seen


@pytest.mark.parametrize(
    "path",
    [
        "/a%2fb",
        "/..%2fx",
        "/%2e%2e%2fx",
        "/a%5cb",
        "/../../x",
        "/a%00b",
        "/a%zz",
        "/a%252fb",
        "/%ff",
    ],
)
def test_refuses_paths_that_can_be_read_in_two_ways(pair: Pair, path: str) -> None:
    before = len(pair.service.received)
    answer = pair.consumer.call("GET", pair.relay, path)
    assert answer.status in {400, 500}
    assert answer.headers["lienthong-error"] == "agreements.path"
    assert len(pair.service.received) == before


def test_a_slow_service_gives_a_signed_error_after_its_time(pair: Pair) -> None:
    pair.add_relay("cham", "--timeout", "0.5")
    pair.federation.agree(pair.consumer, pair.provider, "cham", "--endpoint", "* /**")
    answer = pair.consumer.call("GET", pair.provider.service_id("cham"), "/held")
    assert answer.status == 500
    assert answer.headers["x-road-error"] == "Server.ServerProxy.ServiceFailed"
    assert answer.headers["lienthong-error"] == "sources.relay_timeout"
    assert answer.request_id  # the provider signed it


def test_a_service_that_is_away_gives_an_error_without_its_address(pair: Pair) -> None:
    pair.provider.command(
        *("service", "add", "--subsystem", "dancu", "--code", "vang"),
        *("--relay", "http://127.0.0.1:9/bi-mat"),
    )
    pair.federation.agree(pair.consumer, pair.provider, "vang", "--endpoint", "* /**")
    answer = pair.consumer.call("GET", pair.provider.service_id("vang"), "/x")
    assert answer.headers["lienthong-error"] == "sources.relay_unreachable"
    assert b"127.0.0.1" not in answer.body and b"bi-mat" not in answer.body


def _peak_kib(node: TestNode) -> int:
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_large_bodies_go_both_ways_whole_and_through_the_disk(pair: Pair) -> None:
    body = big_body(5 * MIB)
    up = pair.consumer.call("POST", pair.relay, "/x", body)
    assert up.status == 200
    assert pair.service.last.body_bytes == len(body)
    assert pair.service.last.body_sha256 == sha256(body).hexdigest()
    down = pair.consumer.call("GET", pair.relay, f"/big/{5 * MIB}")
    assert sha256(down.body).digest() == sha256(body).digest()
    both = pair.consumer.call("POST", pair.relay, "/echo", body)
    assert both.body == body


def test_memory_stays_bounded_when_a_body_is_large(pair: Pair) -> None:
    nodes = (pair.consumer, pair.provider)
    assert pair.consumer.call("POST", pair.relay, "/echo", big_body(2 * MIB)).status == 200
    before = [_peak_kib(node) for node in nodes]
    size = 64 * MIB
    answer = pair.consumer.call("POST", pair.relay, "/echo", big_body(size))
    assert len(answer.body) == size
    grown = [_peak_kib(node) - peak for node, peak in zip(nodes, before, strict=True)]
    assert max(grown) * 1024 < size / 2
    spools = [node.state / "spool" for node in nodes]
    assert eventually(lambda: not any(list(spool.iterdir()) for spool in spools))


def test_a_chunked_request_arrives_whole(pair: Pair) -> None:
    head = (
        f"POST /r1/{pair.relay}/echo HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
        f"X-Road-Client: {pair.consumer.client_id}\r\nContent-Type: text/plain\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b"3\r\nxin\r\n5;ext=1\r\n chao\r\n0\r\nX-Trailer: 1\r\n\r\n"
    answer = raw(pair.consumer.client_port, head.encode() + chunks)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nxin chao")
    assert pair.service.last.body_bytes == 8
    assert "x-trailer" not in pair.service.last.headers


def test_expect_100_continue_is_answered(pair: Pair) -> None:
    head = (
        f"POST /r1/{pair.relay}/echo HTTP/1.1\r\nHost: n\r\nConnection: close\r\n"
        f"X-Road-Client: {pair.consumer.client_id}\r\nExpect: 100-continue\r\n"
        "Content-Length: 3\r\n\r\nabc"
    )
    answer = raw(pair.consumer.client_port, head.encode())
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert answer.endswith(b"\r\n\r\nabc")
    assert "expect" not in pair.service.last.headers


def test_an_agreement_opens_some_paths_and_methods_only(pair: Pair) -> None:
    service = pair.add_relay("hep")
    pair.federation.agree(
        pair.consumer, pair.provider, "hep", "--endpoint", "GET /mo/*", "--endpoint", "POST /ghi"
    )

    def code(method: str, path: str) -> str:
        answer = pair.consumer.call(method, service, path)
        return answer.headers.get("lienthong-error", str(answer.status))

    assert code("GET", "/mo/1") == code("POST", "/ghi") == "200"
    refused = ("GET", "/mo/1/2"), ("POST", "/mo/1"), ("GET", "/ghi"), ("GET", "/mo/../dong")
    assert {code(*each) for each in refused} == {"agreements.endpoint"}


@pytest.mark.parametrize(
    ("size", "place"), [(3_500_000, "consumer"), (2_500_000, "provider"), (1_500_000, "")]
)
def test_a_body_over_the_limit_is_refused_and_does_not_reach_the_service(
    unusual: Pair, size: int, place: str
) -> None:
    before = len(unusual.service.received)
    answer = unusual.consumer.call("POST", unusual.relay, "/x", big_body(size))
    if place:
        assert answer.headers["lienthong-error"] == "transport.body_too_large"
        assert answer.headers["x-road-error"]
    assert (answer.status == 200) is (len(unusual.service.received) > before) is (not place)
    assert unusual.consumer.call("GET", unusual.relay, "/x").status == 200


def test_an_answer_over_the_limit_is_an_error_of_the_service(unusual: Pair) -> None:
    answer = unusual.consumer.call("GET", unusual.relay, "/big/2500000")
    assert answer.headers["x-road-error"] == "server.serverproxy.service_failed"


def test_more_headers_of_a_service_than_a_message_holds_are_its_error(pair: Pair) -> None:
    for size, status in ((40, 200), (60, 500)):
        answer = pair.consumer.call("GET", pair.relay, f"/headers-of/{size}")
        assert answer.status == status, answer.headers
    assert answer.headers["x-road-error"] == "Server.ServerProxy.ServiceFailed"


def test_requests_go_on_while_another_one_is_slow(pair: Pair) -> None:
    before = len(pair.service.received)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(pair.consumer.call, "GET", pair.relay, "/held")
        try:
            assert eventually(lambda: len(pair.service.received) > before)
            assert pair.consumer.call("GET", pair.relay, "/x").status == 200
            assert not slow.done()
        finally:
            pair.service.let_go()
        assert slow.result().json == {"late": True}
