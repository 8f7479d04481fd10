"""Relays: what reaches an existing service, and what comes back from it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lienthong import errors
from lienthong.sources.relay import Relay, relay_tls_context
from lienthong.transport.client import Address, ConnectionPool, InProcessTransport
from lienthong.transport.messages import EMPTY_BODY, Body, Headers, Request, Response
from lienthong.transport.server import serve

URL = "http://127.0.0.1:9000/api/"


class Recorder:
    """A service that keeps what it receives and answers the same each time."""

    def __init__(self, response: Response) -> None:
        self.seen: list[Request] = []
        self._response = response

    async def __call__(self, request: Request) -> Response:
        self.seen.append(request)
        return self._response


def _send(
    service: Callable[[Request], Awaitable[Response]],
    path: str = "/so/7",
    query: str = "",
    headers: Headers | None = None,
    url: str = URL,
    timeout_seconds: float = 5,
) -> Response:
    relay = Relay(url, InProcessTransport({Address.parse(URL): service}))
    body = Body.of(b"{}")
    return asyncio.run(relay.send("POST", path, query, headers or [], body, timeout_seconds))


@pytest.mark.parametrize(
    ("url", "path", "query", "wanted"),
    [
        (URL, "/so/7", "", "/api/so/7"),
        ("http://127.0.0.1:9000/api", "/so/7", "a=1&a=%C4%91&b", "/api/so/7?a=1&a=%C4%91&b"),
        ("http://127.0.0.1:9000", "/so//7", "", "/so//7"),
        ("http://127.0.0.1:9000", "", "", "/"),
        (URL, "", "q=1", "/api?q=1"),
        (URL, "/", "", "/api/"),
    ],
)
def test_path_and_query_are_joined_as_x_road_does(
    url: str, path: str, query: str, wanted: str
) -> None:
    service = Recorder(Response(200))
    _send(service, path, query, url=url)
    assert service.seen[0].target == wanted


def test_headers_of_one_connection_are_dropped_both_ways() -> None:
    service = Recorder(Response(200, [("server", "x"), ("x-so", "1"), ("keep-alive", "timeout=5")]))
    headers = [
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("host", "evil"),
        ("expect", "100-continue"),
        ("x-road-client", "VN/GOV/H37/motcua"),
        ("accept", "application/json"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
    ]
    response = _send(service, headers=headers)
    assert service.seen[0].headers == headers[4:]
    assert response.headers == [("x-so", "1")]


@pytest.mark.parametrize("status", [204, 302, 404, 500, 503])
def test_redirects_and_errors_are_passed_as_they_are(status: int) -> None:
    answer = Response(status, [("location", "http://other/")], Body.of(b"as it is"), "Own Reason")
    response = _send(Recorder(answer))
    assert (response.status, response.reason, response.body.read()) == (
        status,
        "Own Reason",
        b"as it is",
    )
    assert response.header("location") == "http://other/"


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: 1", "/đ", "/a\x00"])
def test_a_target_that_could_split_a_request_is_refused(path: str) -> None:
    service = Recorder(Response(200))
    with pytest.raises(errors.RelayTargetInvalid):
        _send(service, path)
    assert service.seen == []


def test_a_service_that_takes_too_long_is_a_timeout() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(60)
        return Response(200)

    with pytest.raises(errors.RelayTimeout) as caught:
        _send(slow, timeout_seconds=0.01)
    assert (caught.value.status, caught.value.xroad) == (504, "ServiceFailed")


def test_a_service_that_is_away_is_said_without_its_address() -> None:
    relay = Relay("http://127.0.0.1:9001", InProcessTransport({}))
    with pytest.raises(errors.RelayUnreachable) as caught:
        asyncio.run(relay.send("GET", "/", "", [], EMPTY_BODY, 5))
    assert caught.value.facts == {}


@pytest.mark.parametrize(
    "fault", [errors.ResponseMalformed(reason="x"), errors.ResponseTooLarge(limit_bytes=1)]
)
def test_an_answer_that_cannot_be_used_is_not_called_unreachable(
    fault: errors.TransportError,
) -> None:
    async def garbled(request: Request) -> Response:
        raise fault

    with pytest.raises(errors.RelayAnswerUnusable) as caught:
        _send(garbled)
    assert caught.value.facts == {}


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x", "http://", "http://u:p@h/", "http://h/?a", "http://h/#a", "http://h:99999",
     "http://h/a b", "127.0.0.1:80"],
)  # fmt: skip
def test_an_address_that_is_no_service_is_refused(url: str) -> None:
    with pytest.raises(errors.RelayAddressInvalid):
        Relay(url, InProcessTransport({}))


def test_certificates_of_services_are_verified_unless_told_otherwise() -> None:
    assert relay_tls_context().verify_mode is ssl.CERT_REQUIRED
    assert relay_tls_context().check_hostname
    open_context = relay_tls_context(verify=False)
    assert open_context.verify_mode is ssl.CERT_NONE
    assert not open_context.check_hostname


def test_passes_a_request_over_a_real_connection(tmp_path: Path) -> None:
    service = Recorder(Response(200, [("content-type", "text/plain")], Body.of(b"xong")))

    async def exchange() -> Response:
        server = await serve(service, "127.0.0.1", 0, spool_folder=tmp_path)
        pool = ConnectionPool(spool_folder=tmp_path)
        relay = Relay(f"http://127.0.0.1:{server.port}/api", pool)
        try:
            return await relay.send("PUT", "/so/7", "x=1", [("a", "b")], Body.of(b"than"), 5)
        finally:
            pool.close()
            server.close()

    response = asyncio.run(exchange())
    assert (response.status, response.body.read()) == (200, b"xong")
    assert (service.seen[0].method, service.seen[0].target) == ("PUT", "/api/so/7?x=1")
    assert service.seen[0].body.read() == b"than"
