"""What the server refuses, and how it ends what takes too long."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from lienthong.errors import BodyTooLarge, TransportError
from lienthong.transport.limits import MIB, Limits
from lienthong.transport.messages import Body, Request, Response
from tests.fixtures.transport_talk import (
    HOST,
    STATUS_LINE,
    ask,
    echo,
    post,
    run,
    serving,
    settled,
    talk,
)

SMUGGLING = {
    "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "the same length twice": b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": b"Content-Length: 1, 1\r\n\r\na",
    "a signed length": b"Content-Length: +1\r\n\r\na",
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "another encoding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "an unknown encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two encodings": b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"X-A: a\r\n b: c\r\n\r\n",
    "space before a colon": b"Content-Length : 1\r\n\r\na",
    "a control character": b"X-A: a\x01b\r\n\r\n",
    "a null": b"X-A: a\0b\r\n\r\n",
    "a bare carriage return": b"X-A: a\rb\r\n\r\n",
    "a bare line feed": b"X-A: a\nb: c\r\n\r\n",
    "no name": b": a\r\n\r\n",
    "a bad chunk size": b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "a huge chunk size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "two hosts": b"Host: other\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_refuses_what_could_be_read_in_two_ways(rest: bytes) -> None:
    reached: list[str] = []

    async def handler(request: Request) -> Response:
        reached.append(request.target)
        return await echo(request)

    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = ask(b"POST / HTTP/1.1\r\nHost: h\r\n" + rest + smuggled, handler=handler)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert len(STATUS_LINE.findall(answer)) == 1
    assert b"connection: close\r\n" in answer
    assert reached == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET relative HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: h\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
def test_refuses_what_it_does_not_speak(head: bytes, status: int) -> None:
    assert ask(head).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("request_bytes", "limits", "status"),
    [
        (post(b"", b"X-A: 1\r\n" * 20), Limits(header_count=10), 431),
        (post(b"", b"X-A: " + b"a" * 5000 + b"\r\n"), Limits(head_bytes=1000), 431),
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 5000, Limits(head_bytes=1000), 431),
        (b"GET /" + b"a" * 500 + b" HTTP/1.1\r\nHost: h\r\n\r\n", Limits(target_bytes=100), 414),
        (post(b"x" * 11), Limits(body_bytes=10), 413),
    ],
)
def test_refuses_what_exceeds_a_limit(request_bytes: bytes, limits: Limits, status: int) -> None:
    assert ask(request_bytes, limits=limits).startswith(b"HTTP/1.1 %d " % status)


CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_refuses_a_chunked_body_once_it_exceeds_the_limit() -> None:
    chunks = [b"4\r\nabcd\r\n"] * 5
    assert ask(CHUNKED, *chunks, limits=Limits(body_bytes=10)).startswith(b"HTTP/1.1 413 ")
    at_once = CHUNKED + b"".join(chunks) + b"0\r\n\r\n"
    assert ask(at_once, limits=Limits(body_bytes=10)).startswith(b"HTTP/1.1 413 ")


def test_refuses_an_endless_trailer_and_an_endless_chunk_extension() -> None:
    flood = [b"a" * 30_000] * 4
    assert ask(CHUNKED, b"0\r\nX-A: ", *flood).startswith(b"HTTP/1.1 400 ")
    assert ask(CHUNKED, b"1;", *flood).startswith(b"HTTP/1.1 400 ")


def test_refuses_a_flood_of_pipelined_requests() -> None:
    one = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = ask(one * 20, limits=Limits(pipelined_requests=5))
    assert 1 < answer.count(b"HTTP/1.1 200") < 20
    assert b"HTTP/1.1 400 " in answer


def test_answers_the_requests_before_a_malformed_one() -> None:
    answer = ask(post(b"one", b"") + b"BAD\r\n\r\n")
    assert STATUS_LINE.findall(answer) == [b"200", b"400"]


QUICK = Limits(
    header_seconds=0.1,
    body_window_seconds=0.1,
    write_stall_seconds=0.2,
    linger_seconds=0.5,
    sweep_seconds=0.02,
)


def test_ends_a_head_that_arrives_too_slowly() -> None:
    assert ask(b"GET / HT", limits=QUICK).startswith(b"HTTP/1.1 408 ")


def test_ends_a_body_that_makes_no_progress() -> None:
    assert ask(post(b"hello")[:-1], limits=QUICK).startswith(b"HTTP/1.1 408 ")


def test_closes_idle_connections_without_a_word() -> None:
    assert ask(b"", limits=Limits(idle_seconds=0.1, sweep_seconds=0.02)) == b""


def test_cuts_a_client_that_never_reads_its_answer() -> None:
    async def large(request: Request) -> Response:
        return Response(200, [], Body.of(bytes(64 * MIB)))

    async def main() -> None:
        async with serving(large, limits=QUICK) as server:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((HOST, server.port))
            sock.sendall(post(b"", b""))
            await settled(lambda: len(server.connections) == 1)
            await settled(lambda: not server.connections)
            sock.close()

    run(main())


def test_refuses_connections_above_the_limit() -> None:
    async def main() -> bytes:
        async with serving(limits=Limits(connections=1)) as server:
            _, first = await asyncio.open_connection(HOST, server.port)
            await settled(lambda: len(server.connections) == 1)
            answer = await talk(server.port, post(b""))
            first.close()
            return answer

    assert run(main()).startswith(b"HTTP/1.1 503 ")


async def admitted(port: int) -> bytes:
    """The first answer that is no refusal for want of room."""
    while (answer := await talk(port, post(b"new"))).startswith(b"HTTP/1.1 503 "):
        await asyncio.sleep(0.02)
    return answer


def test_a_full_server_cuts_whoever_sends_least_and_serves_the_newcomer() -> None:
    limits = Limits(connections=2, header_seconds=0.1, sweep_seconds=0.02)

    async def main() -> tuple[bytes, bytes, bytes]:
        async with serving(limits=limits) as server:
            slow_answer, slow = await asyncio.open_connection(HOST, server.port)
            fast_answer, fast = await asyncio.open_connection(HOST, server.port)
            slow.write(post(b"x" * 2000)[:-1990])
            fast.write(post(b"y" * 2000)[:-1])
            newcomer = await admitted(server.port)
            fast.write(b"y")
            fast.write_eof()
            answers = newcomer, await slow_answer.read(), await fast_answer.read()
            slow.close()
            fast.close()
            return answers

    newcomer, slow, fast = run(main())
    assert newcomer.startswith(b"HTTP/1.1 200 ")
    assert slow == b""
    assert fast.startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_gives_way_before_a_slow_one() -> None:
    limits = Limits(connections=2, header_seconds=0.1, sweep_seconds=0.02)

    async def main() -> tuple[bytes, bytes, bool]:
        async with serving(limits=limits) as server:
            idle_answer, idle = await asyncio.open_connection(HOST, server.port)
            _, slow = await asyncio.open_connection(HOST, server.port)
            slow.write(post(b"x" * 2000)[:-1990])
            newcomer = await admitted(server.port)
            answers = newcomer, await idle_answer.read(), len(server.connections) > 0
            idle.close()
            slow.close()
            return answers

    newcomer, idle, slow_is_there = run(main())
    assert newcomer.startswith(b"HTTP/1.1 200 ")
    assert (idle, slow_is_there) == (b"", True)


def test_tells_nothing_of_a_fault_in_the_handler() -> None:
    async def broken(request: Request) -> Response:
        raise ZeroDivisionError("secret detail")

    answer = ask(post(b"", b""), handler=broken)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in answer
    assert b"connection: close\r\n" in answer
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert document["code"] == "transport.handler_failed"


def test_lets_no_handler_split_a_response() -> None:
    async def splitting(request: Request) -> Response:
        return Response(200, [("x-a", "1\r\nset-cookie: x")])

    answer = ask(post(b""), handler=splitting)
    assert b"set-cookie" not in answer
    assert answer.startswith(b"HTTP/1.1 500 ")


def test_says_refusals_as_the_edge_wants_them() -> None:
    def refusal(error: TransportError, error_id: str) -> Response:
        headers = [("x-road-error", error.code), ("x-id", error_id)]
        return Response(error.status, headers, Body.of(b"{}"))

    answer = ask(post(b"12"), limits=Limits(body_bytes=1), refusal=refusal)
    assert b"x-road-error: transport.body_too_large\r\n" in answer
    assert BodyTooLarge.code in answer.decode()
