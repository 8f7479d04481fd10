"""The client pool: reuse, refusal, time, and what is never done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import pytest

from lienthong.errors import (
    ConnectFailed,
    InvalidAddress,
    PeerClosed,
    PoolExhausted,
    RequestUnsendable,
    ResponseMalformed,
    ResponseTooLarge,
    TimedOut,
    TransportError,
)
from lienthong.transport.client import Address, ConnectionPool, InProcessTransport
from lienthong.transport.limits import Limits, PoolLimits
from lienthong.transport.messages import Body, Connection, Request, Response
from lienthong.transport.spool import SpoolFile
from tests.fixtures.transport_talk import HOST, echo, raw_server, run, serving

POST = Request("POST", "/a?b", [("content-type", "text/plain")], Body.of(b"hello"))
GET = Request("GET", "/")


def at(port: int) -> Address:
    return Address(HOST, port, tls=False)


async def send(
    pool: ConnectionPool, port: int, request: Request = POST, timeout_seconds: float = 10.0
) -> Response:
    return await pool.send(at(port), request, timeout_seconds=timeout_seconds)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(*pieces: bytes, then_wait: bool = False) -> Answer:
    """A server that reads one head and says something, whatever was asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        if then_wait:
            await reader.read()
        writer.close()

    return answer


def answered(
    *pieces: bytes, request: Request = GET, limits: PoolLimits | None = None, **options: bool
) -> Response:
    async def main() -> Response:
        pool = ConnectionPool(limits=limits or PoolLimits())
        async with raw_server(saying(*pieces, **options)) as port:
            try:
                return await send(pool, port, request)
            finally:
                pool.close()

    return run(main())


def test_brings_the_response_and_who_gave_it() -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            response = await send(pool, server.port)
            assert response.status == 200
            assert response.reason == "OK"
            assert response.body.read() == b"hello"
            assert response.header("x-target") == "/a?b"
            assert response.connection is not None
            assert response.connection.peer_address == f"{HOST}:{server.port}"
            assert not response.connection.secure
            pool.close()

    run(main())


def test_uses_the_latest_connection_again() -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            first = await send(pool, server.port)
            both = await asyncio.gather(send(pool, server.port), send(pool, server.port))
            again = await send(pool, server.port)
            assert len(pool.connections) == 2
            assert both[0].connection is first.connection
            assert again.connection is both[1].connection
            pool.close()

    run(main())


def test_does_not_use_a_connection_that_the_peer_has_closed() -> None:
    async def main() -> None:
        async with serving(limits=Limits(idle_seconds=0.05, sweep_seconds=0.02)) as server:
            pool = ConnectionPool()
            first = await send(pool, server.port)
            await asyncio.sleep(0.3)
            assert pool.connections == ()
            second = await send(pool, server.port)
            assert second.connection is not first.connection
            pool.close()

    run(main())


def test_asks_the_socket_before_it_uses_a_connection_that_was_long_idle() -> None:
    async def main() -> bool:
        async with serving() as server:
            pool = ConnectionPool()
            await send(pool, server.port)
            (protocol,) = pool._protocols
            now = protocol.idle_since + 2
            assert protocol.is_usable(now)
            server.close()  # the loop has not seen it yet, the socket has
            await asyncio.sleep(0)
            return protocol.is_usable(now)

    assert run(main()) is False


def test_sends_a_request_once_only_when_the_peer_goes_away() -> None:
    requests = 0

    async def vanish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"hello")
        requests += 1
        writer.close()

    async def main() -> None:
        async with raw_server(vanish) as port:
            with pytest.raises(PeerClosed):
                await send(ConnectionPool(), port)

    run(main())
    assert requests == 1


def test_ends_a_request_whose_time_is_over_and_cuts_its_connection() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(10)
        return Response(200)

    async def main() -> None:
        async with serving(slow) as server:
            pool = ConnectionPool()
            with pytest.raises(TimedOut) as caught:
                await send(pool, server.port, timeout_seconds=0.15)
            assert caught.value.status == 504
            await asyncio.sleep(0.05)
            assert pool.connections == ()

    run(main())


def test_says_that_nobody_listens() -> None:
    async def main() -> None:
        async with serving() as server:
            port = server.port
        pool = ConnectionPool()
        with pytest.raises(ConnectFailed):
            await send(pool, port)
        with pytest.raises(ConnectFailed):
            await pool.send(Address("no-such-host.invalid", 1, False), GET, timeout_seconds=10)

    run(main())


def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(10)
        return Response(200)

    async def main() -> None:
        async with serving(slow) as server:
            pool = ConnectionPool()
            task = asyncio.create_task(send(pool, server.port))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.05)
            assert pool.connections == ()

    run(main())


def test_waits_for_a_connection_where_only_so_many_may_be_open() -> None:
    running = most = 0

    async def count(request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return await echo(request)

    async def main() -> None:
        async with serving(count) as server:
            pool = ConnectionPool(limits=PoolLimits(connections_per_address=2))
            await asyncio.gather(*(send(pool, server.port) for _ in range(20)))
            assert len(pool.connections) == 2
            pool.close()

    run(main())
    assert most == 2


def test_waiting_for_a_connection_counts_as_time() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.3)
        return Response(200)

    async def main() -> None:
        async with serving(slow) as server:
            pool = ConnectionPool(limits=PoolLimits(connections_per_address=1))
            first = asyncio.create_task(send(pool, server.port))
            await asyncio.sleep(0.02)
            with pytest.raises(TimedOut):
                await send(pool, server.port, timeout_seconds=0.1)
            assert (await first).status == 200
            assert (await send(pool, server.port)).status == 200
            pool.close()

    run(main())


def test_a_failed_connection_lets_the_next_in_line_open_one() -> None:
    async def main() -> None:
        async with raw_server(saying(b"")) as port:
            pool = ConnectionPool(limits=PoolLimits(connections_per_address=1))
            results = await asyncio.gather(
                *(send(pool, port) for _ in range(4)), return_exceptions=True
            )
            assert [type(result) for result in results] == [PeerClosed] * 4

    run(main())


def test_closes_the_oldest_idle_connection_to_make_room_for_another_address() -> None:
    async def main() -> None:
        pool = ConnectionPool(limits=PoolLimits(connections=1))
        async with serving() as one, serving() as two:
            await send(pool, one.port)
            await send(pool, two.port)
            assert len(pool.connections) == 1
        pool.close()

    run(main())


def test_refuses_when_all_connections_are_in_use() -> None:
    async def slow(request: Request) -> Response:
        await asyncio.sleep(0.2)
        return Response(200)

    async def main() -> None:
        pool = ConnectionPool(limits=PoolLimits(connections=1))
        async with serving(slow) as one, serving() as two:
            first = asyncio.create_task(send(pool, one.port))
            await asyncio.sleep(0.02)
            with pytest.raises(PoolExhausted):
                await send(pool, two.port)
            await first
        pool.close()

    run(main())


def test_closes_idle_connections_after_their_time() -> None:
    async def main() -> None:
        async with serving() as server:
            limits = PoolLimits(idle_seconds=0.05, sweep_seconds=0.02)
            pool = ConnectionPool(limits=limits)
            await send(pool, server.port)
            await asyncio.sleep(0.3)
            assert pool.connections == ()

    run(main())


def test_an_unwelcome_connection_gets_no_request() -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        seen.append(request)
        return Response(200)

    def refuse(address: Address, connection: Connection) -> None:
        raise ConnectFailed(address=address, reason=connection.peer_address)

    async def main() -> None:
        async with serving(handler) as server:
            pool = ConnectionPool(on_connect=refuse)
            with pytest.raises(ConnectFailed):
                await send(pool, server.port)
            await asyncio.sleep(0.05)
            assert pool.connections == ()

    run(main())
    assert seen == []


def test_cuts_connections_by_address_and_by_check() -> None:
    async def main() -> None:
        async with serving() as one, serving() as two:
            pool = ConnectionPool()
            for server in (one, two, one):
                await send(pool, server.port)
            pool.close_address(at(one.port))
            await asyncio.sleep(0.05)
            assert [c.peer_address for c in pool.connections] == [f"{HOST}:{two.port}"]
            assert pool.check_connections(lambda connection: connection.secure) == 1
            await asyncio.sleep(0.05)
            assert pool.connections == ()
            assert (await send(pool, one.port)).status == 200
            pool.close()

    run(main())


OK = b"HTTP/1.1 200 OK\r\n"


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


def test_does_not_reuse_a_connection_with_bytes_that_nobody_asked_for() -> None:
    response = OK + b"Content-Length: 2\r\n\r\nok"

    async def main() -> None:
        async with raw_server(saying(response, b"HTTP/1.1 200 FORGED\r\n", then_wait=True)) as port:
            pool = ConnectionPool()
            await send(pool, port, GET)
            await asyncio.sleep(0.1)
            assert pool.connections == ()

    run(main())


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


def spooled(folder: Path, content: bytes) -> Body:
    file = SpoolFile(folder)
    file.write(content)
    return file.finish()


def test_large_bodies_pass_through_files_both_ways(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000

    async def main() -> None:
        limits = Limits(spool_threshold_bytes=1000)
        async with serving(limits=limits, spool_folder=tmp_path) as server:
            pool = ConnectionPool(
                limits=PoolLimits(spool_threshold_bytes=1000), spool_folder=tmp_path
            )
            body = spooled(tmp_path, content)
            response = await send(pool, server.port, Request("POST", "/", [], body))
            assert response.body.path is not None
            assert response.body.sha256() == sha256(content).digest()
            assert b"".join(response.body.chunks(999)) == content
            response.body.discard()
            body.discard()
            assert len(pool.connections) == 1
            pool.close()

    run(main())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("framing", [b"Content-Length: 2000000\r\nConnection: close\r\n", b""])
def test_a_large_response_is_whole_although_the_peer_closes_after_it(
    tmp_path: Path, framing: bytes
) -> None:
    async def main() -> None:
        async with raw_server(saying(OK + framing + b"\r\n" + b"x" * 2_000_000)) as port:
            limits = PoolLimits(spool_threshold_bytes=1000)
            pool = ConnectionPool(limits=limits, spool_folder=tmp_path)
            for _ in range(5):
                response = await send(pool, port, GET)
                assert response.body.read() == b"x" * 2_000_000
                response.body.discard()

    run(main())
    assert list(tmp_path.iterdir()) == []


def test_an_early_refusal_ends_the_sending_of_a_large_body(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(limits=Limits(body_bytes=10)) as server:
            pool = ConnectionPool()
            body = spooled(tmp_path, bytes(8_000_000))
            response = await send(pool, server.port, Request("POST", "/", [], body))
            assert response.status == 413
            await asyncio.sleep(0.05)
            assert pool.connections == ()

    run(main())


def test_a_response_that_nobody_takes_leaves_no_file(tmp_path: Path) -> None:
    async def large(request: Request) -> Response:
        return Response(200, [], Body.of(bytes(5_000_000)))

    async def main() -> None:
        async with serving(large) as server:
            limits = PoolLimits(spool_threshold_bytes=1000)
            pool = ConnectionPool(limits=limits, spool_folder=tmp_path)
            task = asyncio.create_task(send(pool, server.port))
            while not list(tmp_path.iterdir()):
                await asyncio.sleep(0)
            task.cancel()
            while list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)

    run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize(
    ("url", "address", "authority"),
    [
        ("https://10.0.0.5:5500", Address("10.0.0.5", 5500, True), "10.0.0.5:5500"),
        ("http://a.vn/path", Address("a.vn", 80, False), "a.vn"),
        ("https://[::1]:443", Address("::1", 443, True), "[::1]"),
    ],
)
def test_reads_addresses(url: str, address: Address, authority: str) -> None:
    assert Address.parse(url) == address
    assert address.authority == authority


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a", "https://", "http://a:b", "http://a:99999", "a:1", "http://u@a", "http://["],
)
def test_refuses_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(url)


def test_carries_requests_within_the_process() -> None:
    async def handler(request: Request) -> Response:
        assert request.connection.peer_certificate == b"client"
        return await echo(request)

    async def slow(request: Request) -> Response:
        await asyncio.sleep(10)
        return Response(200)

    async def main() -> None:
        here, there = Address("a", 1, True), Address("b", 2, True)
        transport = InProcessTransport(
            {here: handler, there: slow}, b"client", server_certificates={here: b"server"}
        )
        response = await transport.send(here, POST, timeout_seconds=1)
        assert response.body.read() == b"hello"
        assert response.connection is not None
        assert response.connection.peer_certificate == b"server"
        with pytest.raises(TimedOut):
            await transport.send(there, POST, timeout_seconds=0.01)
        with pytest.raises(ConnectFailed):
            await transport.send(Address("c", 3, True), POST, timeout_seconds=1)

    run(main())


def test_every_failure_is_one_of_ours() -> None:
    assert issubclass(TimedOut, TransportError)
    assert TimedOut(address="x", timeout_seconds=1).exit_code == 10
