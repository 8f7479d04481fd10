"""The client pool: reuse, refusal, time, and what is never done twice."""

from __future__ import annotations

import asyncio

import pytest

from lienthong.errors import (
    ConnectFailed,
    InvalidAddress,
    PeerClosed,
    PoolExhausted,
    TimedOut,
    TransportError,
)
from lienthong.transport import client
from lienthong.transport.client import Address, ConnectionPool, InProcessTransport
from lienthong.transport.client_protocol import ClientProtocol
from lienthong.transport.limits import Limits, PoolLimits
from lienthong.transport.messages import Connection, Request, Response
from lienthong.transport.tls import client_context
from tests.fixtures.transport_pool import GET, POST, at, saying, send
from tests.fixtures.transport_talk import HOST, echo, raw_server, run, serving, settled


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
            await settled(lambda: pool.connections == ())
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
                await send(pool, server.port, timeout_seconds=1.0)
            assert caught.value.status == 504
            await settled(lambda: pool.connections == ())

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
            await settled(lambda: pool.connections == ())

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
    answering = asyncio.Event()

    async def slow(request: Request) -> Response:
        await answering.wait()
        return Response(200)

    async def main() -> None:
        async with serving(slow) as server:
            pool = ConnectionPool(limits=PoolLimits(connections_per_address=1))
            first = asyncio.create_task(send(pool, server.port))
            await settled(lambda: len(pool.connections) == 1)
            with pytest.raises(TimedOut):
                await send(pool, server.port, timeout_seconds=0.1)
            answering.set()
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


def test_few_connections_to_one_address_are_opened_at_a_time_and_the_others_wait() -> None:
    """A peer that starts again would spend all its time on handshakes, and end them as too slow."""
    opened = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.read()
        writer.close()

    async def main() -> None:
        limits = PoolLimits(opening_per_address=2)
        async with raw_server(silent) as port:
            pool = ConnectionPool(client_context, limits, connect_timeout_seconds=1.0)
            address = Address(HOST, port, tls=True)
            results = await asyncio.gather(
                *(pool.send(address, GET, timeout_seconds=60) for _ in range(20)),
                return_exceptions=True,
            )
        assert [type(result) for result in results] == [ConnectFailed] * 20
        assert 0 < opened < 20  # most have waited for their turn until their time was over

    run(main())


def test_whoever_waits_for_a_turn_to_connect_takes_a_connection_that_is_free_before() -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool(limits=PoolLimits(opening_per_address=1))
            results = await asyncio.gather(*(send(pool, server.port) for _ in range(50)))
            assert {result.status for result in results} == {200}
            assert len(pool.connections) < 50
            pool.close()

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
    answering = asyncio.Event()

    async def slow(request: Request) -> Response:
        await answering.wait()
        return Response(200)

    async def main() -> None:
        pool = ConnectionPool(limits=PoolLimits(connections=1))
        async with serving(slow) as one, serving() as two:
            first = asyncio.create_task(send(pool, one.port))
            await settled(lambda: len(pool.connections) == 1)
            with pytest.raises(PoolExhausted):
                await send(pool, two.port)
            answering.set()
            await first
        pool.close()

    run(main())


def test_closes_idle_connections_after_their_time() -> None:
    async def main() -> None:
        async with serving() as server:
            limits = PoolLimits(idle_seconds=0.05, sweep_seconds=0.02)
            pool = ConnectionPool(limits=limits)
            await send(pool, server.port)
            await settled(lambda: pool.connections == ())

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
            await settled(lambda: pool.connections == ())

    run(main())
    assert seen == []


def test_cuts_connections_by_address_and_by_check() -> None:
    async def main() -> None:
        async with serving() as one, serving() as two:
            pool = ConnectionPool()
            for server in (one, two, one):
                await send(pool, server.port)
            pool.close_address(at(one.port))
            await settled(lambda: len(pool.connections) == 1)
            assert [c.peer_address for c in pool.connections] == [f"{HOST}:{two.port}"]
            assert pool.check_connections(lambda connection: connection.secure) == 1
            await settled(lambda: pool.connections == ())
            assert (await send(pool, one.port)).status == 200
            pool.close()

    run(main())


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


def test_a_connection_lost_in_its_first_moment_ends_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lost(ClientProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.failure = PeerClosed(address="x")

    monkeypatch.setattr(client, "ClientProtocol", Lost)

    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            with pytest.raises(PeerClosed):
                await send(pool, server.port)
            pool.close()

    run(main())


def test_a_connection_that_took_too_long_says_so() -> None:
    there = Address("a", 1, tls=True)
    with pytest.raises(ConnectFailed, match="timed out"):
        raise client._connect_error(there, TimeoutError())
