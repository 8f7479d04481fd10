"""Responses that are sent while they are made, and taken while they come in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lienthong.errors import PeerClosed, ResponseMalformed, TimedOut
from lienthong.transport.client import ConnectionPool
from lienthong.transport.messages import Body, Connection, Request, Response, Stream
from lienthong.transport.spool import SpoolFile
from tests.fixtures.transport_pool import GET, OK, at, saying
from tests.fixtures.transport_talk import ask, raw_server, run, serving, settled


class Collector:
    """Keeps what comes; after each piece it wants a pause of ``pause_seconds``."""

    def __init__(self, pause_seconds: float = 0.0, refuse: bool = False) -> None:
        self.connection: Connection | None = None
        self.pieces: list[bytes] = []
        self._pause_seconds = pause_seconds
        self._refuse = refuse

    def feed(self, data: bytes) -> asyncio.Future[None] | None:
        if self._refuse:
            raise ResponseMalformed(address="here", reason="convoy")
        self.pieces.append(data)
        if not self._pause_seconds or not data:
            return None
        loop = asyncio.get_running_loop()
        pause: asyncio.Future[None] = loop.create_future()
        loop.call_later(self._pause_seconds, pause.set_result, None)
        return pause

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


async def counting(request: Request) -> Response:
    """Three numbers, each when its time has come; then the content of a file."""
    stream = Stream()

    async def count() -> None:
        for number in (b"one ", b"two ", b"three "):
            stream.put(number)
            await asyncio.sleep(0.03)
        file = SpoolFile(None)
        file.write(b"file" * 100_000)
        stream.put(b"and ", file.finish(), b" end")
        stream.end()

    asyncio.get_running_loop().create_task(count())
    return Response(200, [("content-type", "text/plain")], stream=stream)


EXPECTED = b"one two three and " + b"file" * 100_000 + b" end"


def test_content_is_sent_as_it_comes() -> None:
    answer = ask(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", handler=counting)
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert b"content-length" not in head
    assert rest.startswith(
        b"4\r\none \r\n4\r\ntwo \r\n6\r\nthree \r\n4\r\nand \r\n61a80\r\nfilefile"
    )
    assert rest.endswith(b"file\r\n4\r\n end\r\n0\r\n\r\n")


@pytest.mark.parametrize("pause_seconds", [0.0, 0.02])
def test_content_is_taken_while_it_comes_in_and_the_connection_serves_again(
    pause_seconds: float,
) -> None:
    async def main() -> None:
        async with serving(counting) as server:
            pool = ConnectionPool()
            for _ in range(2):
                sink = Collector(pause_seconds)
                response = await pool.stream(at(server.port), GET, sink, timeout_seconds=10)
                assert (response.status, response.body.size) == (200, 0)
                while sink.content != EXPECTED:  # the sink may still be busy with the rest
                    await asyncio.sleep(0.01)
                assert sink.pieces[0] == b"one "
                assert sink.connection is response.connection
                assert len(pool.connections) == 1
            pool.close()

    run(main())


def test_a_response_of_another_status_comes_back_whole() -> None:
    async def refuse(request: Request) -> Response:
        return Response(503, [], Body.of(b"not now"))

    async def main() -> None:
        async with serving(refuse) as server:
            sink = Collector()
            response = await ConnectionPool().stream(at(server.port), GET, sink, timeout_seconds=10)
            assert (response.status, response.body.read(), sink.pieces) == (503, b"not now", [])

    run(main())


@pytest.mark.parametrize(
    ("said", "then_wait", "error"),
    [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False, PeerClosed),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", True, TimedOut),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", True, ResponseMalformed),
    ],
)
def test_a_response_that_breaks_off_is_an_error(
    said: bytes, then_wait: bool, error: type[Exception]
) -> None:
    async def main() -> None:
        async with raw_server(saying(said, then_wait=then_wait)) as port:
            sink = Collector()
            pool = ConnectionPool()
            with pytest.raises(error):
                await pool.stream(at(port), GET, sink, timeout_seconds=1 if then_wait else 60)
            await settled(lambda: pool.connections == ())

    run(main())


def test_what_the_taker_refuses_ends_the_connection() -> None:
    async def main() -> None:
        async with serving(counting) as server:
            pool = ConnectionPool()
            with pytest.raises(ResponseMalformed):
                await pool.stream(at(server.port), GET, Collector(refuse=True), timeout_seconds=60)
            await settled(lambda: pool.connections == ())

    run(main())


def test_a_client_that_is_gone_leaves_no_file_behind(tmp_path: Path) -> None:
    gone, put_in = asyncio.Event(), asyncio.Event()

    async def filing(request: Request) -> Response:
        stream = Stream()

        async def put() -> None:
            await gone.wait()
            file = SpoolFile(tmp_path)
            file.write(b"x" * 3_000_000)
            stream.put(file.finish())
            stream.end()
            put_in.set()

        asyncio.get_running_loop().create_task(put())
        return Response(200, [], stream=stream)

    async def main() -> None:
        async with serving(filing) as server:
            with pytest.raises(TimedOut):
                await ConnectionPool().stream(at(server.port), GET, Collector(), timeout_seconds=1)
            gone.set()
            await put_in.wait()
            await settled(lambda: not list(tmp_path.iterdir()))

    run(main())
