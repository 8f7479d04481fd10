"""Idle connections go on in another server: of the next process, in the same way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lienthong.transport.messages import Body, Request, Response
from lienthong.transport.server import Server, serve
from tests.fixtures.transport_talk import HOST, echo, post, read_response, run, serving

NOTHING, SECOND = post(b"", b""), post(b"second", b"")
SOME_BYTES = 30_000


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has been used once."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(NOTHING)
    await read_response(reader)
    return reader, writer


def unsent_bytes(server: Server) -> int:
    """What the only connection of a server holds of its answers."""
    (protocol,) = server._listener.connections
    return int(protocol._transport.get_write_buffer_size())


@pytest.mark.parametrize("run_in", [asyncio.run, run], ids=["asyncio", "uvloop"])
def test_an_idle_connection_goes_on_in_the_next_server(
    run_in: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    async def main() -> None:
        left: list[socket.socket] = []
        async with serving() as first:
            reader, writer = await connected(first.port)
            await first.drain(10, 0.0, left.extend)
        assert len(left) == 1
        writer.write(post(b"sent while nobody listens", b""))
        async with serving() as second:
            await second.adopt(left)
            for body in (b"sent while nobody listens", b"and after"):
                assert (await read_response(reader))[1] == body
                writer.write(post(b"and after", b""))
            assert [each.peer_address for each in second.connections] == [
                f"{HOST}:{writer.get_extra_info('sockname')[1]}"
            ]
            writer.close()

    run_in(main())


@pytest.mark.parametrize("ahead", [1, 20, len(SECOND) - 1])
def test_a_connection_with_a_part_of_a_request_in_it_is_not_left(ahead: int) -> None:
    async def main() -> None:
        left: list[socket.socket] = []
        async with serving() as server:
            reader, writer = await connected(server.port)
            writer.write(NOTHING + SECOND[:ahead])
            await read_response(reader)
            draining = asyncio.create_task(server.drain(60, 0.0, left.extend))
            await asyncio.sleep(0)
            writer.write(SECOND[ahead:])
            head, body = await read_response(reader)
            assert b"connection: close" in head
            assert body == b"second"
            await draining
            writer.close()
        assert left == []

    run(main())


def test_a_connection_whose_answer_is_not_all_sent_is_not_left() -> None:
    answered = 0

    async def some(request: Request) -> Response:
        nonlocal answered
        answered += 1
        return Response(200, [], Body.of(bytes(SOME_BYTES)))

    async def main() -> None:
        left: list[socket.socket] = []
        async with serving(some) as server:
            reader, writer = await asyncio.open_connection(HOST, server.port)
            asked = 0
            # The client reads nothing, so that at last the system takes no more of an answer.
            while asked == 0 or not unsent_bytes(server):
                writer.write(NOTHING)
                asked += 1
                while answered < asked:
                    await asyncio.sleep(0)
                await asyncio.sleep(0.001)
            draining = asyncio.create_task(server.drain(60, 0.0, left.extend))
            await asyncio.sleep(0)
            for _ in range(asked):
                assert len((await read_response(reader))[1]) == SOME_BYTES
            await draining
            writer.close()

    run(main())


def test_a_client_that_is_gone_meanwhile_harms_nobody() -> None:
    async def main() -> None:
        left: list[socket.socket] = []
        async with serving() as first:
            _, gone = await connected(first.port)
            reader, writer = await connected(first.port)
            await first.drain(10, 0.0, left.extend)
        gone.close()
        server = await serve(echo, HOST, 0)
        await server.adopt(left)
        writer.write(post(b"still here", b""))
        assert (await read_response(reader))[1] == b"still here"
        assert len(server.connections) == 1
        writer.close()
        server.close()

    run(main())
