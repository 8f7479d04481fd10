"""What the client pool takes for a response, and what it sends."""

from __future__ import annotations

import pytest

from lienthong.errors import (
    PeerClosed,
    RequestUnsendable,
    ResponseMalformed,
    ResponseTooLarge,
)
from lienthong.transport.client import ConnectionPool
from lienthong.transport.limits import PoolLimits
from lienthong.transport.messages import Body, Request, Response
from tests.fixtures.transport_pool import GET, OK, answered, saying, send
from tests.fixtures.transport_talk import HOST, raw_server, run, serving, settled


def test_takes_a_response_that_ends_with_the_connection() -> None:
    assert answered(OK + b"\r\nabc", b"def").body.read() == b"abcdef"


def test_reads_a_chunked_response_and_drops_its_trailers() -> None:
    response = answered(
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"0\r\nX-Forged: 1\r\n\r\n"
    )
    assert response.body.read() == b"abc"
    assert response.header("x-forged") is None


def test_skips_interim_responses() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    response = answered(interim + OK + b"Content-Length: 2\r\n\r\nok", then_wait=True)
    assert response.body.read() == b"ok"
    assert response.header("link") is None


def test_passes_redirects_and_errors_as_they_are() -> None:
    moved = answered(b"HTTP/1.1 302 Elsewhere\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
    assert (moved.status, moved.reason) == (302, "Elsewhere")
    assert answered(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").status == 503


def test_expects_no_body_after_head_whatever_length_is_stated() -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            for _ in range(3):
                response = await send(pool, server.port, Request("HEAD", "/"))
                assert response.body.size == 0
            assert (await send(pool, server.port)).body.read() == b"hello"
            assert len(pool.connections) == 1
            pool.close()

    run(main())
    stated = OK + b"Content-Length: 5\r\n\r\n"
    assert answered(stated, request=Request("HEAD", "/")).header("content-length") == "5"


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2OO OK\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\nabc",
        OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        OK + b"X-A: a\x01\r\n\r\n",
        OK + b"X-A: a\r\n b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
)
def test_refuses_malformed_responses(text: bytes) -> None:
    with pytest.raises(ResponseMalformed):
        answered(text, then_wait=True)


@pytest.mark.parametrize(
    "text",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", OK + b"Content-Length: 9\r\n\r\nabc"],
)
def test_notices_a_response_that_is_cut_short(text: bytes) -> None:
    with pytest.raises(PeerClosed):
        answered(text)


@pytest.mark.parametrize(
    ("pieces", "limits"),
    [
        ([OK + b"Content-Length: 11\r\n\r\n"], PoolLimits(body_bytes=10)),
        ([OK + b"\r\n", b"x" * 11], PoolLimits(body_bytes=10)),
        ([OK + b"X-A: " + b"a" * 200], PoolLimits(head_bytes=100)),
        ([OK + b"X-A: b\r\n" * 11 + b"\r\n"], PoolLimits(header_count=10)),
    ],
)
def test_refuses_responses_above_the_limits(pieces: list[bytes], limits: PoolLimits) -> None:
    with pytest.raises(ResponseTooLarge):
        answered(*pieces, limits=limits, then_wait=True)


NEVER_IDLE = PoolLimits(idle_seconds=1000)  # or a connection would be closed for that


def test_does_not_reuse_a_connection_with_bytes_that_nobody_asked_for() -> None:
    response = OK + b"Content-Length: 2\r\n\r\nok"

    async def main() -> None:
        async with raw_server(saying(response, b"HTTP/1.1 200 FORGED\r\n", then_wait=True)) as port:
            pool = ConnectionPool(limits=NEVER_IDLE)
            await send(pool, port, GET)
            await settled(lambda: pool.connections == ())

    run(main())


def test_does_not_reuse_a_connection_on_which_two_responses_came_at_once() -> None:
    response = OK + b"Content-Length: 2\r\n\r\nok"

    async def main() -> None:
        async with raw_server(saying(response + response, then_wait=True)) as port:
            pool = ConnectionPool(limits=NEVER_IDLE)
            await send(pool, port, GET)
            await settled(lambda: pool.connections == ())

    run(main())


@pytest.mark.parametrize("size", [b"1;" + b"x" * 500_000, b"0\r\nX: " + b"y" * 500_000])
def test_refuses_an_endless_trailer_and_an_endless_chunk_extension(size: bytes) -> None:
    with pytest.raises(ResponseMalformed, match="chunk framing"):
        answered(OK + b"Transfer-Encoding: chunked\r\n\r\n", size, then_wait=True)


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/a b"),
        Request("GET", "/a\r\nx: y"),
        Request("GET", "/", [("x-a", "1\r\nx-b: 2")]),
        Request("GET", "/", [("x-a\r\nx-b", "2")]),
        Request("GET", "/", [("x-a", "Nguyễn")]),
    ],
)
def test_sends_no_request_that_would_break_http(request_: Request) -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            with pytest.raises(RequestUnsendable):
                await send(pool, server.port, request_)
            assert pool.connections == ()

    run(main())


def test_writes_its_own_host_and_framing_headers() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response(200)

    async def main() -> None:
        async with serving(handler) as server:
            pool = ConnectionPool()
            headers = [("host", "evil"), ("content-length", "99"), ("connection", "close")]
            request = Request("POST", "/", [*headers, ("x-a", "b")], Body.of(b"1"))
            await send(pool, server.port, request)
            assert seen[0].header("host") == f"{HOST}:{server.port}"
            pool.close()

    run(main())
    assert seen[0].header("content-length") == "1"
    assert seen[0].header("connection") is None
    assert seen[0].header("x-a") == "b"


def test_takes_a_large_head_whose_body_comes_after_it() -> None:
    """A head of 150 KB is no body without content."""
    head = OK + b"X-Large: " + b"a" * 150_000 + b"\r\nContent-Length: 2\r\n\r\n"
    limits = PoolLimits(head_bytes=262_144)
    assert answered(head, b"ok", limits=limits).body.read() == b"ok"
