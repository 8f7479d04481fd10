"""Large bodies of the client pool pass through files, and no file stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
from hashlib import sha256
from pathlib import Path

import pytest

from lienthong.errors import PeerClosed, SpoolFailed, TimedOut
from lienthong.transport.client import Address, ConnectionPool
from lienthong.transport.limits import Limits, PoolLimits
from lienthong.transport.messages import Body, Request, Response
from lienthong.transport.spool import SpoolFile
from tests.fixtures.transport_pool import GET, OK, saying, send
from tests.fixtures.transport_talk import raw_server, run, serving, settled


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
            await settled(lambda: pool.connections == ())

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

    run(asyncio.wait_for(main(), 60))


def test_a_body_that_keeps_moving_may_take_longer_than_the_timeout(tmp_path: Path) -> None:
    size = 2_000_000  # buys 7.6 s at the least rate

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + f"Content-Length: {size}\r\n\r\n".encode())
        for _ in range(8):
            writer.write(b"x" * (size // 8))
            await writer.drain()
            await asyncio.sleep(0.3)

    async def main() -> None:
        async with await asyncio.start_server(slowly, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            limits = PoolLimits(spool_threshold_bytes=1000, sweep_seconds=0.02)
            pool = ConnectionPool(limits=limits, spool_folder=tmp_path)
            address = Address("127.0.0.1", port, False)
            response = await pool.send(address, GET, timeout_seconds=2.0)
            assert response.body.size == size
            response.body.discard()
            pool.close()

    run(main())


def test_a_peer_that_trickles_bytes_is_given_up(tmp_path: Path) -> None:
    async def trickling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Content-Length: 1000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 100)
                await writer.drain()
                await asyncio.sleep(0.02)

    async def main() -> None:
        async with await asyncio.start_server(trickling, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            limits = PoolLimits(spool_threshold_bytes=1000, sweep_seconds=0.02)
            pool = ConnectionPool(limits=limits, spool_folder=tmp_path)
            with pytest.raises(TimedOut):
                await pool.send(Address("127.0.0.1", port, False), GET, timeout_seconds=1.0)
            pool.close()

    run(main())


def test_a_body_whose_file_is_gone_ends_the_request(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            body = spooled(tmp_path, bytes(3_000_000))
            body.discard()
            with pytest.raises(SpoolFailed):
                await send(pool, server.port, Request("POST", "/", [], body), 30.0)
            pool.close()

    run(main())


def test_a_body_that_became_shorter_ends_the_request(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving() as server:
            pool = ConnectionPool()
            body = spooled(tmp_path, bytes(3_000_000))
            assert body.path is not None
            os.truncate(body.path, 1_000_000)
            with pytest.raises(PeerClosed):
                await send(pool, server.port, Request("POST", "/", [], body), 30.0)
            pool.close()

    run(main())


def test_a_response_that_finds_no_room_on_disk_ends_the_request(tmp_path: Path) -> None:
    async def large(request: Request) -> Response:
        return Response(200, [], Body.of(bytes(5_000_000)))

    async def main() -> None:
        async with serving(large) as server:
            limits = PoolLimits(spool_threshold_bytes=1000)
            pool = ConnectionPool(limits=limits, spool_folder=tmp_path / "none")
            with pytest.raises(SpoolFailed):
                await send(pool, server.port, GET, 30.0)
            pool.close()

    run(main())
